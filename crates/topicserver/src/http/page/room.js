// One topic: what was said, in its order, who is there, and what isn't acknowledged.

import { keep } from "./keep.js";
import { dayOf, el, linked, mentions, timeOf } from "./text.js";

// Messages of the past that are asked for at first.
const FIRST = 100;
// Messages that the page keeps; older ones are shown again after a reload.
const MOST = 2000;

export class Room {
  constructor(topic, name) {
    this.topic = topic;
    this.name = name;
    this.epoch = null;
    this.seq = 0;
    this.unread = 0;
    this.count = 0;
    this.people = new Map();
    // In the order in which they are shown; a message that has no number is the last.
    this.items = [];
    this.life = 0;
    this.pending = new Map();
    this.log = el("div", { class: "log", role: "log", "aria-live": "off", "aria-label": `Messages in ${topic}` });
    this.scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `What was said in ${topic}` }, this.log);
    for (const message of keep.pending(topic)) this.showPending(message);
  }

  // What was said before, one's own messages too: over HTTP, as anybody gets it.
  async load() {
    const path = `/${encodeURIComponent(this.topic)}?last=${FIRST}&poll=1`;
    const answer = await fetch(path, { headers: { accept: "application/x-ndjson" } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const lines = (await answer.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
    for (const frame of lines) {
      if (frame.extended?.registered) {
        const state = frame.extended.registered.topics[this.topic];
        this.epoch = state.epoch;
        this.seq = state.seq;
      } else if (frame.message) {
        this.take(frame);
      }
    }
    this.toEnd();
  }

  // From where the server is to go on.
  get place() {
    return this.epoch === null ? undefined : { epoch: this.epoch, seq: this.seq };
  }

  // The server says how far the topic is; says in words what that means to who was away.
  registered(state, wasAway) {
    const missed = state.seq - this.seq;
    if (this.epoch !== null && (this.epoch !== state.epoch || missed < 0)) {
      this.life += 1;
      this.seq = 0;
      this.note("The server's history began anew: what was said meanwhile may be lost", "note loss");
    } else if (wasAway && state.recovered) {
      const many = missed === 1 ? "1 message" : `${missed} messages`;
      this.note(missed > 0 ? `Back again, ${many} caught up` : "Back again, nothing missed");
    }
    this.epoch = state.epoch;
    this.log.setAttribute("aria-live", "polite");
  }

  gap({ from, to }) {
    const count = to - from + 1;
    const many = count === 1 ? "1 message" : `${count} messages`;
    this.note(`${many} could not be recovered`, "note loss");
    this.seq = Math.max(this.seq, to);
  }

  // A message of somebody's; null if it was there before.
  take({ extended = {}, message }) {
    const { seq, time = Date.now(), user } = extended;
    if (seq !== undefined && this.find(seq)) return null;
    const called = user !== this.name && mentions(message.text, this.name);
    const kind = user === this.name ? "mine" : called ? "call" : "";
    const item = { seq, time, element: this.render(user ?? "somebody", message.text, time, kind) };
    this.place_(item);
    if (seq > this.seq) this.seq = seq;
    return { user, text: message.text, called };
  }

  // One's own message, before the server has it.
  showPending(message) {
    const element = this.render(this.name, message.text, Date.now(), "mine pending");
    const state = el("span", { class: "state" }, "sending");
    element.querySelector("time").after(state);
    const item = { time: Date.now(), element };
    this.items.push(item);
    this.log.append(element);
    this.pending.set(message.id, { ...message, item, state });
    this.toEnd();
  }

  say(text) {
    const message = { id: keep.nextId(), text };
    this.showPending(message);
    this.savePending();
    return message;
  }

  // The server has it.
  acknowledged(id, seq) {
    const pending = this.pending.get(id);
    if (!pending) return;
    this.forget(id);
    const { item } = pending;
    this.items.splice(this.items.indexOf(item), 1);
    if (this.find(seq)) {
      item.element.remove();
      return;
    }
    item.seq = seq;
    item.element.classList.remove("pending", "failed");
    pending.state.remove();
    this.place_(item);
    if (seq === this.seq + 1) this.seq = seq;
  }

  // The server couldn't take it.
  failed(id, text, again) {
    const pending = this.pending.get(id);
    if (!pending) return;
    pending.item.element.classList.add("failed");
    const retry = el("button", { type: "button" }, "Send again");
    const drop = el("button", { type: "button" }, "Discard");
    retry.onclick = () => {
      pending.state.replaceChildren("sending");
      again(pending);
    };
    drop.onclick = () => {
      this.forget(id);
      this.items.splice(this.items.indexOf(pending.item), 1);
      pending.item.element.remove();
    };
    pending.state.replaceChildren(`not sent: ${text}`, retry, drop);
  }

  forget(id) {
    this.pending.delete(id);
    this.savePending();
  }

  savePending() {
    keep.setPending(this.topic, Array.from(this.pending.values(), ({ id, text }) => ({ id, text })));
  }

  note(text, kind = "note") {
    const item = { time: Date.now(), element: el("div", { class: kind }, text), note: true };
    item.life = this.life;
    this.items.push(item);
    this.log.append(item.element);
    this.toEnd();
  }

  render(user, text, time, kind) {
    return el("div", { class: kind || undefined },
      el("span", { class: "who" }, user), timeOf(time),
      el("span", { class: "text" }, ...linked(text)));
  }

  find(seq) {
    for (let at = this.items.length - 1; at >= 0; at -= 1) {
      const item = this.items[at];
      if (item.life === this.life && item.seq === seq) return item;
      if (item.life === this.life && item.seq < seq) return undefined;
    }
    return undefined;
  }

  // Shows an item where its number puts it: before what has a higher one, and before
  // what has none yet.
  place_(item) {
    const atEnd = this.isAtEnd();
    item.life = this.life;
    let at = this.items.length;
    while (at > 0) {
      const before = this.items[at - 1];
      const isLater = before.life === this.life && before.seq > item.seq;
      const isPending = before.seq === undefined && before.life === undefined;
      if (!isLater && !isPending) break;
      at -= 1;
    }
    const next = this.items[at]?.element ?? null;
    const day = dayOf(item.time);
    if (at === this.items.length || this.items.slice(at).every((later) => later.seq === undefined)) {
      if (day !== this.day) {
        this.day = day;
        const divider = { life: this.life, note: true, element: el("div", { class: "note" }, day) };
        this.items.splice(at, 0, divider);
        this.log.insertBefore(divider.element, next);
        at += 1;
      }
    }
    this.items.splice(at, 0, item);
    this.log.insertBefore(item.element, next);
    while (this.items.length > MOST) this.items.shift().element.remove();
    if (atEnd) this.toEnd();
  }

  isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroll;
    return scrollHeight - scrollTop - clientHeight < 80;
  }

  toEnd() { this.scroll.scrollTop = this.scroll.scrollHeight; }
}
