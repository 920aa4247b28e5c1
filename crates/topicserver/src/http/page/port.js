// The way to the hub, which lives in a shared worker, or here where there is none.

import { Hub } from "./hub.js";

// Not every browser says that a worker can't begin.
const WORKER_TIMEOUT = 4000;

export class Port {
  #port; #timer; #count = 0; #answers = new Map();
  #hello; #onEvents;

  // `hello` returns what this tab brings along; `onEvents` gets arrays of events.
  constructor(hello, onEvents) {
    this.#hello = hello;
    this.#onEvents = onEvents;
    this.#connect();
    addEventListener("pagehide", () => this.send({ do: "bye" }));
    addEventListener("pageshow", ({ persisted }) => persisted && this.#greet());
  }

  #connect() {
    try {
      const worker = new SharedWorker("/-/page/worker.js", { type: "module", name: "natter 1" });
      worker.onerror = () => this.#stayHere();
      this.#timer = setTimeout(() => this.#stayHere(), WORKER_TIMEOUT);
      this.#use(worker.port);
    } catch {
      this.#stayHere();
    }
  }

  // A worker that begins late finds both orders, and doesn't connect in this tab's place.
  #stayHere() {
    clearTimeout(this.#timer);
    if (this.#port) {
      this.#port.onmessage = null;
      this.send({ do: "bye", isForGood: true });
    }
    const { port1, port2 } = new MessageChannel();
    new Hub(location.origin).add(port1);
    this.#use(port2);
  }

  #use(port) {
    this.#port = port;
    port.onmessage = ({ data }) => {
      clearTimeout(this.#timer);
      this.#onEvents(data.filter((event) => !this.#isAnswer(event)));
    };
    this.#greet();
  }

  #greet() { this.send({ do: "hello", ...this.#hello() }); }

  #isAnswer({ is, n, value, error }) {
    if (is !== "answer") return false;
    const asked = this.#answers.get(n);
    this.#answers.delete(n);
    if (error) asked?.reject(error);
    else asked?.resolve(value);
    return true;
  }

  send(order) { this.#port.postMessage(order); }

  // Asks the server: `history`, `who`, `list`, `rename`.
  ask(what, ...args) {
    const n = this.#count += 1;
    return new Promise((resolve, reject) => {
      this.#answers.set(n, { resolve, reject });
      this.send({ do: "ask", n, what, args });
    });
  }
}
