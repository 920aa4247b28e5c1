// The page as a whole: which topics, which connection, and what becomes of what comes.

import { keep } from "./keep.js";
import { Link } from "./link.js";
import { Room } from "./room.js";
import * as view from "./view.js";

const { $ } = view;
const rooms = new Map();
let current = null;
let name = keep.name;
// We were connected before: who comes back is told what he has missed.
let wasConnected = false;

const link = new Link({
  open: register,
  frame,
  lost: (pause) => {
    const seconds = Math.max(1, Math.round(pause / 1000));
    view.status("off", `Connection lost, trying again in ${seconds} s`);
  },
});

function pathOf(topic) { return `/${encodeURIComponent(topic)}`; }

function topicOfPath() {
  try {
    return decodeURIComponent(location.pathname.slice(1));
  } catch {
    return "";
  }
}

// Says who we are, where we want to be, and what we have already.
async function register() {
  view.status("off", "Connected, catching up");
  for (const room of rooms.values()) await history(room);
  const resume = {};
  for (const room of rooms.values()) room.isJoined = false;
  for (const room of rooms.values()) if (room.place) resume[room.topic] = room.place;
  link.send({
    topics: Array.from(rooms.keys()),
    extended: { user: name, client: keep.client, resume },
  });
}

async function history(room) {
  if (room.epoch !== null) return;
  try {
    await room.load();
  } catch (error) {
    console.error(error);
    room.note("What was said before could not be loaded", "note loss");
  }
}

function frame({ extended, message }) {
  if (message) return heard({ extended, message });
  const [kind, what] = Object.entries(extended ?? {})[0] ?? [];
  switch (kind) {
    case "registered": return registered(what);
    case "ack": return rooms.get(what.topic)?.acknowledged(what.id, what.seq);
    case "members": return members(what);
    case "joined": return presence(what, true);
    case "left": return presence(what, false);
    case "gap": return rooms.get(what.topic)?.gap(what);
    case "error": return wrong(what);
    default: return undefined;
  }
}

function registered({ topics }) {
  link.settled();
  for (const [topic, state] of Object.entries(topics)) {
    const room = rooms.get(topic);
    if (!room || room.isJoined) continue;
    room.isJoined = true;
    room.registered(state, wasConnected && room.wasJoined);
    room.wasJoined = true;
    link.send({ extended: { who: topic } });
    for (const pending of room.pending.values()) send(room, pending);
  }
  wasConnected = true;
  view.status("on", "Connected");
  offerNotifications();
}

function heard(incoming) {
  const room = rooms.get(incoming.message.topic);
  const news = room?.take(incoming);
  if (!news) return;
  if (room !== current || document.hidden) {
    room.unread += 1;
    draw();
    if (news.called) notify(room, news);
  }
}

function members({ topic, count, users }) {
  const room = rooms.get(topic);
  if (!room) return;
  room.count = count;
  room.people = new Map(users.map((person) => [person.user, person]));
  if (room === current) view.people(room);
}

function presence({ topic, user, ...where }, isHere) {
  const room = rooms.get(topic);
  if (!room) return;
  const was = room.people.has(user);
  if (isHere) room.people.set(user, where);
  else room.people.delete(user);
  if (was !== isHere) room.count += isHere ? 1 : -1;
  if (room === current) view.people(room);
}

function wrong({ code, text, id }) {
  if (id !== undefined) {
    for (const room of rooms.values()) room.failed(id, text, (pending) => send(room, pending));
  } else if (code === "name-taken") {
    link.stop();
    view.status("off", "Not connected");
    view.ask(name, current?.topic ?? topicOfPath(), text, begin);
  } else if (code === "replaced") {
    // A tab that was duplicated has the other one's secret.
    link.stop();
    view.status("off", "This conversation goes on in another tab; reload to have it here");
    keep.newClient();
  } else if (code !== "shutting-down") {
    current?.note(text, "note loss");
  }
}

function send(room, { id, text }) {
  // Classic clients may look for both ends of the connection.
  link.send({
    extended: { id },
    source: { ip: "0.0.0.0", port: "0" },
    destination: { ip: location.hostname, port: location.port || "80" },
    message: { topic: room.topic, text },
  });
}

function draw() { view.topics(rooms, current, choose); }

function choose(topic) {
  const room = rooms.get(topic);
  if (!room) return;
  if (current) current.end = current.isAtEnd();
  current = room;
  room.unread = 0;
  view.show(room, rooms);
  view.people(room);
  view.menu(false);
  draw();
  if (topicOfPath() !== topic) window.history.pushState(null, "", pathOf(topic));
  if (room.end !== false) room.toEnd();
  $("say").value = keep.draft(topic);
  grow();
  $("say").focus();
}

function open(topic) {
  if (!rooms.has(topic)) {
    const room = new Room(topic, name);
    rooms.set(topic, room);
    $("logs").append(room.scroll);
    keep.topics = Array.from(rooms.keys());
  }
  return rooms.get(topic);
}

async function add(topic) {
  const isNew = !rooms.has(topic);
  const room = open(topic);
  choose(topic);
  if (!isNew || !wasConnected) return;
  await history(room);
  link.send({ topics: [topic], extended: { resume: room.place && { [topic]: room.place } } });
}

function leave() {
  if (!current || rooms.size < 2) {
    current?.note("This is the only topic: join another one first");
    return;
  }
  const gone = current;
  rooms.delete(gone.topic);
  gone.scroll.remove();
  keep.topics = Array.from(rooms.keys());
  link.send({ extended: { leave: [gone.topic] } });
  current = null;
  choose(rooms.keys().next().value);
}

function grow() {
  const say = $("say");
  say.style.height = "auto";
  say.style.height = `${say.scrollHeight + 2}px`;
}

function step(by) {
  const topics = Array.from(rooms.keys());
  const at = topics.indexOf(current?.topic) + by;
  choose(topics[(at + topics.length) % topics.length]);
}

function offerNotifications() {
  const isPossible = "Notification" in window && isSecureContext;
  $("notify").hidden = !isPossible || Notification.permission !== "default";
}

function notify(room, { user, text }) {
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  const shown = new Notification(`${user ?? "Somebody"} in ${room.topic}`, { body: text.slice(0, 200) });
  shown.onclick = () => {
    window.focus();
    choose(room.topic);
  };
}

// With a name and a topic, everything begins.
function begin({ name: chosen, topic }) {
  name = chosen;
  keep.name = name;
  $("me").textContent = name;
  for (const room of rooms.values()) room.name = name;
  const known = topicOfPath();
  for (const other of keep.topics) open(other);
  open(topic || known);
  choose(topic || known);
  link.restart();
}

$("composer").onsubmit = (event) => {
  event.preventDefault();
  const text = $("say").value;
  if (!current || !text.trim()) return;
  send(current, current.say(text));
  $("say").value = "";
  keep.setDraft(current.topic, "");
  grow();
};
$("say").oninput = () => {
  if (current) keep.setDraft(current.topic, $("say").value);
  grow();
};
$("say").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
};
document.onkeydown = (event) => {
  if (event.key === "Escape") view.menu(false);
  else if (event.altKey && event.key === "ArrowDown") step(1);
  else if (event.altKey && event.key === "ArrowUp") step(-1);
  else return;
  // Escape has its own meaning in a dialog.
  if (event.key !== "Escape") event.preventDefault();
};
$("add").onsubmit = (event) => {
  event.preventDefault();
  const topic = $("add-name").value.trim();
  $("add-name").value = "";
  if (topic) add(topic);
};
// The list comes in pages.
async function allTopics() {
  const all = [];
  let after = "";
  do {
    const { topics } = await (await fetch(`/-/topics?after=${encodeURIComponent(after)}`)).json();
    all.push(...topics);
    after = topics.at(-1)?.more ? topics.at(-1).topic : "";
  } while (after);
  return all;
}

$("add-name").onfocus = async () => {
  try {
    const options = (await allTopics()).map(({ topic }) => Object.assign(document.createElement("option"), { value: topic }));
    $("known").replaceChildren(...options);
  } catch {
    // It can be typed as well.
  }
};
$("menu").onclick = () => view.menu(!$("side").classList.contains("open"));
$("share").onclick = () => current && view.share(location.origin + pathOf(current.topic));
$("leave").onclick = leave;
$("rename").onclick = () => {
  view.menu(false);
  view.ask(name, current?.topic ?? "", "", begin);
};
$("notify").onclick = async () => {
  await Notification.requestPermission();
  offerNotifications();
};
window.onpopstate = () => {
  const topic = topicOfPath();
  if (rooms.has(topic)) choose(topic);
};
document.onvisibilitychange = () => {
  if (document.hidden || !current) return;
  current.unread = 0;
  draw();
  link.now();
};

const wanted = topicOfPath();
const first = wanted || keep.topics[0] || "lobby";
if (name) begin({ name, topic: first });
else view.ask("", first, "", begin);
