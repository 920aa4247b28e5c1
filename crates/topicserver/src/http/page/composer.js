// Where one writes: it grows with its text, keeps drafts, and brings back what was said.

import { keep } from "./keep.js";

const MOST_RECALLED = 50;

export class Composer {
  #box; #topic = null; #said = []; #recalled = -1;

  // `onSend(text)` returns whether the text was taken.
  constructor(form, box, onSend) {
    this.#box = box;
    form.onsubmit = (event) => {
      event.preventDefault();
      this.#send(onSend);
    };
    box.oninput = () => {
      this.#recalled = -1;
      this.#keep();
    };
    box.onkeydown = (event) => this.#press(event, form);
  }

  focus() { this.#box.focus(); }

  // Goes on with what was begun in this topic.
  show(topic) {
    this.#topic = topic;
    this.#recalled = -1;
    this.#set(topic === null ? "" : keep.draft(topic));
    this.#box.disabled = topic === null;
  }

  // Puts a text into the box, before what stands there.
  edit(text) {
    const rest = this.#box.value;
    this.#set(rest ? `${text}\n${rest}` : text);
    this.#keep();
    this.focus();
  }

  #set(text) {
    this.#box.value = text;
    this.#grow();
  }

  #keep() {
    if (this.#topic !== null) keep.setDraft(this.#topic, this.#box.value);
    this.#grow();
  }

  // It is measured at one row. Its form keeps its height meanwhile: the messages would get the
  // room for a moment, be moved by the browser, and be observed at the size that they had.
  #grow() {
    const { style, form } = this.#box;
    form.style.minHeight = `${form.getBoundingClientRect().height}px`;
    style.height = "auto";
    style.height = `${this.#box.scrollHeight + 2}px`;
    form.style.minHeight = "";
  }

  #send(onSend) {
    const text = this.#box.value;
    if (this.#topic === null || !text.trim() || !onSend(text)) return;
    this.#said = [text, ...this.#said.filter((said) => said !== text)].slice(0, MOST_RECALLED);
    this.#recalled = -1;
    this.#set("");
    this.#keep();
  }

  #press(event, form) {
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "ArrowUp" && this.#mayRecall()) {
      this.#recall(event, this.#recalled + 1);
    } else if (event.key === "ArrowDown" && this.#recalled >= 0) {
      this.#recall(event, this.#recalled - 1);
    }
  }

  // Only from an empty box, and on from what was brought back.
  #mayRecall() { return this.#box.value === "" || this.#recalled >= 0; }

  #recall(event, at) {
    if (at >= this.#said.length) return;
    event.preventDefault();
    this.#recalled = at;
    this.#set(at < 0 ? "" : this.#said[at]);
  }
}
