/** Peers in compact form. */
import { expect, test } from "bun:test";

import { readPorts } from "../../src/verbs/tracker-answers.ts";

test("ports are the last two bytes of each peer, whatever the family", () => {
  expect(readPorts(Buffer.from("7f0000011ae1" + "7f0000020050", "hex"), 6)).toEqual([6881, 80]);
  expect(readPorts(Buffer.from("00".repeat(16) + "1ae1", "hex"), 18)).toEqual([6881]);
  expect(readPorts(new Uint8Array(0), 6)).toEqual([]);
});

test("a list of peers that is cut short is refused", () => {
  expect(readPorts(new Uint8Array(7), 6)).toBeUndefined();
  expect(readPorts(new Uint8Array(6), 18)).toBeUndefined();
});
