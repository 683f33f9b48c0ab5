/** The index: everything that was put in is found, by a short walk, and nothing else. */
import { describe, expect, test } from "bun:test";
import { HASH_KEY_WORDS } from "../../src/swarm/keyed-hash.ts";
import {
  reserveSwarmMemory,
  SHARD_BITS,
  SHARD_COUNT,
  SHARD_WORDS,
} from "../../src/swarm/memory.ts";
import { lineOf } from "../../src/swarm/table.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { announce, hashOf, infoHashesOfOneShard, makeTracker, MIB } from "./fixture.ts";
import { scrape, setInfoHash } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

/** Longest walk to a swarm, over all shards: slots between its home and its place. */
function longestWalk(tracker: Tracker): number {
  const { table } = tracker.store;
  let longest = 0;
  for (let line = 0; line < SHARD_COUNT * SHARD_WORDS; line += SHARD_WORDS) {
    const slots = table.slots(line);
    for (let slot = 0; slot < slots; slot++) {
      const swarm = table.at(line, slot);
      if (swarm === 0) continue;
      const home = Math.floor((((table.hashAt(swarm) << SHARD_BITS) >>> 0) / 2 ** 32) * slots);
      longest = Math.max(longest, (slot - home + slots) % slots);
    }
  }
  return longest;
}

test("a shard's table doubles when seven tenths are taken, and loses no swarm", () => {
  const { tracker } = makeTracker();
  const infoHashes = infoHashesOfOneShard(tracker, 400);
  const line = lineOf(hashOf(tracker, infoHashes[0]));
  expect(tracker.store.table.slots(line)).toBe(0);
  const sizes = new Map<number, number>();
  infoHashes.forEach((infoHash, i) => {
    announce(tracker, { infoHash, peer: i });
    sizes.set(tracker.store.table.slots(line), i + 1);
  });
  expect([...sizes]).toEqual([
    [64, 45],
    [128, 90],
    [256, 180],
    [512, 359],
    [1024, 400],
  ]);
  for (const infoHash of infoHashes) expect(scrape(tracker, infoHash)).toEqual([0, 1, 0]);
  expect(brokenInvariants(tracker)).toEqual([]);
});

test("taking swarms out in any order leaves the others where they are found", () => {
  const { tracker } = makeTracker(16 * MIB);
  const infoHashes = infoHashesOfOneShard(tracker, 900);
  for (const infoHash of infoHashes) announce(tracker, { infoHash });
  const order = infoHashes.map((_, i) => infoHashes[(i * 389) % 900]);
  order.forEach((infoHash, i) => {
    setInfoHash(tracker, infoHash);
    expect(tracker.store.evict(tracker.request.infoHashHalves)).toBe(true);
    if (i % 20 !== 0) return;
    expect(brokenInvariants(tracker)).toEqual([]);
    for (const gone of order.slice(0, i)) expect(scrape(tracker, gone)).toEqual([0, 0, 0]);
  });
  expect(scrape(tracker, order[899])).toEqual([0, 0, 0]);
});

test("the last table takes swarms until nine in ten slots are taken, then no more", () => {
  // 16 MiB give each shard a table of 2,048 entries at most.
  const { tracker, memory } = makeTracker(16 * MIB);
  const infoHashes = infoHashesOfOneShard(tracker, 2000);
  const stored = infoHashes.filter((infoHash) => {
    announce(tracker, { infoHash });
    return tracker.reply.stored;
  });
  expect(memory.indexRegionBits).toBe(11);
  expect(stored.length).toBe(1844);
  expect(scrape(tracker, infoHashes[1999])).toEqual([0, 0, 0]);
  expect(scrape(tracker, infoHashes[1843])).toEqual([0, 1, 0]);
  announce(tracker, { infoHash: infoHashes[0], event: "stopped" });
  announce(tracker, { infoHash: infoHashes[1999] });
  expect(tracker.reply.stored).toBe(true);
  expect(brokenInvariants(tracker)).toEqual([]);
});

describe("no walk is long, whichever info hashes strangers choose", () => {
  const FAMILIES: Record<string, (bytes: Uint8Array, i: number) => void> = {
    "last bytes differ": (bytes, i) => new DataView(bytes.buffer).setUint32(16, i),
    "first bytes differ": (bytes, i) => new DataView(bytes.buffer).setUint32(0, i),
    "an arithmetic progression": (bytes, i) => {
      new DataView(bytes.buffer).setUint32(8, Math.imul(i, 0x00010001));
    },
    "few bits differ": (bytes, i) => {
      for (let bit = 0; bit < 16; bit++) bytes[bit] = (i >> bit) & 1;
    },
  };
  for (const [name, set] of Object.entries(FAMILIES)) {
    test(name, () => {
      for (let round = 0; round < 2; round++) {
        // The real thing: keys that nobody knows.
        const keys = crypto.getRandomValues(new Int32Array(HASH_KEY_WORDS));
        const { memory } = makeTracker(32 * MIB);
        const tracker = new Tracker(
          new Store(reserveSwarmMemory(memory.settings, keys)),
          new ArrayBuffer(4096),
        );
        const bytes = new Uint8Array(20);
        for (let i = 0; i < 60_000; i++) {
          set(bytes, i);
          tracker.request.infoHash.set(bytes);
          tracker.request.peer.set([10, 0, 0, 1, 26, 225]);
          tracker.announce(0);
        }
        // At a load of 0.7 the longest of 60,000 walks is some 80 by chance.
        expect(longestWalk(tracker)).toBeLessThan(250);
      }
    });
  }
});

test("a table that expects swarms has room for them at once, and finds them all", () => {
  const { tracker, store } = makeTracker(64 * MIB);
  store.table.expect(100_000);
  const slots = store.table.slots(0);
  expect(slots).toBe(1024);
  for (let infoHash = 0; infoHash < 100_000; infoHash++) announce(tracker, { infoHash, wanted: 0 });
  expect(store.table.slots(0)).toBe(slots);
  expect(scrape(tracker, 99_999)).toEqual([0, 1, 0]);
  expect(brokenInvariants(tracker)).toEqual([]);
  // One that has swarms stays as it is.
  store.table.expect(10);
  expect(store.table.slots(0)).toBe(slots);
});
