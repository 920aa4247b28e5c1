// The examples of README.md do what it says.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { connect } from "../natter.js";
import { Server, texts, until } from "./server.js";

const library = new URL("../natter.js", import.meta.url);
const readme = readFileSync(fileURLToPath(new URL("../README.md", import.meta.url)), "utf8");
const examples = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);
const folder = mkdtempSync(join(tmpdir(), "natter-readme-"));
const running = [];
let server;

before(async () => { server = await Server.start(); });
after(async () => {
  running.forEach((child) => child.kill());
  await server.stop();
  rmSync(folder, { recursive: true });
});

// Runs the example with this number; `line(text)` resolves when it has printed it.
function run(number) {
  const code = examples[number]
    .replace("./natter.js", library.href)
    .replace("127.0.0.1:20000", server.address);
  const file = join(folder, `${number}.mjs`);
  writeFileSync(file, code);
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  running.push(child);
  const printed = [];
  let look = () => {};
  createInterface(child.stdout).on("line", (line) => {
    printed.push(line);
    look();
  });
  const ended = new Promise((resolve) => { child.on("close", resolve); });
  const line = (text) => new Promise((resolve) => {
    look = () => printed.includes(text) && resolve();
    look();
  });
  return { child, printed, ended, line };
}

test("there are five", () => assert.equal(examples.length, 5));

test("the examples publish, subscribe, resume, page and answer", async () => {
  const publish = run(0);
  await publish.ended;
  assert.deepEqual(publish.printed, ["message 1 is stored"]);

  const subscribe = run(1);
  await subscribe.line("ci: build 7 is green");

  const client = await connect(server.address, { user: "tester" });
  await client.join("builds");
  const first = run(2);
  await first.line("build 7 is green");
  // It prints before it keeps the place.
  while (!existsSync(join(folder, "builds.place"))) await setImmediate();
  first.child.kill();
  await first.ended;
  for (const text of ["build 8", "build 9", "build 10"]) await client.publish("builds", text);
  const second = run(2);
  await second.line("build 10");
  assert.deepEqual(second.printed, ["build 8", "build 9", "build 10"]);

  const pages = run(3);
  await pages.ended;
  assert.deepEqual(pages.printed, ["build 9 | build 10", "build 7 is green | build 8"]);

  const ci = await connect(server.address, { user: "ci" });
  const heard = texts(client);
  const bot = run(4);
  await bot.line("still echo");
  await client.publish("builds", "!echo it works");
  await until(client, () => heard.includes("it works"));
  await ci.join("builds");
  await until(client, () => heard.includes("hello ci"));
  client.abort();
  ci.abort();
});
