import { describe, expect, test } from "bun:test";
import type { Config } from "../../src/config/schema.ts";
import { readConfig } from "../../src/config/config.ts";
import { COUNT, counterMemory, Counters } from "../../src/counters/counters.ts";
import { Intervals } from "../../src/limits/intervals.ts";
import {
  loadSettings,
  peerTimeoutMax,
  prepareLimits,
  startFollowingLoad,
} from "../../src/start/prepare-limits.ts";
import { Load, stretchMemory } from "../../src/limits/load.ts";
import { POOL_PEER_LIFETIME, reserveSwarmMemory } from "../../src/swarm/memory.ts";

function configOf(env: Record<string, string>): Config {
  const result = readConfig(env);
  if ("problems" in result) throw new Error(result.problems.join("\n"));
  return result.config;
}

function memoryOf(config: Config) {
  return reserveSwarmMemory({
    memoryMax: 16 * 2 ** 20,
    peerTimeout: config.peerTimeoutSeconds,
    peerTimeoutMax: peerTimeoutMax(config),
    downloadsTimeout: 3600,
    threads: false,
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

test("an announce is early by the shortest interval that clients are told", () => {
  const config = configOf({ TRACKER_MIN_INTERVAL: "30m", TRACKER_EARLY_ANNOUNCES: "refuse" });
  const { shared } = prepareLimits(config, memoryOf(config), 1);
  expect(shared.settings).toMatchObject({ minimumSeconds: 1620, refuseEarly: true });
});

describe("where intervals may grow", () => {
  const config = configOf({ TRACKER_TARGET_RATE: "10", TRACKER_INTERVAL_MAX: "2h" });

  test("peers may be kept longer by as much, in ticks that last as long", () => {
    expect(peerTimeoutMax(config)).toBe(10_800);
    expect(prepareLimits(config, memoryOf(config), 1).shared.settings.tickSeconds).toBe(180);
    expect(peerTimeoutMax(configOf({}))).toBe(2700);
  });

  test("the stretch of the load reaches the intervals of all threads", () => {
    const { intervals, load } = prepareLimits(config, memoryOf(config), 1);
    load.update(0, 0);
    load.update(100_000, 100);
    expect(load.stretch).toBeGreaterThan(3.9);
    expect(new Intervals(intervals).draw()).toBeGreaterThan(6000);
    expect(intervals).toMatchObject({ maximum: 7200, perDoubling: 0 });
  });

  test("the load is measured every second, and peers are then kept longer", async () => {
    const memory = memoryOf(config);
    const load = new Load(loadSettings(config), stretchMemory());
    const counters = new Counters(counterMemory(1), 0);
    const lifetime = () => new Int32Array(memory.shards)[POOL_PEER_LIFETIME];
    expect(lifetime()).toBe(15);
    startFollowingLoad(load, counters, memory);
    counters.row[COUNT.udpAnnouncesIpv4] += 100_000;
    counters.row[COUNT.httpAnnouncesIpv6] += 100_000;
    await Bun.sleep(1100);
    expect(load.rate).toBeGreaterThan(1000);
    expect(lifetime()).toBeGreaterThan(15);
  });

  test("who comes early, or is over a rate limit, lengthens nobody's interval", async () => {
    const load = new Load(loadSettings(config), stretchMemory());
    const counters = new Counters(counterMemory(1), 0);
    startFollowingLoad(load, counters, memoryOf(config));
    counters.row[COUNT.udpAnnouncesIpv4] += 100_000;
    counters.row[COUNT.udpEarly] += 300_000;
    counters.row[COUNT.udpRefusedEarly] += 200_000;
    counters.row[COUNT.httpAnnouncesIpv6] += 50_000;
    counters.row[COUNT.httpOverRateAnnounces] += 50_000;
    await Bun.sleep(1100);
    expect(load.rate).toBe(0);
    expect(load.stretch).toBe(1);
  });
});
