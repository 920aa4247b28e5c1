// The library stays small: under 600 lines of code.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const MOST_LINES = 600;

// The lines that hold more than space and a comment.
function linesOfCode(source) {
  return source.split("\n").filter((line) => !/^\s*(\/\/.*)?$/.test(line)).length;
}

test("the library has fewer lines than it may have", () => {
  const count = linesOfCode(readFileSync(new URL("../natter.js", import.meta.url), "utf8"));
  assert.ok(count > 100 && count < MOST_LINES, `natter.js has ${count} lines of code`);
});

test("comments are no code", () => {
  assert.equal(linesOfCode("// a\n\n  // b\nlet c; // d\n\"//\";\n"), 2);
});
