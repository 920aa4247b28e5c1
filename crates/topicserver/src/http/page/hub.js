// What the tabs of a browser share: the connection, the name, the topics, and what isn't
// acknowledged yet. It runs in a shared worker, or within the page where there is none.
// Tabs send it `{ do, … }` and get arrays of `{ is, … }`, the same in every tab and in
// the same order.

import { Client } from "./natter.js";

const CONNECTING = { is: "status", state: "off" };

// How long the connection stays without a tab: reloading takes less.
const STAY = 5000;

// Events that a tab gets at once.
const TOGETHER = 500;

const plain = ({ code, text, topic, id }) => ({ code, text, topic, id });

export class Hub {
  #origin; #client = null; #secret; #user; #idle;
  #ports = new Set();
  #outgoing = [];
  #status = CONNECTING;
  #pending = new Map();

  constructor(origin) { this.#origin = origin; }

  add(port) {
    this.#ports.add(port);
    port.onmessage = ({ data }) => this.#take(port, data);
  }

  // Events are gathered: a busy topic would wake the tabs for each message.
  #tell(event) {
    if (this.#outgoing.push(event) === 1) setTimeout(() => this.#flush(), 0);
  }

  // In parts, so that a tab has its turn between two of them.
  #flush() {
    while (this.#outgoing.length > 0) {
      const events = this.#outgoing.splice(0, TOGETHER);
      for (const port of this.#ports) port.postMessage(events);
    }
  }

  #setStatus(state, about = {}) {
    this.#status = { is: "status", state, user: this.#client?.user, ...about };
    this.#tell(this.#status);
  }

  #take(port, order) {
    // After somebody has logged in or out, until the first tab is there again.
    if (!this.#client && !["hello", "bye", "renew"].includes(order.do)) return;
    const { id, topic } = order;
    ({
      renew: () => this.#renew(),
      hello: () => this.#hello(port, order),
      bye: () => this.#bye(port, order),
      join: () => this.#join(topic),
      leave: () => this.#leave(topic),
      say: () => this.#say(order),
      discard: () => this.#tell({ is: "discarded", id, topic }),
      retry: () => this.#client.retry(),
      again: () => this.#again(),
      ask: () => this.#answer(port, order),
    })[order.do]?.();
  }

  // A tab comes, or comes back. The first one begins.
  #hello(port, { user, client, topics, pending, isNew }) {
    this.#flush();
    if (isNew) this.#renew(port);
    this.#ports.add(port);
    clearTimeout(this.#idle);
    if (!this.#client) {
      this.#secret = client;
      this.#user = user;
      this.#begin();
    } else if (user !== undefined && this.#client.user === undefined) {
      // The others only read.
      this.#user = user;
      this.#client.rename(user).catch((error) => this.#setStatus(this.#status.state, { ...this.#status, refusal: plain(error) }));
    }
    const known = this.#client.topics.filter((topic) => this.#client.place(topic));
    const there = known.map((topic) => ({ is: "topic", topic, ...this.#client.place(topic) }));
    const said = [...this.#pending.values()].map((line) => ({ is: "said", ...line }));
    port.postMessage([this.#status, ...there, ...said]);
    for (const topic of topics) if (!this.#client.topics.includes(topic)) this.#join(topic);
    for (const line of pending) this.#say(line);
  }

  // Somebody has logged in or out, so the connection is another one's now. All tabs begin
  // anew, but the one that does so anyway.
  #renew(port) {
    this.#endClient();
    this.#pending.clear();
    this.#flush();
    for (const other of this.#ports) if (other !== port) other.postMessage([{ is: "renewed" }]);
  }

  // A page that can be gone back to keeps its worker; nobody is there, all the same.
  #bye(port, { isForGood }) {
    this.#ports.delete(port);
    if (this.#ports.size > 0) return;
    const end = () => {
      this.#endClient();
      this.#pending.clear();
    };
    if (isForGood) end();
    else this.#idle = setTimeout(end, STAY);
  }

  #endClient() {
    const client = this.#client;
    this.#client = null;
    client?.abort();
  }

  #begin() {
    this.#status = CONNECTING;
    const client = new Client(this.#origin, { user: this.#user, client: this.#secret });
    this.#client = client;
    const relay = (is) => (event) => this.#tell({ is, ...event });
    for (const is of ["message", "gap", "joined", "left", "resumed"]) client.on(is, relay(is));
    client.on("connected", () => this.#setStatus("on"));
    client.on("nameless", ({ error }) => this.#setStatus("on", { refusal: plain(error) }));
    // Another connection begins without it.
    client.on("notice", (error) => this.#setStatus(error.code === "no-quorum" ? "away" : "on", { error }));
    client.on("disconnected", ({ error, retryIn }) => this.#setStatus("off", { error: plain(error), retryIn }));
    client.on("refused", (error) => this.#tell({ is: "refused-topic", topic: error.topic, error: plain(error) }));
    client.on("removed", ({ topic, code }) => {
      client.leave(topic).catch(() => {});
      this.#tell({ is: "refused-topic", topic, error: { code, text: "you may no longer read it" } });
    });
    client.on("error", (error) => this.#tell({ is: "error", error: plain(error) }));
    client.on("closed", ({ error }) => {
      if (client === this.#client) this.#setStatus("ended", { error: error && plain(error) });
    });
    client.start({ isPatient: true });
  }

  // Goes on here after another one has taken over.
  #again() {
    const topics = this.#client.topics;
    const lines = [...this.#pending.values()];
    this.#endClient();
    this.#begin();
    this.#tell(this.#status);
    for (const topic of topics) this.#join(topic);
    this.#pending.clear();
    for (const line of lines) this.#say(line);
  }

  #join(topic) {
    const client = this.#client;
    client.join(topic).then(
      // It may have been left before the answer came.
      (state) => client.topics.includes(topic) && this.#tell({ is: "topic", topic, ...state }),
      (error) => {
        if (client === this.#client) this.#tell({ is: "refused-topic", topic, error: plain(error) });
      },
    );
  }

  #leave(topic) {
    this.#tell({ is: "left-topic", topic });
    this.#client.leave(topic).catch(() => {});
  }

  #say({ id, topic, text }) {
    if (this.#pending.has(id)) return;
    const client = this.#client;
    const line = { id, topic, text };
    this.#pending.set(id, line);
    this.#tell({ is: "said", ...line });
    client.publish(topic, text, { id }).then(
      ({ seq }) => {
        this.#pending.delete(id);
        this.#tell({ is: "ack", id, topic, seq });
      },
      (error) => {
        // What ends with its connection isn't refused.
        if (client !== this.#client || error.code === "closed" || error.code === "replaced") return;
        this.#pending.delete(id);
        this.#tell({ is: "refused", id, topic, text, error: plain(error) });
      },
    );
  }

  async #answer(port, { n, what, args }) {
    let reply;
    try {
      const allowed = ["history", "who", "list", "rename"];
      if (!allowed.includes(what)) throw new Error(`no question: ${what}`);
      if (what === "rename") [this.#user] = args;
      // The name may be why it has ended.
      if (what === "rename" && this.#status.state === "ended") this.#again();
      reply = { is: "answer", n, value: await this.#client[what](...args) };
    } catch (error) {
      reply = { is: "answer", n, error: plain(error) };
    }
    // In its place among the events.
    this.#flush();
    port.postMessage([reply]);
  }
}
