/** Swarms without peers: they keep their counters while there is room, and give way to all else. */
import { describe, expect, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { announce, announceFrom, complete, infoHashesOfOneShard, makeTracker } from "./fixture.ts";
import { DOWNLOADS_TIMEOUT, MIB, PEER_TIMEOUT, scrape, sweepRound } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

/** One download in a swarm, whose only peer then stops. */
function leaveCounter(tracker: Tracker, infoHash: number, now = 0): void {
  complete(tracker, { infoHash, peer: infoHash & 0xffff }, now);
  announce(tracker, { infoHash, peer: infoHash & 0xffff, event: "stopped" }, now);
}

/** Of 20 new swarms and 20 new peers in swarm 1, how many are stored. */
function honestStored(tracker: Tracker, now = 0): number {
  let stored = 0;
  for (let i = 0; i < 20; i++) {
    announceFrom(tracker, { infoHash: 1, address: [77, i, 1, 1], now });
    if (tracker.reply.stored) stored += 1;
    announceFrom(tracker, { infoHash: 900_000_000 + i, address: [77, i, 1, 1], now });
    if (tracker.reply.stored) stored += 1;
  }
  return stored;
}

describe("after 600,000 swarms were begun and left from one place", () => {
  for (const family of [4, 6] as const) {
    test(`with a completed that nobody believes, of IPv${family}: nothing of them is left`, () => {
      const { tracker, memory } = makeTracker(16 * MIB);
      const address = family === 4 ? [10, 0, 0, 1] : [0x20, 1];
      for (let infoHash = 10; infoHash < 600_000; infoHash++) {
        const peer = { infoHash, address, family, seeder: true } as const;
        announceFrom(tracker, { ...peer, event: "completed" });
        announceFrom(tracker, { ...peer, event: "stopped" });
      }
      expect(takeCensus(memory)).toMatchObject({ swarms: 0, swarmsEmpty: 0, downloads: 0 });
      expect(honestStored(tracker)).toBe(40);
    }, 30_000);

    test(`with downloads that count, of IPv${family}: they hold an eighth`, () => {
      const { tracker, memory } = makeTracker(16 * MIB);
      const address = family === 4 ? [10, 0, 0, 1] : [0x20, 1];
      for (let infoHash = 10; infoHash < 600_000; infoHash++) {
        const peer = { infoHash, address, family } as const;
        announceFrom(tracker, peer);
        announceFrom(tracker, { ...peer, seeder: true, event: "completed" });
        announceFrom(tracker, { ...peer, seeder: true, event: "stopped" });
      }
      const { swarmsEmpty, memoryOfPages } = takeCensus(memory);
      expect(swarmsEmpty).toBeGreaterThan(20_000);
      expect(swarmsEmpty * 36).toBeLessThanOrEqual((16 * MIB) / 8);
      expect(memoryOfPages).toBeLessThan(6 * MIB);
      expect(honestStored(tracker)).toBe(40);
      expect(brokenInvariants(tracker)).toEqual([]);
    }, 30_000);
  }

  test("and memory is full of peers: each new peer is stored where a counter was", () => {
    const { tracker, memory } = makeTracker(16 * MIB);
    for (let infoHash = 10; infoHash < 40_000; infoHash++) leaveCounter(tracker, infoHash);
    let infoHash = 1_000_000;
    const begins = (): boolean => {
      announce(tracker, { infoHash, peer: infoHash & 0xffff, wanted: 0 });
      infoHash += 1;
      return tracker.reply.stored;
    };
    while (begins());
    // Not one is refused while there is a swarm without peers in its shard; refused ones are few.
    expect(takeCensus(memory).swarmsEmpty).toBeLessThan(400);
    expect(brokenInvariants(tracker)).toEqual([]);
  }, 30_000);
});

describe("a shard's list of swarms without peers", () => {
  test("lets the oldest go first", () => {
    const { tracker } = makeTracker(16 * MIB);
    const infoHashes = infoHashesOfOneShard(tracker, 600);
    for (const infoHash of infoHashes) leaveCounter(tracker, infoHash);
    const kept = infoHashes.map((infoHash) => scrape(tracker, infoHash)[2]);
    const first = kept.indexOf(1);
    expect(first).toBeGreaterThan(100);
    expect(first).toBeLessThan(590);
    expect(kept.every((downloads, at) => downloads === (at < first ? 0 : 1))).toBe(true);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("does not take a swarm away that has peers again, nor its counter", () => {
    const { tracker } = makeTracker(16 * MIB);
    const infoHashes = infoHashesOfOneShard(tracker, 600);
    leaveCounter(tracker, infoHashes[0]);
    announce(tracker, { infoHash: infoHashes[0], peer: 7 });
    for (const infoHash of infoHashes.slice(1)) leaveCounter(tracker, infoHash);
    expect(scrape(tracker, infoHashes[0])).toEqual([0, 1, 1]);
    announce(tracker, { infoHash: infoHashes[0], peer: 7, event: "stopped" });
    expect(scrape(tracker, infoHashes[0])).toEqual([0, 0, 1]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("knows a swarm again that had peers when its entry was dropped", () => {
    const { tracker, memory } = makeTracker(16 * MIB);
    const infoHashes = infoHashesOfOneShard(tracker, 1200);
    // Empty, and at once with peers again: their entries push each other off the list meanwhile.
    for (const infoHash of infoHashes) {
      leaveCounter(tracker, infoHash);
      announce(tracker, { infoHash, peer: 7 });
    }
    for (const infoHash of infoHashes) {
      announce(tracker, { infoHash, peer: 7, event: "stopped" });
    }
    expect(takeCensus(memory).swarmsEmpty).toBeLessThan(300);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("has one entry for a swarm that falls empty time and again", () => {
    const { tracker } = makeTracker(16 * MIB);
    const [often, other] = infoHashesOfOneShard(tracker, 2);
    leaveCounter(tracker, other);
    leaveCounter(tracker, often);
    for (let i = 0; i < 1000; i++) {
      announce(tracker, { infoHash: often, peer: 7 });
      announce(tracker, { infoHash: often, peer: 7, event: "stopped" });
    }
    expect(scrape(tracker, other)).toEqual([0, 0, 1]);
    expect(scrape(tracker, often)).toEqual([0, 0, 1]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("keeps a counter whose last peer expired, and forgets it when its time is over", () => {
    const { tracker, memory } = makeTracker(16 * MIB);
    const sweep = new Sweep(tracker.store);
    for (let infoHash = 1; infoHash < 500; infoHash++) {
      complete(tracker, { infoHash, peer: 1 });
      for (let peer = 2; peer < 2 + (infoHash % 200); peer++) announce(tracker, { infoHash, peer });
    }
    sweepRound(sweep, PEER_TIMEOUT + 20);
    expect(takeCensus(memory)).toMatchObject({ swarms: 499, swarmsEmpty: 499 });
    expect(brokenInvariants(tracker)).toEqual([]);
    sweepRound(sweep, PEER_TIMEOUT + DOWNLOADS_TIMEOUT + 140);
    expect(takeCensus(memory)).toMatchObject({ swarms: 0, swarmsEmpty: 0 });
    expect(brokenInvariants(tracker)).toEqual([]);
  });
});
