import { describe, expect, test } from "bun:test";
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_PAUSED,
  EVENT_STARTED,
  EVENT_STOPPED,
} from "../../src/constants.ts";
import { type LimitSettings, Limits } from "../../src/limits/limits.ts";
import { RATE_OK, reserveRateLimits } from "../../src/limits/rate-limits.ts";
import { shareRules } from "../../src/limits/request-rules.ts";
import { readRules } from "../../src/limits/rule-lines.ts";

function limitsWith(changes: Partial<LimitSettings>): Limits {
  return new Limits(0, {
    rates: reserveRateLimits({ mode: "enforce", addressRate: 1, networkRate: 1 }),
    rules: shareRules(readRules("drop port=1").rules, 1),
    settings: {
      portMin: 1024,
      refuseEarly: true,
      minimumSeconds: 900,
      tickSeconds: 45,
      ...changes,
    },
  });
}

test("without shared memory there is no limit", () => {
  const limits = new Limits();
  expect(limits.portMin).toBe(1);
  expect(limits.rules.empty).toBe(true);
  expect(limits.rates.judge(new Uint8Array(4), 0, 4, 0)).toBe(RATE_OK);
  expect(limits.isEarly(0, EVENT_NONE)).toBe(false);
  expect(limits.refusesEarly).toBe(false);
});

test("the parts use the shared memory", () => {
  const limits = limitsWith({});
  expect(limits.portMin).toBe(1024);
  expect(limits.rules.empty).toBe(false);
  expect(limits.rates.enforced).toBe(true);
  expect(limits.refusesEarly).toBe(true);
});

describe("an announce", () => {
  test("is early if that is certain: 19 ticks of 45 seconds are under 900, 20 may not be", () => {
    const limits = limitsWith({});
    expect([0, 19, 20, 60].map((ticks) => limits.isEarly(ticks, EVENT_NONE))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test("is never early if a tick is longer than the minimum", () => {
    expect(limitsWith({ tickSeconds: 901 }).isEarly(0, EVENT_NONE)).toBe(false);
  });

  test("of an unknown peer is not early", () => {
    expect(limitsWith({}).isEarly(-1, EVENT_NONE)).toBe(false);
  });

  test("that starts, stops or completes is not early, a paused one may be", () => {
    const limits = limitsWith({});
    const events = [EVENT_STARTED, EVENT_STOPPED, EVENT_COMPLETED, EVENT_PAUSED];
    expect(events.map((event) => limits.isEarly(1, event))).toEqual([false, false, false, true]);
    expect(events.map((event) => limits.earlyTicksFor(event))).toEqual([0, 0, 0, 20]);
  });

  test("that is only counted as early is stored by the core", () => {
    expect(limitsWith({ refuseEarly: false }).earlyTicksFor(EVENT_NONE)).toBe(0);
    expect(limitsWith({ refuseEarly: false }).isEarly(1, EVENT_NONE)).toBe(true);
  });

  test("leaves the rest of its interval, and time enough that the next one is not early", () => {
    const limits = limitsWith({});
    expect([0, 4, 18, 19].map((ticks) => limits.intervalLeft(1800, ticks))).toEqual([
      1755, 1575, 945, 900,
    ]);
    expect([0, 10, 19].map((ticks) => limits.intervalLeft(900, ticks))).toEqual([900, 450, 45]);
  });
});
