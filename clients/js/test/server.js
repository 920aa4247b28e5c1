// A topic server in a process of its own, which can be killed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const BUILT = fileURLToPath(new URL("../../../target/debug/topicserver", import.meta.url));
const PROGRAM = process.env.TOPICSERVER ?? BUILT;

export class Server {
  #child;
  #data = mkdtempSync(join(tmpdir(), "natter-js-"));
  #port = "0";

  static async start(...options) {
    const server = new Server();
    server.options = options;
    await server.startAgain();
    return server;
  }

  static async startAt(port, ...options) {
    const server = new Server();
    server.options = options;
    server.#port = port;
    await server.startAgain();
    return server;
  }

  get certificate() { return readFileSync(join(this.#data, "tls", "certificate.pem"), "utf8"); }

  get address() { return `127.0.0.1:${this.#port}`; }

  async startAgain() {
    const parameters = [this.#port, "--bind", "127.0.0.1", "--data", this.#data, ...this.options];
    this.pin = undefined;
    this.#child = spawn(PROGRAM, parameters, { stdio: ["ignore", "ignore", "pipe"] });
    const lines = createInterface(this.#child.stderr);
    await new Promise((resolve, reject) => {
      this.log = [];
      lines.on("line", (line) => {
        this.log.push(line);
        this.#port = /listening.*127\.0\.0\.1:(\d+)/.exec(line)?.[1] ?? this.#port;
        this.pin = /fingerprint (sha256:\S+)/.exec(line)?.[1] ?? this.pin;
        const isUp = this.options.includes("--tls-self-signed") ? this.pin : /listening/.test(line);
        if (isUp) resolve();
      });
      lines.on("close", () => reject(new Error(`the server ended: ${this.log.join("\n")}`)));
    });
  }

  /** Has another one take over its data, on another port. */
  async startElsewhere(port) {
    this.#port = port;
    await this.startAgain();
  }

  async kill() {
    this.#child.kill("SIGKILL");
    // Its log is complete then.
    await once(this.#child, "close");
  }

  /** Has it end in order, and waits for that. */
  async end() {
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }

  async stop() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
    rmSync(this.#data, { recursive: true });
  }
}

/** A network before a server that can be cut. */
export class Proxy {
  #pairs = new Set();
  #listener;

  /** Before a server that names others, if there are any, when it registers a client. */
  static async before(address, others = []) {
    const proxy = new Proxy();
    const answer = "{\"extended\":{\"registered\":{";
    const naming = `${answer}"servers":${JSON.stringify(others)},`;
    const name = (data) => (others.length > 0 ? String(data).replace(answer, naming) : data);
    const [host, port] = address.split(":");
    proxy.#listener = net.createServer((near) => {
      const far = net.connect({ host, port: Number(port) });
      proxy.#pairs.add([near, far]);
      for (const [from, to] of [[near, far], [far, near]]) {
        from.on("error", () => {});
        from.on("data", (data) => to.write(from === far ? name(data) : data));
        from.on("close", () => to.destroy());
      }
    });
    await new Promise((resolve) => { proxy.#listener.listen(0, "127.0.0.1", resolve); });
    proxy.port = proxy.#listener.address().port;
    return proxy;
  }

  get address() { return `127.0.0.1:${this.port}`; }

  /** Says something to all clients, as if the server did. It must be silent meanwhile. */
  tell(frame) {
    for (const [near] of this.#pairs) near.write(`${JSON.stringify(frame)}\n`);
  }

  cut() {
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    this.#pairs.clear();
  }

  stop() {
    this.#listener.close();
    this.cut();
  }
}

// Whatever takes longer than this won't come.
const LIMIT = 20000;

function inTime(what, begin) {
  const { stack } = new Error(`waited for ${what}`);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(stack)), LIMIT);
    begin((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

/** Resolves with the next event of a client's. */
export function next(client, event, isIt = () => true) {
  return inTime(event, (resolve) => {
    const end = client.on(event, (value) => {
      if (!isIt(value)) return;
      end();
      resolve(value);
    });
  });
}

/** The texts that come, as they come, in an array. */
export function texts(client, topic) {
  const list = [];
  client.on("message", (message) => {
    if (topic === undefined || message.topic === topic) list.push(message.text);
  });
  return list;
}

/** Resolves when the condition holds; looks again with each event. */
export function until(client, condition) {
  return inTime(String(condition), (resolve) => {
    const look = () => {
      if (!condition()) return;
      ends.forEach((end) => end());
      resolve();
    };
    const ends = ["message", "gap", "disconnected", "connected", "resumed", "joined", "left"]
      .map((event) => client.on(event, look));
    look();
  });
}
