/** What the log says of other trackers is bounded, and what is left out is counted. */
import { expect, test } from "bun:test";
import { OtherLines } from "../../src/cluster/other-lines.ts";

test("a cluster of 64 trackers is said whole, and the next line is counted", () => {
  const lines = new OtherLines();
  for (let line = 0; line < 64; line++) expect(lines.may(10)).toBe(true);
  expect(lines.takeLeftOut(10)).toBe(0);
  expect(lines.may(10)).toBe(false);
  expect(lines.takeLeftOut(10)).toBe(1);
});

test("a flood of changes gets 20 lines a minute, and one that says how many were left out", () => {
  const lines = new OtherLines();
  let [said, leftOut, told] = [0, 0, 0];
  for (let now = 100; now < 100 + 3600; now++) {
    for (let change = 0; change < 84; change++) said += lines.may(now) ? 1 : 0;
    const count = lines.takeLeftOut(now);
    leftOut += count;
    told += count > 0 ? 1 : 0;
  }
  expect(said).toBeLessThanOrEqual(64 + 60 * 20);
  expect(said).toBeGreaterThan(60 * 20);
  expect(told).toBe(60);
  leftOut += lines.takeLeftOut(1e6);
  expect(said + leftOut).toBe(3600 * 84);
});

test("restarts of one tracker after the other are all said", () => {
  const lines = new OtherLines();
  // Each ends, and is heard again: 64 trackers, seven seconds apart.
  for (let now = 0; now < 64 * 7; now += 7)
    expect([lines.may(now), lines.may(now)]).toEqual([true, true]);
  expect(lines.takeLeftOut(1000)).toBe(0);
});
