// The parts of the page that aren't messages.

import { qr } from "./qr.js";
import { el } from "./text.js";

export const $ = (id) => document.getElementById(id);

export function status(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

export function topics(rooms, current, choose) {
  const list = Array.from(rooms.values(), (room) => {
    const button = el("button", { type: "button" }, el("span", {}, room.topic));
    if (room === current) button.setAttribute("aria-current", "page");
    if (room.unread > 0) {
      button.append(el("span", { class: "badge" }, String(room.unread),
        el("span", { class: "unseen" }, " unread")));
    }
    button.onclick = () => choose(room.topic);
    return el("li", {}, button);
  });
  $("topics").replaceChildren(...list);
  const unread = Array.from(rooms.values()).reduce((sum, room) => sum + room.unread, 0);
  const title = current ? `${current.topic} · natter` : "natter";
  document.title = unread > 0 ? `(${unread}) ${title}` : title;
  $("menu").textContent = unread > 0 ? `Topics (${unread})` : "Topics";
}

export function people(room) {
  const names = Array.from(room.people.keys()).sort((a, b) => a.localeCompare(b));
  const list = names.map((name) => el("li", {}, name === room.name ? `${name} (you)` : name));
  const others = room.count - names.length;
  if (others > 0) {
    const words = others === 1 ? "and one without a name" : `and ${others} without a name`;
    list.push(el("li", { class: "others" }, words));
  }
  $("people").replaceChildren(...list);
}

export function show(room, rooms) {
  for (const other of rooms.values()) other.scroll.hidden = other !== room;
  $("title").textContent = room.topic;
}

export function menu(open) {
  $("side").classList.toggle("open", open);
  $("menu").setAttribute("aria-expanded", String(open));
}

// Asks for a name and a topic.
export function ask(name, topic, why, then) {
  const dialog = $("join");
  $("join-why").textContent = why;
  $("name").value = name;
  $("first-topic").value = topic;
  $("join-form").onsubmit = (event) => {
    event.preventDefault();
    const answer = { name: $("name").value.trim(), topic: $("first-topic").value.trim() };
    if (!answer.name || !answer.topic) return;
    dialog.close();
    then(answer);
  };
  // Without a name there is nothing to go back to.
  const isNeeded = !name || why !== "";
  dialog.oncancel = (event) => {
    if (isNeeded) event.preventDefault();
  };
  $("join-cancel").hidden = isNeeded;
  $("join-cancel").onclick = () => dialog.close();
  if (!dialog.open) dialog.showModal();
}

export function share(address) {
  $("address").value = address;
  $("qr").replaceChildren(picture(address));
  $("share-hint").textContent = /^(localhost|127\.|\[::1\])/.test(location.hostname)
    ? "This address only works on this machine. To share it, open the page under the machine's address in your network."
    : "Whoever opens this address on your network is in.";
  $("copy").textContent = "Copy";
  $("copy").onclick = async () => {
    $("address").select();
    try {
      await navigator.clipboard.writeText(address);
      $("copy").textContent = "Copied";
    } catch {
      // Only pages of this machine, or over TLS, may; it is selected, at least.
      $("copy").textContent = "Press Ctrl-C";
    }
  };
  $("link-form").onsubmit = (event) => {
    event.preventDefault();
    $("link").close();
  };
  $("link").showModal();
}

// The address as a picture that phones read.
function picture(address) {
  const rows = qr(address);
  if (!rows) return el("p", {}, "The address is too long for a QR code.");
  const space = "http://www.w3.org/2000/svg";
  const size = rows.length + 8;
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", `0 0 ${size} ${size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code of the address");
  const path = document.createElementNS(space, "path");
  let squares = "";
  rows.forEach((row, y) => row.forEach((dark, x) => {
    if (dark) squares += `M${x + 4} ${y + 4}h1v1h-1z`;
  }));
  path.setAttribute("d", squares);
  svg.append(path);
  return svg;
}
