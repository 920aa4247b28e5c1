// The page as a whole: which topics, which of them is shown, and what becomes of what
// comes.

import { drawUnread, notify, offerNotifications } from "./attention.js";
import { read } from "./commands.js";
import { Composer } from "./composer.js";
import { askName, share } from "./dialogs.js";
import { Finder } from "./finder.js";
import { keep, onReadElsewhere } from "./keep.js";
import { TAKES_LOGIN, askLogin, drawLogin, first as firstToken, logIn, logOut, takeToken, who } from "./login.js";
import { CODES, MAX_FRAME, randomText, topicProblem, userProblem } from "./natter.js";
import { Port } from "./port.js";
import { $, drawPeople, drawTopics, showMenu } from "./sidebar.js";
import { newsInWords } from "./timeline.js";
import { Topic } from "./topic.js";

const PEOPLE_EACH = 20000;
// What a frame has beside a message's text and topic.
const FRAME_ROOM = 300;

const topics = new Map();
let current = null;
// The name that the server has granted.
let me = undefined;
let isConnected = false;
let count = 0;
const prefix = randomText(6);
// What was said in this tab, until the server has it: refused messages are not kept.
const said = new Map();

const composer = new Composer($("composer"), $("say"), submit);
const finder = new Finder(() => current?.timeline);

const pathOf = (topic) => `/${encodeURIComponent(topic)}`;

function topicOfPath() {
  try {
    return decodeURIComponent(location.pathname.slice(1));
  } catch {
    return "";
  }
}

// Draws what has changed, once in a frame; also when nobody looks, for the title.
let isDrawing = false;
function draw() {
  if (isDrawing) return;
  isDrawing = true;
  const now = () => {
    if (!isDrawing) return;
    isDrawing = false;
    if (current && isLookedAt(current)) current.markRead();
    drawUnread(drawTopics(topics, current, { choose, leave }), current);
    drawPeople(current, me);
    drawEnd();
  };
  requestAnimationFrame(now);
  setTimeout(now, 200);
}

function isLookedAt(topic) {
  return topic === current && !document.hidden && topic.timeline.isAtEnd;
}

function drawEnd() {
  const timeline = current?.timeline;
  $("to-end").hidden = !timeline || timeline.isAtEnd;
  $("to-end").textContent = newsInWords(timeline?.news ?? 0);
}

// ── what comes ──

const takers = {
  status,
  topic: (state) => {
    const topic = open(state.topic);
    topic.registered(state);
    if (topic === current) topic.load();
    topic.countPeople().then(draw);
  },
  "left-topic": ({ topic }) => close(topic),
  "refused-topic": ({ topic, error }) => {
    const shown = topics.get(topic);
    const refuse = () => {
      close(topic);
      if (shown) problem(`“${topic}” can't be joined: ${error.text}`);
    };
    if (shown && TAKES_LOGIN.includes(error.code)) offerLogin(error.text, refuse);
    else refuse();
  },
  message: (message) => {
    const topic = topics.get(message.topic);
    if (!topic) return;
    const isSeen = isLookedAt(topic);
    if (topic.take(message, isSeen) && !(isSeen && document.hasFocus())) notify(topic, message, () => choose(topic.name));
  },
  said: (line) => topics.get(line.topic)?.timeline.addPending(line),
  ack: ({ id, topic, seq }) => {
    settle(id);
    topics.get(topic)?.acknowledge(id, seq);
  },
  refused: ({ id, topic, error }) => {
    settle(id);
    refuse(topics.get(topic), id, reasonOf(error));
    if (error.code === "unauthenticated") offerLogin(error.text);
  },
  discarded: ({ id, topic }) => topics.get(topic)?.timeline.discard(id),
  gap: (gap) => topics.get(gap.topic)?.gap(gap),
  resumed: (state) => {
    const topic = topics.get(state.topic);
    topic?.resumed(state);
    topic?.countPeople().then(draw);
  },
  joined: (event) => topics.get(event.topic)?.presence(event, true),
  left: (event) => topics.get(event.topic)?.presence(event, false),
  // Why a connection ends to come back, the line above says.
  error: ({ error }) => CODES[error.code] !== "return" && problem(error.text),
  renewed: () => location.reload(),
};

function take(events) {
  for (const event of events) takers[event.is]?.(event);
  draw();
}

function status({ state, user, error, refusal, retryIn }) {
  isConnected = state === "on" || state === "away";
  if (isConnected) {
    me = user;
    if (user !== undefined) keep.name = user;
    offerNotifications();
  }
  $("status").dataset.state = state;
  $("again").hidden = state !== "ended";
  $("again").textContent = error?.code === "replaced" ? "Use it here" : "Try again";
  $("me").textContent = me ?? "reading without a name";
  $("rename").textContent = me === undefined ? "Choose a name" : "Change";
  $("say").placeholder = me === undefined ? "Choose a name to write" : "Write a message";
  $("status-text").textContent = statusInWords(state, error, retryIn);
  if (refusal) askForName(refusal.text);
  if (state === "ended") loginIsOver(error);
  // A browser doesn't say why a WebSocket was refused.
  else if (retryIn !== undefined && login.accounts) who().then((answer) => loginIsOver(answer.error));
}

function statusInWords(state, error, retryIn) {
  if (state === "on") return "Connected";
  if (state === "away") return `Stored nowhere right now: ${error.text}`;
  if (state === "ended") {
    return error?.code === "replaced" ? "This conversation goes on in another window"
      : `Disconnected: ${error?.text ?? "the server has ended it"}`;
  }
  if (retryIn === undefined) return "Connecting";
  const why = CODES[error?.code] ? ` (${error.text})` : "";
  return `Connection lost${why}, trying again in ${Math.max(1, Math.round(retryIn / 1000))} s`;
}

// What a message's refusal means, where the server doesn't say it to people.
const REASONS = {
  "storage-full": "the server's disk is full: those who are here have got it, but it isn't stored",
  "storage-busy": "the server's disk is too slow; it may be stored or not",
  "not-registered": "you have left this topic",
};

const reasonOf = ({ code, text }) => REASONS[code] ?? (code === "too-long" ? `it is too long: ${text}` : text);

function problem(text) {
  if (current) current.timeline.note(text, "note loss");
  else $("nothing-text").textContent = text;
}

// ── topics ──

function open(name) {
  let topic = topics.get(name);
  if (topic) return topic;
  topic = new Topic(name, {
    ask: (...question) => port.ask(...question),
    me: () => me,
    onEnd: () => draw(),
  });
  topics.set(name, topic);
  topic.timeline.isVisible = false;
  $("logs").append(topic.timeline.element);
  keep.topics = [...topics.keys()];
  return topic;
}

function close(name) {
  const topic = topics.get(name);
  if (!topic) return;
  topics.delete(name);
  topic.timeline.close();
  keep.topics = [...topics.keys()];
  keep.forget(name);
  if (topic === current) show([...topics.values()][0] ?? null);
}

function choose(name) {
  const topic = topics.get(name);
  if (topic && topic !== current) show(topic);
  showMenu(false);
  composer.focus();
}

function show(topic) {
  finder.close();
  current?.leaveOff();
  if (current) current.timeline.isVisible = false;
  current = topic;
  $("title").textContent = topic?.name ?? "No topic";
  for (const id of ["share", "leave", "find"]) $(id).disabled = !topic;
  $("nothing").hidden = topic !== null;
  composer.show(topic?.name ?? null);
  if (topic) {
    topic.timeline.isVisible = true;
    topic.load();
    topic.countPeople().then(draw);
    if (topicOfPath() !== topic.name) window.history.pushState(null, "", pathOf(topic.name));
  }
  draw();
}

// Says what is wrong with the name, or nothing.
function join(name) {
  const wrong = topicProblem(name);
  if (wrong) return wrong;
  const isNew = !topics.has(name);
  open(name);
  if (isNew) port.send({ do: "join", topic: name });
  choose(name);
  return null;
}

function leave(name) {
  if (!topics.has(name)) return;
  port.send({ do: "leave", topic: name });
}

function step(by) {
  const names = [...topics.keys()];
  if (names.length === 0) return;
  const at = names.indexOf(current?.name) + by;
  choose(names[(at + names.length) % names.length]);
}

// ── what one says ──

// Whether the text was taken; if not, it stays in the box.
function submit(text) {
  const action = read(text);
  if (action.refuse) return refuseInput(action.refuse);
  if (action.join !== undefined) {
    const wrong = join(action.join);
    return wrong ? refuseInput(wrong) : true;
  }
  if (action.leave !== undefined) {
    const name = action.leave ?? current.name;
    if (!topics.has(name)) return refuseInput(`you aren't in ${name}`);
    leave(name);
    return true;
  }
  if (action.search !== undefined) {
    finder.open(action.search);
    return true;
  }
  if (action.nick !== undefined) {
    rename(action.nick).then((wrong) => wrong && refuseInput(wrong));
    return true;
  }
  if (me === undefined) {
    askForName();
    return false;
  }
  say(action.me === undefined ? action.say : `* ${me} ${action.me}`);
  return true;
}

function refuseInput(why) {
  current.timeline.note(why);
  return false;
}

function say(text) {
  const line = { id: `${prefix}-${count += 1}`, topic: current.name, text };
  current.timeline.addPending(line);
  current.timeline.newAfter = undefined;
  // What can't be sent is refused here, before it can do any harm.
  const bytes = new TextEncoder().encode(JSON.stringify(text) + JSON.stringify(current.name)).length;
  if (bytes > MAX_FRAME - FRAME_ROOM) {
    const most = MAX_FRAME - FRAME_ROOM;
    return refuse(current, line.id, `it is too long: ${bytes} bytes, where ${most} fit into a message`);
  }
  said.set(line.id, line);
  keep.addPending(line);
  port.send({ do: "say", ...line });
  return undefined;
}

function settle(id) {
  said.delete(id);
  keep.removePending(id);
}

function refuse(topic, id, why) {
  const discard = () => {
    topic.timeline.discard(id);
    port.send({ do: "discard", id, topic: topic.name });
  };
  topic?.timeline.refuse(id, why, {
    edit: (text) => {
      discard();
      choose(topic.name);
      composer.edit(text);
    },
    discard,
  });
}

// ── logging in ──

// Whoever one was logged in as is somebody else, or nobody, now.
async function offerLogin(why, otherwise = () => {}) {
  if (await askLogin(why)) port.send({ do: "renew" });
  else otherwise();
}

function loginIsOver(error) {
  if (!TAKES_LOGIN.includes(error?.code)) return;
  offerLogin(error.text, async () => {
    if (error.code === "name-reserved") keep.name = "";
    await logOut();
    port.send({ do: "renew" });
  });
}

// On a machine of several people, the next one finds nothing.
async function leaveAll() {
  const { error } = await logOut();
  if (error) return problem(error.text);
  keep.clear();
  return port.send({ do: "renew" });
}

// A link's token doesn't take the place of a login without a question: whoever has made the
// link would read what is said then.
async function useLink(token, { authenticated } = {}) {
  if (authenticated) return askLogin("You are logged in already. Log in with the token of this link instead?", token);
  const { error } = await logIn("", token);
  return error ? askLogin(error.text) : true;
}

// ── names ──

// Says what is wrong, or nothing: until the server has granted it, the old name stays.
async function rename(name) {
  const wrong = userProblem(name);
  if (wrong) return wrong;
  try {
    await port.ask("rename", name);
    keep.name = name;
    return null;
  } catch (error) {
    return error.text ?? String(error);
  }
}

function askForName(why = "") {
  showMenu(false);
  askName({ name: me ?? keep.name, why }, async ({ name }) => {
    const wrong = await rename(name);
    if (!wrong) composer.focus();
    return wrong;
  });
}

// ── what a person does ──

$("add").onsubmit = (event) => {
  event.preventDefault();
  const name = $("add-name").value.trim();
  const wrong = name ? join(name) : null;
  $("add-wrong").textContent = wrong ?? "";
  if (wrong) return;
  $("add-name").value = "";
  draw();
};
$("add-name").oninput = () => {
  $("add-wrong").textContent = "";
  draw();
};
$("add-name").onfocus = async () => {
  try {
    const list = await port.ask("list");
    $("known").replaceChildren(...list.map(({ topic }) => Object.assign(document.createElement("option"), { value: topic })));
  } catch {
    // It can be typed as well.
  }
};
document.onkeydown = (event) => {
  if (event.key === "Escape") {
    showMenu(false);
    finder.close();
  } else if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    step(event.key === "ArrowDown" ? 1 : -1);
  }
};
$("menu").onclick = () => showMenu(!$("side").classList.contains("open"));
$("share").onclick = () => current && share(location.origin + pathOf(current.name));
$("leave").onclick = () => current && leave(current.name);
$("rename").onclick = () => askForName();
$("again").onclick = () => port.send({ do: "again" });
$("to-end").onclick = () => {
  current?.timeline.jumpToEnd();
  composer.focus();
};
window.onpopstate = () => choose(topicOfPath());
addEventListener("hashchange", async () => {
  const token = takeToken();
  if (token && await useLink(token, await who())) port.send({ do: "renew" });
});
addEventListener("online", () => port?.send({ do: "retry" }));
document.onvisibilitychange = () => {
  if (!document.hidden) {
    port?.send({ do: "retry" });
    current?.countPeople().then(draw);
  } else current?.leaveOff();
  draw();
};
onReadElsewhere((name) => {
  topics.get(name)?.readElsewhere();
  draw();
});
setInterval(() => {
  if (isConnected && current && !document.hidden) current.countPeople().then(draw);
}, PEOPLE_EACH);

// ── begin ──

let port;

function begin(name, first, isNew) {
  const known = keep.topics.filter((topic) => topicProblem(topic) === null);
  for (const topic of first ? [...known, first] : known) open(topic);
  port = new Port(() => ({
    user: name, client: keep.client, topics: [...topics.keys()], pending: keep.pending, isNew,
  }), take);
  isNew = false;
  const topic = topics.get(first) ?? [...topics.values()][0] ?? null;
  current = undefined;
  show(topic);
  composer.focus();
}

const wanted = topicOfPath();
const badTopic = wanted ? topicProblem(wanted) : null;
const first = (badTopic ? "" : wanted) || keep.topics.find((topic) => topicProblem(topic) === null) || "lobby";
if (userProblem(keep.name) !== null) keep.name = "";

let login = await who();
let isNew = false;
if (firstToken) isNew = await useLink(firstToken, login);
else if (TAKES_LOGIN.includes(login.error?.code)) {
  isNew = await askLogin(login.error.text);
  if (!isNew) await logOut();
}
if (isNew || login.error) login = await who();
drawLogin(login, (isMember) => (isMember ? leaveAll() : offerLogin()));

if (keep.name) begin(keep.name, first, isNew);
else {
  let hasBegun = false;
  askName({ name: login.authenticated?.user ?? "", topic: first, why: badTopic ?? "" }, async ({ name, topic }) => {
    hasBegun = true;
    begin(name, topic, isNew);
    return null;
  });
  // Who gives no name only reads.
  $("join").addEventListener("close", () => {
    if (!hasBegun) begin(undefined, first, isNew);
  }, { once: true });
}
