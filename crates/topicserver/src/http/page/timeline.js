// What was said in a topic, as a person scrolls through it. It shows a window of the
// messages: older ones are fetched when one scrolls up. Messages are put in by frame, never
// one by one, and the end stays in view for those who are there.

import { continues, itemOf, markDelivered, markPending, markRefused, noteOf } from "./message.js";
import { dayInWords, dayOf, el, plural } from "./text.js";

// Elements that are kept, how many more there may be before some are taken out, and messages
// that are put in within a frame.
const MOST = 1000;
const SPARE = 250;
const EACH_FRAME = 60;
// When more than this waits, nobody reads it as it comes: the newest of it are shown, in the
// place of everything. The rest is there when one scrolls up.
const FLOOD = 240;
const PAGE = 100;
// Pixels from an edge that count as there.
const NEAR_END = 60;
const NEAR_TOP = 500;

export class Timeline {
  #topic; #ask; #me;
  #items = [];
  #queue = [];
  #pending = new Map();
  #life = 0;
  #isScheduled = false; #isLoading = false; #hasOlder = false; #isDetached = false;
  #hasLost = false;
  #savedTop = 0;
  #observer;

  // `ask(range)` fetches messages, `me()` is one's name, `onEnd()` is called when the end
  // comes into view or goes out of it.
  constructor(topic, { ask, me, onEnd }) {
    this.#topic = topic;
    this.#ask = ask;
    this.#me = me;
    this.onEnd = onEnd;
    this.isAtEnd = true;
    this.news = 0;
    this.log = el("div", { class: "log", role: "log", "aria-live": "off", "aria-label": `Messages in ${topic}` });
    this.older = el("p", { class: "older", hidden: "" });
    this.element = el("div", {
      class: "scroll", tabindex: "0", role: "region", "aria-label": `What was said in ${topic}`,
    }, this.older, this.log);
    this.element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#observer = new ResizeObserver(() => this.#settle());
    this.#observer.observe(this.element);
    this.#observer.observe(this.log);
  }

  get items() { return this.#items; }
  get isVisible() { return !this.element.hidden; }

  close() {
    this.#observer.disconnect();
    this.element.remove();
  }

  // Shows it, where it was; or hides it.
  set isVisible(isVisible) {
    this.element.hidden = !isVisible;
    if (!isVisible) return;
    this.element.scrollTop = this.isAtEnd ? this.element.scrollHeight : this.#savedTop;
    this.#schedule();
  }

  // The newest messages, up to the number `seq`. Those after `lastRead` are new.
  async load({ lastRead, limit = PAGE } = {}) {
    const { messages, first } = await this.#ask({ limit: Math.max(PAGE, Math.min(limit, 500)) });
    // What has come meanwhile is in the answer.
    this.#dropAll((item) => item.life === this.#life && item.seq !== undefined);
    const items = messages.map((message) => this.#itemOf(message));
    const isNew = (item) => lastRead !== undefined && item.seq > lastRead && item.user !== this.#me();
    const firstNew = items.find(isNew);
    if (firstNew) firstNew.newLine = el("div", { class: "new" }, "New");
    this.#putBefore(0, items);
    this.#isDetached = false;
    this.#noteOlder(messages, first);
    this.log.setAttribute("aria-live", "polite");
    this.toEnd();
  }

  #noteOlder(messages, first) {
    this.#hasOlder = messages.length > 0 && messages[0].seq > first;
    this.older.hidden = this.#items.length === 0;
    this.older.textContent = this.#hasOlder ? "Loading older messages" : "Nothing older is kept here";
  }

  // A message has come.
  push(message) {
    this.#queue.push(message);
    // Those would be taken out again: they can be fetched.
    if (this.#queue.length > 2 * MOST) {
      this.#queue.splice(0, MOST);
      this.#hasLost = true;
    }
    this.#schedule();
  }

  #schedule() {
    if (this.#isScheduled || !this.isVisible || this.#queue.length === 0) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#putQueued();
      this.#schedule();
    });
  }

  #putQueued() {
    const isFull = this.#items.length >= MOST + SPARE;
    if (!this.isAtEnd && (isFull || this.#hasLost)) this.#isDetached = true;
    this.#hasLost = false;
    if (this.isAtEnd && this.#queue.length > FLOOD) this.#skipFlood();
    const messages = this.#queue.splice(0, this.#isDetached ? Infinity : EACH_FRAME);
    if (!this.isAtEnd || this.#isDetached) {
      this.news += messages.filter(({ user }) => user === undefined || user !== this.#me()).length;
      this.onEnd();
    }
    if (this.#isDetached) return;
    for (const message of messages) this.#put(this.#itemOf(message));
    if (!this.isAtEnd) return;
    this.#trimTop();
    this.toEnd();
  }

  #skipFlood() {
    this.#queue.splice(0, this.#queue.length - EACH_FRAME);
    this.#dropAll((item) => item.seq !== undefined);
    this.#hasOlder = true;
    this.older.hidden = false;
    this.older.textContent = "Loading older messages";
  }

  #itemOf(message) {
    return Object.assign(itemOf(message, this.#me()), { life: this.#life });
  }

  // Puts an item where its number says: before what has a higher one, and before what has
  // none yet. False: it was there.
  #put(item) {
    let at = this.#items.length;
    while (at > 0) {
      const before = this.#items[at - 1];
      if (before.life === this.#life && before.seq === item.seq && item.seq !== undefined) return false;
      const isLater = before.life === this.#life && before.seq > item.seq;
      if (!isLater && !this.#pending.has(before.id)) break;
      at -= 1;
    }
    const next = this.#items[at];
    this.#items.splice(at, 0, item);
    this.log.insertBefore(item.element, next ? topOf(next) : null);
    this.#refresh(at);
    if (next) this.#refresh(at + 1);
    return true;
  }

  // Puts older items before the one at this place.
  #putBefore(at, items) {
    if (items.length === 0) return;
    const next = this.#items[at];
    const fragment = document.createDocumentFragment();
    fragment.append(...items.map(({ element }) => element));
    this.log.insertBefore(fragment, next ? topOf(next) : null);
    this.#items.splice(at, 0, ...items);
    for (let place = at; place <= at + items.length; place += 1) this.#refresh(place);
  }

  // Day, "new" line and name of an item depend on what is before it.
  #refresh(at) {
    const item = this.#items[at];
    if (!item?.isMessage) return;
    const previous = this.#items[at - 1];
    const isNewDay = !previous || dayOf(previous.time) !== dayOf(item.time);
    if (isNewDay && !item.day) item.day = el("div", { class: "day" }, el("span", {}, dayInWords(item.time)));
    if (!isNewDay && item.day) {
      item.day.remove();
      item.day = undefined;
    }
    if (item.day && item.day.nextSibling !== (item.newLine ?? item.element)) item.element.before(item.day);
    if (item.newLine && item.newLine.nextSibling !== item.element) item.element.before(item.newLine);
    const isJoined = !isNewDay && !item.newLine && continues(item, previous);
    if (item.element.classList.contains("cont") !== isJoined) item.element.classList.toggle("cont", isJoined);
  }

  // Takes items out, from a place on.
  #drop(at, count) {
    const isLast = at + count >= this.#items.length;
    this.#items.splice(at, count).forEach(remove);
    if (!isLast) this.#refresh(at);
  }

  #dropAll(isIt) {
    const kept = this.#items.filter((item) => !isIt(item));
    for (const item of this.#items) if (isIt(item)) remove(item);
    this.#items = kept;
    kept.forEach((_, at) => this.#refresh(at));
  }

  #trimTop() {
    const extra = this.#items.length - MOST;
    if (extra <= SPARE) return;
    this.#drop(0, extra);
    this.#hasOlder = true;
    this.older.textContent = "Loading older messages";
  }

  // One's own message, before the server has it.
  addPending(line) {
    if (this.#pending.has(line.id)) return;
    const item = this.#itemOf({ user: this.#me(), text: line.text, time: Date.now() });
    item.id = line.id;
    item.element.classList.add("mine");
    item.element.classList.remove("call");
    markPending(item);
    this.#items.push(item);
    this.log.append(item.element);
    this.#pending.set(line.id, item);
    this.#refresh(this.#items.length - 1);
    if (this.#isDetached) this.jumpToEnd();
    else this.toEnd();
  }

  // The server has it.
  acknowledge(id, seq) {
    const item = this.#takePending(id);
    if (!item) return;
    if (this.#isDetached) return;
    Object.assign(item, { seq, life: this.#life });
    markDelivered(item);
    this.#put(item);
    if (this.isAtEnd) this.toEnd();
  }

  #takePending(id) {
    const item = this.#pending.get(id);
    this.#pending.delete(id);
    const at = this.#items.indexOf(item);
    if (at >= 0) this.#drop(at, 1);
    return item;
  }

  // It was refused. It stays to be copied, edited or discarded.
  refuse(id, why, actions) {
    const item = this.#pending.get(id);
    if (!item) return;
    markRefused(item, why, {
      edit: () => actions.edit(item.text),
      discard: () => actions.discard(),
    });
    if (this.isAtEnd) this.toEnd();
  }

  discard(id) { this.#takePending(id); }

  note(text, kind = "note") {
    const item = Object.assign(noteOf(text, kind), { life: this.#life });
    this.#items.push(item);
    this.log.append(item.element);
    if (this.isAtEnd) this.toEnd();
  }

  // The server's history began anew: numbers begin again.
  beginLife() {
    this.#putAllQueued();
    this.#life += 1;
    this.#hasOlder = false;
  }

  #putAllQueued() {
    for (const message of this.#queue.splice(0)) this.#put(this.#itemOf(message));
  }

  // Those who come back see where they were.
  clearNewLine() {
    const at = this.#items.findIndex((item) => item.newLine);
    if (at < 0) return;
    this.#items[at].newLine.remove();
    this.#items[at].newLine = undefined;
    this.#refresh(at);
  }

  toEnd() {
    this.isAtEnd = true;
    this.news = 0;
    if (this.isVisible) this.element.scrollTop = this.element.scrollHeight;
    this.onEnd();
  }

  // To the end, which may not be loaded.
  async jumpToEnd() {
    if (this.#isDetached) {
      const { messages, first } = await this.#ask({ limit: PAGE });
      this.#dropAll((item) => !this.#pending.has(item.id));
      this.#putBefore(0, messages.map((message) => this.#itemOf(message)));
      this.#isDetached = false;
      this.#noteOlder(messages, first);
    }
    this.toEnd();
    this.#schedule();
  }

  #settle() {
    if (!this.isVisible) return;
    if (this.isAtEnd) this.element.scrollTop = this.element.scrollHeight;
    else this.#fetchAtEdges();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    if (clientHeight === 0) return;
    this.#savedTop = scrollTop;
    const isNear = scrollHeight - scrollTop - clientHeight < NEAR_END;
    const isAtEnd = isNear && !this.#isDetached;
    if (isAtEnd !== this.isAtEnd) {
      this.isAtEnd = isAtEnd;
      if (isAtEnd) this.news = 0;
      this.onEnd();
    }
    this.#fetchAtEdges();
  }

  #fetchAtEdges() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    if (this.#hasOlder && scrollTop < NEAR_TOP) this.#fetch(() => this.#fetchOlder());
    else if (this.#isDetached && scrollHeight - scrollTop - clientHeight < NEAR_TOP) {
      this.#fetch(() => this.#fetchNewer());
    }
  }

  async #fetch(fetch) {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      await fetch();
    } catch (error) {
      // The next scrolling asks again.
      console.error(error);
    }
    this.#isLoading = false;
  }

  async #fetchOlder() {
    const oldest = this.#items.find((item) => item.life === this.#life && item.seq !== undefined);
    if (!oldest) return;
    const { messages, first } = await this.#ask({ before: oldest.seq, limit: PAGE });
    // Meanwhile it may have gone.
    const at = this.#items.indexOf(oldest);
    if (at < 0) return;
    // The oldest one may lose its day and its name; what follows stays as it is.
    const anchor = (this.#items[at + 1] ?? oldest).element;
    const { top } = anchor.getBoundingClientRect();
    this.#putBefore(at, messages.map((message) => this.#itemOf(message)));
    if (messages.length === 0) this.#hasOlder = false;
    else this.#hasOlder = messages[0].seq > first;
    this.older.textContent = this.#hasOlder ? "Loading older messages" : "Nothing older is kept here";
    this.element.scrollTop += anchor.getBoundingClientRect().top - top;
    this.#trimBottom();
  }

  // Those who read far above don't need the end.
  #trimBottom() {
    if (this.#items.length <= MOST || this.#pending.size > 0 || this.isAtEnd) return;
    this.#drop(MOST, this.#items.length - MOST);
    this.#isDetached = true;
  }

  async #fetchNewer() {
    const newest = this.#items.findLast((item) => item.life === this.#life && item.seq !== undefined);
    if (!newest) return this.jumpToEnd();
    const { messages } = await this.#ask({ before: newest.seq + 1 + PAGE, limit: PAGE });
    const news = messages.filter(({ seq }) => seq > newest.seq);
    for (const message of news) this.#put(this.#itemOf(message));
    if (news.length < PAGE) this.#isDetached = false;
    const extra = this.#items.length - MOST;
    if (extra > 0) {
      const { top } = newest.element.getBoundingClientRect();
      this.#drop(0, extra);
      this.#hasOlder = true;
      this.element.scrollTop += newest.element.getBoundingClientRect().top - top;
    }
    return undefined;
  }
}

function remove(item) {
  item.day?.remove();
  item.newLine?.remove();
  item.element.remove();
}

function topOf(item) { return item.day ?? item.newLine ?? item.element; }

// What the button to the end says.
export function newsInWords(news) { return news > 0 ? `${plural(news, "new message", "new")} ↓` : "To the end ↓"; }
