// Publish to topics of a topicserver and subscribe to them, over connections that may be
// lost. Runs in browsers (WebSocket) and in Node 18 or later (TCP), and imports nothing.
// docs/protocol.md is the protocol, README.md shows how to use it, natter.d.ts has the types.

// What a client does about each error code of docs/protocol.md:
// message   the message with the id is refused; again: send it again later
// request   a registration or a question is refused
// frame     the server closed the connection because of something that was sent
// return    the connection was closed; come back; stop: don't come back
// notice    nothing is refused
// http      only over HTTP
export const CODES = Object.freeze({
  "not-an-object": "request", "unknown-frame": "request", "bad-frame": "request",
  "bad-topic": "request", "too-many-topics": "request", "name-taken": "request",
  "unknown-user": "request", "storage-full": "message", "storage-busy": "again",
  "not-registered": "message", "duplicate-id": "message", "not-json": "frame", "not-utf8": "frame", "too-deep": "frame",
  "too-long": "frame", "registration-timeout": "return", "unfinished-frame": "return",
  "slow-reader": "return", "queues-full": "return", "too-many-connections": "return", "replaced": "stop",
  "tls-not-supported": "stop", "tls-required": "stop", "shutting-down": "return",
  "unauthenticated": "request", "forbidden": "request", "name-reserved": "request",
  "protected": "stop", "expired": "stop", "revoked": "stop", "too-many-attempts": "return",
  "rate-limited": "notice", "bad-request": "http",
  "forbidden-origin": "http", "forbidden-host": "http", "not-found": "http",
  "method-not-allowed": "http", "busy": "stop",
});

// Bytes of a frame that every server with default settings accepts.
export const MAX_FRAME = 65536;
// Topics in a registration: so many of the longest names fit into a frame.
const MOST_TOPICS = 50;
// A network that is gone says nothing: who hears nothing for so long pings, and then takes
// the connection for lost.
const PING_AFTER = 20000;
const LOST_AFTER = 10000;
const DIAL_TIMEOUT = 10000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
// A message that the server's disk did not accept in time is sent again so often.
const MOST_ATTEMPTS = 6;

// What went wrong: `code` is one of docs/protocol.md, `connection-lost` or `closed`.
export class NatterError extends Error {
  constructor(code, text, about = {}) {
    super(`${code}: ${text}`);
    this.name = "NatterError";
    this.code = code;
    this.text = text;
    Object.assign(this, about);
  }
}

const NOWHERE = { source: { ip: "0.0.0.0", port: "0" }, destination: { ip: "0.0.0.0", port: "0" } };
const encoder = new TextEncoder();
const bytesOf = (text) => encoder.encode(text).length;
const hasControl = (text) => /[\u0000-\u001f\u007f-\u009f]/.test(text);

// Why a topic's name is not allowed; `null` if it is.
export function topicProblem(name) {
  if (typeof name !== "string" || name === "") return "a topic's name can't be empty";
  if (hasControl(name)) return "a topic's name holds no control character";
  if (/\p{Surrogate}/u.test(name)) return "a topic's name is whole characters";
  const bytes = bytesOf(name);
  return bytes > 255 ? `a topic's name has at most 255 bytes; this one has ${bytes}` : null;
}

// Why a user's name is not allowed; `null` if it is.
export function userProblem(name) {
  if (typeof name !== "string" || name === "") return "a name can't be empty";
  if (hasControl(name)) return "a name holds no control character";
  const length = Array.from(name).length;
  return length > 64 ? `a name has at most 64 characters; this one has ${length}` : null;
}

// A random text of `2 * bytes` characters.
export function randomText(bytes) {
  const numbers = globalThis.crypto?.getRandomValues
    ? globalThis.crypto.getRandomValues(new Uint8Array(bytes))
    // Node 18 has it only as a module; an id need not be secret.
    : Uint8Array.from({ length: bytes }, () => Math.random() * 256);
  return Array.from(numbers, (n) => n.toString(16).padStart(2, "0")).join("");
}

// Connects; rejects if that can't be, or if the name is taken. `ws:`, `wss:`, `http:` or
// `https:`
export async function connect(address, options = {}) {
  const client = new Client(address, options);
  try {
    await client.start();
  } catch (error) {
    client.abort();
    throw error;
  }
  return client;
}

// A participant. It comes back by itself when a connection is lost.
export class Client {
  #address; #secret; #canReturn; #limit;
  #prefix = randomText(6);
  #count = 0;
  #wanted; #granted;
  // name → { place: {epoch, seq}, start: options until the first message has come }
  #topics = new Map();
  // id → a message without an acknowledgement, in the order of publishing
  #lines = new Map();
  // Questions, one of which is with the server at a time.
  #questions = []; #asked = null;
  #connection = null;
  #isReady = false; #isClosed = false; #isStarting = false;
  #pause = FIRST_PAUSE; #timer; #mostTopics = MOST_TOPICS;
  #handlers = new Map();
  #settled = [];

  constructor(address, options = {}) {
    if (options.user !== undefined) check(userProblem(options.user), "bad-frame");
    this.#address = address;
    this.#wanted = options.user;
    this.#secret = options.client ?? randomText(16);
    this.#canReturn = options.reconnect ?? true;
    this.#limit = options.maxFrame ?? MAX_FRAME;
  }

  // The name that the server granted.
  get user() { return this.#granted; }
  // Whether there is a connection that is registered.
  get isConnected() { return this.#isReady; }
  // The topics that were joined.
  get topics() { return [...this.#topics.keys()]; }
  // The last message that was seen of a topic.
  place(topic) {
    const place = this.#topics.get(topic)?.place;
    return place && { ...place };
  }

  // Calls `handler` with each event of this name; returns a function that ends it.
  on(event, handler) {
    const handlers = this.#handlers.get(event) ?? new Set();
    this.#handlers.set(event, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  #emit(event, value) {
    for (const handler of this.#handlers.get(event) ?? []) {
      try {
        handler(value);
      } catch (error) {
        // One handler's fault is not the connection's.
        console.error(error);
      }
    }
  }

  // Messages as they come, of all topics, until the client is closed.
  messages() {
    const waiting = [];
    let wake = () => {};
    const ends = [
      this.on("message", (message) => { waiting.push(message); wake(); }),
      this.on("closed", () => wake()),
    ];
    const isOver = () => this.#isClosed;
    return (async function* read() {
      try {
        while (waiting.length > 0 || !isOver()) {
          if (waiting.length > 0) yield waiting.shift();
          else await new Promise((resolve) => { wake = resolve; });
        }
      } finally {
        ends.forEach((end) => end());
      }
    })();
  }

  // Makes the first connection. Rejects if that fails; with `isPatient`, goes on trying.
  async start({ isPatient = false } = {}) {
    this.#isStarting = !isPatient;
    try {
      await this.#begin();
    } finally {
      this.#isStarting = false;
    }
  }

  // Comes back at once, if it waits for the next attempt.
  retry() {
    if (!this.#connection && !this.#isClosed && this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#begin();
    }
  }

  async #begin() {
    this.#timer = undefined;
    try {
      const { connection, user, refusal } = await this.#open(this.#wanted);
      // Meanwhile, a new name may have brought another one.
      if (this.#connection) return connection.abort();
      await this.#take(connection, user);
      if (refusal) this.#emit("nameless", { error: refusal });
    } catch (error) {
      if (this.#isStarting) throw asError(error);
      this.#lost(asError(error));
    }
    return undefined;
  }

  // A connection that is registered under this name, or without one if it is taken.
  async #open(user) {
    const connection = await dial(this.#address);
    const register = (name) => connection.ask({ topics: [], extended: { user: name, client: this.#secret } });
    try {
      if (this.#isClosed) throw new NatterError("closed", "the client was closed");
      const answer = await register(user).catch(async (error) => {
        if (error.code !== "name-taken" || this.#isStarting || this.#connection) throw error;
        await register(undefined);
        return { refusal: asError(error) };
      });
      if (this.#isClosed) throw new NatterError("closed", "the client was closed");
      return { connection, user: answer.user, refusal: answer.refusal };
    } catch (error) {
      connection.abort();
      throw asError(error);
    }
  }

  // Goes on over this connection: first where we were, then what waits.
  async #take(connection, user) {
    const old = this.#connection;
    this.#connection = connection;
    this.#isReady = false;
    old?.abort();
    clearTimeout(this.#timer);
    this.#askAgain();
    this.#granted = user;
    connection.onframe = (frame) => this.#onFrame(frame);
    connection.onclose = (error) => {
      if (this.#connection === connection) this.#lost(error);
    };
    try {
      await this.#registerAll(connection);
    } catch (error) {
      if (this.#connection === connection) this.#lost(asError(error));
    }
    if (this.#connection !== connection) return;
    this.#isReady = true;
    this.#pause = FIRST_PAUSE;
    this.#emit("connected", { user });
    for (const line of this.#lines.values()) this.#transmit(line);
    this.#next();
  }

  // What was asked and not answered is asked again.
  #askAgain() {
    if (this.#asked) this.#questions.unshift(this.#asked);
    this.#asked = null;
  }

  async #registerAll(connection) {
    // A topic whose first answer has not come waits among the questions.
    const known = [...this.#topics].filter(([, state]) => state.isKnown);
    const again = known.filter(([, state]) => !state.start).map(([topic]) => topic);
    while (again.length > 0) {
      await this.#registerSome(connection, again.splice(0, this.#mostTopics));
    }
    for (const [topic, state] of known) {
      if (state.start) await this.#registerSome(connection, [topic]);
    }
  }

  // If the server refuses them together, it may accept some of them.
  async #registerSome(connection, topics) {
    try {
      this.#onRegistered(await connection.ask(this.#registration(topics)), topics);
    } catch (error) {
      const kind = CODES[error.code];
      if (kind === "frame") this.#mostTopics = 1;
      if (kind === "request" && topics.length > 1) {
        for (const topic of topics) await this.#registerSome(connection, [topic]);
      } else if ((kind === "request" || kind === "frame") && topics.length === 1) {
        this.#drop(topics[0], new NatterError(error.code, error.text, { topic: topics[0] }));
      }
      if (kind !== "request") throw error;
    }
  }

  #registration(topics) {
    const { start } = this.#topics.get(topics[0]) ?? { start: {} };
    if (start) return { topics, extended: start };
    const places = topics.map((topic) => [topic, this.#topics.get(topic).place]);
    return { topics, extended: { resume: Object.fromEntries(places) } };
  }

  #onRegistered({ topics }, asked) {
    for (const topic of asked) {
      const known = this.#topics.get(topic);
      const state = topics[topic];
      if (!known || !state) continue;
      if (!known.start) {
        const { epoch, seq } = known.place;
        const isReset = epoch !== state.epoch || state.seq < seq;
        known.place = { epoch: state.epoch, seq: isReset ? 0 : seq };
        if (known.isKnown) this.#emit("resumed", { topic, ...state, missed: state.seq - known.place.seq, isReset });
      } else {
        const { last, since } = known.start;
        // With a time alone, the place is known when the first message has come.
        const isOpen = last === undefined && since !== undefined && state.seq > 0;
        known.place = { epoch: state.epoch, seq: isOpen ? 0 : Math.max(0, state.seq - (last ?? 0)) };
        if (!isOpen) known.start = undefined;
      }
      known.isKnown = true;
      known.isJoined = true;
    }
  }

  #drop(topic, error) {
    this.#topics.delete(topic);
    this.#refuseAll(topic, error);
    this.#emit("refused", error);
  }

  #refuseAll(topic, error) {
    for (const line of [...this.#lines.values()]) if (line.topic === topic) this.#refuse(line, error);
  }

  // Takes part in a topic. A topic that was joined before answers where it is.
  async join(topic, { last, since, resume } = {}) {
    check(topicProblem(topic), "bad-topic", { topic });
    const known = this.#topics.get(topic);
    if (known) return known.joining;
    const state = resume ? { place: { ...resume } } : { start: { last, since } };
    this.#topics.set(topic, state);
    state.joining = this.#ask({
      frame: () => this.#registration([topic]),
      kind: "registered",
      onAnswer: (answer) => {
        this.#onRegistered(answer, [topic]);
        for (const line of this.#lines.values()) if (line.topic === topic) this.#transmit(line);
        return { topic, ...answer.topics[topic] };
      },
    }).catch((error) => {
      if (this.#topics.get(topic) === state) this.#topics.delete(topic);
      throw Object.assign(error, { topic });
    });
    return state.joining;
  }

  // Leaves a topic.
  async leave(topic) {
    this.#topics.delete(topic);
    this.#refuseAll(topic, new NatterError("not-registered", "the topic was left", { topic }));
    await this.#ask({ frame: () => ({ extended: { leave: [topic] } }), kind: "registered" });
  }

  // Who is in a topic: `{ topic, count, users }`.
  who(topic) {
    check(topicProblem(topic), "bad-topic", { topic });
    return this.#ask({ frame: () => ({ extended: { who: topic } }), kind: "members" });
  }

  // Where a user can be reached: `{ user, ip, port }`.
  lookup(user) {
    return this.#ask({ frame: () => ({ extended: { lookup: user } }), kind: "found" });
  }

  // The server's topics: `[{ topic, members, seq }]`.
  list() {
    return this.#ask({ frame: () => ({ extended: { topics: {} } }), kind: "topics" });
  }

  // Messages before a number, or the newest ones, in their order.
  history(topic, { before, limit } = {}) {
    check(topicProblem(topic), "bad-topic", { topic });
    return this.#ask({
      frame: () => ({ extended: { history: { topic, before, limit } } }),
      kind: "history",
      onAnswer: (answer) => ({ ...answer, messages: answer.messages.map(messageOf) }),
    });
  }

  // Asks when there is a connection; again if that is lost before the answer.
  #ask({ frame, kind, onAnswer = (answer) => answer }) {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new NatterError("closed", "the client was closed"));
      this.#questions.push({ frame, kind, onAnswer, resolve, reject });
      this.#next();
    });
  }

  #next() {
    if (!this.#isReady || this.#asked || this.#questions.length === 0) return;
    this.#asked = this.#questions.shift();
    this.#connection.send(this.#asked.frame());
  }

  // Publishes. Resolves with `{ topic, seq, id }` when the server has acknowledged it, over
  // however many connections; rejects when the server refuses it.
  publish(topic, text, { id = `${this.#prefix}-${this.#count += 1}` } = {}) {
    return new Promise((resolve, reject) => {
      const line = { id, topic, text: String(text), resolve, reject, attempts: 0, sentOn: null };
      const about = { id, topic };
      if (this.#isClosed) throw new NatterError("closed", "the client was closed", about);
      if (!this.#topics.has(topic)) {
        throw new NatterError("not-registered", `join ${JSON.stringify(topic)} first`, about);
      }
      line.bytes = bytesOf(JSON.stringify(this.#frame(line)));
      check(line.bytes > this.#limit ? `a frame has at most ${this.#limit} bytes; this one has ${line.bytes}` : null, "too-long", about);
      this.#lines.set(id, line);
      this.#transmit(line);
    });
  }

  #frame({ id, topic, text }) {
    // Classic clients may look for both ends of the connection.
    const { source, destination } = this.#connection ?? NOWHERE;
    return { extended: { id }, source, destination, message: { topic, text } };
  }

  #transmit(line) {
    const mayPublish = this.#isReady && (this.#wanted === undefined || this.#granted !== undefined);
    if (!mayPublish || line.sentOn === this.#connection || !this.#topics.get(line.topic)?.isJoined) return;
    line.sentOn = this.#connection;
    this.#connection.send(this.#frame(line));
  }

  // Takes another name. The old one is kept until the server has granted the new one; rejects
  // with `name-taken` if it doesn't.
  async rename(user) {
    check(userProblem(user), "bad-frame");
    if (user === this.#granted) return;
    if (!this.#isReady) {
      // The next connection is made with it.
      this.#wanted = user;
      return;
    }
    const opened = await this.#open(user);
    this.#wanted = user;
    await this.#take(opened.connection, opened.user);
  }

  // Waits until everything was acknowledged or refused, and disconnects.
  async close() {
    if (this.#lines.size > 0 && !this.#isClosed) {
      await new Promise((resolve) => { this.#settled.push(resolve); });
    }
    // Who leaves all topics gives the name back at once.
    const topics = this.topics;
    while (this.#isReady && topics.length > 0) {
      this.#connection.send({ extended: { leave: topics.splice(0, MOST_TOPICS) } });
    }
    this.#end(undefined);
  }

  // Disconnects at once.
  abort() { this.#end(undefined, true); }

  #end(error, isAbrupt = false) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isReady = false;
    clearTimeout(this.#timer);
    if (isAbrupt) this.#connection?.abort();
    else this.#connection?.end();
    const why = error ?? new NatterError("closed", "the client was closed");
    for (const line of [...this.#lines.values()]) this.#refuse(line, why);
    for (const question of [this.#asked, ...this.#questions]) question?.reject(why);
    this.#questions = [];
    this.#asked = null;
    this.#emit("closed", { error });
  }

  #lost(error) {
    const connection = this.#connection;
    if (this.#isClosed) return;
    this.#connection = null;
    this.#isReady = false;
    connection?.abort();
    for (const state of this.#topics.values()) state.isJoined = false;
    if (CODES[error.code] === "frame") this.#blame(connection, error);
    this.#askAgain();
    if (CODES[error.code] === "stop" || !this.#canReturn) return this.#end(error, true);
    const pause = this.#pause * (0.75 + Math.random() / 2);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    this.#timer = setTimeout(() => this.#begin(), pause);
    this.#emit("disconnected", { error, retryIn: pause });
  }

  // The server can't read something that was sent. If it was a message, it was the
  // longest one: it would be refused again over every connection.
  #blame(connection, error) {
    const sent = [...this.#lines.values()].filter((line) => line.sentOn === connection);
    const longest = sent.reduce((a, b) => (a && a.bytes >= b.bytes ? a : b), undefined);
    if (longest) {
      if (error.code === "too-long") this.#limit = Math.min(this.#limit, longest.bytes - 1);
      this.#refuse(longest, new NatterError(error.code, error.text, { id: longest.id, topic: longest.topic }));
    } else if (this.#asked) {
      this.#asked.reject(error);
      this.#asked = null;
    }
  }

  #refuse(line, error) {
    if (!this.#lines.delete(line.id)) return;
    line.reject(error);
    this.#noteSettled();
  }

  #noteSettled() {
    if (this.#lines.size > 0) return;
    for (const resolve of this.#settled.splice(0)) resolve();
  }

  #onFrame(frame) {
    if (frame.message) return this.#onMessage(frame);
    const [kind, value] = Object.entries(frame.extended ?? {})[0] ?? [];
    if (kind === "error") return this.#onError(value);
    if (kind === "ack") return this.#onAck(value);
    if (kind === "gap") return this.#onGap(value);
    if (this.#asked?.kind === kind) {
      const { onAnswer, resolve } = this.#asked;
      this.#asked = null;
      resolve(onAnswer(value));
      return this.#next();
    }
    if (kind !== undefined) this.#emit(kind, value);
  }

  #onMessage(frame) {
    const message = messageOf(frame);
    const known = this.#topics.get(message.topic);
    if (!known) return;
    if (message.seq !== undefined && known.place) {
      if (message.seq <= known.place.seq) return;
      known.place.seq = message.seq;
      known.start = undefined;
    }
    this.#emit("message", message);
  }

  #onAck({ id, topic, seq }) {
    const line = this.#lines.get(id);
    // One's own message is never sent back. What is before it may still be on its way.
    const place = this.#topics.get(topic)?.place;
    if (place && seq === place.seq + 1) place.seq = seq;
    if (!line) return;
    this.#lines.delete(id);
    line.resolve({ topic, seq, id });
    this.#noteSettled();
  }

  #onGap(gap) {
    const known = this.#topics.get(gap.topic);
    if (known?.place) known.place.seq = Math.max(known.place.seq, gap.to);
    this.#emit("gap", gap);
  }

  #onError({ code, text, id }) {
    const line = this.#lines.get(id);
    const error = new NatterError(code, text, { id, topic: line?.topic });
    if (id === undefined && this.#asked && (CODES[code] === "request" || CODES[code] === "again")) {
      this.#asked.reject(error);
      this.#asked = null;
      return this.#next();
    }
    if (id === undefined) return this.#emit("error", error);
    if (!line) return undefined;
    line.attempts += 1;
    if (CODES[code] !== "again" || line.attempts >= MOST_ATTEMPTS) return this.#refuse(line, error);
    setTimeout(() => {
      line.sentOn = null;
      if (this.#lines.has(id)) this.#transmit(line);
    }, FIRST_PAUSE * line.attempts);
    return undefined;
  }
}

function check(problem, code, about) {
  if (problem) throw new NatterError(code, problem, about);
}

function asError(error) {
  return error instanceof NatterError ? error
    : new NatterError(error.code ?? "connection-lost", error.text ?? error.message ?? String(error));
}

function messageOf({ extended = {}, message }) {
  const { seq, time, user } = extended;
  return { topic: message.topic, text: message.text, user, seq, time: time ?? Date.now() };
}

// Connects; rejects if that can't be.
function dial(address) {
  const url = urlOf(String(address));
  return url.protocol === "tcp:" ? dialTcp(url) : dialWebSocket(url);
}

function urlOf(address) {
  const hasScheme = /^[a-z]+:\/\//i.test(address);
  const isNode = typeof globalThis.process?.versions?.node === "string";
  const url = new URL(hasScheme ? address : `${isNode ? "tcp" : "ws"}://${address}`);
  if (url.protocol === "tcp:") return url;
  url.protocol = url.protocol.replace("http", "ws");
  if (url.pathname === "/") url.pathname = "/-/ws";
  return url;
}

function dialWebSocket(url) {
  if (typeof WebSocket === "undefined") {
    return Promise.reject(new Error("there is no WebSocket here: use tcp://, or Node 22"));
  }
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    const end = { ip: url.hostname, port: url.port || "80" };
    const connection = new Connection({
      write: (text) => socket.send(text),
      end: () => socket.close(),
      abort: () => socket.close(),
    }, { ip: "0.0.0.0", port: "0" }, end);
    const timer = setTimeout(() => fail("no answer"), DIAL_TIMEOUT);
    const fail = (why) => {
      clearTimeout(timer);
      socket.onopen = socket.onclose = null;
      socket.close();
      reject(new Error(`can't connect to ${url.host}: ${why}`));
    };
    socket.onopen = () => {
      clearTimeout(timer);
      socket.onclose = () => connection.closed();
      connection.listen();
      resolve(connection);
    };
    socket.onmessage = ({ data }) => connection.read(data);
    socket.onclose = () => fail("the server refused it, or isn't there");
  });
}

async function dialTcp(url) {
  const net = await import("node:net");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const socket = net.connect({ host, port: Number(url.port), noDelay: true });
  await new Promise((resolve, reject) => {
    socket.setTimeout(DIAL_TIMEOUT, () => socket.destroy(new Error(`${url.host} doesn't answer`)));
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  socket.setTimeout(0);
  const connection = new Connection({
    write: (text) => socket.write(`${text}\n`),
    end: () => socket.end(),
    abort: () => socket.destroy(),
  }, { ip: socket.localAddress, port: String(socket.localPort) },
  { ip: socket.remoteAddress, port: String(socket.remotePort) });
  const rest = [];
  socket.on("data", (data) => {
    let start = 0;
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
      rest.push(data.subarray(start, end));
      connection.read(Buffer.concat(rest.splice(0)).toString("utf8"));
      start = end + 1;
    }
    if (start < data.length) rest.push(data.subarray(start));
  });
  // The end of the stream and the reason for it come as "close".
  socket.on("error", () => {});
  socket.on("close", () => connection.closed());
  connection.listen();
  return connection;
}

// Frames in, frames out.
class Connection {
  #socket; #timer; #asked = null; #isOver = false;
  // The last error of the server's that belongs to no message.
  #lastError = null;
  onframe = () => {};
  onclose = () => {};

  constructor(socket, source, destination) {
    this.#socket = socket;
    this.source = source;
    this.destination = destination;
  }

  send(frame) {
    if (!this.#isOver) this.#socket.write(JSON.stringify(frame));
  }

  // Sends a registration; resolves with its answer. Only one at a time.
  ask(frame) {
    return new Promise((resolve, reject) => {
      if (this.#isOver) return reject(this.#reason());
      this.#asked = { resolve, reject };
      this.send(frame);
    });
  }

  // Something has come: the server is there.
  listen() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.send({ extended: { ping: 0 } });
      this.#timer = setTimeout(() => {
        this.closed();
        this.#socket.abort();
      }, LOST_AFTER);
    }, PING_AFTER);
  }

  read(text) {
    if (this.#isOver) return;
    this.listen();
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      // The server writes whole frames; what is none is nothing for us.
      return;
    }
    const { error, registered, ping } = frame.message ? {} : frame.extended ?? {};
    if (ping !== undefined) return this.send({ extended: { pong: ping } });
    const isGeneral = error !== undefined && error.id === undefined;
    if (isGeneral) this.#lastError = error;
    const asked = this.#asked;
    if (asked && (registered || isGeneral)) {
      this.#asked = null;
      if (registered) asked.resolve(registered);
      else asked.reject(error);
      return;
    }
    this.onframe(frame);
  }

  // Why it has ended: what the server said last, if that closes connections.
  #reason() {
    const { code, text } = this.#lastError ?? {};
    return ["frame", "return", "stop"].includes(CODES[code]) ? new NatterError(code, text)
      : new NatterError("connection-lost", "the connection was lost");
  }

  closed() {
    if (this.#isOver) return;
    this.#over();
    this.onclose(this.#reason());
  }

  // Ends it when all is sent.
  end() {
    this.#over();
    this.#socket.end();
  }

  abort() {
    this.#over();
    this.#socket.abort();
  }

  #over() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#asked?.reject(this.#reason());
    this.#asked = null;
  }
}
