import { expect, test } from "bun:test";
import { readU32, writeU32 } from "../../src/net/words.ts";

test("a number is read in network order, and is never negative", () => {
  const bytes = Uint8Array.of(9, 0x01, 0x02, 0x03, 0x04, 0xff, 0xff, 0xff, 0xfe);
  expect(readU32(bytes, 1)).toBe(0x01020304);
  expect(readU32(bytes, 5)).toBe(0xfffffffe);
});

test("a number is written at its offset only", () => {
  const bytes = new Uint8Array(6).fill(7);
  writeU32(bytes, 1, 0xfedcba98);
  expect([...bytes]).toEqual([7, 0xfe, 0xdc, 0xba, 0x98, 7]);
  writeU32(bytes, 1, -1);
  expect(readU32(bytes, 1)).toBe(0xffffffff);
});
