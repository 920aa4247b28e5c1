// The lists beside the conversation: topics, which can be filtered, and people.

import { nameOf } from "./message.js";
import { colorOf } from "./people.js";
import { button, el, plural } from "./text.js";

export const $ = (id) => document.getElementById(id);

// The topics, those whose names contain what stands in the field.
export function drawTopics(topics, current, { choose, leave }) {
  const filter = $("add-name").value.trim().toLowerCase();
  const shown = [...topics.values()].filter(({ name }) => name.toLowerCase().includes(filter));
  place($("topics"), shown.map((topic) => entry(topic, topic === current, { choose, leave })));
  const unread = [...topics.values()].reduce((sum, topic) => sum + topic.unread, 0);
  $("menu").textContent = unread > 0 ? `Topics (${unread})` : "Topics";
  return unread;
}

// Topic → how it was drawn. An entry is made once and changed then: what is replaced loses the
// keyboard, and the click that has just begun.
const entries = new WeakMap();

function entry(topic, isCurrent, actions) {
  if (!entries.has(topic)) entries.set(topic, newEntry(topic, actions));
  const drawn = entries.get(topic);
  const { unread, isCalled } = topic;
  const now = `${isCurrent} ${unread} ${isCalled}`;
  if (drawn.now === now) return drawn.element;
  drawn.now = now;
  drawn.open.classList.toggle("unread", unread > 0);
  if (isCurrent) drawn.open.setAttribute("aria-current", "page");
  else drawn.open.removeAttribute("aria-current");
  drawn.open.querySelector(".badge")?.remove();
  if (unread > 0) {
    drawn.open.append(el("span", { class: isCalled ? "badge called" : "badge" }, unread > 999 ? "999+" : String(unread),
      el("span", { class: "unseen" }, isCalled ? " unread, you are mentioned" : " unread")));
  }
  return drawn.element;
}

function newEntry({ name }, { choose, leave }) {
  const open = button(el("bdi", {}, name), () => choose(name), { class: "topic", title: name });
  const gone = button("×", () => leave(name), { class: "gone", "aria-label": `Leave ${name}`, title: "Leave" });
  return { open, element: el("li", {}, open, gone) };
}

// Puts entries into a list, if others are there. The keyboard stays in it.
function place(list, elements) {
  if (list.children.length === elements.length && elements.every((element, at) => list.children[at] === element)) return;
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  list.replaceChildren(...elements);
  if (focused) (focused.isConnected ? focused : list.querySelector("button") ?? $("add-name")).focus();
}

const order = new Intl.Collator();
let drawnPeople = "";

export function drawPeople(topic, me) {
  const now = JSON.stringify([topic?.name, topic?.count, me, ...(topic?.people.keys() ?? [])]);
  if (now === drawnPeople) return;
  drawnPeople = now;
  const people = topic ? [...topic.people.keys()].sort(order.compare) : [];
  const list = people.map((name) => el("li", {},
    el("span", { class: `who ${colorOf(name)}` }, ...nameOf(name)), ...(name === me ? [" (you)"] : [])));
  const others = topic ? Math.max(0, topic.count - people.length) : 0;
  if (others > 0) {
    const words = others === 1 ? "one without a name" : `${others} without a name`;
    list.push(el("li", { class: "others" }, people.length > 0 ? `and ${words}` : words));
  }
  $("people").replaceChildren(...list);
  $("count").textContent = topic && topic.count > 0 ? plural(topic.count, "person", "people") : "";
}

// On a narrow screen, the lists are one page and the conversation another.
export function showMenu(isOpen) {
  $("side").classList.toggle("open", isOpen);
  $("menu").setAttribute("aria-expanded", String(isOpen));
}
