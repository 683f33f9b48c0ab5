/** Moving blocks: what is released can be used again, for ever. */
import { describe, expect, spyOn, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { PAGE_SIZE, SHARD_CLOSED_COUNT, SHARD_WORDS } from "../../src/swarm/memory.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { lineOf } from "../../src/swarm/table.ts";
import { announce, hashOf, infoHashesOfOneShard, makeTracker, MIB } from "./fixture.ts";
import { PEER_TIMEOUT, scrape, sweepRound } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

test("ten times filled, expired and filled with others, memory in use does not grow", () => {
  const { tracker, memory } = makeTracker(64 * MIB);
  const sweep = new Sweep(tracker.store);
  const filled: number[] = [];
  const expired: number[] = [];
  for (let round = 0; round < 10; round++) {
    const now = round * (PEER_TIMEOUT + 100);
    for (let i = 0; i < 120_000; i++) {
      // Swarms of one, of a few, and of thousands, in both families.
      const infoHash = round * 1_000_000 + (i % 3 === 0 ? i : i % 2 === 0 ? i % 1000 : i % 3);
      announce(tracker, { infoHash, peer: i, family: i % 5 === 0 ? 6 : 4, wanted: 0 }, now);
    }
    filled.push(takeCensus(memory).memoryUsed);
    sweepRound(sweep, now + PEER_TIMEOUT + 20);
    sweepRound(sweep, now + PEER_TIMEOUT + 20);
    expired.push(takeCensus(memory).memoryUsed);
    expect(takeCensus(memory).swarms).toBe(0);
  }
  expect(brokenInvariants(tracker)).toEqual([]);
  expect(Math.max(...filled.slice(3))).toBeLessThan(filled[2] * 1.05);
  expect(Math.max(...expired.slice(3))).toBeLessThan(expired[2] * 1.05);
});

describe("in one shard", () => {
  test("waste is never more than an eighth and two pages when announces go on", () => {
    const { tracker, memory } = makeTracker(64 * MIB);
    const infoHashes = infoHashesOfOneShard(tracker, 700);
    for (let i = 0; i < 60_000; i++) {
      const infoHash = infoHashes[(i * 7919) % 700];
      announce(tracker, { infoHash, peer: i % 9, event: i % 4 === 0 ? "stopped" : "none" });
      if (i % 1000 !== 999) continue;
      const { shards } = tracker.store.arena;
      const line = shards.findIndex((word, at) => at % 16 === 1 && word > 0) - 1;
      const closed = shards[line + 6] * PAGE_SIZE;
      // One page is moved for each announce, and an announce wastes less than a page.
      expect(tracker.store.arena.wasted(line)).toBeLessThanOrEqual(
        Math.max(2 * PAGE_SIZE, closed / 8 + PAGE_SIZE),
      );
    }
    expect(brokenInvariants(tracker)).toEqual([]);
    expect(takeCensus(memory).memoryUsed).toBeLessThan(MIB);
  });

  test("a sweep leaves a 32nd of waste at most, or a page, in small slices", () => {
    const { tracker } = makeTracker(64 * MIB);
    const infoHashes = infoHashesOfOneShard(tracker, 6000);
    for (let i = 0; i < 60_000; i++) {
      const infoHash = infoHashes[(i * 7919) % 6000];
      announce(tracker, { infoHash, peer: i % 17, wanted: 0 });
    }
    const { shards } = tracker.store.arena;
    const line = lineOf(hashOf(tracker, infoHashes[0]));
    const closed = (): number => shards[line + SHARD_CLOSED_COUNT] * PAGE_SIZE;
    expect(closed()).toBeGreaterThan(64 * PAGE_SIZE);
    expect(tracker.store.arena.wasted(line)).toBeGreaterThan(closed() / 16);
    const sweep = new Sweep(tracker.store);
    const pages = tracker.store.arena.pagesInUse;
    sweep.shardsDone = line / SHARD_WORDS;
    sweep.slice(0, 1000);
    // Moving pages is work as well: of 1,000 units, 150 each.
    expect(pages - tracker.store.arena.pagesInUse).toBeLessThanOrEqual(7);
    sweepRound(sweep, 0);
    expect(tracker.store.arena.wasted(line)).toBeLessThanOrEqual(
      Math.max(PAGE_SIZE, closed() / 32) + PAGE_SIZE,
    );
    for (const infoHash of infoHashes) expect(scrape(tracker, infoHash)).toEqual([0, 10, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("waste of less than a page moves nothing, whatever part that is", () => {
    const { tracker } = makeTracker(64 * MIB);
    const infoHashes = infoHashesOfOneShard(tracker, 300);
    for (const infoHash of infoHashes) announce(tracker, { infoHash });
    for (const infoHash of infoHashes.slice(0, 100))
      announce(tracker, { infoHash, event: "stopped" });
    const { arena } = tracker.store;
    const wasted = arena.wasted(lineOf(hashOf(tracker, infoHashes[0])));
    expect([wasted > PAGE_SIZE / 4, wasted < PAGE_SIZE]).toEqual([true, true]);
    const moves = spyOn(arena, "takeEmptiestPage");
    announce(tracker, { infoHash: infoHashes[200] });
    sweepRound(new Sweep(tracker.store), 0);
    expect(moves).not.toHaveBeenCalled();
  });

  test("swarms, directories and buckets are found wherever they have moved", () => {
    const { tracker } = makeTracker(64 * MIB);
    const infoHashes = infoHashesOfOneShard(tracker, 300);
    // Two large swarms among small ones, whose comings and goings move everything.
    for (let peer = 1; peer <= 3000; peer++) {
      const family = peer % 2 === 0 ? 4 : 6;
      announce(tracker, { infoHash: infoHashes[peer % 2], peer, family, seeder: peer % 3 === 0 });
    }
    for (let round = 0; round < 30; round++) {
      for (let i = 2; i < 300; i++) {
        const event = (i + round) % 3 === 0 ? "stopped" : "none";
        for (let peer = 0; peer < 8; peer++) {
          announce(tracker, { infoHash: infoHashes[i], peer, event, wanted: 3 });
        }
      }
      expect(brokenInvariants(tracker)).toEqual([]);
    }
    expect(scrape(tracker, infoHashes[0])).toEqual([500, 1000, 0]);
    expect(scrape(tracker, infoHashes[1])).toEqual([500, 1000, 0]);
  });

  test("a full arena can still be tidied, because pages are kept back for that", () => {
    const { tracker, memory } = makeTracker(16 * MIB);
    const infoHashes = infoHashesOfOneShard(tracker, 900);
    // One swarm eats everything; then the small ones of the same shard come and go.
    for (let peer = 0; peer < 600_000; peer++) {
      announce(tracker, { infoHash: infoHashes[0], peer, family: 6, wanted: 0 });
    }
    expect(takeCensus(memory).peersNotStored[0]).toBeGreaterThan(0);
    for (let peer = 0; peer < 100_000; peer++) {
      announce(tracker, { infoHash: infoHashes[0], peer, family: 6, event: "stopped" });
    }
    const [before] = takeCensus(memory).peersNotStored;
    for (let i = 0; i < 20_000; i++) {
      announce(tracker, { infoHash: infoHashes[1 + (i % 899)], peer: i, wanted: 0 });
    }
    expect(takeCensus(memory).peersNotStored[0]).toBe(before);
    expect(brokenInvariants(tracker)).toEqual([]);
  }, 30_000);
});
