/** Large swarms: a bucket holds networks, is no more than a page, and goes with its peers. */
import { describe, expect, test } from "bun:test";
import type { Family } from "../../src/constants.ts";
import { LEECHERS } from "../../src/swarm/blocks.ts";
import { lineOf } from "../../src/swarm/table.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { announce, hashOf, makeTracker, PEER_TIMEOUT, scrape } from "./fixture.ts";
import { setInfoHash, sweepRound } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

/** The cell of the leechers of swarm 1. */
function cellOf(tracker: Tracker, family: Family): number {
  const hash = hashOf(tracker, 1);
  const line = lineOf(hash);
  setInfoHash(tracker, 1);
  const swarm = tracker.store.table.find(line, hash, tracker.request.infoHashHalves);
  return tracker.store.swarms.cell(swarm, family, LEECHERS);
}

/** Announces 20,000 peers of swarm 1 whose bytes `set` makes; returns their buckets' sizes. */
function buckets(family: Family, set: (peer: Uint8Array, i: number) => void): number[] {
  const { tracker } = makeTracker();
  announce(tracker, { peer: 0, family, event: "none", wanted: 0 });
  const { request, store } = tracker;
  const { directories } = store;
  for (let i = 0; i < 20_000; i++) {
    set(request.peer, i);
    tracker.announce(0);
  }
  const cell = cellOf(tracker, family);
  return Array.from({ length: directories.bucketCount(cell) }, (_, i) => {
    const bucket = directories.bucketAt(cell, i);
    return bucket === 0 ? 0 : directories.peersIn(bucket);
  });
}

type SetPeer = (peer: Uint8Array, i: number) => void;

describe("no bucket is long with 20,000 peers", () => {
  const SETS: Record<string, [Family, SetPeer]> = {
    "of as many sequential networks": [4, (peer, i) => peer.set([10, 1 + (i >> 8), i, 1, 26, 225])],
    "of networks that differ in their first bytes": [
      4,
      (peer, i) => peer.set([1 + (i >> 8), i, 1, 1, 26, 225]),
    ],
    "of as many sequential IPv6 networks": [6, (peer, i) => peer.set([1 + (i >> 8), i], 4)],
    "of IPv6 networks that differ in their first bytes": [
      6,
      (peer, i) => peer.set([1 + (i >> 8), i], 0),
    ],
  };
  for (const [name, [family, set]] of Object.entries(SETS)) {
    test(name, () => {
      const sizes = buckets(family, set);
      // 48 on average at the most, twice that in those whose turn to be split has not come.
      expect(sizes.length).toBe(Math.ceil(20_001 / 48));
      expect(Math.max(...sizes)).toBeLessThan(200);
    });
  }
});

describe("a bucket is no longer than a page with 20,000 peers", () => {
  const SETS: Record<string, [Family, SetPeer]> = {
    "of one /16": [4, (peer, i) => peer.set([10, 1, i >> 8, i, 26, 225])],
    "of one address on sequential ports": [4, (peer, i) => peer.set([9, 1, 1, 1, 1 + (i >> 8), i])],
    "of one IPv6 network": [6, (peer, i) => peer.set([1 + (i >> 8), i], 14)],
    "of one IPv6 address on sequential ports": [6, (peer, i) => peer.set([100 + (i >> 8), i], 16)],
  };
  for (const [name, [family, set]] of Object.entries(SETS)) {
    test(name, () => {
      const longest = Math.max(...buckets(family, set));
      expect(longest).toBeGreaterThan(400);
      expect(longest).toBeLessThanOrEqual(family === 4 ? 1168 : 430);
    });
  }
});

describe("a directory", () => {
  test("begins with the 129th peer of a family, and ends when a sweep finds 64", () => {
    const { tracker } = makeTracker();
    const sweep = new Sweep(tracker.store);
    const isLarge = (): boolean => {
      const hash = hashOf(tracker, 1);
      const line = lineOf(hash);
      const swarm = tracker.store.table.find(line, hash, tracker.request.infoHashHalves);
      return tracker.store.swarms.isLarge(swarm, 4);
    };
    for (let peer = 1; peer <= 128; peer++) announce(tracker, { peer, seeder: peer % 2 === 0 });
    expect(isLarge()).toBe(false);
    announce(tracker, { peer: 129 });
    expect(isLarge()).toBe(true);
    for (let peer = 129; peer > 65; peer--) announce(tracker, { peer, event: "stopped" });
    sweepRound(sweep, 0);
    expect(isLarge()).toBe(true);
    announce(tracker, { peer: 65, event: "stopped" });
    sweepRound(sweep, 0);
    expect(isLarge()).toBe(false);
    expect(scrape(tracker, 1)).toEqual([32, 32, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("grows by one bucket for 48 peers and shrinks when a sweep finds it nearly empty", () => {
    const { tracker } = makeTracker();
    const sweep = new Sweep(tracker.store);
    const { directories } = tracker.store;
    for (let peer = 1; peer <= 20_000; peer++) announce(tracker, { peer, wanted: 0 });
    expect(directories.bucketCount(cellOf(tracker, 4))).toBe(417);
    for (let peer = 1; peer <= 1000; peer++) announce(tracker, { peer, wanted: 0 }, PEER_TIMEOUT);
    sweepRound(sweep, PEER_TIMEOUT + 20);
    expect(scrape(tracker, 1)).toEqual([0, 1000, 0]);
    const count = directories.bucketCount(cellOf(tracker, 4));
    expect(count).toBeLessThanOrEqual(Math.floor(1000 / 12));
    expect(count).toBeGreaterThan(1000 / 48);
    expect(directories.largest(cellOf(tracker, 4))).toBeLessThan(60);
    expect(brokenInvariants(tracker)).toEqual([]);
    for (let peer = 1; peer <= 1000; peer++) {
      expect(announce(tracker, { peer, wanted: 1 }, PEER_TIMEOUT).length).toBe(1);
    }
    expect(scrape(tracker, 1)).toEqual([0, 1000, 0]);
  });

  test("takes up to 100,000 peers and tells each from all others", () => {
    const { tracker } = makeTracker();
    for (let round = 0; round < 2; round++) {
      for (let peer = 1; peer <= 100_000; peer++) announce(tracker, { peer, wanted: 0 });
      expect(scrape(tracker, 1)).toEqual([0, 100_000, 0]);
    }
    expect(tracker.store.directories.bucketCount(cellOf(tracker, 4))).toBe(2043);
    expect(brokenInvariants(tracker)).toEqual([]);
  });
});
