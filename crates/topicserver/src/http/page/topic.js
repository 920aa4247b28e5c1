// One topic: how far it is, what was read of it, and who is there.

import { keep } from "./keep.js";
import { mentions } from "./people.js";
import { plural } from "./text.js";
import { Timeline } from "./timeline.js";

export class Topic {
  #ask; #me;
  #isLoaded = false;

  constructor(name, { ask, me, onEnd }) {
    this.name = name;
    this.#ask = ask;
    this.#me = me;
    this.epoch = undefined;
    this.seq = 0;
    this.unread = 0;
    this.isCalled = false;
    this.count = 0;
    this.people = new Map();
    this.timeline = new Timeline(name, {
      ask: (range) => ask("history", name, range), me, onEnd: () => onEnd(this),
    });
  }

  // The server says how far it is.
  registered({ epoch, seq }) {
    const read = keep.lastRead(this.name);
    const isKnown = read?.epoch === epoch && read.seq <= seq;
    if (this.epoch === undefined) this.unread = isKnown ? seq - read.seq : 0;
    // It went on while another window had the connection, or nobody.
    if (this.#isLoaded && seq > this.seq) this.#isLoaded = false;
    this.epoch = epoch;
    this.seq = Math.max(this.seq, seq);
    if (!isKnown) this.#keepRead();
  }

  // Shows what was said, when it is looked at for the first time.
  async load() {
    if (this.#isLoaded || this.epoch === undefined) return;
    this.#isLoaded = true;
    const lastRead = this.unread ? this.seq - this.unread : undefined;
    try {
      await this.timeline.load({ lastRead, limit: this.unread + 20 });
    } catch (error) {
      this.#isLoaded = false;
      if (error.code !== "closed") this.timeline.note(`What was said before could not be loaded: ${error.text ?? error}`, "note loss");
    }
  }

  // A message has come; says whether it calls us.
  take(message, isLookedAt) {
    this.seq = Math.max(this.seq, message.seq ?? 0);
    if (this.#isLoaded) this.timeline.push(message);
    const isMine = message.user !== undefined && message.user === this.#me();
    const isCall = !isMine && mentions(message.text, this.#me());
    if (isMine) this.#readMine();
    else if (!isLookedAt) {
      this.unread += 1;
      this.isCalled ||= isCall;
    }
    return isCall;
  }

  acknowledge(id, seq) {
    this.seq = Math.max(this.seq, seq);
    this.timeline.acknowledge(id, seq);
    this.#readMine();
  }

  // After a lost connection: says in words what that means to somebody who was away.
  resumed({ epoch, seq, missed, recovered, isReset }) {
    if (isReset) {
      this.timeline.beginLife();
      this.timeline.note("The server's history began anew: what was said meanwhile may be lost", "note loss");
      this.epoch = epoch;
      this.seq = 0;
      this.#keepRead();
    } else if (recovered && this.#isLoaded) {
      this.timeline.note(`Back again, ${missed ? `${plural(missed, "message", "messages")} caught up` : "nothing missed"}`);
    }
    this.seq = Math.max(this.seq, seq);
  }

  gap({ from, to }) {
    this.timeline.note(`${plural(to - from + 1, "message", "messages")} could not be recovered`, "note loss");
    this.seq = Math.max(this.seq, to);
  }

  // It is before somebody's eyes.
  markRead() {
    this.unread = 0;
    this.isCalled = false;
    this.#keepRead();
  }

  // Who says something has read it, also if the server gets it when one looks elsewhere.
  #readMine() { if (!this.unread) this.#keepRead(); }

  // Nobody looks at it from now on: what comes will be new.
  leaveOff() { this.timeline.newAfter = this.seq - this.unread; }

  // Another tab has shown it.
  readElsewhere() {
    const read = keep.lastRead(this.name);
    if (read?.epoch !== this.epoch) return;
    this.unread = Math.min(this.unread, Math.max(0, this.seq - read.seq));
    if (this.unread === 0) this.isCalled = false;
  }

  #keepRead() {
    if (this.epoch === undefined) return;
    const read = keep.lastRead(this.name);
    if (read?.epoch === this.epoch && read.seq === this.seq) return;
    keep.setLastRead(this.name, { epoch: this.epoch, seq: this.seq });
  }

  // Asks who is there: a listener without a name comes and goes without a word.
  async countPeople() {
    try {
      const { count, users } = await this.#ask("who", this.name);
      this.count = count;
      this.people = new Map(users.map((person) => [person.user, person]));
    } catch {
      // It is asked again.
    }
  }

  presence({ user, ...where }, isHere) {
    const was = this.people.has(user);
    if (isHere) this.people.set(user, where);
    else this.people.delete(user);
    if (was !== isHere) this.count += isHere ? 1 : -1;
  }
}
