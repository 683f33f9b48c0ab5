import { expect, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { PAGE_SIZE, SHARD_COUNT, SHARD_TOTALS, SHARD_WORDS } from "../../src/swarm/memory.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { MIB, PEER_TIMEOUT, announce, complete, makeTracker, sweepRound } from "./fixture.ts";

test("an empty core holds nothing, and page 0", () => {
  const { memory } = makeTracker(16 * MIB);
  expect(takeCensus(memory)).toMatchObject({
    swarms: 0,
    seedersIpv4: 0,
    leechersIpv4: 0,
    seedersIpv6: 0,
    leechersIpv6: 0,
    downloads: 0,
    peersExpired: 0,
    peersNotStored: [0, 0, 0, 0, 0],
    memoryUsed: PAGE_SIZE,
  });
  expect(takeCensus(memory).memoryMax).toBeLessThanOrEqual(16 * MIB);
  expect(takeCensus(memory).memoryMax).toBeGreaterThan(15.9 * MIB);
});

test("peers are told apart by family and role, over all shards", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  for (let infoHash = 0; infoHash < 100; infoHash++) {
    complete(tracker, { infoHash, peer: 1 });
    for (const peer of [2, 3]) announce(tracker, { infoHash, peer });
    for (const peer of [4, 5, 6]) announce(tracker, { infoHash, peer, family: 6, seeder: true });
    for (const peer of [7, 8, 9, 10]) announce(tracker, { infoHash, peer, family: 6 });
  }
  const full = {
    swarms: 100,
    seedersIpv4: 100,
    leechersIpv4: 200,
    seedersIpv6: 300,
    leechersIpv6: 400,
    seeders: 400,
    leechers: 600,
    peers: 1000,
    downloads: 100,
  };
  expect(takeCensus(memory)).toMatchObject({ ...full, peersExpired: 0 });
  for (let infoHash = 0; infoHash < 100; infoHash++) {
    announce(tracker, { infoHash, peer: 1, seeder: false });
    announce(tracker, { infoHash, peer: 7, family: 6, seeder: true });
    announce(tracker, { infoHash, peer: 8, family: 6, event: "stopped" });
  }
  expect(takeCensus(memory)).toMatchObject({
    seedersIpv4: 0,
    leechersIpv4: 300,
    seedersIpv6: 400,
    leechersIpv6: 200,
  });
  sweepRound(new Sweep(tracker.store), PEER_TIMEOUT + 20);
  expect(takeCensus(memory)).toMatchObject({
    swarms: 100,
    seedersIpv4: 0,
    leechersIpv4: 0,
    seedersIpv6: 0,
    leechersIpv6: 0,
    downloads: 100,
    peersExpired: 900,
  });
});

test("memory in use is pages and tables", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  announce(tracker, {});
  expect(takeCensus(memory).memoryUsed).toBe(2 * PAGE_SIZE + 64 * 4);
});

test("what only grows does not stop, nor turn negative, where a word of 32 bits would", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  const totals = new Float64Array(memory.totals).fill(2 ** 32 - 1);
  for (let peer = 1; peer <= 2; peer++) {
    announce(tracker, { peer });
    complete(tracker, { peer });
  }
  const before = SHARD_COUNT * (2 ** 32 - 1);
  expect(takeCensus(memory)).toMatchObject({ downloads: before + 2, peersExpired: before });
  sweepRound(new Sweep(tracker.store), PEER_TIMEOUT + 20);
  expect(takeCensus(memory)).toMatchObject({ downloads: before + 2, peersExpired: before + 2 });
  expect(totals.length).toBe(SHARD_COUNT * SHARD_TOTALS);
  expect(new Int32Array(memory.shards).length).toBe((SHARD_COUNT + 1) * SHARD_WORDS);
});
