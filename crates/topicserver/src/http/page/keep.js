// What outlives a reload. What belongs to this tab (who it is for the server, what it
// hasn't got acknowledged) is kept with the tab, everything else with the browser.

function read(store, key, otherwise) {
  try {
    const text = store.getItem(`natter.${key}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

function write(store, key, value) {
  try {
    store.setItem(`natter.${key}`, JSON.stringify(value));
  } catch {
    // Without a store, nothing outlives a reload; all else works.
  }
}

export function random(bytes) {
  const numbers = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(numbers, (n) => n.toString(16).padStart(2, "0")).join("");
}

export const keep = {
  get name() { return read(localStorage, "name", ""); },
  set name(name) { write(localStorage, "name", name); },

  get topics() { return read(sessionStorage, "topics", null) ?? read(localStorage, "topics", []); },
  set topics(topics) {
    write(sessionStorage, "topics", topics);
    write(localStorage, "topics", topics);
  },

  draft(topic) { return read(localStorage, `draft.${topic}`, ""); },
  setDraft(topic, text) {
    if (text) write(localStorage, `draft.${topic}`, text);
    else localStorage.removeItem(`natter.draft.${topic}`);
  },

  // The secret by which the server knows this tab again.
  get client() {
    const known = read(sessionStorage, "client", "");
    const client = known || random(16);
    if (!known) write(sessionStorage, "client", client);
    return client;
  },
  newClient() { write(sessionStorage, "client", random(16)); },

  pending(topic) { return read(sessionStorage, `pending.${topic}`, []); },
  setPending(topic, list) { write(sessionStorage, `pending.${topic}`, list); },

  nextId() {
    const next = read(sessionStorage, "count", 0) + 1;
    write(sessionStorage, "count", next);
    const prefix = read(sessionStorage, "prefix", "") || random(6);
    write(sessionStorage, "prefix", prefix);
    return `${prefix}-${next}`;
  },
};
