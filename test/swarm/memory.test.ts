/** The ceiling: floods fill the memory up to it, hurt nobody who is already there, and pass. */
import { describe, expect, spyOn, test } from "bun:test";
import { Arena } from "../../src/swarm/arena.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import {
  COMPLETION_CELLS,
  PAGE_SHIFT,
  PAGE_SIZE,
  PAGE_WORDS,
  PAGES_RESERVED,
  pagesForFew,
  POOL,
  POOL_AVAILABLE,
  POOL_FRESH,
  reserveSwarmMemory,
  SHARD_BITS,
  SHARD_COUNT,
  SHARD_TOTALS,
  SHARD_WORDS,
  totalsOf,
} from "../../src/swarm/memory.ts";
import { hashInfoHash } from "../../src/swarm/keyed-hash.ts";
import { lineOf } from "../../src/swarm/table.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { announce, countsOf, infoHashesOfOneShard, makeMemory, makeTracker } from "./fixture.ts";
import { MIB, PEER_TIMEOUT, scrape, sweepRound, trackerOver } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";
import { keyOf } from "./twin.ts";

const SMALLEST = 16 * MIB;

/** One swarm of one peer each; returns how many were stored. */
function floodInfoHashes(tracker: Tracker, from: number, count: number, now: number): number {
  let stored = 0;
  for (let infoHash = from; infoHash < from + count; infoHash++) {
    announce(tracker, { infoHash, peer: infoHash & 0xffff, wanted: 0 }, now);
    if (tracker.reply.stored) stored += 1;
  }
  return stored;
}

/** Peers of one swarm, every other one of IPv6; returns how many were stored. */
function floodPeers(tracker: Tracker, count: number, now: number): number {
  let stored = 0;
  for (let peer = 1; peer <= count; peer++) {
    const family = peer % 2 === 0 ? 4 : 6;
    announce(tracker, { infoHash: 5, peer, family, wanted: 0, seeder: peer % 3 === 0 }, now);
    if (tracker.reply.stored) stored += 1;
  }
  return stored;
}

describe("reserved memory", () => {
  test("is never more than asked for, and most of it", () => {
    for (const memoryMax of [16, 17, 31, 64, 100, 1000].map((mib) => mib * MIB)) {
      const memory = makeMemory(memoryMax);
      const { arena, index, pages, shards, indexRegionBits } = memory;
      const reserved = takeCensus(memory).memoryMax;
      expect(reserved).toBeLessThanOrEqual(memoryMax);
      expect(reserved).toBeGreaterThan(memoryMax * 0.99);
      expect(arena.byteLength % PAGE_SIZE).toBe(0);
      const tables = memory.emptySwarmsAt;
      expect(tables).toBe(256 * 4 * 2 ** indexRegionBits);
      expect(tables).toBeGreaterThan(memoryMax / 10 - 1);
      expect(tables).toBeLessThanOrEqual(memoryMax / 5);
      expect(index.byteLength).toBe(memory.completionsAt + COMPLETION_CELLS * 4);
      expect(pages.byteLength).toBe((arena.byteLength / PAGE_SIZE) * 12);
      expect(shards.byteLength).toBe((256 * 16 + 16) * 4);
    }
  });

  test("never has an arena whose offsets need more than 31 bits", () => {
    const memory = makeMemory(2700 * MIB);
    expect(memory.arena.byteLength).toBe(2 ** 31 - 8192);
  });

  test("starts with all pages free but the first, which means none", () => {
    const words = new Int32Array(makeMemory(SMALLEST).shards);
    expect(words[POOL_FRESH]).toBe(1);
    // All but 2 MiB of index, 0.75 MiB of sketches, and the lists of swarms without peers.
    const lists = Math.floor(SMALLEST / 36 / 256 / 8) * 256 * 8;
    expect(words[POOL_AVAILABLE]).toBe(Math.floor((SMALLEST - 2.75 * MIB - lists) / 8192) - 1);
  });

  test("gets keys of its own each time if none are given", () => {
    const settings = { ...makeMemory(SMALLEST).settings };
    const one = reserveSwarmMemory(settings).keys;
    const two = reserveSwarmMemory(settings).keys;
    expect(one.length).toBe(40);
    expect(one).not.toEqual(two);
    expect(new Set(one).size).toBeGreaterThan(38);
  });

  test("has one cache line for each shard, and sizes that belong together", () => {
    expect(SHARD_COUNT).toBe(2 ** SHARD_BITS);
    expect(PAGE_SIZE).toBe(2 ** PAGE_SHIFT);
    expect(SHARD_WORDS * 4).toBe(64);
    expect(SHARD_TOTALS * 8).toBe(64);
    expect(totalsOf(3 * SHARD_WORDS)).toBe(3 * SHARD_TOTALS);
    expect(makeMemory(SMALLEST).totals.byteLength).toBe(SHARD_COUNT * 64);
    expect(POOL).toBe(SHARD_COUNT * SHARD_WORDS);
    expect(PAGE_WORDS).toBe(3);
  });
});

describe("a flood of info hashes", () => {
  const memory = makeMemory(SMALLEST);
  const tracker = trackerOver(memory);
  const sweep = new Sweep(tracker.store);
  const flood = 400_000;

  test("fills the memory up to its ceiling and no further", () => {
    // Established before: a small swarm and a large one.
    for (let peer = 1; peer <= 10; peer++) announce(tracker, { infoHash: 1, peer });
    for (let peer = 1; peer <= 500; peer++) announce(tracker, { infoHash: 2, peer });
    const stored = floodInfoHashes(tracker, 1000, flood, 0);
    const census = takeCensus(memory);
    expect(stored).toBeGreaterThan(150_000);
    expect(stored).toBeLessThan(flood);
    expect(census.memoryUsed).toBeLessThanOrEqual(census.memoryMax);
    expect(census.memoryMax).toBeLessThanOrEqual(SMALLEST);
    expect(census.memoryOfPages).toBeGreaterThan(memory.arena.byteLength * 0.95);
    expect(census.swarms).toBe(stored + 2);
    expect(census.peersNotStored).toEqual([flood - stored, 0, 0, 0, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("leaves pages that only moving blocks may take", () => {
    expect(new Int32Array(memory.shards)[POOL_AVAILABLE]).toBe(PAGES_RESERVED);
  });

  test("does not keep replies from going on", () => {
    expect(announce(tracker, { infoHash: 999_999_999, peer: 3 })).toEqual([]);
    expect(countsOf(tracker)).toEqual([0, 0, 0]);
    expect(tracker.reply.stored).toBe(false);
    expect(announce(tracker, { infoHash: 1, peer: 700, wanted: 5 }).length).toBe(5);
    expect(announce(tracker, { infoHash: 2, peer: 7, wanted: 60 }).length).toBe(60);
    expect(scrape(tracker, 2)).toEqual([0, 500, 0]);
  });

  test("lets stored peers announce again, also with another role", () => {
    for (let peer = 1; peer <= 10; peer++) {
      announce(tracker, { infoHash: 1, peer, seeder: peer % 2 === 0, event: "none" }, 100);
      expect(tracker.reply.stored).toBe(true);
    }
    for (let peer = 1; peer <= 500; peer++) {
      announce(tracker, { infoHash: 2, peer, event: "none" }, 100);
      expect(tracker.reply.stored).toBe(true);
    }
    expect(scrape(tracker, 1)[0]).toBe(5);
    expect(scrape(tracker, 2)).toEqual([0, 500, 0]);
  });

  test("passes: once it has expired, all of its memory serves others", () => {
    sweepRound(sweep, PEER_TIMEOUT + 20);
    sweepRound(sweep, PEER_TIMEOUT + 20);
    expect(takeCensus(memory).swarms).toBe(2);
    expect(scrape(tracker, 2)).toEqual([0, 500, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
    const again = floodInfoHashes(tracker, 1_000_000, flood, PEER_TIMEOUT + 20);
    expect(again).toBeGreaterThan(150_000);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("makes room by stops alone, without a sweep", () => {
    for (let infoHash = 1_000_000; infoHash < 1_200_000; infoHash++) {
      announce(tracker, { infoHash, peer: infoHash & 0xffff, event: "stopped" }, PEER_TIMEOUT + 20);
    }
    // Announces themselves move blocks: no sweep is needed.
    const again = floodInfoHashes(tracker, 2_000_000, 100_000, PEER_TIMEOUT + 20);
    expect(again).toBeGreaterThan(80_000);
    expect(brokenInvariants(tracker)).toEqual([]);
  });
});

describe("a flood of peers in one swarm", () => {
  const memory = makeMemory(SMALLEST);
  const tracker = trackerOver(memory);
  const flood = 1_000_000;

  test("of both families fills the memory and no further", () => {
    const stored = floodPeers(tracker, flood, 0);
    const census = takeCensus(memory);
    expect(stored).toBeGreaterThan(700_000);
    expect(stored).toBeLessThan(flood);
    expect(census.memoryUsed).toBeLessThanOrEqual(census.memoryMax);
    expect(census.peersNotStored).toEqual([flood - stored, 0, 0, 0, 0]);
    // All but the part that is for swarms with few peers.
    const pages = memory.arena.byteLength / PAGE_SIZE;
    const kept = PAGES_RESERVED + pagesForFew(pages);
    expect(new Int32Array(memory.shards)[POOL_AVAILABLE]).toBe(kept);
    const [seeders, leechers] = scrape(tracker, 5);
    expect(seeders + leechers).toBe(stored);
    expect(brokenInvariants(tracker)).toEqual([]);
  }, 30_000);

  test("lets stored peers announce again, and answers every announce", () => {
    for (let peer = 1; peer < 2000; peer++) {
      const family = peer % 2 === 0 ? 4 : 6;
      const seeder = peer % 3 === 0;
      const drawn = announce(tracker, { infoHash: 5, peer, family, seeder, wanted: 30 }, 100);
      expect(tracker.reply.stored).toBe(true);
      expect(drawn.length).toBe(30);
    }
  });

  test("passes, and gives all of its memory back", () => {
    sweepRound(new Sweep(tracker.store), PEER_TIMEOUT + 120);
    // Each announce in the shard moves a page at most.
    for (let i = 0; i < 3000; i++) announce(tracker, { infoHash: 5, peer: 1 }, PEER_TIMEOUT + 120);
    expect(takeCensus(memory)).toMatchObject({ swarms: 1, leechersIpv4: 1, leechersIpv6: 0 });
    expect(takeCensus(memory).memoryUsed).toBeLessThan(MIB);
    expect(brokenInvariants(tracker)).toEqual([]);
  });
});

describe("the last part of the memory", () => {
  test("is for swarms with few peers, whatever a large one would take", () => {
    const memory = makeMemory(SMALLEST);
    const tracker = trackerOver(memory);
    floodPeers(tracker, 1_000_000, 0);
    // Each of these needs a page of its own shard first, so there is room for as many shards.
    const pages = pagesForFew(memory.arena.byteLength / PAGE_SIZE);
    const shards = new Set<number>();
    for (let infoHash = 100; shards.size < pages - 1; infoHash++) {
      for (let peer = 1; peer <= 3; peer++) {
        announce(tracker, { infoHash, peer, event: "none" }, 100);
        expect(tracker.reply.stored).toBe(true);
      }
      shards.add(lineOf(hashInfoHash(memory.keys, tracker.request.infoHashHalves, 0)));
    }
    expect(brokenInvariants(tracker)).toEqual([]);
  }, 30_000);
});

test("an announcer without room for its new role stays in the old, not offered itself", () => {
  const { tracker } = makeTracker(SMALLEST);
  for (let peer = 1; peer <= 300; peer++) announce(tracker, { infoHash: 1, peer, wanted: 0 });
  floodInfoHashes(tracker, 1000, 500_000, 0);
  let switched = 0;
  for (let peer = 1; peer <= 300; peer++) {
    const seeder = { infoHash: 1, peer, seeder: true, event: "none", wanted: 1000 } as const;
    const drawn = announce(tracker, seeder, 100);
    expect(tracker.reply.stored).toBe(true);
    expect(drawn).not.toContain(keyOf(4, peer));
    switched = tracker.reply.seeders;
  }
  expect(switched).toBeLessThan(300);
  // Refreshed all the same: all are there when those who did not announce again have gone.
  sweepRound(new Sweep(tracker.store), PEER_TIMEOUT + 20);
  const [seeders, leechers] = scrape(tracker, 1);
  expect(seeders + leechers).toBe(300);
  expect(brokenInvariants(tracker)).toEqual([]);
});

test("where any block may find no room, only a peer that is not stored is missing", () => {
  const { tracker } = makeTracker();
  const { store, reply } = tracker;
  const { arena } = store;
  let state = 1;
  const below = (n: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * n);
  };
  let often = 0;
  const { allocate, allocateForMove } = Arena.prototype;
  const place = spyOn(arena, "allocate").mockImplementation((...block) =>
    below(100) < often ? 0 : allocate.apply(arena, block),
  );
  spyOn(arena, "allocateForMove").mockImplementation((...block) =>
    below(1000) < often ? 0 : allocateForMove.apply(arena, block),
  );
  const infoHashes = infoHashesOfOneShard(tracker, 12);
  const swarms = new Map(infoHashes.map((infoHash) => [infoHash, new Set<string>()]));
  const downloads = new Map<number, number>();
  const sweep = new Sweep(tracker.store);
  let refused = 0;
  for (let burst = 0; burst < 600; burst++) {
    often = below(2) * below(60);
    const infoHash = infoHashes[below(3) === 0 ? 0 : below(12)];
    const peers = swarms.get(infoHash)!;
    const family = below(2) === 0 ? 4 : 6;
    const event = (["none", "completed", "completed", "stopped"] as const)[below(4)];
    const first = below(300);
    for (let peer = first; peer < first + below(200); peer++) {
      const key = keyOf(family, peer);
      announce(tracker, { infoHash, peer, family, event, seeder: event === "completed" });
      if (event === "stopped") peers.delete(key);
      else if (reply.stored) peers.add(key);
      else refused += 1;
      const was = downloads.get(infoHash) ?? 0;
      if (event === "stopped" && peers.size === 0 && was === 0) continue;
      const told = [reply.seeders + reply.leechers, reply.stored || !peers.has(key)];
      expect(told).toEqual([peers.size, true]);
      const completes = event === "completed" && reply.stored;
      expect(reply.downloads - was).toBeOneOf(completes ? [0, 1] : [0]);
      downloads.set(infoHash, reply.downloads);
    }
    for (let slices = below(4); slices > 0; slices--) sweepRound(sweep, 0, 1 + below(300));
    if (burst % 10 === 0) expect(brokenInvariants(tracker)).toEqual([]);
  }
  expect(refused).toBeGreaterThan(100);
  expect(Math.max(...downloads.values())).toBeGreaterThan(255);
  expect(place).toHaveBeenCalled();
  for (const [infoHash, peers] of swarms) {
    const [seeders, leechers, counted] = scrape(tracker, infoHash);
    expect([seeders + leechers, counted]).toEqual([peers.size, downloads.get(infoHash) ?? 0]);
  }
});
