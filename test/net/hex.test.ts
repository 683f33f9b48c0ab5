import { expect, test } from "bun:test";
import { HEX_VALUES } from "../../src/net/hex.ts";

test("every character has the value of its digit, or -1", () => {
  for (let code = 0; code <= 0xffff; code++) {
    const character = String.fromCharCode(code);
    const value = /^[0-9a-fA-F]$/.test(character) ? Number.parseInt(character, 16) : -1;
    if (HEX_VALUES[code] !== value) expect([code, HEX_VALUES[code]]).toEqual([code, value]);
  }
  expect(HEX_VALUES).toHaveLength(0x10000);
});
