import { expect, test } from "bun:test";
import { decodeStrictly } from "./bencode.ts";

function decode(text: string) {
  return decodeStrictly(Buffer.from(text, "latin1"));
}

test("the decoder of the tests reads every kind of value", () => {
  expect(decode("d1:ai-3e1:bl0:2:xyi0eee")).toEqual({ a: -3, b: ["", "xy", 0] });
});

test.each([
  ["keys out of order", "d1:bi1e1:ai1ee"],
  ["a repeated key", "d1:ai1e1:ai1ee"],
  ["a leading zero", "i01e"],
  ["minus zero", "i-0e"],
  ["an empty integer", "ie"],
  ["a length with a leading zero", "01:a"],
  ["a string cut short", "3:ab"],
  ["a list without an end", "li1e"],
  ["bytes behind the value", "i1ei2e"],
  ["nothing", ""],
  ["21 lists in each other", "l".repeat(21) + "e".repeat(21)],
])("the decoder of the tests refuses %s", (_, text) => {
  expect(() => decode(text)).toThrow();
});
