/** Some seeds of the simulation; `make simulate` runs thousands. */
import { expect, test } from "bun:test";
import { simulate } from "./simulate.ts";

/** A seed of today, so that each day tries others; a failure names it. */
const FIRST = 1000 * Math.floor(Date.now() / 86_400_000);
const SEEDS = 30;

test("trackers that lose, repeat, delay and cut messages, and are killed, end with the same peers", () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++)
    expect([seed, simulate(seed)]).toEqual([seed, []]);
}, 120_000);

/** Each was a fault once: see the comments of ledger.ts. */
test.each([129, 171, 231, 375, 769])("so does seed %i, which did not", (seed) => {
  expect(simulate(seed)).toEqual([]);
});
