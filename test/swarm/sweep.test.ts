import { describe, expect, spyOn, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { KIND_BUCKET } from "../../src/swarm/blocks.ts";
import {
  reserveSwarmMemory,
  setPeerTimeout,
  SHARD_COUNT,
  SHARD_WORDS,
} from "../../src/swarm/memory.ts";
import { lineOf } from "../../src/swarm/table.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { announce, hashOf, infoHashesOfOneShard, makeTracker, MIB } from "./fixture.ts";
import { PEER_TIMEOUT, sweepRound, trackerOver } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

test("a round visits every swarm, however small its slices", () => {
  for (const units of [0.1, 1, 7, 2000]) {
    const { tracker, memory } = makeTracker(16 * MIB);
    for (let i = 0; i < 3000; i++) {
      announce(tracker, { infoHash: i % 900, peer: i, family: i % 2 === 0 ? 4 : 6 });
    }
    sweepRound(new Sweep(tracker.store), PEER_TIMEOUT + 20, units);
    expect(takeCensus(memory)).toMatchObject({ swarms: 0, peersExpired: 3000 });
    expect(brokenInvariants(tracker)).toEqual([]);
  }
});

test("a round keeps the peers that are not old enough", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  for (let i = 0; i < 3000; i++) announce(tracker, { infoHash: i % 900, peer: i }, i / 100);
  sweepRound(new Sweep(tracker.store), PEER_TIMEOUT);
  expect(takeCensus(memory)).toMatchObject({ swarms: 900, peersExpired: 0 });
});

test("a slice does about as much as it is told to, and goes on where it stopped", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  const infoHashes = infoHashesOfOneShard(tracker, 500);
  for (const infoHash of infoHashes) announce(tracker, { infoHash });
  const sweep = new Sweep(tracker.store);
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

describe("a swarm too large for one slice", () => {
  const PEERS = 20_000;
  const UNITS = 100;

  function begin() {
    const made = makeTracker(16 * MIB);
    for (let peer = 0; peer < PEERS; peer++) {
      const family = peer % 4 === 0 ? 6 : 4;
      announce(made.tracker, { infoHash: 1, peer, family, seeder: peer % 3 === 0 });
    }
    const sweep = new Sweep(made.tracker.store);
    // To the shard it is in, and into the middle of it.
    while (takeCensus(made.memory).peersExpired === 0) sweep.slice(PEER_TIMEOUT + 20, UNITS);
    return { ...made, sweep };
  }

  test("is swept over several, none of which does much more than it is told to", () => {
    const { tracker, memory, sweep } = begin();
    let slices = 0;
    for (let before = 0; before < PEERS; slices++) {
      before = takeCensus(memory).peersExpired;
      sweep.slice(PEER_TIMEOUT + 20, UNITS);
      expect(takeCensus(memory).peersExpired - before).toBeLessThanOrEqual(8 * UNITS + 200);
      if (slices % 5 === 0) expect(brokenInvariants(tracker)).toEqual([]);
      expect(slices).toBeLessThan(2000);
    }
    expect(slices).toBeGreaterThan(PEERS / (8 * UNITS + 200));
    sweepRound(sweep, PEER_TIMEOUT + 20, UNITS);
    expect(takeCensus(memory)).toMatchObject({ swarms: 0, peersExpired: PEERS });
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("may grow, move and lose peers meanwhile, and keeps the peers that announced", () => {
    const { tracker, memory, sweep } = begin();
    let young = 0;
    for (let peer = 0; peer < 3000; peer++) {
      announce(tracker, { infoHash: 1, peer: PEERS + peer }, PEER_TIMEOUT + 20);
      announce(tracker, { infoHash: 2 + peer, peer }, PEER_TIMEOUT + 20);
      announce(tracker, { infoHash: 1, peer: 6 * peer, event: "stopped" }, PEER_TIMEOUT + 20);
      young += 1;
      if (peer % 10 === 0) sweep.slice(PEER_TIMEOUT + 20, UNITS);
    }
    sweepRound(sweep, PEER_TIMEOUT + 20, UNITS);
    sweepRound(sweep, PEER_TIMEOUT + 20, UNITS);
    expect(takeCensus(memory).peers).toBe(2 * young);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("may go as a whole meanwhile, and the sweep goes on behind it", () => {
    const { tracker, memory, sweep } = begin();
    announce(tracker, { infoHash: 1 }, 0);
    expect(tracker.store.evict(tracker.request.infoHashHalves)).toBe(true);
    announce(tracker, { infoHash: 2 }, 0);
    sweepRound(sweep, PEER_TIMEOUT + 20, UNITS);
    sweepRound(sweep, PEER_TIMEOUT + 20, UNITS);
    expect(takeCensus(memory).swarms).toBe(0);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("is counted once in a round, by its size at the end", () => {
    const { tracker } = makeTracker(16 * MIB);
    for (let peer = 0; peer < 5000; peer++) announce(tracker, { infoHash: 1, peer });
    const sweep = new Sweep(tracker.store);
    sweepRound(sweep, 10, UNITS);
    expect([...sweep.sizes]).toEqual([0, 0, 0, 0, 1]);
  });
});

test("rounds follow each other without end", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  const sweep = new Sweep(tracker.store);
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
    sweepRound(new Sweep(tracker.store), PEER_TIMEOUT + 20, 1);
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
  const sweep = new Sweep(tracker.store);
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
  const sweep = new Sweep(tracker.store);
  sweepRound(sweep, PEER_TIMEOUT + 20);
  // Up to 1, 10, 100, 1000 and 10,000 peers.
  expect([...sweep.sizes]).toEqual([1, 2, 3, 4, 4]);
  expect(sweep.roundEndedSeconds).toBe(PEER_TIMEOUT + 20);
  sweepRound(sweep, 3 * PEER_TIMEOUT);
  expect([...sweep.sizes]).toEqual([0, 0, 0, 0, 0]);
});

test("blocks are not moved round and round where the ends of pages are what is wasted", () => {
  const { tracker } = makeTracker(64 * MIB);
  // Eight such swarms fill a page but for a tenth, which none of them fits.
  const infoHashes = infoHashesOfOneShard(tracker, 500);
  for (let peer = 0; peer < 128; peer++) {
    for (const infoHash of infoHashes) announce(tracker, { infoHash, peer, wanted: 0 });
  }
  const { arena } = tracker.store;
  const moves = spyOn(arena, "takeEmptiestPage");
  const sweep = new Sweep(tracker.store);
  for (let round = 0; round < 3; round++) {
    moves.mockClear();
    sweepRound(sweep, 0);
    expect(moves.mock.calls.length).toBeLessThan(300);
  }
  expect(moves.mock.calls.length).toBeLessThan(100);
  expect(brokenInvariants(tracker)).toEqual([]);
  // Where there is something to win it goes on.
  const pages = arena.pagesInUse;
  for (let peer = 0; peer < 124; peer++) {
    for (const infoHash of infoHashes) announce(tracker, { infoHash, peer, event: "stopped" });
  }
  sweepRound(sweep, 0);
  sweepRound(sweep, 0);
  expect(arena.pagesInUse).toBeLessThan(pages / 4);
});

test("what a huge swarm leaves can be used again two rounds later, though others are few", () => {
  const { tracker } = makeTracker(64 * MIB);
  for (let peer = 0; peer < 300_000; peer++) announce(tracker, { peer, wanted: 0 });
  const { arena } = tracker.store;
  expect(arena.pagesInUse).toBeGreaterThan(250);
  const sweep = new Sweep(tracker.store);
  sweepRound(sweep, PEER_TIMEOUT + 20, 2000);
  sweepRound(sweep, PEER_TIMEOUT + 20, 2000);
  expect(arena.pagesInUse).toBeLessThan(6);
  expect(brokenInvariants(tracker)).toEqual([]);
});

test("a shard in which announces waste pages faster than they are won is left all the same", () => {
  const { tracker } = makeTracker(16 * MIB);
  announce(tracker, { infoHash: 1 });
  const line = lineOf(hashOf(tracker, 1));
  const { arena } = tracker.store;
  const sweep = new Sweep(tracker.store);
  sweep.shardsDone = line / SHARD_WORDS;
  const before = sweep.shardsDone;
  let slices = 0;
  for (; sweep.shardsDone === before && slices < 300; slices++) {
    for (let i = 0; i < 8; i++) arena.release(line, arena.allocate(line, 4000, KIND_BUCKET));
    sweep.slice(0, 100);
  }
  expect(slices).toBeGreaterThan(30);
  expect(slices).toBeLessThan(200);
});
