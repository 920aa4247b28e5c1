// The dialogs. Each can be cancelled, by its button and by Escape.

import { topicProblem, userProblem } from "./natter.js";
import { qr } from "./qr.js";
import { $ } from "./sidebar.js";
import { el, toClipboard } from "./text.js";

// Asks for a name, and for a topic unless there is one. `then` returns what is wrong, or
// nothing; meanwhile the dialog stays.
export function askName({ name, topic, why = "" }, then) {
  const dialog = $("join");
  const asksTopic = topic !== undefined;
  $("join-why").textContent = why;
  $("name").value = name;
  $("topic-row").hidden = !asksTopic;
  $("first-topic").required = asksTopic;
  $("first-topic").value = topic ?? "";
  $("join-title").textContent = asksTopic ? "Join the conversation" : "Your name";
  $("join-ok").textContent = asksTopic ? "Join" : "Take this name";
  $("join-cancel").textContent = asksTopic ? "Only read" : "Cancel";
  $("join-form").onsubmit = async (event) => {
    event.preventDefault();
    const answer = { name: $("name").value.trim(), topic: $("first-topic").value.trim() };
    const problem = userProblem(answer.name) ?? (asksTopic ? topicProblem(answer.topic) : null);
    $("join-ok").disabled = true;
    const wrong = problem ?? await then(answer);
    $("join-ok").disabled = false;
    $("join-why").textContent = wrong ?? "";
    if (wrong) $("name").select();
    else dialog.close("taken");
  };
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
    $("copy").textContent = await toClipboard(address) ? "Copied" : "Press Ctrl-C";
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
