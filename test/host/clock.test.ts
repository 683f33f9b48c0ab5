/** The clock never runs backwards, and can be aligned with that of another thread. */
import { afterAll, describe, expect, test } from "bun:test";

import { alignClock, now, WallClock } from "../../src/host/clock.ts";

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

describe("the wall clock", () => {
  /** A machine whose wall clock shows `wall` at the start of the process. */
  function machine(wall: number) {
    const time = { wall, own: 0 };
    const clock = new WallClock(
      () => time.wall,
      () => time.own,
    );
    const pass = (seconds: number, set = 0): void => {
      time.wall += seconds + set;
      time.own += seconds;
    };
    return { clock, pass };
  }

  test("that is set after the start moves all times that were before", () => {
    const { clock, pass } = machine(42);
    pass(100);
    expect([clock.at(0), clock.at(90)]).toEqual([42, 132]);
    pass(5, 1_800_000_000);
    expect([clock.at(0), clock.at(90), clock.at(105)]).toEqual([
      1_800_000_042, 1_800_000_132, 1_800_000_147,
    ]);
    pass(5, -1_000_000_000);
    expect(clock.at(0)).toBe(800_000_042);
  });

  test("that is corrected by less than a second moves no time, as a restart would", () => {
    const { clock, pass } = machine(1_700_000_000);
    const starts = [0.1, -0.25, 0.3, 0.01, -0.4].map((set) => {
      pass(60, set);
      return clock.at(0);
    });
    expect(new Set(starts).size).toBe(1);
  });

  test("of this machine shows the present", () => {
    const clock = new WallClock(undefined, () => performance.now() / 1000);
    expect(Math.abs(clock.at(performance.now() / 1000) - Date.now() / 1000)).toBeLessThan(0.5);
  });
});
