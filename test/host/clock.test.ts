/** The clock never runs backwards, and can be aligned with that of another thread. */
import { afterAll, expect, test } from "bun:test";

import { alignClock, now } from "../../src/host/clock.ts";

afterAll(() => alignClock(performance.now() / 1000));

test("the clock shows seconds since the start of the process", async () => {
  const before = now();
  expect(before).toBeGreaterThan(0);
  expect(Math.abs(before - performance.now() / 1000)).toBeLessThan(0.5);
  await Bun.sleep(20);
  expect(now() - before).toBeGreaterThan(0.015);
  expect(now() - before).toBeLessThan(5);
});

test("the clock never runs backwards", () => {
  let last = now();
  for (let i = 0; i < 10_000; i++) {
    const next = now();
    expect(next >= last).toBe(true);
    last = next;
  }
});

test("an aligned clock continues from the time of the other one", () => {
  alignClock(1_000_000);
  expect(now()).toBeGreaterThanOrEqual(1_000_000);
  expect(now()).toBeLessThan(1_000_005);
});
