// Publish to topics of a topicserver and subscribe to them, over connections that may be
// lost. Runs in browsers (WebSocket) and in Node 18 or later (TCP), and imports nothing.
// docs/protocol.md is the protocol; natter.d.ts says what each function does.

// What each error code of docs/protocol.md does. It refuses a registration or a question
// (`request`), or a message with an id, for ever or for now (`message`, `again`); it closes the
// connection because of something that was sent (`frame`), or to come back (`return`) or not
// (`stop`); it refuses nothing (`notice`), or comes only over HTTP (`http`).
const TREATMENTS = {
  request: ["not-an-object", "unknown-frame", "bad-frame", "bad-topic", "too-many-topics", "name-taken",
    "unknown-user", "unauthenticated", "forbidden", "name-reserved"],
  message: ["storage-full", "not-registered", "duplicate-id"], again: ["storage-busy", "no-quorum"],
  frame: ["not-json", "not-utf8", "too-deep", "too-long"],
  return: ["registration-timeout", "unfinished-frame", "slow-reader", "queues-full", "too-many-connections",
    "shutting-down", "too-many-attempts", "try-later"],
  stop: ["replaced", "tls-not-supported", "tls-required", "busy", "protected", "expired", "revoked"],
  notice: ["rate-limited"],
  http: ["bad-request", "forbidden-origin", "forbidden-host", "not-found", "method-not-allowed"],
};
export const CODES = Object.freeze(Object.fromEntries(
  Object.entries(TREATMENTS).flatMap(([treatment, codes]) => codes.map((code) => [code, treatment])),
));
// What an error does. A limit of new topics refuses a registration; the others only slow down
// what is published.
const treatment = ({ code, limit }) => (limit === "new-topics" ? "request" : CODES[code]);
const isRefusal = (error) => ["request", "again"].includes(treatment(error));

// Bytes of a frame that every server with default settings accepts.
export const MAX_FRAME = 65536;
// Topics in a registration: so many of the longest names fit into a frame.
const MOST_TOPICS = 50;
// A network that is gone says nothing: who hears nothing for so long pings, and then takes
// the connection for lost.
const PING_AFTER = 20000;
const LOST_AFTER = 10000;
const DIAL_TIMEOUT = 10000;
// So long a server has to accept a connection while there is another one to try.
const HEAD_START = 2000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
const SCHEME = /^[a-z]+:\/\//i;
const isTls = (address) => /^(tls|wss|https):/i.test(address);
const hostOf = (address) => address.replace(SCHEME, "").replace(/(:\d+)?([/#].*)?$/, "");
const isHere = (host) => /^(localhost|(::ffff:)?127\.\d+\.\d+\.\d+|\[?::1\]?)$/.test(host);
// Who is asked to come back waits no longer, and tries no more servers, than this.
const LONGEST_WAIT = 600000;
const MOST_SERVERS = 16;
// A message that the server's disk did not accept in time is sent again so often.
const MOST_ATTEMPTS = 6;
// The first registration of a connection would be refused for ever.
const isFinal = (code) => code === "wrong-key" || ["request", "frame"].includes(CODES[code]);

export class NatterError extends Error {
  constructor(code, text, about = {}) {
    super(`${code}: ${text}`);
    Object.assign(this, { name: "NatterError", code, text }, about);
  }
}

const CLOSED = { code: "closed", text: "the client was closed" };
const NOWHERE = { ip: "0.0.0.0", port: "0" };
const bytesOf = (text) => new TextEncoder().encode(text).length;

function check(problem, code, about) {
  if (problem) throw new NatterError(code, problem, about);
}

function messageOf({ extended = {}, message }) {
  const { seq, time, user } = extended;
  return { topic: message.topic, text: message.text, user, seq, time: time ?? Date.now() };
}

function nameProblem(what, name) {
  if (typeof name !== "string" || name === "") return `${what} can't be empty`;
  if (/\p{Surrogate}/u.test(name)) return `${what} is whole characters`;
  return /[\u0000-\u001f\u007f-\u009f]/.test(name) ? `${what} holds no control character` : null;
}

export function topicProblem(name) {
  return nameProblem("a topic's name", name)
    ?? (bytesOf(name) > 255 ? `a topic's name has at most 255 bytes; this one has ${bytesOf(name)}` : null);
}

export function userProblem(name) {
  return nameProblem("a name", name)
    ?? (Array.from(name).length > 64 ? `a name has at most 64 characters; this one has ${Array.from(name).length}` : null);
}

export function randomText(bytes) {
  const numbers = Uint8Array.from({ length: bytes }, () => Math.random() * 256);
  // Node 18 has no `crypto` here; an id need not be secret.
  globalThis.crypto?.getRandomValues(numbers);
  return Array.from(numbers, (n) => n.toString(16).padStart(2, "0")).join("");
}

// The addresses of a service, in a random order: so clients with the same list spread over the
// servers. Where one is for TLS, who could keep us from it would read along at a plain one.
function addressesOf(address) {
  const list = [address].flat().flatMap((one) => one.split(",")).map((one) => one.trim());
  const [secure = ""] = SCHEME.exec(list.find(isTls)) ?? [];
  const isPlain = (one) => secure && SCHEME.test(one) && !isTls(one) && !isHere(hostOf(one));
  const wrong = list.findIndex((one) => isPlain(one) || !hostOf(one));
  check(wrong >= 0 && `address ${wrong + 1} of ${list.length} is no address, or plain text beside one for TLS: ${list[wrong]}`, "bad-address");
  const shuffled = list.map((one) => [Math.random(), SCHEME.test(one) ? one : secure + one]).sort();
  return shuffled.map(([, one]) => one);
}

export async function connect(address, options) {
  const client = new Client(address, options);
  await client.start().catch((error) => { client.abort(); throw error; });
  return client;
}

export class Client {
  // Where we can go, and where we are or were last: addresses that were given, that a server has
  // named, and of those the ones where it has sent us.
  #given; #named = []; #elsewhere = []; #at;
  #secret; #canReturn; #limit; #options;
  #prefix = randomText(6); #count = 0;
  #wanted; #granted; durability;
  // name → { place: {epoch, seq}, start: options until the first message has come }
  #topics = new Map();
  // id → a message without an acknowledgement, in the order of publishing
  #lines = new Map();
  #connection = null;
  // Whether the connection is registered, and what waits for that.
  #isReady = false; #waiting = [];
  #isClosed = false; #why = CLOSED;
  #pause = FIRST_PAUSE; #timer; #mostTopics = MOST_TOPICS;
  // When the server has asked to come back: the moment, and what waits for it.
  #moment; #leaving;
  #handlers = new Map();

  constructor(address, options = {}) {
    const { user, client = randomText(16), reconnect = true, maxFrame = MAX_FRAME } = options;
    if (user !== undefined) check(userProblem(user), "bad-frame");
    this.#given = addressesOf(address);
    this.#wanted = user;
    this.#secret = client;
    this.#options = options;
    this.#canReturn = reconnect;
    this.#limit = maxFrame;
  }

  get address() { return this.#at; }
  get user() { return this.#granted; }
  get isConnected() { return this.#isReady; }
  get topics() { return [...this.#topics.keys()]; }
  place(topic) { return structuredClone(this.#topics.get(topic)?.place); }

  on(event, handler) {
    const handlers = this.#handlers.get(event) ?? new Set();
    this.#handlers.set(event, handlers.add(handler));
    return () => handlers.delete(handler);
  }

  #emit(event, value) {
    for (const handler of this.#handlers.get(event) ?? []) {
      // One handler's fault is not the connection's.
      try { handler(value); } catch (error) { console.error(error); }
    }
  }

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
      } finally { ends.forEach((end) => end()); }
    })();
  }

  async start({ isPatient = false } = {}) {
    if (isPatient) await this.#begin();
    else await this.#take(await this.#open(this.#wanted));
  }

  retry() { if (this.#timer && !this.#connection && !this.#isClosed) this.#begin(); }

  async #begin() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Meanwhile, a new name may have brought another one.
    const take = (opened) => (this.#connection ? opened.connection.abort() : this.#take(opened));
    await this.#open(this.#wanted, { mayBeNameless: true }).then(take).catch((error) => {
      // Who isn't accepted now will not be later.
      if (isFinal(error.code)) this.#end(error, true);
      else this.#lost(error);
    });
  }

  // A connection that is registered under this name, with the first server that takes us. One that
  // refuses us does so for the service, unless only another server has named it.
  async #open(user, { mayBeNameless = false, places = this.#places() } = {}) {
    for (const [at, place] of places.entries()) {
      const isLast = at === places.length - 1 || this.#isClosed;
      try {
        return await this.#enter(place, user, mayBeNameless, isLast ? DIAL_TIMEOUT : HEAD_START);
      } catch (error) {
        const isRefused = isFinal(error.code) || CODES[error.code] === "stop";
        const isLeft = isRefused && this.#leavesOut(place, error);
        const isEnd = isLast || (isRefused && !isLeft);
        if (isEnd) throw isLeft ? new NatterError("connection-lost", error.message) : error;
      }
    }
  }

  // Connects, and registers: without a name if it is taken, and if we may be nameless.
  async #enter(place, user, mayBeNameless, timeout) {
    this.#at = place;
    const { auth, insecureAuth, ca } = this.#options;
    const isGuarded = auth !== undefined && !(insecureAuth && this.#given.includes(place));
    const connection = await dial(place, { ca, isGuarded, timeout }).catch((error) => {
      throw error instanceof NatterError ? error : new NatterError(error.code ?? "connection-lost", error.message);
    });
    const register = (name) => {
      if (this.#isClosed) connection.abort();
      const about = { auth, user: name, client: this.#secret };
      return connection.ask("registered", () => ({ topics: [], extended: about }), ({ durability }) => { this.durability = durability; });
    };
    try {
      const answer = await register(user).catch(async (refusal) => {
        if (refusal.code !== "name-taken" || !mayBeNameless) throw refusal;
        return { ...await register(undefined), refusal };
      });
      if (answer.servers) this.#name(answer.servers, connection);
      return { connection, ...answer };
    } catch (error) {
      connection.abort();
      throw error;
    }
  }

  // Where to go next: where a server has sent us, then to the address after the last one.
  #places() {
    const at = this.#given.indexOf(this.#at) + 1;
    const given = [...this.#given.slice(at), ...this.#given.slice(0, at)];
    const places = new Set([...this.#elsewhere.splice(0), ...given, ...this.#named]);
    return [...places].sort((one, other) => (one === this.#at) - (other === this.#at));
  }

  // The server names others. What could be forged on the way is not sent a credential, no way leads
  // from TLS to plain text, and no other machine knows what listens on this one.
  #name(servers, { destination }) {
    const [, scheme = "", hash = ""] = /^([a-z]+:\/\/)?[^#]*(#.*)?$/i.exec(this.#at);
    const isLocal = isHere(destination.ip);
    const isSafe = this.#options.auth === undefined || isLocal || isTls(scheme);
    const isRight = (one) => isSafe && /^[^\s/#@]+:\d+(#sha256:[\w+/]+=*)?$/.test(one) && (isLocal || !isHere(hostOf(one)));
    this.#named = servers.filter(isRight).slice(0, MOST_SERVERS).map((one) => scheme + one + (one.includes("#") ? "" : hash));
  }

  // Leaves out a server that refuses us, if others may not: one that only a server has named, and
  // one that has the wrong key.
  #leavesOut(place, error) {
    const isGiven = this.#given.includes(place);
    const isOne = isGiven ? error.code !== "wrong-key" || this.#given.length === 1 : error.code === "name-taken";
    if (isOne || error.code === "replaced") return false;
    [this.#given, this.#named] = [this.#given, this.#named].map((list) => list.filter((one) => one !== place));
    if (isGiven) this.#emit("error", error);
    return true;
  }

  // The server is ending. Not all of its clients leave it in the same moment.
  #leaveWithin({ within, servers = [] }, connection = this.#connection) {
    if (!this.#canReturn) return;
    const wait = Math.random() * Math.min(within, LONGEST_WAIT);
    this.#moment = performance.now() + wait;
    if (servers.length > 0) this.#name(servers, connection);
    this.#elsewhere = [...this.#named];
    this.#leaving = setTimeout(() => this.#lost(new NatterError("shutting-down", "the server is ending"), connection), wait);
  }

  // Goes on over this connection: first where we were, then what waits.
  async #take({ connection, user, refusal }) {
    if (this.#isClosed) return connection.abort();
    const old = this.#connection;
    this.#connection = connection;
    this.#isReady = false;
    clearTimeout(this.#timer);
    old?.abort();
    this.#granted = user;
    connection.onevent = (kind, value) => this.#onEvent(kind, value);
    connection.onclose = (error) => this.#lost(error, connection);
    await this.#registerAll(connection).catch((error) => this.#lost(error, connection));
    if (this.#connection !== connection) return undefined;
    this.#isReady = true;
    this.#pause = FIRST_PAUSE;
    // Before what a handler may publish.
    this.#transmitAll();
    this.#emit("connected", { user });
    if (refusal) this.#emit("nameless", { error: refusal });
    return this.#waiting.splice(0).forEach((wake) => wake());
  }

  async #registerAll(connection) {
    // A topic whose first answer has not come is asked for again by `join`.
    const known = [...this.#topics].filter(([, { isKnown }]) => isKnown);
    const again = known.filter(([, { start }]) => !start).map(([topic]) => topic);
    while (again.length > 0) await this.#register(connection, again.splice(0, this.#mostTopics));
    for (const [topic, { start }] of known) if (start) await this.#register(connection, [topic]);
  }

  // If the server refuses them together, it may accept some of them.
  async #register(connection, topics) {
    try {
      await connection.ask("registered", () => this.#registration(topics), (answer) => this.#onRegistered(answer, topics));
    } catch (error) {
      const kind = treatment(error);
      if (kind === "frame") this.#mostTopics = 1;
      if (topics.length === 1 && (kind === "request" || kind === "frame")) {
        this.#drop(topics[0], error);
        this.#emit("refused", new NatterError(error.code, error.text, { topic: topics[0] }));
      } else if (kind === "request") {
        for (const topic of topics) await this.#register(connection, [topic]);
      }
      if (kind !== "request") throw error;
    }
  }

  #registration(topics) {
    const { start } = this.#topics.get(topics[0]) ?? { start: {} };
    if (start) return { topics, extended: start };
    const places = topics.map((topic) => [topic, this.#topics.get(topic)?.place]);
    return { topics, extended: { resume: Object.fromEntries(places) } };
  }

  #onRegistered({ topics }, asked) {
    for (const topic of asked) {
      const known = this.#topics.get(topic);
      const state = topics[topic];
      if (!known || !state) continue;
      const { epoch, seq } = state;
      if (known.start) {
        const { last, since } = known.start;
        // With a time alone, the place is known when the first message has come.
        const isOpen = last === undefined && since !== undefined && seq > 0;
        known.place = { epoch, seq: isOpen ? 0 : Math.max(0, seq - (last ?? 0)) };
        if (!isOpen) known.start = undefined;
      } else {
        const isReset = known.place.epoch !== epoch || seq < known.place.seq;
        if (isReset) known.place = { epoch, seq: 0 };
        if (known.isKnown) this.#emit("resumed", { topic, ...state, missed: seq - known.place.seq, isReset });
      }
      known.isKnown = true;
      known.joinedOn = this.#connection;
    }
    this.#transmitAll();
  }

  // Leaves a topic, and refuses what waits for it.
  #drop(topic, error) {
    this.#topics.delete(topic);
    for (const line of [...this.#lines.values()]) if (line.topic === topic) this.#refuse(line, error);
  }

  async join(topic, { last, since, resume } = {}) {
    check(topicProblem(topic), "bad-topic", { topic });
    const known = this.#topics.get(topic);
    if (known) return known.joining;
    const state = resume ? { place: { ...resume } } : { start: { last, since } };
    this.#topics.set(topic, state);
    state.joining = this.#ask("registered", () => this.#registration([topic]), (answer) => this.#onRegistered(answer, [topic])).then(
      ({ topics }) => ({ topic, ...topics[topic] }),
      (error) => {
        if (this.#topics.get(topic) === state) this.#topics.delete(topic);
        throw Object.assign(error, { topic });
      },
    );
    return state.joining;
  }

  async leave(topic) {
    this.#drop(topic, { code: "not-registered", text: "the topic was left" });
    await this.#ask("registered", () => ({ extended: { leave: [topic] } }));
  }

  async who(topic) {
    check(topicProblem(topic), "bad-topic", { topic });
    return this.#ask("members", () => ({ extended: { who: topic } }));
  }

  lookup(user) { return this.#ask("found", () => ({ extended: { lookup: user } })); }
  list() { return this.#ask("topics", () => ({ extended: { topics: {} } })); }

  async history(topic, { before, limit } = {}) {
    check(topicProblem(topic), "bad-topic", { topic });
    const answer = await this.#ask("history", () => ({ extended: { history: { topic, before, limit } } }));
    return { ...answer, messages: answer.messages.map(messageOf) };
  }

  // Asks when there is a connection; again if that is lost before the answer.
  async #ask(kind, frame, onAnswer) {
    check(this.#isClosed && CLOSED.text, CLOSED.code);
    while (!this.#isClosed) {
      const connection = this.#connection;
      try {
        if (this.#isReady) return await connection.ask(kind, frame, onAnswer);
        await new Promise((resolve) => { this.#waiting.push(resolve); });
      } catch (error) {
        if (isRefusal(error) || connection.isBlamed) throw error;
        this.#lost(error, connection);
      }
    }
    throw new NatterError(this.#why.code, this.#why.text);
  }

  async publish(topic, text, { id = `${this.#prefix}-${this.#count += 1}` } = {}) {
    const line = { id, topic, text: String(text), attempts: 0, sentOn: null };
    const about = { id, topic };
    check(this.#isClosed && CLOSED.text, CLOSED.code, about);
    check(!this.#topics.has(topic) && `join ${JSON.stringify(topic)} first`, "not-registered", about);
    const same = this.#lines.get(id);
    if (same && same.topic === topic && same.text === line.text) return same.done;
    check(same && "another message with this id is on its way", "duplicate-id", about);
    line.bytes = bytesOf(JSON.stringify(this.#frame(line)));
    check(line.bytes > this.#limit && `a frame has at most ${this.#limit} bytes; this one has ${line.bytes}`, "too-long", about);
    line.done = new Promise((resolve, reject) => { Object.assign(line, { resolve, reject }); });
    this.#lines.set(id, line);
    this.#transmit(line);
    return line.done;
  }

  #frame({ id, topic, text }) {
    // Classic clients may look for both ends of the connection.
    const { source = NOWHERE, destination = NOWHERE } = this.#connection ?? {};
    return { extended: { id }, source, destination, message: { topic, text } };
  }

  #transmit(line) {
    const mayPublish = this.#isReady && (this.#wanted === undefined || this.#granted !== undefined);
    const isJoined = this.#topics.get(line.topic)?.joinedOn === this.#connection;
    if (!mayPublish || !isJoined || line.sentOn === this.#connection) return;
    line.sentOn = this.#connection;
    this.#connection.send(this.#frame(line));
  }

  #transmitAll() {
    for (const line of this.#lines.values()) this.#transmit(line);
  }

  async rename(user) {
    check(userProblem(user), "bad-frame");
    if (user === this.#granted) return;
    // Without a connection, the next one is made with it.
    const opened = this.#isReady ? await this.#open(user, { places: [this.#at] }) : null;
    this.#wanted = user;
    if (opened) await this.#take(opened);
  }

  async close() {
    while (this.#lines.size > 0) await Promise.allSettled([...this.#lines.values()].map(({ done }) => done));
    // Who leaves all topics gives the name back at once.
    for (const topic of this.topics) this.#connection?.send({ extended: { leave: [topic] } });
    this.#end(undefined);
  }

  abort() { this.#end(undefined, true); }

  #end(error, isAbrupt = false) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isReady = false;
    this.#why = error ?? CLOSED;
    clearTimeout(this.#timer);
    clearTimeout(this.#leaving);
    this.#connection?.[isAbrupt ? "abort" : "end"]();
    for (const line of [...this.#lines.values()]) this.#refuse(line, this.#why);
    for (const wake of this.#waiting.splice(0)) wake();
    this.#emit("closed", { error });
  }

  // The connection is lost, if it is still this one.
  #lost(error, connection = this.#connection) {
    if (this.#isClosed || connection !== this.#connection) return;
    this.#connection = null;
    this.#isReady = false;
    connection?.abort();
    if (connection && CODES[error.code] === "frame") this.#blame(connection, error);
    const isOver = CODES[error.code] === "stop" && !this.#leavesOut(this.#at, error);
    if (isOver || !this.#canReturn) return this.#end(error, true);
    const wait = this.#moment === undefined ? undefined : Math.max(0, this.#moment - performance.now());
    const pause = wait ?? this.#pause * (0.75 + Math.random() / 2);
    if (wait === undefined) this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    this.#moment = undefined;
    clearTimeout(this.#leaving);
    this.#timer = setTimeout(() => this.#begin(), pause);
    this.#emit("disconnected", { error, retryIn: pause });
  }

  // The server can't read something that was sent. If it was a message, it was the longest
  // one: it would be refused again over every connection. Otherwise it was the question.
  #blame(connection, error) {
    const sent = [...this.#lines.values()].filter(({ sentOn }) => sentOn === connection);
    connection.isBlamed = sent.length === 0;
    if (connection.isBlamed) return;
    const longest = sent.reduce((a, b) => (a.bytes >= b.bytes ? a : b));
    if (error.code === "too-long") this.#limit = Math.min(this.#limit, longest.bytes - 1);
    this.#refuse(longest, error);
  }

  #refuse(line, { code, text }) {
    const { id, topic } = line;
    if (this.#lines.delete(id)) line.reject(new NatterError(code, text, { id, topic }));
  }

  #onEvent(kind, value) {
    if (kind === "error" && value.id !== undefined) return this.#onRefused(value);
    if (kind === "reconnect") return this.#leaveWithin(value);
    if (kind === "error") return this.#emit("error", new NatterError(value.code, value.text));
    const known = this.#topics.get(value.topic);
    const { place } = known ?? {};
    if (kind === "gap" && place) place.seq = Math.max(place.seq, value.to);
    if (kind === "ack") {
      // One's own message is never sent back. What is before it may still be on its way.
      if (place && value.seq === place.seq + 1) place.seq = value.seq;
      const line = this.#lines.get(value.id);
      this.#lines.delete(value.id);
      return line?.resolve(value);
    }
    if (kind === "message") {
      if (!known || (place && value.seq <= place.seq)) return undefined;
      if (place && value.seq !== undefined) {
        place.seq = value.seq;
        known.start = undefined;
      }
    }
    return this.#emit(kind, value);
  }

  // The server refuses a message, for ever or for now.
  #onRefused({ code, text, id }) {
    const line = this.#lines.get(id);
    if (!line) return;
    line.attempts += 1;
    if (CODES[code] !== "again" || line.attempts >= MOST_ATTEMPTS) return this.#refuse(line, { code, text });
    setTimeout(() => {
      line.sentOn = null;
      if (this.#lines.has(id)) this.#transmit(line);
    }, FIRST_PAUSE * line.attempts);
  }
}

// A credential doesn't leave this machine in plain text.
function guard(isGuarded, isTls, host) {
  check(isGuarded && !isTls && !isHere(host)
    && "a credential isn't sent to another machine in plain text: use tls:// or wss://, or insecureAuth", "tls-required");
}

async function dial(address, how) {
  const isNode = typeof globalThis.process?.versions?.node === "string";
  const url = new URL(SCHEME.test(address) ? address : `${isNode ? "tcp" : "ws"}://${address}`);
  if (url.protocol === "tcp:" || url.protocol === "tls:") return dialTcp(url, how);
  url.protocol = url.protocol.replace("http", "ws");
  if (url.pathname === "/") url.pathname = "/-/ws";
  guard(how.isGuarded, url.protocol === "wss:", url.hostname);
  return dialWebSocket(url, how.timeout);
}

async function dialWebSocket(url, timeout) {
  if (typeof WebSocket === "undefined") throw new Error("there is no WebSocket here: use tcp://, or Node 22");
  const socket = new WebSocket(url);
  const close = () => socket.close();
  const connection = new Connection({ write: (text) => socket.send(text), end: close, abort: close });
  connection.destination = { ip: url.hostname, port: url.port || "80" };
  socket.onmessage = ({ data }) => connection.read(data);
  await new Promise((resolve, reject) => {
    const fail = (why) => { close(); reject(new Error(`can't connect to ${url.host}: ${why}`)); };
    const timer = setTimeout(fail, timeout, "no answer");
    socket.onclose = () => { clearTimeout(timer); fail("the server refused it, or isn't there"); };
    socket.onopen = () => { clearTimeout(timer); resolve(); };
  });
  socket.onclose = () => connection.closed();
  connection.listen();
  return connection;
}

async function dialTcp(url, { isGuarded, ca, timeout }) {
  const isTls = url.protocol === "tls:";
  const pin = /^#sha256:([A-Za-z0-9+/]+)=*$/.exec(url.hash)?.[1];
  check(url.hash && (!pin || !isTls) && `${url.hash} is no fingerprint behind tls://HOST:PORT`, "wrong-key");
  const net = await import("node:net");
  const { connect: open } = isTls ? await import("node:tls") : net;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  // A key that is known is compared instead, before anything is sent.
  const tls = { ca, servername: net.isIP(host) ? "" : host, ALPNProtocols: ["natter/1"], rejectUnauthorized: !pin };
  const socket = open({ host, port: Number(url.port), noDelay: true, ...(isTls ? tls : {}) });
  await new Promise((resolve, reject) => {
    socket.setTimeout(timeout, () => socket.destroy(new Error(`${url.host} doesn't answer`)));
    socket.once(isTls ? "secureConnect" : "connect", resolve);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`${url.host} closed the connection`)));
  });
  socket.setTimeout(0);
  try {
    guard(isGuarded, isTls, socket.remoteAddress);
    const found = pin && await fingerprint(socket);
    check(found !== pin && `the server's key should be sha256:${pin}, and is sha256:${found}`, "wrong-key");
  } catch (error) {
    socket.destroy();
    throw error;
  }
  const connection = new Connection({
    write: (text) => socket.write(`${text}\n`),
    end: () => socket.end(),
    abort: () => socket.destroy(),
  });
  connection.source = { ip: socket.localAddress, port: String(socket.localPort) };
  connection.destination = { ip: socket.remoteAddress, port: String(socket.remotePort) };
  let rest = "";
  socket.setEncoding("utf8").on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    for (const line of lines) connection.read(line);
  });
  // The end of the stream and the reason for it come as "close".
  socket.on("error", () => {});
  socket.on("close", () => connection.closed());
  connection.listen();
  return connection;
}

// SHA-256 of the key of a server's certificate, in base64 without the padding.
async function fingerprint(socket) {
  const { createHash } = await import("node:crypto");
  const key = socket.getPeerX509Certificate().publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64").replace(/=+$/, "");
}

// Frames in, frames out.
class Connection {
  #socket; #timer; #isOver = false; #isAnswered = false;
  // The question that is with the server, and the promise of its end.
  #asked = null; #turn = Promise.resolve();
  // The last error of the server's that belongs to no message.
  #lastError = {};
  // The server closed it because of a question.
  isBlamed = false;
  onevent = () => {};
  onclose = () => {};

  constructor(socket) { this.#socket = socket; }

  send(frame) {
    if (!this.#isOver) this.#socket.write(JSON.stringify(frame));
  }

  // Asks, after the question before. Resolves with the answer, which is of this kind;
  // `onAnswer` gets it before anything that comes after it is looked at.
  ask(kind, frame, onAnswer = () => {}) {
    const answer = this.#turn.then(() => new Promise((resolve, reject) => {
      if (this.#isOver) return reject(this.#reason());
      this.#asked = { kind, onAnswer, resolve, reject };
      return this.send(frame());
    }));
    this.#turn = answer.catch(() => {});
    return answer;
  }

  // Something has come: the server is there.
  listen() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.send({ extended: { ping: 0 } });
      this.#timer = setTimeout(() => this.closed(), LOST_AFTER);
    }, PING_AFTER);
  }

  read(text) {
    if (this.#isOver) return;
    this.listen();
    let frame;
    // The server writes whole frames; what is none is nothing for us.
    try { frame = JSON.parse(text); } catch { return; }
    if (frame?.message) this.#takeMessage(messageOf(frame));
    else for (const [kind, value] of Object.entries(frame?.extended ?? {})) this.#take(kind, value);
  }

  #takeMessage(message) {
    if (this.#isAnswered || message.topic !== "error") return this.onevent("message", message);
    // A server that has read nothing yet says why it refuses as it does to classic clients.
    const [, code, text] = /^([a-z-]+): (.*)$/s.exec(message.text) ?? ["", "", message.text];
    return this.#take("error", { code, text });
  }

  #take(kind, value) {
    if (kind === "ping") return this.send({ extended: { pong: value } });
    const asked = this.#asked;
    const isGeneral = kind === "error" && value.id === undefined;
    if (isGeneral) this.#lastError = value;
    const isRefused = isGeneral && isRefusal(value);
    if (!asked || (asked.kind !== kind && !isRefused)) return this.onevent(kind, value);
    this.#asked = null;
    if (isRefused) return asked.reject(new NatterError(value.code, value.text, { limit: value.limit }));
    this.#isAnswered = true;
    asked.onAnswer(value);
    return asked.resolve(value);
  }

  // Why it has ended: what the server said last, if that closes connections.
  #reason() {
    const { code, text } = this.#lastError;
    return ["frame", "return", "stop"].includes(CODES[code]) ? new NatterError(code, text)
      : new NatterError("connection-lost", "the connection was lost");
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

  closed() {
    if (this.#isOver) return;
    this.#over();
    this.onclose(this.#reason());
  }

  #over() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#asked?.reject(this.#reason());
  }
}
