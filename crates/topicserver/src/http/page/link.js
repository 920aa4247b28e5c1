// The connection: a WebSocket that comes back by itself, and says honestly whether it
// is there.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
// A network that is gone says nothing: who hears nothing for so long asks, and then
// takes the connection for lost.
const ASK_AFTER = 20000;
const LOST_AFTER = 10000;

export class Link {
  // `hear` gets `open()`, `frame(frame)` and `lost(milliseconds)`.
  constructor(hear) {
    this.hear = hear;
    this.pause = FIRST_PAUSE;
    this.socket = null;
    this.stopped = false;
    addEventListener("online", () => this.now());
  }

  start() {
    this.stopped = false;
    clearTimeout(this.timer);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/-/ws`);
    this.socket = socket;
    socket.onopen = () => {
      this.listen(socket);
      this.hear.open();
    };
    socket.onmessage = (event) => {
      this.listen(socket);
      try {
        this.hear.frame(JSON.parse(event.data));
      } catch (error) {
        console.error(error);
      }
    };
    socket.onclose = () => {
      clearTimeout(this.silence);
      if (this.socket !== socket) return;
      this.socket = null;
      if (this.stopped) return;
      const pause = this.pause * (0.75 + Math.random() / 2);
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
      this.timer = setTimeout(() => this.start(), pause);
      this.hear.lost(pause);
    };
  }

  // The server has taken us.
  settled() { this.pause = FIRST_PAUSE; }

  // Comes back at once, if it waits.
  now() {
    if (!this.socket && !this.stopped) this.start();
  }

  restart() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.start();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  // False: there is no connection to send it on.
  send(frame) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  listen(socket) {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      this.send({ extended: { ping: Date.now() } });
      this.silence = setTimeout(() => {
        // Closing waits for the other side, which may be gone.
        const { onclose } = socket;
        socket.onclose = null;
        socket.close();
        onclose();
      }, LOST_AFTER);
    }, ASK_AFTER);
  }
}
