/** Bencode of strangers: a value, or undefined, and never an exception. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { readBencode } from "../../src/verbs/bencode-reader.ts";

const readWhole = (text: string) => readBencode(Buffer.from(text, "latin1"));
const read = (text: string) => readWhole(text)?.value;

test("integers, strings, lists and dictionaries are read", () => {
  expect(read("i-42e")).toBe(-42);
  expect(read("3:a\xff\x00")).toBe("a\xff\x00");
  expect(read("li1e0:e")).toEqual([1, ""]);
  expect(read("d1:bi1e1:ale1:cdee")).toEqual(
    new Map<string, unknown>([
      ["b", 1],
      ["a", []],
      ["c", new Map()],
    ]) as never,
  );
});

test.each([
  "",
  "i",
  "ie",
  "i01e",
  "i-0e",
  "i1",
  "2:a",
  "99999999999:a",
  "l",
  "li1e",
  "d1:a",
  "di1ei2ee",
])("%j is not a value", (text) => {
  expect(read(text)).toBeUndefined();
});

test.each([
  ["d1:ai1e1:bi2ee", true],
  ["d1:bi1e1:ai2ee", false],
  ["d1:ai1e1:ai2ee", false],
  ["d1:ad1:bi1e1:ai2eee", false],
  ["ld1:bi1e1:ai2eee", false],
  // Bytes decide, and a key before one that begins with it.
  ["d1:ai1e2:aai2e1:\x80i3e1:\xffi4ee", true],
  ["d2:aai1e1:ai2ee", false],
  ["i1e", true],
])("%j has keys in order: %p", (text, sorted) => {
  expect(readWhole(text)?.sorted).toBe(sorted);
});

test("bytes behind the value and endless lists are refused", () => {
  expect(read("i1ei2e")).toBeUndefined();
  expect(read("l".repeat(100_000))).toBeUndefined();
});

test("no bytes throw", () => {
  const anything = fc.array(fc.constantFrom(..."ilde0123:9-a"), { maxLength: 40 });
  fc.assert(
    fc.property(anything, (characters) => {
      read(characters.join(""));
    }),
  );
});
