/** The clock runs forward and can be made to agree with another thread's. */
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

test("an aligned clock goes on from what the other one showed", () => {
  alignClock(1_000_000);
  expect(now()).toBeGreaterThanOrEqual(1_000_000);
  expect(now()).toBeLessThan(1_000_005);
});
