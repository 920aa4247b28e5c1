// The lists beside the conversation: topics, which can be filtered, and people.

import { nameOf } from "./message.js";
import { colorOf } from "./people.js";
import { button, el, plural } from "./text.js";

export const $ = (id) => document.getElementById(id);

// The topics, those whose names contain what stands in the field.
export function drawTopics(topics, current, { choose, leave }) {
  const filter = $("add-name").value.trim().toLowerCase();
  const shown = [...topics.values()].filter(({ name }) => name.toLowerCase().includes(filter));
  $("topics").replaceChildren(...shown.map((topic) => entry(topic, topic === current, { choose, leave })));
  const unread = [...topics.values()].reduce((sum, topic) => sum + topic.unread, 0);
  $("menu").textContent = unread > 0 ? `Topics (${unread})` : "Topics";
  return unread;
}

function entry(topic, isCurrent, { choose, leave }) {
  const open = button(el("bdi", {}, topic.name), () => choose(topic.name), {
    class: topic.unread > 0 ? "topic unread" : "topic", "aria-current": isCurrent ? "page" : null, title: topic.name,
  });
  if (topic.unread > 0) {
    const count = topic.unread > 999 ? "999+" : String(topic.unread);
    open.append(el("span", { class: topic.isCalled ? "badge called" : "badge" }, count,
      el("span", { class: "unseen" }, topic.isCalled ? " unread, you are mentioned" : " unread")));
  }
  const gone = button("×", () => leave(topic.name), { class: "gone", "aria-label": `Leave ${topic.name}`, title: "Leave" });
  return el("li", {}, open, gone);
}

export function drawPeople(topic, me) {
  const people = topic ? [...topic.people.keys()].sort((a, b) => a.localeCompare(b)) : [];
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
