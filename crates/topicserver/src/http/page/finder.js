// Finds words in what is loaded of a topic.

import { $ } from "./sidebar.js";
import { plural } from "./text.js";

export class Finder {
  #timeline = () => undefined;
  #found = [];
  #at = -1;

  // `timeline()` is the one that is shown.
  constructor(timeline) {
    this.#timeline = timeline;
    $("finder").onsubmit = (event) => {
      event.preventDefault();
      this.#step(event.submitter?.id === "find-next" ? 1 : -1);
    };
    $("find-text").oninput = () => this.#find();
    $("find-text").onkeydown = (event) => {
      if (event.key === "Escape") this.close();
      else if (event.key === "Enter") this.#step(event.shiftKey ? 1 : -1);
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    $("find").onclick = () => ($("finder").hidden ? this.open() : this.close());
  }

  open(text = $("find-text").value) {
    $("finder").hidden = false;
    $("find").setAttribute("aria-expanded", "true");
    $("find-text").value = text;
    $("find-text").focus();
    $("find-text").select();
    this.#find();
  }

  close() {
    if ($("finder").hidden) return;
    $("finder").hidden = true;
    $("find").setAttribute("aria-expanded", "false");
    this.#mark([]);
    $("say").focus();
  }

  #mark(found) {
    for (const { element } of this.#found) element.classList.remove("found", "found-now");
    this.#found = found;
    for (const { element } of found) element.classList.add("found");
    this.#at = found.length;
  }

  #find() {
    const wanted = $("find-text").value.trim().toLowerCase();
    const items = wanted ? this.#timeline()?.items ?? [] : [];
    const has = ({ text, user }) => text?.toLowerCase().includes(wanted) || user?.toLowerCase().includes(wanted);
    this.#mark(items.filter((item) => item.isMessage && has(item)));
    $("found").textContent = wanted ? plural(this.#found.length, "message", "messages") : "";
    if (this.#found.length > 0) this.#step(-1);
  }

  // From the newest to older ones.
  #step(by) {
    const many = this.#found.length;
    if (many === 0) return;
    this.#found[this.#at]?.element.classList.remove("found-now");
    this.#at = (this.#at + by + many) % many;
    const { element } = this.#found[this.#at];
    element.classList.add("found-now");
    this.#timeline().reveal(element);
    $("found").textContent = `${many - this.#at} of ${plural(many, "message", "messages")}`;
  }
}
