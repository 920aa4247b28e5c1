// Names: how they are shown, and whether one is mentioned. The terminal does the same.

// Control characters, separators, what turns the direction of writing, and what has no width.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\u180e\u200b\u2060-\u2064\ufeff]/gu;
const UNSAFE_IN_TEXT = new RegExp(UNSAFE.source.replace("\\u0000-\\u001f", "\\u0000-\\u0008\\u000b-\\u001f"), "gu");
// What has no shape of its own. In a text it joins emoji, and the letters of some scripts.
const INVISIBLE = /[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2065\u206a-\u206f\u3164\ufe00-\ufe0f\uffa0\u{e0000}-\u{e0fff}]/gu;

const SHORT = { "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
// As JSON writes it: a character beyond U+FFFF is two of them.
const escape = (found) => SHORT[found]
  ?? Array.from({ length: found.length }, (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`).join("");

// A text in which nothing acts on what stands around it. Line breaks and tabs stay.
export function safeText(text) { return text.replace(UNSAFE_IN_TEXT, escape); }

// A name in which what can't be seen is shown: names that look the same are the same.
export function safeName(name) { return name.replace(UNSAFE, escape).replace(INVISIBLE, escape); }

const SCRIPTS = ("Latin Cyrillic Greek Han Hiragana Katakana Hangul Bopomofo Arabic Hebrew Thai "
  + "Devanagari Bengali Tamil Telugu Armenian Georgian Ethiopic Khmer Lao Myanmar Tibetan Cherokee "
  + "Gujarati Gurmukhi Kannada Malayalam Sinhala Mongolian Syriac Thaana Canadian_Aboriginal "
  + "Coptic Gothic Deseret Lisu").split(" ");
// What East Asian languages write together.
const TOGETHER = [["Latin", "Han", "Hiragana", "Katakana"], ["Latin", "Han", "Hangul"], ["Latin", "Han", "Bopomofo"]];
const only = (scripts) => new RegExp(`^[${[...scripts, "Common", "Inherited"].map((s) => `\\p{scx=${s}}`).join("")}]*$`, "u");
const ALONE = [...SCRIPTS.map((script) => [script]), ...TOGETHER].map(only);
const KNOWN = new RegExp(`[${SCRIPTS.map((s) => `\\p{sc=${s}}`).join("")}]`, "u");

// The letters are of scripts that nobody writes together, so that the name may look like
// another one.
export const isMixed = remembered((name) => !/^[\u0000-\u007f]*$/.test(name)
  && KNOWN.test(name) && !ALONE.some((fits) => fits.test(name)));

// What words are made of.
const WORD = "\\p{Alphabetic}\\p{N}_";

// Whether somebody is mentioned: the name as a word, with or without @, in upper or lower
// case, and never as a part of a longer one. docs/mentions.md has the rule.
export function mentions(text, name) {
  return Boolean(name) && wordOf(name).test(text.toLowerCase());
}

const wordOf = remembered((name) => {
  const quoted = name.toLowerCase().replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  // After a @ that ends a word, it is an address. A dot or a hyphen behind it belongs to a
  // longer name only if that goes on.
  return new RegExp(`(?<![${WORD}.-]|[${WORD}.-]@)${quoted}(?![${WORD}]|[.-][${WORD}])`, "u");
});

// A function of a name that is worked out once for the names that are seen.
function remembered(work) {
  const known = new Map();
  return (name) => {
    if (!known.has(name)) {
      if (known.size > 1000) known.clear();
      known.set(name, work(name));
    }
    return known.get(name);
  };
}

const COLORS = 12;

// A class for the name's color, the same for everybody.
export function colorOf(name) {
  // FNV-1a, whose last bits differ for names that differ by a letter.
  let hash = 2166136261;
  for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 16777619);
  return `c${((hash ^ (hash >>> 15)) >>> 0) % COLORS}`;
}
