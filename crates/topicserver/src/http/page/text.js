// Text as it is shown. Everything that others write becomes text nodes, and nothing
// else: no part of it is ever read as HTML.

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/g;
const AFTER_ADDRESS = /[.,:;!?)\]}]+$/;

// An element; what stands in it is text, or other elements.
export function el(name, attributes = {}, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...content);
  return element;
}

// A text, its addresses as links.
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = match[0].replace(AFTER_ADDRESS, "");
    let url;
    try {
      url = new URL(address);
    } catch {
      continue;
    }
    parts.push(text.slice(end, match.index));
    parts.push(el("a", {
      href: url.href, target: "_blank", rel: "noopener noreferrer nofollow",
    }, address));
    end = match.index + address.length;
  }
  parts.push(text.slice(end));
  return parts;
}

// Whether somebody is called by name.
export function mentions(text, name) {
  const called = `@${name}`.toLowerCase();
  const at = text.toLowerCase().indexOf(called);
  if (at < 0) return false;
  const after = text[at + called.length];
  return after === undefined || !/[\p{L}\p{N}_]/u.test(after);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export function timeOf(milliseconds) {
  const date = new Date(milliseconds);
  const attributes = { datetime: date.toISOString(), title: whole.format(date) };
  return el("time", attributes, clock.format(date));
}

export function dayOf(milliseconds) {
  return calendar.format(new Date(milliseconds));
}
