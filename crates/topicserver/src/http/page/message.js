// One message as an element, and what becomes of one's own on its way.

import { colorOf, isMixed, mentions, safeName } from "./people.js";
import { button, el, formatted, timeOf, toClipboard } from "./text.js";

// Messages of one person within this time stand under one name.
const TOGETHER = 5 * 60 * 1000;
// Of a text that has more, only this much is shown until somebody wants to read on: a whole log
// file would push everything else away, and keep the browser busy.
const LONG = 4000;
const MANY_LINES = /^(?:[^\n]*\n){30}/;

// A name, with a mark if it may look like another one.
export function nameOf(user) {
  const name = el("bdi", {}, user === undefined ? "somebody" : safeName(user));
  if (user === undefined || !isMixed(user)) return [name];
  const why = "This name mixes scripts, so that it may look like another one";
  return [name, el("span", { class: "warn", title: why }, "(!)")];
}

// What is shown of a message: its data, and its element.
export function itemOf({ user, text, time, seq }, me) {
  const isMine = user !== undefined && user === me;
  const isCall = !isMine && mentions(text, me);
  const who = el("span", { class: `who ${colorOf(user ?? "")}` }, ...nameOf(user));
  const kind = isMine ? "msg mine" : isCall ? "msg call" : "msg";
  const element = el("div", { class: kind }, who, timeOf(time), bodyOf(text));
  return { user, text, time, seq, element, isMessage: true, isCall };
}

function bodyOf(text) {
  const begins = (MANY_LINES.exec(text)?.[0] ?? text).slice(0, LONG).replace(/[\ud800-\udbff]$/, "");
  const body = el("div", { class: "text", dir: "auto" }, ...formatted(begins));
  if (begins.length === text.length) return body;
  // A block may go on where this ends: it can't be copied yet.
  body.classList.add("cut");
  const all = () => {
    body.classList.remove("cut");
    body.replaceChildren(...formatted(text));
    body.closest(".scroll").focus();
  };
  body.append("…\n", button(`Show all ${text.length.toLocaleString()} characters`, all, { class: "more" }));
  return body;
}

// Whether an item goes on with what the one before says.
export function continues(item, before) {
  return Boolean(before?.isMessage && item.isMessage && before.user === item.user
    && item.time - before.time < TOGETHER && item.user !== undefined);
}

// Shows that the server doesn't have it yet.
export function markPending(item) {
  item.element.classList.add("pending");
  item.state = el("span", { class: "state" }, "sending");
  item.element.querySelector("time").after(item.state);
}

export function markDelivered(item) {
  item.element.classList.remove("pending", "failed");
  item.state?.remove();
}

// The server, or this page, has refused it: its text is there to be used otherwise.
export function markRefused(item, why, { edit, discard }) {
  item.element.classList.remove("pending");
  item.element.classList.add("failed");
  const copy = button("Copy", async () => {
    copy.textContent = await toClipboard(item.text) ? "Copied" : "Select it, and press Ctrl-C";
  });
  // Behind the text, where somebody who is at the end sees it however long that is.
  item.element.append(item.state);
  item.state.replaceChildren(`not sent: ${why}`, copy, button("Edit", edit), button("Discard", discard));
}

// Something that the page says.
export function noteOf(text, kind = "note") {
  return { time: Date.now(), element: el("div", { class: kind }, text) };
}
