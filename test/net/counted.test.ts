/** Amounts with their nouns. */
import { expect, test } from "bun:test";
import { counted } from "../../src/net/counted.ts";

test("one is singular, and all others are plural", () => {
  const shown = [0, 1, 2].map((amount) => counted(amount, "peer"));
  expect(shown).toEqual(["0 peers", "1 peer", "2 peers"]);
  expect(counted(1200, "swarm", (amount) => amount.toLocaleString("en"))).toBe("1,200 swarms");
});
