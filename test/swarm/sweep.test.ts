import { expect, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { reserveSwarmMemory, setPeerTimeout, SHARD_COUNT } from "../../src/swarm/memory.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { announce, infoHashesOfOneShard, makeTracker, MIB } from "./fixture.ts";
import { PEER_TIMEOUT, sweepRound, trackerOver } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

test("a round visits every swarm, however small its slices", () => {
  for (const units of [0.1, 1, 7, 2000]) {
    const { tracker, memory } = makeTracker(16 * MIB);
    for (let i = 0; i < 3000; i++) {
      announce(tracker, { infoHash: i % 900, peer: i, family: i % 2 === 0 ? 4 : 6 });
    }
    sweepRound(new Sweep(tracker), PEER_TIMEOUT + 20, units);
    expect(takeCensus(memory)).toMatchObject({ swarms: 0, peersExpired: 3000 });
    expect(brokenInvariants(tracker)).toEqual([]);
  }
});

test("a round leaves alone who is not old enough", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  for (let i = 0; i < 3000; i++) announce(tracker, { infoHash: i % 900, peer: i }, i / 100);
  sweepRound(new Sweep(tracker), PEER_TIMEOUT);
  expect(takeCensus(memory)).toMatchObject({ swarms: 900, peersExpired: 0 });
});

test("a slice does about as much as it is told to, and goes on where it stopped", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  const infoHashes = infoHashesOfOneShard(tracker, 500);
  for (const infoHash of infoHashes) announce(tracker, { infoHash });
  const sweep = new Sweep(tracker);
  let slices = 0;
  let most = 0;
  while (takeCensus(memory).swarms > 0) {
    const before = takeCensus(memory).swarms;
    sweep.slice(PEER_TIMEOUT + 20, 10);
    most = Math.max(most, before - takeCensus(memory).swarms);
    slices += 1;
  }
  expect(most).toBeLessThanOrEqual(10);
  expect(most).toBeGreaterThan(4);
  expect(slices).toBeGreaterThan(50);
});

test("shards come round for ever", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  const sweep = new Sweep(tracker);
  sweepRound(sweep, 0);
  expect(sweep.shardsDone).toBe(SHARD_COUNT);
  for (let i = 0; i < 900; i++) announce(tracker, { infoHash: i });
  sweepRound(sweep, PEER_TIMEOUT + 20);
  expect(sweep.shardsDone).toBe(2 * SHARD_COUNT);
  expect(takeCensus(memory).swarms).toBe(0);
});

test("a swarm that moves into the place of one that went is not missed", () => {
  for (let seed = 0; seed < 20; seed++) {
    const { tracker, memory } = makeTracker(16 * MIB);
    const infoHashes = infoHashesOfOneShard(tracker, 44);
    infoHashes.forEach((infoHash, i) => {
      announce(tracker, { infoHash }, (i * 7 + seed) % 3 === 0 ? PEER_TIMEOUT : 0);
    });
    const young = infoHashes.filter((_, i) => (i * 7 + seed) % 3 === 0).length;
    sweepRound(new Sweep(tracker), PEER_TIMEOUT + 20, 1);
    expect(takeCensus(memory).swarms).toBe(young);
    expect(brokenInvariants(tracker)).toEqual([]);
  }
});

test("peers are kept longer while the timeout is longer, and go when it is as before", () => {
  const memory = reserveSwarmMemory({
    memoryMax: 16 * MIB,
    peerTimeout: PEER_TIMEOUT,
    peerTimeoutMax: 4 * PEER_TIMEOUT,
    downloadsTimeout: 3600,
    threads: false,
  });
  const tracker = trackerOver(memory);
  const sweep = new Sweep(tracker);
  const left = (now: number): number => {
    sweepRound(sweep, now);
    announce(tracker, { infoHash: 2, peer: 2 }, now);
    announce(tracker, { infoHash: 2, event: "stopped", peer: 2 }, now);
    return takeCensus(memory).swarms;
  };
  // One small and one large swarm, a tick of 40 seconds.
  announce(tracker, { infoHash: 1, peer: 1 });
  for (let peer = 1; peer <= 300; peer++) announce(tracker, { infoHash: 2, peer });
  setPeerTimeout(memory, 3 * PEER_TIMEOUT);
  expect(left(3 * PEER_TIMEOUT)).toBe(2);
  setPeerTimeout(memory, 9 * PEER_TIMEOUT);
  expect(left(4 * PEER_TIMEOUT)).toBe(2);
  setPeerTimeout(memory, PEER_TIMEOUT);
  expect(left(4 * PEER_TIMEOUT)).toBe(0);
});

test("a round counts swarms by their size, as they are after it", () => {
  const { tracker } = makeTracker(16 * MIB);
  const sizes: [infoHash: number, peers: number][] = [
    [1, 1],
    [2, 10],
    [3, 11],
    [4, 150],
  ];
  for (const [infoHash, peers] of sizes) {
    for (let peer = 0; peer < peers; peer++) {
      announce(tracker, { infoHash, peer, family: peer % 2 === 0 ? 4 : 6 }, PEER_TIMEOUT);
    }
  }
  announce(tracker, { infoHash: 2, peer: 100 }, 0);
  const sweep = new Sweep(tracker);
  sweepRound(sweep, PEER_TIMEOUT + 20);
  // Up to 1, 10, 100, 1000 and 10,000 peers.
  expect([...sweep.sizes]).toEqual([1, 2, 3, 4, 4]);
  expect(sweep.roundEndedSeconds).toBe(PEER_TIMEOUT + 20);
  sweepRound(sweep, 3 * PEER_TIMEOUT);
  expect([...sweep.sizes]).toEqual([0, 0, 0, 0, 0]);
});
