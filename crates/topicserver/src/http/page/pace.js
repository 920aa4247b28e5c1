// How much is put into the page within a frame. It is measured, because machines and scripts
// differ: what is Arabic takes longer than what is Latin.

// Milliseconds, with the layout: the other half of a frame is for what people do.
const BUDGET = 8;
// Characters within a frame, and what a message costs beside its text.
const LEAST = 1500;
const MOST = 30000;
const EACH = 100;
const MOST_OF_TEXT = 4000;

export class Pace {
  #room = 6000;
  #isFull = false;

  // How many of these messages are put in within this frame, counted from their end or their
  // beginning: one at least.
  count(messages, isFromEnd = false) {
    let left = this.#room;
    let count = 0;
    while (count < messages.length) {
      const { text = "" } = messages.at(isFromEnd ? -1 - count : count);
      left -= EACH + Math.min(MOST_OF_TEXT, text.length);
      if (left < 0 && count > 0) {
        this.#isFull = true;
        break;
      }
      count += 1;
    }
    return count;
  }

  // The work of a frame. It ends with the layout, so that this is in the time, too.
  run(work) {
    const began = performance.now();
    this.#isFull = false;
    work();
    const pace = BUDGET / Math.max(1, performance.now() - began);
    // A frame that had little to do says nothing of what it might have done.
    if (pace < 1 || this.#isFull) this.#room *= Math.min(1.5, Math.max(0.5, pace));
    this.#room = Math.min(MOST, Math.max(LEAST, this.#room));
  }
}
