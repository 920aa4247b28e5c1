// What was said in a topic, as a person scrolls through it. It shows a window of the
// messages: older ones are fetched when one scrolls up. Messages are put in by frame, as many
// as it has time for, and the end stays in view for those who are there.

import { continues, itemOf, markDelivered, markPending, markRefused, noteOf } from "./message.js";
import { Pace } from "./pace.js";
import { dayInWords, dayOf, el, plural } from "./text.js";

// Elements that are kept, and how many more there may be before some are taken out.
const MOST = 1000;
const SPARE = 250;
// When more than this waits, nobody reads it as it comes: the newest of it are shown, in the
// place of everything. The rest is there when one scrolls up.
const FLOOD = 240;
const OF_FLOOD = 60;
const PAGE = 100;
// Pixels from an edge that count as there.
const NEAR_END = 60;
const NEAR_TOP = 500;

export class Timeline {
  #topic; #ask; #me;
  #items = [];
  // What is to be put in: at the end (as items' data, with their life), and before the oldest
  // message that is there.
  #queue = [];
  #above = [];
  #pace = new Pace();
  #pending = new Map();
  #life = 0;
  #newAfter;
  #isScheduled = false; #isLoading = false; #hasOlder = false; #isDetached = false;
  #hasLost = false;
  #savedTop = 0;
  // The size for which it was last put in place, the length of what it shows then, and what
  // stands at the top for those who read above.
  #width = 0; #height = 0; #length = 0;
  #seen;
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
    if (!isVisible) {
      // So that it is soon laid out again. What is taken out can be fetched.
      if (this.isAtEnd) this.#trimTop(PAGE);
      return;
    }
    this.element.scrollTop = this.isAtEnd ? this.element.scrollHeight : this.#savedTop;
    this.#schedule();
  }

  // The newest messages. Those after the number `lastRead` are new.
  async load({ lastRead, limit = PAGE } = {}) {
    const range = await this.#ask({ limit: Math.max(PAGE, Math.min(limit, 500)) });
    this.#dropAll((item) => item.life === this.#life && item.seq !== undefined);
    this.#showNewest(range);
    this.newAfter = lastRead;
    this.log.setAttribute("aria-live", "polite");
    this.toEnd();
  }

  // Those that are seen first, then, frame by frame, those above them.
  #showNewest({ messages, first }) {
    // What has come meanwhile is in the answer.
    const newest = messages.at(-1)?.seq;
    this.#queue = this.#queue.filter(({ life, seq }) => !(life === this.#life && seq <= newest));
    this.#isDetached = false;
    this.#above = messages;
    this.#putAbove(this.#items.findLastIndex(({ life }) => life < this.#life) + 1);
    this.#tellOlder(messages.length > 0 && messages[0].seq > first);
    this.#schedule();
  }

  #tellOlder(hasOlder) {
    this.#hasOlder = hasOlder;
    this.older.hidden = this.#items.length === 0;
    this.older.textContent = hasOlder || this.#above.length > 0 ? "Loading older messages" : "Nothing older is kept here";
  }

  // A message has come.
  push(message) {
    this.#queue.push({ ...message, life: this.#life });
    if ((!this.isAtEnd || this.#isDetached) && this.#isOfOthers(message)) {
      this.news += 1;
      this.onEnd();
    }
    if (this.#queue.length > 2 * MOST) {
      this.#skipQueued(MOST);
      this.#hasLost = true;
    }
    this.#schedule();
  }

  // Those would be taken out again, and they can be fetched. What the page itself has said
  // can't.
  #skipQueued(kept) {
    const last = this.#queue.splice(-kept);
    this.#queue = [...this.#queue.filter(({ item }) => item), ...last];
  }

  #schedule() {
    if (this.#isScheduled || !this.isVisible || this.#queue.length + this.#above.length === 0) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#pace.run(() => {
        if (this.#queue.length > 0) this.#putQueued();
        if (this.#above.length > 0) this.#putAbove(this.#oldest());
        this.#markNew();
        // Asking for the size lays out what was put in.
        this.#settle();
      });
      this.#schedule();
    });
  }

  #putQueued() {
    const isFull = this.#items.length >= MOST + SPARE;
    if (!this.isAtEnd && (isFull || this.#hasLost)) this.#isDetached = true;
    this.#hasLost = false;
    if (this.isAtEnd && this.#queue.length > FLOOD) this.#skipFlood();
    const next = this.#queue.splice(0, this.#isDetached ? Infinity : this.#pace.count(this.#queue));
    for (const data of next) {
      if (data.item) this.#append(data.item);
      else if (!this.#isDetached) this.#put(this.#itemOf(data));
    }
    if (!this.isAtEnd || this.#isDetached) return;
    this.#trimTop(MOST + SPARE, MOST);
    this.toEnd();
  }

  #skipFlood() {
    this.#skipQueued(OF_FLOOD);
    this.#above = [];
    this.#dropAll((item) => item.seq !== undefined);
    this.#tellOlder(true);
  }

  #isOfOthers({ user }) { return user === undefined || user !== this.#me(); }

  #itemOf(message) {
    return Object.assign(itemOf(message, this.#me()), { life: message.life ?? this.#life });
  }

  // Puts an item where its number says: before what has a higher one, and before what has
  // none yet. False: it was there.
  #put(item) {
    let at = this.#items.length;
    while (at > 0) {
      const before = this.#items[at - 1];
      const isOfItsLife = before.life === item.life;
      if (isOfItsLife && before.seq === item.seq && item.seq !== undefined) return false;
      const isLater = isOfItsLife && before.seq > item.seq;
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

  // The oldest message of this life.
  #oldest() { return this.#items.findIndex(({ life, seq }) => life === this.#life && seq !== undefined); }

  // Puts what a frame has time for before the item at this place; what is seen stays there.
  #putAbove(at) {
    // Without an item, nobody knows where.
    if (at < 0) this.#above = [];
    const messages = this.#above.splice(-this.#pace.count(this.#above, true));
    // The item itself may lose its day and its name; what follows stays as it is.
    const anchor = this.isAtEnd ? undefined : (this.#items[at + 1] ?? this.#items[at])?.element;
    const top = anchor?.getBoundingClientRect().top;
    this.#putBefore(at, messages.map((message) => this.#itemOf(message)));
    if (anchor) this.element.scrollTop += anchor.getBoundingClientRect().top - top;
    if (this.#above.length > 0) return;
    this.#tellOlder(this.#hasOlder);
    this.#trimBottom();
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

  // Takes items out, from a place on, but none that the server doesn't have yet.
  #drop(at, count) {
    const kept = this.#items.slice(at, at + count).filter(({ id }) => this.#pending.has(id));
    for (const item of this.#items.splice(at, count, ...kept)) if (!kept.includes(item)) remove(item);
    for (let place = at; place <= at + kept.length; place += 1) this.#refresh(place);
  }

  #dropAll(isIt) {
    const kept = this.#items.filter((item) => !isIt(item));
    for (const item of this.#items) if (isIt(item)) remove(item);
    this.#items = kept;
    kept.forEach((_, at) => this.#refresh(at));
  }

  // When there are more than `most`, only `kept` of them stay.
  #trimTop(most, kept = most) {
    if (this.#items.length <= most) return;
    this.#above = [];
    this.#drop(0, this.#items.length - kept);
    this.#tellOlder(true);
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

  // Something that the page says, after what has come before.
  note(text, kind = "note") {
    const item = Object.assign(noteOf(text, kind), { life: this.#life });
    if (this.#queue.length > 0) this.#queue.push({ item });
    else this.#append(item);
    if (this.isAtEnd) this.toEnd();
  }

  #append(item) {
    this.#items.push(item);
    this.log.append(item.element);
  }

  // The server's history began anew: numbers begin again.
  beginLife() {
    this.#life += 1;
    this.#above = [];
    this.#newAfter = undefined;
    this.#tellOlder(false);
  }

  // What has come after this number is new, and a line stands before it; nothing is without
  // a number.
  set newAfter(seq) {
    this.#newAfter = seq;
    this.#markNew();
  }

  #markNew() {
    const isNew = (item) => item.life === this.#life && item.seq > this.#newAfter && this.#isOfOthers(item);
    const first = this.#newAfter === undefined ? -1 : this.#items.findIndex(isNew);
    // The first one that is new may be further above.
    const at = first === 0 && (this.#hasOlder || this.#above.length > 0) ? -1 : first;
    const was = this.#items.findIndex(({ newLine }) => newLine);
    if (at === was) return;
    if (was >= 0) {
      this.#items[was].newLine.remove();
      this.#items[was].newLine = undefined;
      this.#refresh(was);
    }
    if (at < 0) return;
    this.#items[at].newLine = el("div", { class: "new" }, "New");
    this.#refresh(at);
  }

  toEnd() {
    this.isAtEnd = true;
    this.news = 0;
    this.#holdEnd();
    this.onEnd();
  }

  #holdEnd() {
    if (!this.isVisible) return;
    this.element.scrollTop = this.element.scrollHeight;
    this.#measure();
  }

  #measure() {
    ({ clientWidth: this.#width, clientHeight: this.#height, scrollHeight: this.#length } = this.element);
  }

  // Puts an element of it into view. Who was at the end no longer is, unless that is there.
  reveal(element) {
    element.scrollIntoView({ block: "center" });
    this.#measure();
    this.#scrolled();
  }

  // To the end, which may not be loaded.
  async jumpToEnd() {
    if (this.#isDetached) {
      const range = await this.#ask({ limit: PAGE });
      this.#dropAll((item) => !this.#pending.has(item.id));
      this.#showNewest(range);
    }
    this.toEnd();
    this.#schedule();
  }

  #settle() {
    if (!this.isVisible) return;
    const width = this.#width;
    this.#measure();
    if (this.isAtEnd) this.#holdEnd();
    else if (this.#width !== width && this.#seen) this.element.scrollTop = this.#seen.element.offsetTop - this.#seen.by;
    this.#fetchAtEdges();
  }

  // Pixels below what is seen.
  get #below() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight, clientWidth } = this.element;
    // Of another size, nobody has scrolled: the browser has moved it, and it is put where it was.
    // The observer may have nothing to tell, if it is again as when it was last observed.
    if (clientHeight !== this.#height || clientWidth !== this.#width || (this.isAtEnd && scrollHeight !== this.#length)) {
      this.#settle();
      return;
    }
    this.#savedTop = scrollTop;
    const isAtEnd = this.#below < NEAR_END && !this.#isDetached;
    if (isAtEnd !== this.isAtEnd) {
      this.isAtEnd = isAtEnd;
      if (isAtEnd) this.news = 0;
      this.onEnd();
    }
    if (!isAtEnd) this.#seen = this.#topmost();
    this.#fetchAtEdges();
  }

  // The item at the upper edge, and how far below that it begins.
  #topmost() {
    const { scrollTop } = this.element;
    let low = 0;
    let high = this.#items.length - 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const { offsetTop, offsetHeight } = this.#items[middle].element;
      if (offsetTop + offsetHeight > scrollTop) high = middle;
      else low = middle + 1;
    }
    const element = this.#items[low]?.element;
    return element && { element, by: element.offsetTop - scrollTop };
  }

  #fetchAtEdges() {
    const mayFetchOlder = this.#hasOlder && this.#above.length === 0;
    if (mayFetchOlder && this.element.scrollTop < NEAR_TOP) this.#fetch(() => this.#fetchOlder());
    else if (this.#isDetached && this.#below < NEAR_TOP) this.#fetch(() => this.#fetchNewer());
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
    const oldest = this.#items[this.#oldest()];
    if (!oldest) return;
    const { messages, first } = await this.#ask({ before: oldest.seq, limit: PAGE });
    // Meanwhile it may have gone.
    if (this.#items[this.#oldest()] !== oldest) return;
    this.#above = messages;
    this.#tellOlder(messages.length > 0 && messages[0].seq > first);
    this.#schedule();
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
      this.#tellOlder(true);
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
