import { expect, test } from "bun:test";
import { readConfig } from "../../src/config/config.ts";
import {
  connectionsPerAddressMax,
  loadSettings,
  memoryNeeded,
  peerTimeoutMax,
  shortestInterval,
  swarmsPerAddressMax,
  webSocketLimits,
} from "../../src/config/derived.ts";
import type { Config } from "../../src/config/schema.ts";

function configOf(env: Record<string, string>): Config {
  const result = readConfig(env);
  if ("problems" in result) throw new Error(result.problems.join("\n"));
  return result.config;
}

test("the longest peer timeout follows the longest interval", () => {
  expect(peerTimeoutMax(configOf({}))).toBe(2700);
  const config = configOf({ TRACKER_TARGET_RATE: "10", TRACKER_INTERVAL_MAX: "2h" });
  expect(loadSettings(config)).toMatchObject({ targetRate: 10, intervalMax: 7200 });
  expect(peerTimeoutMax(config)).toBe(10_800);
});

test("the shortest interval is the minimum, unless jitter makes the interval shorter", () => {
  expect(shortestInterval(configOf({}))).toBe(900);
  expect(shortestInterval(configOf({ TRACKER_MIN_INTERVAL: "30m" }))).toBe(1620);
  const five = { TRACKER_INTERVAL: "5m", TRACKER_MIN_INTERVAL: "5m" };
  expect(shortestInterval(configOf(five))).toBe(300);
});

test("an address may begin swarms for a twelfth of the memory, or the number set", () => {
  expect(swarmsPerAddressMax(configOf({ TRACKER_MEMORY_MAX: "64MiB" }))).toBe(131_072);
  expect(swarmsPerAddressMax(configOf({ TRACKER_SWARMS_PER_ADDRESS_MAX: "99999" }))).toBe(99_999);
});

test("the memory that may be taken is that of swarms, program and workers", () => {
  const mebibytes = (env: Record<string, string>) => memoryNeeded(configOf(env)) / 2 ** 20;
  const memory = { TRACKER_MEMORY_MAX: "64MiB" };
  expect(mebibytes({ ...memory, TRACKER_UDP_WORKERS: "0" })).toBe(124);
  const many = { TRACKER_UDP_WORKERS: "10", TRACKER_UDP_ADDRESS: "127.0.0.1:1,127.0.0.1:2" };
  expect(mebibytes({ ...memory, ...many })).toBe(230);
  const http = { TRACKER_UDP_WORKERS: "0", TRACKER_HTTP_WORKERS: "2" };
  expect(mebibytes({ ...memory, ...http })).toBeCloseTo(134.6);
  expect(mebibytes({ ...memory, ...http, TRACKER_HTTP_ADDRESS: "" })).toBe(124);
});

test("at least sixteen addresses are needed to hold all HTTP connections", () => {
  expect(connectionsPerAddressMax(65_536)).toBe(4096);
  expect(connectionsPerAddressMax(100)).toBe(64);
});

test("at least four IPv6 /48 are needed to hold all WebSockets, if there are many", () => {
  const perSite = (connections: number) => webSocketLimits(configOf({}), connections).perSiteMax;
  expect(perSite(65_536)).toBe(8192);
  expect(perSite(100)).toBe(64);
});
