// clients/scenarios.md, one test each.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { Client, connect, NatterError } from "../natter.js";
import { next, Proxy, Server, texts, until } from "./server.js";

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => String(from + n));
const code = (expected) => (error) => error instanceof NatterError && error.code === expected;

describe("with a server", () => {
  let server;
  const clients = [];
  async function join(topic, options = {}, start = {}, listen = () => {}) {
    const client = await connect(options.address ?? server.address, options);
    clients.push(client);
    listen(client);
    await client.join(topic, start);
    return client;
  }
  before(async () => { server = await Server.start("--history-messages", "50", "--max-topics", "5"); });
  after(async () => {
    clients.forEach((client) => client.abort());
    await server.stop();
  });

  test("S1: each message arrives once, in order, and is acknowledged", async () => {
    const reader = await join("s1");
    const heard = texts(reader);
    const writer = await join("s1", { user: "writer" });
    const acks = await Promise.all(numbers(1, 200).map((text) => writer.publish("s1", text)));
    assert.deepEqual(acks.map(({ seq }) => String(seq)), numbers(1, 200));
    await until(reader, () => heard.length === 200);
    assert.deepEqual(heard, numbers(1, 200));
  });

  test("S3: what was missed comes exactly, then what is live", async () => {
    const network = await Proxy.before(server.address);
    const reader = await join("s3", { address: network.address, user: "s3" });
    const heard = texts(reader);
    const writer = await join("s3");
    for (const text of numbers(1, 20)) await writer.publish("s3", text);
    await reader.publish("s3", "own");
    const resumed = next(reader, "resumed");
    network.cut();
    for (const text of numbers(21, 40)) await writer.publish("s3", text);
    // What was missed may come in one read with the answer.
    const { recovered, missed, isReset } = await resumed;
    assert.deepEqual({ recovered, isReset }, { recovered: true, isReset: false });
    assert.ok(missed > 0, `${missed} missed`);
    for (const text of numbers(41, 50)) await writer.publish("s3", text);
    await until(reader, () => heard.length === 50);
    assert.deepEqual(heard, numbers(1, 50));
    network.stop();
  });

  test("S6: an id is delivered once", async () => {
    const reader = await join("s6");
    const heard = texts(reader);
    const writer = await join("s6");
    const first = await writer.publish("s6", "once", { id: "s6-1" });
    const again = await writer.publish("s6", "once", { id: "s6-1" });
    assert.deepEqual(again, first);
    // Also while the first one is on its way.
    const twice = [1, 2].map(() => writer.publish("s6", "twice", { id: "s6-2" }));
    await assert.rejects(writer.publish("s6", "another", { id: "s6-2" }), code("duplicate-id"));
    assert.deepEqual(await twice[0], await twice[1]);
    await writer.publish("s6", "end");
    await until(reader, () => heard.includes("end"));
    assert.deepEqual(heard, ["once", "twice", "end"]);
  });

  test("S7: a message that fits into no frame is refused before it is sent", async () => {
    const writer = await join("s7");
    const long = writer.publish("s7", "ä".repeat(33000));
    const after = writer.publish("s7", "short");
    await assert.rejects(long, code("too-long"));
    assert.equal((await after).seq, 1);
    assert.ok(writer.isConnected);
  });

  test("S9: a bad topic doesn't take the others down", async () => {
    const client = await join("s9");
    for (const bad of ["", "x".repeat(256), "a\tb", "ä".repeat(128), "\ud800"]) {
      await assert.rejects(client.join(bad), code("bad-topic"));
    }
    assert.deepEqual(client.topics, ["s9"]);
    assert.equal((await client.publish("s9", "x")).seq, 1);
  });

  test("S10: one topic too many is refused and the others stay", async () => {
    const network = await Proxy.before(server.address);
    const client = await join("s10-1", { address: network.address });
    for (const topic of ["s10-2", "s10-3", "s10-4", "s10-5"]) await client.join(topic);
    await assert.rejects(client.join("s10-6"), code("too-many-topics"));
    const connected = next(client, "connected");
    network.cut();
    await connected;
    assert.equal(client.topics.length, 5);
    assert.equal((await client.publish("s10-5", "x")).seq, 1);
    network.stop();
  });

  test("S11: a taken name is an error", async () => {
    await join("s11", { user: "anna" });
    await assert.rejects(connect(server.address, { user: "anna" }), code("name-taken"));
  });

  test("S12: a name is kept until the other one is granted", async () => {
    await join("s12", { user: "bert" });
    const client = await join("s12", { user: "carl" });
    const heard = texts(client);
    await assert.rejects(client.rename("bert"), code("name-taken"));
    await assert.rejects(client.rename("a\tb"), code("bad-frame"));
    assert.equal(client.user, "carl");
    const writer = await join("s12");
    const writing = (async () => {
      for (const text of numbers(1, 100)) await writer.publish("s12", text);
    })();
    await client.rename("dora");
    assert.equal(client.user, "dora");
    await writing;
    await until(client, () => heard.length === 100);
    assert.deepEqual(heard, numbers(1, 100));
    const { users } = await client.who("s12");
    assert.deepEqual(users.map(({ user }) => user), ["bert", "dora"]);
  });

  test("S13: older messages come in pages", async () => {
    const client = await join("s13", { user: "emil" });
    await Promise.all(numbers(1, 120).map((text) => client.publish("s13", text)));
    const pages = [];
    let answer = await client.history("s13", { limit: 50 });
    while (answer.messages.length > 0) {
      pages.unshift(...answer.messages);
      answer = await client.history("s13", { before: answer.messages[0].seq, limit: 50 });
    }
    assert.deepEqual(pages.map(({ text }) => text), numbers(1, 120));
    assert.equal(pages[0].user, "emil");
  });

  test("S14: who is there, and who comes and goes", async () => {
    const client = await join("s14", { user: "fritz" });
    const joined = next(client, "joined");
    const other = await join("s14", { user: "gerd" });
    assert.equal((await joined).user, "gerd");
    assert.equal((await client.who("s14")).count, 2);
    assert.equal((await client.lookup("gerd")).ip, "127.0.0.1");
    await assert.rejects(client.lookup("nobody"), code("unknown-user"));
    assert.ok((await client.list()).some(({ topic }) => topic === "s14"));
    const left = next(client, "left");
    await other.leave("s14");
    assert.equal((await left).user, "gerd");
    assert.deepEqual(other.topics, []);
  });

  test("S15: closing waits for every acknowledgement", async () => {
    const client = await join("s15");
    const acks = numbers(1, 100).map((text) => client.publish("s15", text));
    await client.close();
    assert.equal((await Promise.all(acks)).length, 100);
    let heard;
    // What "last" brings may come together with the answer.
    const listen = (client) => { heard = texts(client); };
    const reader = await join("s15", {}, { last: 100 }, listen);
    await until(reader, () => heard.length === 100);
    assert.deepEqual(heard, numbers(1, 100));
  });

  test("S16: publishing where one isn't is an error", async () => {
    const client = await join("s16");
    await assert.rejects(client.publish("elsewhere", "x"), code("not-registered"));
    // What waits for a topic that is left is not sent for ever.
    await client.join("s16-left");
    const waiting = assert.rejects(client.publish("s16-left", "x"), code("not-registered"));
    await Promise.all([client.leave("s16-left"), waiting]);
    await client.close();
    await assert.rejects(client.publish("s16", "x"), code("closed"));
    await assert.rejects(client.who("s16"), code("closed"));
  });

  test("S17: the same secret elsewhere ends the older client", async () => {
    const older = await join("s17", { user: "hans", client: "s17-secret" });
    const closed = next(older, "closed");
    await join("s17", { user: "hans", client: "s17-secret" });
    assert.equal((await closed).error.code, "replaced");
    await assert.rejects(older.publish("s17", "x"), code("closed"));
  });

  test("S18: over TLS a server is known by its key", async () => {
    const secure = await Server.start("--tls-self-signed", "--tls", "required");
    const address = `tls://${secure.address}#${secure.pin}`;
    const reader = await join("s18", { address });
    const heard = texts(reader);
    const writer = await join("s18", { address });
    await writer.publish("s18", "one");
    const back = [reader, writer].map((client) => next(client, "connected"));
    await secure.kill();
    const late = writer.publish("s18", "two");
    await secure.startAgain();
    await Promise.all([...back, late]);
    await until(reader, () => heard.length === 2);
    assert.deepEqual(heard, ["one", "two"]);
    const wrong = address.replace(/#sha256:...../, "#sha256:AAAAA");
    await assert.rejects(connect(wrong), code("wrong-key"));
    await assert.rejects(connect(`tls://${secure.address}`), (error) => error instanceof NatterError);
    await assert.rejects(connect(secure.address), code("tls-required"));
    await join("s18", { address: `tls://${secure.address}`, ca: secure.certificate });
    clients.forEach((client) => client.abort());
    await secure.stop();
  });

  test("S19: a credential is accepted, or ends it", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "natter-accounts-"));
    const file = path.join(folder, "accounts.toml");
    const hash = createHash("sha256").update("hush").digest("hex");
    const account = "[users.alice]\nallow = [\"read write who s19\"]\n";
    writeFileSync(file, `${account}[tokens.a1]\nsecret = "sha256:${hash}"\nuser = "alice"\n`);
    const guarded = await Server.start("--auth", file, "--log", "trace");
    const { address } = guarded;
    const client = await join("s19", { address, auth: "ntr_a1_hush" });
    await client.publish("s19", "hello");
    await assert.rejects(connect(address, { auth: "ntr_a1_no-hush" }), code("unauthenticated"));
    await assert.rejects(join("s19", { address }), code("unauthenticated"));
    const closed = next(client, "closed");
    writeFileSync(file, account);
    assert.equal((await closed).error.code, "revoked");
    await assert.rejects(connect("ws://192.0.2.1:1", { auth: "ntr_a1_hush" }), code("tls-required"));
    await guarded.stop();
    rmSync(folder, { recursive: true });
    const log = guarded.log.join("\n");
    assert.match(log, /logged in as alice/);
    assert.doesNotMatch(log, /hush/);
  });

  test("a handler that throws stops nothing", async (context) => {
    context.mock.method(console, "error", () => {});
    const reader = await join("throws");
    reader.on("message", () => { throw new Error("of the handler"); });
    const heard = texts(reader);
    await (await join("throws")).publish("throws", "x");
    await until(reader, () => heard.length === 1);
    assert.equal(console.error.mock.callCount(), 1);
  });
});

test("S2: a server that is killed loses and doubles nothing", async () => {
  const server = await Server.start();
  const reader = await connect(server.address);
  const heard = texts(reader);
  await reader.join("s2");
  const writer = await connect(server.address, { user: "writer" });
  await writer.join("s2");
  const acks = numbers(1, 500).map((text) => writer.publish("s2", text));
  await acks[100];
  await server.kill();
  acks.push(...numbers(501, 1000).map((text) => writer.publish("s2", text)));
  await server.startAgain();
  await Promise.all(acks);
  await until(reader, () => heard.length >= 1000);
  assert.deepEqual(heard, numbers(1, 1000));
  reader.abort();
  writer.abort();
  await server.stop();
});

test("S4: what the history has dropped is told", async () => {
  const server = await Server.start("--keep-messages", "10", "--history-messages", "10");
  const network = await Proxy.before(server.address);
  const reader = await connect(network.address);
  const heard = texts(reader);
  await reader.join("s4");
  const writer = await connect(server.address);
  await writer.join("s4");
  await writer.publish("s4", "1");
  await until(reader, () => heard.length === 1);
  const gaps = [];
  reader.on("gap", (gap) => gaps.push(gap));
  network.cut();
  const lost = next(reader, "disconnected");
  await lost;
  for (const text of numbers(2, 3000)) writer.publish("s4", text);
  await until(reader, () => heard.includes("3000"));
  // The reader may be back while there is more to come, and fall behind again.
  assert.equal(gaps[0].from, 2);
  const isGone = (text) => gaps.some(({ from, to }) => Number(text) >= from && Number(text) <= to);
  assert.deepEqual(heard, numbers(1, 3000).filter((text) => !isGone(text)));
  reader.abort();
  writer.abort();
  network.stop();
  await server.stop();
});

test("S5: a server that has lost its data is told apart", async () => {
  let server = await Server.start();
  const port = server.address.split(":")[1];
  const reader = await connect(server.address);
  const heard = texts(reader);
  await reader.join("s5");
  const writer = await connect(server.address);
  await writer.join("s5");
  for (const text of numbers(1, 5)) await writer.publish("s5", text);
  await until(reader, () => heard.length === 5);
  const resumed = next(reader, "resumed");
  await server.kill();
  await server.stop();
  server = await Server.startAt(port);
  assert.equal((await resumed).isReset, true);
  await writer.publish("s5", "anew");
  await until(reader, () => heard.includes("anew"));
  assert.deepEqual(heard, [...numbers(1, 5), "anew"]);
  reader.abort();
  writer.abort();
  await server.stop();
});

test("S8: what only this server finds too long is refused alone", async () => {
  const server = await Server.start("--max-frame", "2000");
  const reader = await connect(server.address);
  const heard = texts(reader);
  await reader.join("s8");
  const writer = await connect(server.address);
  await writer.join("s8");
  const before = numbers(1, 20).map((text) => writer.publish("s8", text));
  const long = writer.publish("s8", "x".repeat(3000));
  const after = numbers(21, 40).map((text) => writer.publish("s8", text));
  await assert.rejects(long, code("too-long"));
  await Promise.all([...before, ...after]);
  await until(reader, () => heard.length >= 40);
  assert.deepEqual(heard, numbers(1, 40));
  // The limit is known now.
  await assert.rejects(writer.publish("s8", "x".repeat(3000)), code("too-long"));
  assert.ok(writer.isConnected);
  reader.abort();
  writer.abort();
  await server.stop();
});

test("a topic that is new too soon is refused, and a publisher is only slowed", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "natter-js-"));
  const accounts = path.join(folder, "accounts.toml");
  writeFileSync(accounts, `[everyone]
allow = ["read write who list *"]
limits = { new-topics = "2/h", messages = "50/s" }
`);
  const server = await Server.start("--auth", accounts);
  const client = await connect(server.address);
  await client.join("1");
  await client.join("2");
  const told = next(client, "error");
  const lines = numbers(1, 120).map((text) => client.publish("1", text));
  // The notice comes while this question waits, and isn't its answer.
  const asked = client.who("1");
  assert.equal((await told).code, "rate-limited");
  assert.equal((await asked).count, 1);
  await assert.rejects(client.join("3"), code("rate-limited"));
  assert.equal((await Promise.all(lines)).at(-1).seq, 120);
  assert.deepEqual(client.topics, ["1", "2"]);
  client.abort();
  await server.stop();
  rmSync(folder, { recursive: true });
});

test("S20: a server that drains loses and doubles nothing", async () => {
  const server = await Server.start("--drain-spread", "2");
  const clients = await Promise.all(numbers(1, 30).map(() => connect(server.address)));
  const began = performance.now();
  const left = [];
  const heard = clients.map((client) => texts(client));
  for (const [at, client] of clients.entries()) {
    await client.join("s20");
    // When it left, or would come back.
    client.on("disconnected", ({ retryIn }) => { left[at] ??= performance.now() - began + retryIn; });
  }
  const writer = await connect(server.address);
  await writer.join("s20");
  const sent = numbers(1, 50).map((text) => writer.publish("s20", text));
  const ended = server.end();
  sent.push(...numbers(51, 100).map((text) => writer.publish("s20", text)));
  await ended;
  await server.startAgain();
  sent.push(...numbers(101, 120).map((text) => writer.publish("s20", text)));
  await Promise.all(sent);
  for (const [at, client] of clients.entries()) await until(client, () => heard[at].length >= 120);
  for (const texts of heard) assert.deepEqual(texts, numbers(1, 120));
  const moments = [...left].sort((a, b) => a - b);
  assert.ok(moments.at(-5) - moments[5] > 500, `${moments}`);
  for (const client of [...clients, writer]) client.abort();
  await server.stop();
});

test("what waited goes before what a handler adds", async () => {
  const server = await Server.start();
  const network = await Proxy.before(server.address);
  const reader = await connect(server.address);
  const heard = texts(reader);
  await reader.join("order");
  const writer = await connect(network.address);
  await writer.join("order");
  writer.on("connected", () => writer.publish("order", "late"));
  const lost = next(writer, "disconnected");
  network.cut();
  await lost;
  await Promise.all(numbers(1, 3).map((text) => writer.publish("order", text)));
  await until(reader, () => heard.includes("late"));
  assert.deepEqual(heard, [...numbers(1, 3), "late"]);
  reader.abort();
  writer.abort();
  network.stop();
  await server.stop();
});

test("a client that is patient waits for a server, and one that isn't fails", async () => {
  await assert.rejects(connect("127.0.0.1:1"), code("ECONNREFUSED"));
  const client = new Client("127.0.0.1:1");
  const lost = next(client, "disconnected");
  await client.start({ isPatient: true });
  await lost;
  client.abort();
});

test("a client that is patient ends when it would be refused for ever", async () => {
  const server = await Server.start();
  const client = new Client(server.address, { client: "x".repeat(100) });
  const closed = next(client, "closed");
  await client.start({ isPatient: true });
  assert.equal((await closed).error.code, "bad-frame");
  await server.stop();
});

// An address where nobody is, and its port.
async function nowhere() {
  const listener = createServer();
  await new Promise((resolve) => { listener.listen(0, "127.0.0.1", resolve); });
  const { port } = listener.address();
  await new Promise((resolve) => { listener.close(resolve); });
  return { address: `127.0.0.1:${port}`, port: String(port) };
}

// A reader and a writer who say and hear 1 to 600 while the server is killed, and another one
// takes over its data at the second address.
async function move(topic, first, server, second, ask = () => {}) {
  const [reader, writer] = await Promise.all([0, 1].map(() => connect(first)));
  const heard = texts(reader);
  await Promise.all([reader, writer].map((client) => client.join(topic)));
  await Promise.all(numbers(1, 200).map((text) => writer.publish(topic, text)));
  await until(reader, () => heard.length === 200);
  ask();
  const acks = numbers(201, 400).map((text) => writer.publish(topic, text));
  await server.kill();
  acks.push(...numbers(401, 600).map((text) => writer.publish(topic, text)));
  await server.startElsewhere(second.port);
  await Promise.all(acks);
  await until(reader, () => heard.length >= 600);
  assert.deepEqual(heard, numbers(1, 600));
  for (const client of [reader, writer]) assert.equal(client.address, second.address);
  reader.abort();
  writer.abort();
}

test("S21: where a server dies, the next address loses and doubles nothing", async () => {
  const server = await Server.start();
  const second = await nowhere();
  await move("s21", `${server.address}, ${second.address}`, server, second);
  await server.stop();
});

test("S22: a client goes where a server has named another one", async () => {
  for (const isAsked of [true, false]) {
    const server = await Server.start();
    const second = await nowhere();
    const network = await Proxy.before(server.address, isAsked ? [] : [second.address]);
    const ask = () => isAsked && network.tell({ extended: { reconnect: { within: 200, servers: [second.address] } } });
    await move("s22", network.address, server, second, ask);
    network.stop();
    await server.stop();
  }
});

test("S23: what people should know of a server is told, and the connection goes on", async () => {
  const server = await Server.start();
  const network = await Proxy.before(server.address);
  const [reader, writer] = await Promise.all([network.address, server.address].map((place) => connect(place)));
  const heard = texts(reader);
  const notices = [];
  reader.on("notice", (notice) => notices.push(notice));
  await Promise.all([reader, writer].map((client) => client.join("s23")));
  await writer.publish("s23", "1");
  await until(reader, () => heard.length === 1);
  const told = [{ code: "no-quorum", text: "none are taken" }, { code: "quorum", text: "they are again" }];
  for (const notice of told) {
    const come = next(reader, "notice");
    network.tell({ extended: { notice } });
    await come;
  }
  assert.deepEqual(notices, told);
  await reader.publish("s23", "2");
  await writer.publish("s23", "3");
  await until(reader, () => heard.length === 2);
  assert.deepEqual(heard, ["1", "3"]);
  reader.abort();
  writer.abort();
  network.stop();
  await server.stop();
});

// A server that answers each first frame so, and counts them.
async function fake(answer) {
  const sockets = new Set();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).once("data", () => {
      server.asked += 1;
      socket.write(`${JSON.stringify(answer)}\n`);
      if (answer.extended.error) socket.end();
    });
  });
  server.asked = 0;
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  server.place = `127.0.0.1:${server.address().port}`;
  server.stop = () => { server.close(); sockets.forEach((socket) => socket.destroy()); };
  return server;
}
const refusal = (code) => ({ extended: { error: { code, text: "no" } } });

test("addresses where nobody is cost nothing, and a refusal for good is the service's", async () => {
  const server = await Server.start();
  const dead = [(await nowhere()).address, (await nowhere()).address];
  for (let count = 0; count < 5; count += 1) {
    const client = await connect([...dead, server.address]);
    assert.equal(client.address, server.address);
    client.abort();
  }
  await server.stop();
  const fakes = [await fake(refusal("protected")), await fake(refusal("protected"))];
  await assert.rejects(connect(fakes.map(({ place }) => place)), code("protected"));
  assert.equal(fakes[0].asked + fakes[1].asked, 1);
  // One that is busy is passed over.
  const [busy, good] = [await fake(refusal("too-many-connections")), await fake({ extended: { registered: { topics: {} } } })];
  for (let count = 0; count < 5; count += 1) (await connect([busy.place, good.place])).abort();
  assert.equal(good.asked, 5);
  for (const one of [...fakes, busy, good]) one.stop();
});

test("a named server that refuses is left", async () => {
  const server = await Server.start();
  const network = await Proxy.before(server.address);
  const strange = await fake(refusal("protected"));
  const client = await connect(network.address);
  await client.join("t");
  const back = next(client, "connected");
  network.tell({ extended: { reconnect: { within: 1, servers: [strange.place, "unix:/run/x", "no address"] } } });
  await back;
  assert.equal(client.address, network.address);
  assert.equal(strange.asked, 1);
  await client.publish("t", "x");
  client.abort();
  strange.stop();
  network.stop();
  await server.stop();
});

test("each address is read as it is written, and the wrong one is named", async () => {
  for (const [list, number] of [["a:1,,b:1", 2], [["a:1", ""], 2], ["tls://a:1, tcp://b:1", 2], ["wss://a:1,ws://b:1", 2]]) {
    assert.throws(() => new Client(list), (error) => code("bad-address")(error) && error.text.includes(`address ${number} of`));
  }
  assert.ok(new Client("tls://a:1,b:1,tcp://127.0.0.1:1,tcp://[::1]:1"));
});
