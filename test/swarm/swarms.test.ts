/** Peers in a swarm's own block: seeders first, both families, room given back. */
import { expect, test } from "bun:test";
import { sizeOf } from "../../src/swarm/blocks.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { lineOf } from "../../src/swarm/table.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import {
  PEER_TIMEOUT,
  announce,
  complete,
  hashOf,
  makeTracker,
  peerNumberAt,
  scrape,
  sweepRound,
} from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

/** Offset of swarm 1. */
function swarmOf(tracker: Tracker): number {
  const hash = hashOf(tracker, 1);
  return tracker.store.table.find(lineOf(hash), hash, tracker.request.infoHashHalves);
}

const bytesOf = (tracker: Tracker): number =>
  sizeOf(tracker.store.arena.words[swarmOf(tracker) >>> 2]);

/** The IPv4 peers of swarm 1, in the order they lie in. */
function order(tracker: Tracker): number[] {
  const { swarms, arena } = tracker.store;
  const swarm = swarmOf(tracker);
  const at = swarms.peersAt(swarm, 4) * 2;
  const count = swarms.smallCount(swarm, 4);
  return Array.from({ length: count }, (_, i) => peerNumberAt(arena.bytes, at + 6 * i));
}

test("seeders lie before leechers, whichever peer comes, switches or goes", () => {
  const { tracker } = makeTracker();
  for (const peer of [1, 2, 3]) announce(tracker, { peer });
  for (const peer of [4, 5]) announce(tracker, { peer, seeder: true });
  expect(order(tracker)).toEqual([4, 5, 3, 1, 2]);
  announce(tracker, { peer: 2, seeder: true });
  expect(order(tracker)).toEqual([4, 5, 2, 1, 3]);
  announce(tracker, { peer: 4, seeder: false });
  expect(order(tracker)).toEqual([2, 5, 4, 1, 3]);
  announce(tracker, { peer: 2, event: "stopped" });
  expect(order(tracker)).toEqual([5, 3, 4, 1]);
  announce(tracker, { peer: 4, event: "stopped" });
  expect(order(tracker)).toEqual([5, 3, 1]);
  expect(scrape(tracker, 1)).toEqual([1, 2, 0]);
});

test("a peer costs 7 bytes in IPv4 and 19 in IPv6, with little room to spare", () => {
  const { tracker } = makeTracker();
  announce(tracker, { peer: 1 });
  expect(bytesOf(tracker)).toBe(36);
  announce(tracker, { peer: 2 });
  expect(bytesOf(tracker)).toBe(44);
  announce(tracker, { peer: 3, family: 6 });
  expect(bytesOf(tracker)).toBe(68);
  for (let peer = 4; peer <= 128; peer++) announce(tracker, { peer });
  expect(bytesOf(tracker)).toBeLessThan((32 + 127 * 7 + 19) * 1.15);
});

test("the room of peers that are gone is given back by the sweep", () => {
  const { tracker } = makeTracker();
  for (let peer = 1; peer <= 100; peer++) {
    announce(tracker, { peer }, peer < 97 ? 0 : PEER_TIMEOUT);
    announce(tracker, { peer, family: 6 }, peer < 97 ? 0 : PEER_TIMEOUT);
  }
  expect(bytesOf(tracker)).toBeGreaterThan(2600);
  sweepRound(new Sweep(tracker.store), PEER_TIMEOUT + 20);
  expect(bytesOf(tracker)).toBe(32 + 4 * 7 + 4 * 19);
  expect(scrape(tracker, 1)).toEqual([0, 8, 0]);
  expect(brokenInvariants(tracker)).toEqual([]);
});

test("each family grows large on its own and keeps the other as it was", () => {
  for (const [large, small] of [
    [4, 6],
    [6, 4],
  ] as const) {
    const { tracker } = makeTracker();
    for (let peer = 1; peer <= 20; peer++) {
      announce(tracker, { peer, family: small, seeder: peer <= 5 });
    }
    for (let peer = 1; peer <= 300; peer++) announce(tracker, { peer, family: large });
    expect(tracker.store.swarms.isLarge(swarmOf(tracker), large)).toBe(true);
    expect(tracker.store.swarms.isLarge(swarmOf(tracker), small)).toBe(false);
    expect(scrape(tracker, 1)).toEqual([5, 315, 0]);
    for (let peer = 21; peer <= 300; peer++) announce(tracker, { peer, family: small });
    expect(tracker.store.swarms.isLarge(swarmOf(tracker), small)).toBe(true);
    expect(scrape(tracker, 1)).toEqual([5, 595, 0]);
    for (let peer = 11; peer <= 300; peer++) {
      announce(tracker, { peer, family: large, event: "stopped" });
    }
    sweepRound(new Sweep(tracker.store), 0);
    expect(tracker.store.swarms.isLarge(swarmOf(tracker), large)).toBe(false);
    expect(tracker.store.swarms.isLarge(swarmOf(tracker), small)).toBe(true);
    expect(scrape(tracker, 1)).toEqual([5, 305, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
  }
});

test("a peer keeps that it has completed through growth, switches and return", () => {
  const { tracker } = makeTracker();
  complete(tracker, { peer: 1 });
  for (let peer = 2; peer <= 300; peer++) announce(tracker, { peer });
  announce(tracker, { peer: 1, seeder: false });
  for (let peer = 2; peer <= 280; peer++) announce(tracker, { peer, event: "stopped" });
  sweepRound(new Sweep(tracker.store), 0);
  complete(tracker, { peer: 1 });
  expect(scrape(tracker, 1)).toEqual([1, 20, 1]);
});

test("downloads are counted past what a byte holds, whatever becomes of the swarm", () => {
  for (const family of [4, 6] as const) {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1000, family: family === 4 ? 6 : 4 });
    const completeAll = (from: number, to: number): void => {
      for (let peer = from; peer <= to; peer++) {
        complete(tracker, { peer, family });
        expect(tracker.reply.downloads).toBe(peer);
        if (peer > 20 && peer < 400) announce(tracker, { peer, family, event: "stopped" });
      }
    };
    completeAll(1, 255);
    const size = bytesOf(tracker);
    completeAll(256, 256);
    expect(bytesOf(tracker)).toBe(size + 4);
    completeAll(257, 700);
    expect(tracker.store.swarms.isLarge(swarmOf(tracker), family)).toBe(true);
    expect(scrape(tracker, 1)).toEqual([321, 1, 700]);
    // Who has completed is known: the peers have kept that through all moves.
    complete(tracker, { peer: 3, family });
    expect(scrape(tracker, 1)).toEqual([321, 1, 700]);
    for (let peer = 4; peer <= 700; peer++) {
      announce(tracker, { peer, family, event: "stopped" });
    }
    sweepRound(new Sweep(tracker.store), 0);
    expect(scrape(tracker, 1)).toEqual([3, 1, 700]);
    sweepRound(new Sweep(tracker.store), 2 * PEER_TIMEOUT);
    expect(scrape(tracker, 1)).toEqual([0, 0, 700]);
    expect(brokenInvariants(tracker)).toEqual([]);
  }
});

test("whose download is the 256th has completed, like any other, wherever it lies", () => {
  for (const family of [4, 6] as const) {
    for (const large of [false, true]) {
      const { tracker } = makeTracker();
      for (let peer = 1; peer <= 300; peer++) {
        for (let again = 0; again < 2; again++) {
          complete(tracker, { peer, family });
          expect(tracker.reply.downloads).toBe(peer);
        }
        if (!large) announce(tracker, { peer: peer - 3, family, event: "stopped" });
      }
      expect(tracker.store.swarms.isLarge(swarmOf(tracker), family)).toBe(large);
      expect(brokenInvariants(tracker)).toEqual([]);
    }
  }
});

test("a swarm has fields of IPv6 only while it has room for such peers", () => {
  const { tracker } = makeTracker();
  announce(tracker, { peer: 1 });
  const alone = bytesOf(tracker);
  for (let peer = 1; peer <= 4; peer++) announce(tracker, { peer, family: 6 });
  expect(bytesOf(tracker)).toBeGreaterThanOrEqual(alone + 4 + 4 * 19);
  for (let peer = 1; peer <= 4; peer++) announce(tracker, { peer, family: 6, event: "stopped" });
  sweepRound(new Sweep(tracker.store), 0);
  expect(bytesOf(tracker)).toBe(alone);
  expect(scrape(tracker, 1)).toEqual([0, 1, 0]);
  announce(tracker, { peer: 1, family: 6, seeder: true });
  expect(scrape(tracker, 1)).toEqual([1, 1, 0]);
  expect(brokenInvariants(tracker)).toEqual([]);
});
