/** Some seeds of the simulation; `make simulate` runs thousands. */
import { expect, test } from "bun:test";
import { simulate } from "./simulate.ts";

const SEEDS = 40;

test("trackers that lose and delay messages, and are killed, end with the same peers", () => {
  for (let seed = 1; seed <= SEEDS; seed++)
    expect([seed, simulate(seed).faults]).toEqual([seed, []]);
}, 120_000);

/** Each was a fault once: see the comments of ledger.ts and taking.ts. */
test.each([6, 129, 171, 231, 375, 399, 490, 738])("so does seed %i, which did not", (seed) => {
  expect(simulate(seed).faults).toEqual([]);
});
