/** The proofs of verbs and tracker: equal for equal tokens, and each valid for one use only. */
import { expect, test } from "bun:test";

import { isSameMac, MAC_DIGITS, Proof } from "../../src/admin/proof.ts";

const proof = new Proof("correct-horse-battery");

test("the same token makes the same proofs, another token others", () => {
  const same = new Proof("correct-horse-battery");
  const other = new Proof("correct-horse-batterx");
  for (const make of [
    (by: Proof) => by.ofTracker("aa", "bb"),
    (by: Proof) => by.ofRequest("aa", "bb", "PUT", "/maintenance"),
    (by: Proof) => by.ofAnswer("cc", 200, "done\n"),
  ]) {
    expect(make(proof)).toMatch(new RegExp(`^[0-9a-f]{${MAC_DIGITS}}$`));
    expect(make(same)).toBe(make(proof));
    expect(make(other)).not.toBe(make(proof));
  }
});

test("no part of a request or an answer can be changed or moved into another", () => {
  const macs = [
    proof.ofTracker("aa", "bb"),
    proof.ofTracker("aab", "b"),
    proof.ofTracker("bb", "aa"),
    proof.ofRequest("aa", "bb", "PUT", "/maintenance"),
    proof.ofRequest("aa", "bb", "DELETE", "/maintenance"),
    proof.ofRequest("aa", "bb", "PUT", "/access/deny/00"),
    proof.ofRequest("aa", "bb", "PUT/", "maintenance"),
    proof.ofRequest("aa", "bc", "PUT", "/maintenance"),
    proof.ofAnswer("aa", 200, "done"),
    proof.ofAnswer("aa", 500, "done"),
    proof.ofAnswer("aa", 200, "not done"),
    proof.ofAnswer("bb", 200, "done"),
  ];
  expect(new Set(macs).size).toBe(macs.length);
});

test("MACs are the same only if all characters are", () => {
  expect(isSameMac("ab", "ab")).toBe(true);
  for (const shown of ["", "a", "abc", "AB", "ac"]) expect(isSameMac(shown, "ab")).toBe(false);
});
