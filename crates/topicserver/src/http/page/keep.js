// What outlives a reload. It is the browser's, so that all its tabs are one person.

import { randomText } from "./natter.js";

function read(key, otherwise) {
  try {
    const text = localStorage.getItem(`natter.${key}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

function write(key, value) {
  try {
    if (value === undefined) localStorage.removeItem(`natter.${key}`);
    else localStorage.setItem(`natter.${key}`, JSON.stringify(value));
  } catch {
    // Without a store, or when it is full, nothing outlives a reload; all else works.
  }
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

export const keep = {
  get name() {
    const name = read("name", "");
    return typeof name === "string" ? name : "";
  },
  set name(name) { write("name", name || undefined); },

  get topics() {
    const topics = read("topics", []);
    return Array.isArray(topics) ? topics.filter((topic) => typeof topic === "string") : [];
  },
  set topics(topics) { write("topics", topics); },

  draft(topic) { return String(read(`draft.${topic}`, "")); },
  setDraft(topic, text) { write(`draft.${topic}`, text || undefined); },

  // The last message of a topic that was read: epoch and number.
  lastRead(topic) {
    const place = read(`read.${topic}`, null);
    return isObject(place) ? place : null;
  },
  setLastRead(topic, place) { write(`read.${topic}`, place); },

  forget(topic) {
    this.setDraft(topic, "");
    this.setLastRead(topic, undefined);
  },

  // The secret by which the server knows this browser again.
  get client() {
    const known = read("client", "");
    const client = typeof known === "string" && /^[\x21-\x7e]{1,64}$/.test(known) ? known : randomText(16);
    if (client !== known) write("client", client);
    return client;
  },

  // What was said and is neither acknowledged nor refused.
  get pending() {
    const pending = read("pending", {});
    if (!isObject(pending)) return [];
    return Object.entries(pending)
      .filter(([, line]) => typeof line?.topic === "string" && typeof line?.text === "string")
      .map(([id, { topic, text }]) => ({ id, topic, text }));
  },
  addPending({ id, topic, text }) {
    write("pending", { ...Object.fromEntries(this.pending.map((line) => [line.id, line])), [id]: { topic, text } });
  },
  removePending(id) {
    const left = this.pending.filter((line) => line.id !== id);
    write("pending", Object.fromEntries(left.map((line) => [line.id, line])));
  },
};

// Calls back when another tab has read a topic.
export function onReadElsewhere(then) {
  addEventListener("storage", ({ key }) => {
    if (key?.startsWith("natter.read.")) then(key.slice("natter.read.".length));
  });
}
