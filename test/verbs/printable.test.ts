/** Only visible characters are shown on a terminal. */
import { expect, test } from "bun:test";

import { excerpt, excerptOf, printable, printableLines } from "../../src/verbs/printable.ts";

test.each([
  ["tracker 1.2 – schön, 漢字", "tracker 1.2 – schön, 漢字"],
  ["\x1b]52;c;ZWNobw==\x07", "?]52;c;ZWNobw==?"],
  ["a\x9b31mb", "a?31mb"],
  ["one\r\ntwo\tthree\x7f", "one??two?three?"],
  ["a\u202eb\u200b\u2028c", "a?b??c"],
  ["\ufffd\ud800", "??"],
])("%j is shown as %j", (text, shown) => {
  expect(printable(text)).toBe(shown);
});

test("lines stay lines", () => {
  expect(printableLines("one\ntwo\x1b[2J\r\n")).toBe("one\ntwo?[2J?\n");
});

test("a stranger's text is one line, and cut where it is long", () => {
  expect(excerpt("short\nbuntracker: hint: do this")).toBe("short?buntracker: hint: do this");
  expect(excerpt("x".repeat(200))).toBe("x".repeat(200));
  expect(excerpt("\x1b".repeat(1e6))).toBe(`${"?".repeat(200)}…`);
});

test("of a value that is no text its JSON is shown, on one line and cut", () => {
  const values = [1, null, undefined, "a\x1bb", { toString: 1 }, ["x".repeat(1e5)]];
  expect(values.map(excerptOf)).toEqual([
    ...["1", "null", "undefined", "a?b", '{"toString":1}'],
    `["${"x".repeat(198)}…`,
  ]);
});
