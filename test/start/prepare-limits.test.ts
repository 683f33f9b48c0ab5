import { describe, expect, test } from "bun:test";
import type { Config } from "../../src/config/schema.ts";
import { readConfig } from "../../src/config/config.ts";
import { Intervals } from "../../src/limits/intervals.ts";
import { peerTimeoutMax } from "../../src/config/derived.ts";
import { prepareLimits } from "../../src/start/prepare-limits.ts";
import { someMemory } from "../swarm/some-memory.ts";

function configOf(env: Record<string, string>): Config {
  const result = readConfig(env);
  if ("problems" in result) throw new Error(result.problems.join("\n"));
  return result.config;
}

function memoryOf(config: Config) {
  return someMemory({
    peerTimeout: config.peerTimeoutSeconds,
    peerTimeoutMax: peerTimeoutMax(config),
  });
}

test("by default limits are observed, and nothing is refused", () => {
  const config = configOf({});
  const { shared } = prepareLimits(config, memoryOf(config), 2);
  expect(shared.rates.settings).toEqual({ mode: "observe", addressRate: 200, networkRate: 2000 });
  expect(shared.rules.rules).toEqual([]);
  expect(shared.settings).toEqual({
    portMin: 1,
    refuseEarly: false,
    minimumSeconds: 900,
    tickSeconds: 45,
  });
});

test("an announce is early before the shortest interval that clients get", () => {
  const config = configOf({ TRACKER_MIN_INTERVAL: "30m", TRACKER_EARLY_ANNOUNCES: "refuse" });
  const { shared } = prepareLimits(config, memoryOf(config), 1);
  expect(shared.settings).toMatchObject({ minimumSeconds: 1620, refuseEarly: true });
});

describe("if intervals may grow", () => {
  const config = configOf({ TRACKER_TARGET_RATE: "10", TRACKER_INTERVAL_MAX: "2h" });

  test("peers may be kept longer by the same factor, so ticks last longer", () => {
    expect(prepareLimits(config, memoryOf(config), 1).shared.settings.tickSeconds).toBe(180);
  });

  test("the stretch of the load reaches the intervals of all threads", () => {
    const { intervals, load } = prepareLimits(config, memoryOf(config), 1);
    load.update(0, 0);
    load.update(100_000, 100);
    expect(load.stretch).toBeGreaterThan(3.9);
    expect(new Intervals(intervals).draw()).toBeGreaterThan(6000);
    expect(intervals).toMatchObject({ maximum: 7200, perDoubling: 0 });
  });
});
