// Text as it is shown. Everything that others write becomes text nodes, and nothing
// else: no part of it is ever read as HTML.

import { safeText } from "./people.js";

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/g;
const AFTER_ADDRESS = ".,:;!?'\"\u2019\u201d*";
const PAIRS = { ")": "(", "]": "[", "}": "{" };
// A fenced block, or code within a line. Neither looks at a place again and again, whatever
// somebody has written: no message may keep the page busy.
const CODE = /^```[^\S\n]*(?:[\w+#-]+[^\S\n]*)?\n([\s\S]*?)(?:\n```[^\S\n]*(?:\n|$)|$(?![\s\S]))|(?<!`)(`+)(?!`)([^`\n](?:[^\n]{0,2000}?[^`\n])?)\2(?!`)/gm;

// An element; what stands in it is text, or other elements.
export function el(name, attributes = {}, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...content);
  return element;
}

// A button that does something.
export function button(label, onclick, attributes = {}) {
  const element = el("button", { type: "button", ...attributes }, label);
  element.onclick = onclick;
  return element;
}

// A text with its code and its addresses.
export function formatted(text) {
  if (!text.includes("`")) return linked(text);
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(CODE)) {
    parts.push(...linked(text.slice(end, match.index)));
    const [all, fenced, , inline] = match;
    parts.push(fenced === undefined ? el("code", {}, safeText(inline)) : block(fenced));
    end = match.index + all.length;
  }
  return [...parts, ...linked(text.slice(end))];
}

function block(code) {
  const copy = button("Copy", async () => {
    copy.textContent = await toClipboard(code) ? "Copied" : "Select it, and press Ctrl-C";
  }, { class: "copy" });
  // What a keyboard can't reach can't be scrolled by it.
  const pre = el("pre", { tabindex: "0", role: "region", "aria-label": "Code", dir: "ltr" }, el("code", {}, safeText(code)));
  return el("span", { class: "block" }, pre, copy);
}

export async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Only pages of this machine, or over TLS, have a clipboard.
    return false;
  }
}

// Without what stands behind it. Brackets that were opened within an address belong to it.
function trimmed(address) {
  const extra = {};
  for (const letter of address) {
    if (PAIRS[letter]) extra[letter] = (extra[letter] ?? 0) + 1;
    const closing = Object.keys(PAIRS).find((close) => PAIRS[close] === letter);
    if (closing) extra[closing] = (extra[closing] ?? 0) - 1;
  }
  let end = address.length;
  for (;;) {
    const last = address[end - 1];
    if (extra[last] > 0) extra[last] -= 1;
    else if (!AFTER_ADDRESS.includes(last)) return address.slice(0, end);
    end -= 1;
  }
}

function linked(text) {
  if (!text.includes("://")) return text ? [safeText(text)] : [];
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    if (!URL.canParse?.(address) && !isAddress(address)) continue;
    parts.push(safeText(text.slice(end, match.index)));
    parts.push(el("a", {
      href: new URL(address).href, target: "_blank", rel: "noopener noreferrer nofollow", dir: "ltr",
    }, safeText(address)));
    end = match.index + address.length;
  }
  return [...parts, safeText(text.slice(end))];
}

function isAddress(address) {
  try {
    return Boolean(new URL(address));
  } catch {
    return false;
  }
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export function timeOf(milliseconds) {
  const date = new Date(milliseconds);
  const element = el("time", { datetime: date.toISOString() }, clock.format(date));
  // Formatted when somebody looks: it takes longer than all else of a message.
  element.onmouseenter = () => { element.title ||= whole.format(date); };
  return element;
}

// A number that is another one on another day, and the day in words.
export function dayOf(milliseconds) {
  const date = new Date(milliseconds);
  return date.getFullYear() * 10000 + date.getMonth() * 100 + date.getDate();
}
export function dayInWords(milliseconds) { return calendar.format(new Date(milliseconds)); }

export function plural(count, one, many) { return `${count} ${count === 1 ? one : many}`; }
