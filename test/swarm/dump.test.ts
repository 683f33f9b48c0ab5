/**
 * What a dump writes of a store that changes meanwhile, and what becomes of it in another store of
 * other memory, keys, timeout and ticks: peers that are there all the time are equal, their ages
 * within a tick.
 */
import { describe, expect, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { CHUNK_BYTES_MIN, Dump } from "../../src/swarm/dump.ts";
import { reserveSwarmMemory } from "../../src/swarm/memory.ts";
import { PutBack } from "../../src/swarm/put-back.ts";
import type { Store } from "../../src/swarm/store.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import {
  announce,
  announceFrom,
  complete,
  DOWNLOADS_TIMEOUT,
  fixedKeys,
  makeMemory,
  makeTracker,
  MIB,
  PEER_TIMEOUT,
  scrape,
  sweepRound,
  trackerOver,
} from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";
import { type Stored, storedPeer } from "./stored.ts";

interface Chunk {
  bytes: Uint8Array;
  tick: number;
  seconds: number;
}

/** Takes the whole dump; `between` is called after each slice and gives the time of the next. */
function takeChunks(dump: Dump, now: number, between: () => number = () => now): Chunk[] {
  const chunks: Chunk[] = [];
  let seconds = now;
  const take = (): void => {
    if (dump.size > 0)
      chunks.push({ bytes: dump.chunk.slice(0, dump.size), tick: dump.tick, seconds });
    dump.clear();
  };
  while (!dump.done) {
    dump.slice(seconds, 50);
    if (dump.isFull) take();
    seconds = between();
  }
  take();
  return chunks;
}

const ALL = { maySwarm: () => true, mayPeer: () => true };

/** Puts chunks back that were written by a store with these ticks, so many seconds later. */
function putBack(store: Store, chunks: Chunk[], tickSeconds: number, end: number, now: number) {
  const back = new PutBack(store, ALL, new Int32Array([1, 2, 3, 4]));
  for (const { bytes, tick, seconds } of chunks) {
    back.open(bytes, { tick, tickSeconds, elapsedSeconds: end - seconds }, now);
    while (back.next());
    expect(back.at).toBe(bytes.length);
  }
  return back.counts;
}

function otherTracker(peerTimeout: number, memoryMax = 32 * MIB, limits = {}): Tracker {
  const settings = { memoryMax, peerTimeout, downloadsTimeout: 7200, threads: false, ...limits };
  return trackerOver(reserveSwarmMemory(settings, fixedKeys(99)));
}

/** Random numbers that are the same every time. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((Math.imul(state ^ (state >>> 12), 0x297a2d39) >>> 0) % 0x10000) % below;
  };
}

/** A peer that stays, and its state before and after the dump. */
interface Staying {
  infoHash: number;
  family: 4 | 6;
  peer: number;
  seeder: boolean;
  completed: boolean;
  last: number;
  before?: Stored | undefined;
}

/** A tracker with swarms of all sizes, of which some peers stay while everything else changes. */
class Changing {
  readonly tracker = makeTracker(64 * MIB).tracker;
  readonly staying: Staying[] = [];
  readonly #below: (below: number) => number;
  readonly #sweep = new Sweep(this.tracker.store);
  now = 1000;

  constructor(seed: number) {
    this.#below = randomFrom(seed);
    const sizes = [1, 2, 3, 10, 100, 140, 700, 1500];
    for (let infoHash = 0; infoHash < 40; infoHash++) {
      const peers = sizes[infoHash % sizes.length]!;
      for (let peer = 0; peer < peers; peer++) {
        const family = this.#below(3) === 0 ? 6 : 4;
        this.now += this.#below(40) === 0 ? 1 : 0;
        const seeder = this.#below(2) === 0;
        if (peer % 3 === 0)
          this.#stay({ infoHash, family, peer, seeder, completed: false, last: 0 });
        else this.#pass(infoHash, family, peer, seeder);
      }
    }
    for (let infoHash = 100; infoHash < 110; infoHash++) {
      complete(this.tracker, { infoHash, peer: 1 }, this.now);
      announce(this.tracker, { infoHash, peer: 1, event: "stopped" }, this.now);
    }
    for (const one of this.staying) one.before = this.stored(one);
  }

  stored({ infoHash, family, peer }: Staying): Stored | undefined {
    return storedPeer(this.tracker, infoHash, family, peer, this.now);
  }

  #stay(one: Staying): void {
    this.staying.push(one);
    this.#refresh(one);
  }

  #refresh(one: Staying): void {
    const { infoHash, family, peer, seeder } = one;
    const event = seeder && this.#below(2) === 0 ? "completed" : "none";
    announce(this.tracker, { infoHash, family, peer, seeder, event, wanted: 0 }, this.now);
    one.last = this.now;
  }

  #pass(infoHash: number, family: 4 | 6, peer: number, seeder: boolean): void {
    announce(this.tracker, { infoHash, family, peer, seeder, wanted: 0 }, this.now);
  }

  /** Other peers come and go, swarms too; some peers that stay announce, and begin to seed. */
  change(): void {
    const below = this.#below;
    this.now += below(3) === 0 ? 1 : 0;
    const act = below(6);
    const infoHash = below(40);
    if (act === 0)
      for (let i = 0; i < 60; i++) this.#pass(infoHash, 4, 10_000 + below(4000), false);
    else if (act === 1) {
      for (let peer = 0; peer < 1500; peer++) {
        if (peer % 3 === 0 || below(2) === 0) continue;
        const family = below(3) === 0 ? 6 : 4;
        announce(this.tracker, { infoHash, family, peer, event: "stopped" }, this.now);
      }
    } else if (act === 2) {
      for (let i = 0; i < 100; i++) this.#pass(1000 + below(3000), 4, below(5), false);
    } else if (act === 3) {
      for (let i = 0; i < 20; i++) {
        const one = this.staying[below(this.staying.length)]!;
        one.seeder ||= below(2) === 0;
        this.#refresh(one);
      }
    } else if (act === 4) for (let i = 0; i < 100; i++) this.#sweep.slice(this.now, 500);
  }
}

describe.each([1, 2, 3, 4, 5, 6])("a store that changes while it is dumped, number %d", (seed) => {
  test("is put back with all peers that stay, in another store", () => {
    const from = new Changing(seed);
    const began = from.now;
    const downloads = Array.from({ length: 40 }, (_, hash) => scrape(from.tracker, hash)[2]);
    const chunkBytes = seed % 2 === 0 ? CHUNK_BYTES_MIN : 512 * 1024;
    const dump = new Dump(from.tracker.store, new Uint8Array(chunkBytes));
    const chunks = takeChunks(dump, from.now, () => {
      from.change();
      return from.now;
    });
    expect(brokenInvariants(from.tracker)).toEqual([]);
    const to = otherTracker(seed % 3 === 0 ? 900 : 450);
    const { peerTicks } = from.tracker.store;
    const later = 7;
    const now = 20 + seed;
    const counts = putBack(to.store, chunks, peerTicks.seconds, from.now + later, now);
    expect(counts).toMatchObject({ refused: 0, crowded: 0, withoutRoom: 0 });
    expect(brokenInvariants(to)).toEqual([]);
    for (const one of from.staying) {
      const back = storedPeer(to, one.infoHash, one.family, one.peer, now)!;
      const after = from.stored(one)!;
      expect(back, JSON.stringify(one)).toBeDefined();
      const [oldest, youngest] = [one.before!.age + from.now - began + later, after.age + later];
      const slack = peerTicks.seconds + to.store.peerTicks.seconds;
      expect(back.age).toBeWithin(youngest - slack, oldest + slack + 1);
      if (one.last > began) continue;
      expect([back.seeder, back.completed]).toEqual([after.seeder, after.completed]);
      expect(Math.abs(back.age - youngest)).toBeLessThanOrEqual(slack);
    }
    for (let infoHash = 0; infoHash < 40; infoHash++) {
      const counted = scrape(to, infoHash)[2];
      expect(counted).toBeWithin(downloads[infoHash]!, scrape(from.tracker, infoHash)[2] + 1);
    }
    for (let infoHash = 100; infoHash < 110; infoHash++) {
      expect(scrape(to, infoHash)).toEqual([0, 0, 1]);
    }
    expect(takeCensus(to.store.memory).swarmsEmpty).toBeGreaterThanOrEqual(10);
  });
});

test("of a store at rest every peer is written once, and the same peers are there again", () => {
  const { tracker, store, memory } = makeTracker(64 * MIB);
  for (let infoHash = 0; infoHash < 3000; infoHash++) {
    for (let peer = 0; peer <= infoHash % 4; peer++) announce(tracker, { infoHash, peer });
    if (infoHash % 5 === 0) announce(tracker, { infoHash, peer: 9, family: 6, seeder: true });
  }
  for (let peer = 0; peer < 3000; peer++) {
    announce(tracker, { infoHash: 5000, peer, family: peer % 2 ? 4 : 6, seeder: peer % 3 === 0 });
  }
  const dump = new Dump(store, new Uint8Array(256 * 1024));
  const chunks = takeChunks(dump, 0);
  const { swarms, peers, seedersIpv4, leechersIpv6 } = takeCensus(memory);
  expect(dump.peers).toBe(peers);
  const to = otherTracker(PEER_TIMEOUT);
  expect(putBack(to.store, chunks, store.peerTicks.seconds, 0, 0)).toMatchObject({ swarms, peers });
  const census = takeCensus(to.store.memory);
  expect(census).toMatchObject({ swarms, peers, seedersIpv4, leechersIpv6 });
  expect(brokenInvariants(to)).toEqual([]);
});

test("no slice copies more than a piece of a huge swarm, and each chunk keeps its size", () => {
  const { tracker, store } = makeTracker(64 * MIB);
  for (let peer = 0; peer < 200_000; peer++) announce(tracker, { peer, wanted: 0, event: "none" });
  for (const bytes of [CHUNK_BYTES_MIN, 512 * 1024]) {
    const dump = new Dump(store, new Uint8Array(bytes));
    let most = 0;
    while (!dump.done) {
      const before = dump.peers;
      dump.slice(0, 500);
      most = Math.max(most, dump.peers - before);
      if (dump.isFull) dump.clear();
    }
    expect(dump.peers).toBe(200_000);
    expect(most).toBeLessThanOrEqual(512);
  }
});

test("a bucket that has more peers than a piece is written whole", () => {
  const { tracker, store } = makeTracker(64 * MIB);
  for (let port = 1; port <= 900; port++) announceFrom(tracker, { address: [11, 2, 3, 4], port });
  const dump = new Dump(store, new Uint8Array(CHUNK_BYTES_MIN));
  const chunks = takeChunks(dump, 0);
  expect(dump.peers).toBe(900);
  const to = otherTracker(PEER_TIMEOUT);
  expect(putBack(to.store, chunks, store.peerTicks.seconds, 0, 0)).toMatchObject({ peers: 900 });
});

test("only peers up to an age are written, where that is asked for", () => {
  const { tracker, store } = makeTracker();
  const tick = store.peerTicks.seconds;
  announce(tracker, { infoHash: 9 }, 0);
  for (let age = 9; age >= 0; age--) {
    for (const infoHash of [1, 2, 3]) {
      for (let peer = age; peer < 200 * infoHash; peer += 10) {
        announce(tracker, { infoHash, peer, event: "none", wanted: 0 }, (9 - age) * tick);
      }
    }
  }
  complete(tracker, { infoHash: 10 }, 9 * tick);
  announce(tracker, { infoHash: 10, event: "stopped" }, 9 * tick);
  const dump = new Dump(store, new Uint8Array(64 * 1024), 2);
  const to = otherTracker(PEER_TIMEOUT);
  putBack(to.store, takeChunks(dump, 9 * tick), tick, 0, 0);
  expect([1, 2, 3].map((infoHash) => scrape(to, infoHash)[1])).toEqual([60, 120, 180]);
  expect(takeCensus(to.store.memory).swarms).toBe(3);
});

test("claims are left out, because a record cannot say whose they are", () => {
  const tracker = trackerOver(makeMemory(64 * MIB, false, { claims: true }));
  for (let i = 0; i < 200; i++) announceFrom(tracker, { address: [60, i, 1, 1] });
  for (let i = 0; i < 50; i++) {
    announceFrom(tracker, { address: [61, i, 1, 1], from: [70, i, 1, 1] });
    announceFrom(tracker, { infoHash: 2, address: [61, i, 1, 1], from: [70, i, 1, 1] });
  }
  const to = otherTracker(PEER_TIMEOUT);
  const chunks = takeChunks(new Dump(tracker.store, new Uint8Array(64 * 1024)), 0);
  putBack(to.store, chunks, tracker.store.peerTicks.seconds, 0, 0);
  expect([scrape(to, 1), scrape(to, 2)]).toEqual([
    [0, 200, 0],
    [0, 0, 0],
  ]);
});

test("the time without peers goes on for a counter", () => {
  const { tracker, store } = makeTracker();
  for (const infoHash of [1, 2]) {
    const now = infoHash === 1 ? 0 : 1800;
    complete(tracker, { infoHash }, now);
    announce(tracker, { infoHash, event: "stopped" }, now);
  }
  const chunks = takeChunks(new Dump(store, new Uint8Array(64 * 1024)), 2000);
  const again = makeTracker();
  putBack(again.store, chunks, store.peerTicks.seconds, 3000, 500);
  expect([1, 2].map((infoHash) => scrape(again.tracker, infoHash)[2])).toEqual([1, 1]);
  const sweep = new Sweep(again.store);
  const at = (now: number): number[] => {
    for (let i = 0; i < 5000; i++) sweep.slice(now, 1000);
    return [1, 2].map((infoHash) => scrape(again.tracker, infoHash)[2]);
  };
  // 3000 and 1200 seconds of DOWNLOADS_TIMEOUT were over when they were put back.
  expect(at(500 + DOWNLOADS_TIMEOUT - 3000 + 200)).toEqual([0, 1]);
  expect(at(500 + DOWNLOADS_TIMEOUT - 1200 + 200)).toEqual([0, 0]);
});

test("a swarm that grows and begins to seed between its pieces hides no peer", () => {
  const { tracker, store } = makeTracker(64 * MIB);
  for (let peer = 0; peer < 12_000; peer++) announce(tracker, { peer, wanted: 0, event: "none" });
  const below = randomFrom(5);
  let others = 12_000;
  const dump = new Dump(store, new Uint8Array(CHUNK_BYTES_MIN));
  const chunks = takeChunks(dump, 0, () => {
    if (dump.peers === 0) return 0;
    for (let i = 0; i < 500; i++) {
      announce(tracker, { peer: below(12_000), seeder: true, wanted: 0, event: "none" });
      announce(tracker, { peer: others++, wanted: 0, event: "none" });
    }
    return 0;
  });
  const to = otherTracker(PEER_TIMEOUT);
  putBack(to.store, chunks, store.peerTicks.seconds, 0, 0);
  const missed = Array.from({ length: 12_000 }, (_, peer) => peer).filter(
    (peer) => storedPeer(to, 1, 4, peer, 0) === undefined,
  );
  expect(missed).toEqual([]);
  expect(others).toBeGreaterThan(13_999);
});

test("a swarm that shrinks between its pieces, whose buckets are merged, hides no peer", () => {
  for (const slices of [1, 3, 6]) {
    const { tracker, store } = makeTracker(64 * MIB);
    for (let peer = 0; peer < 40_000; peer++) announce(tracker, { peer, wanted: 0, event: "none" });
    const dump = new Dump(store, new Uint8Array(64 * 1024));
    let left = slices;
    const chunks = takeChunks(dump, 0, () => {
      left -= dump.peers > 0 ? 1 : 0;
      if (left !== 0) return 0;
      for (let peer = 0; peer < 40_000; peer++) {
        if (peer % 10 > 0) announce(tracker, { peer, event: "stopped" });
      }
      sweepRound(new Sweep(store), 0);
      return 0;
    });
    const to = otherTracker(PEER_TIMEOUT);
    putBack(to.store, chunks, store.peerTicks.seconds, 0, 0);
    const missed = Array.from({ length: 4000 }, (_, i) => i * 10).filter(
      (peer) => storedPeer(to, 1, 4, peer, 0) === undefined,
    );
    expect(missed).toEqual([]);
  }
});
