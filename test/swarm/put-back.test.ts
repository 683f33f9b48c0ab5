/** What becomes of records in a store that has rules and peers of its own. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { takeCensus } from "../../src/swarm/census.ts";
import { Dump } from "../../src/swarm/dump.ts";
import { reserveSwarmMemory, type SwarmSettings } from "../../src/swarm/memory.ts";
import { type Judge, PutBack } from "../../src/swarm/put-back.ts";
import { Store } from "../../src/swarm/store.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import {
  announce,
  announceFrom,
  complete,
  fixedKeys,
  makeMemory,
  makeTracker,
  MIB,
  PEER_TIMEOUT,
  peerNumberAt,
  scrape,
  sweepRound,
  trackerOver,
} from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";
import { storedPeer } from "./stored.ts";

const ALL: Judge = { maySwarm: () => true, mayPeer: () => true };

/** Everything a store holds, as one chunk. */
function dumped(store: Store, now = 0): Uint8Array {
  const dump = new Dump(store, new Uint8Array(8 * MIB));
  while (!dump.done) dump.slice(now, 1000);
  return dump.chunk.slice(0, dump.size);
}

interface Options {
  /** The time in the store that was dumped, and in the one that it is put back into. */
  at?: number;
  now?: number;
  elapsed?: number;
  judge?: Judge;
  roleTicks?: number;
  notes?: boolean;
}

function put(to: Store, chunk: Uint8Array, options: Options = {}): PutBack {
  const { at = 0, now = 0, elapsed = 0, judge = ALL, roleTicks = 0, notes = false } = options;
  const { peerTicks } = makeTracker().store;
  const back = new PutBack(to, judge, new Int32Array([1, 2, 3, 4]));
  back.roleTicks = roleTicks;
  back.notes = notes;
  const written = { tick: peerTicks.at(at), tickSeconds: peerTicks.seconds };
  back.open(chunk, { ...written, elapsedSeconds: elapsed }, now);
  while (back.next());
  return back;
}

function trackerWith(limits: Partial<SwarmSettings>, memoryMax = 64 * MIB): Tracker {
  return trackerOver(makeMemory(memoryMax, false, limits));
}

/** Ticks since the last announce of a peer, as the tracker sees them when it announces again. */
function ageOf(tracker: Tracker, changes: Parameters<typeof announce>[1], now: number): number {
  announce(tracker, { event: "none", ...changes }, now);
  return tracker.reply.ticksSinceLast;
}

/** A swarm of so many peers, of which one in three seeds, and its chunk. */
function swarmOf(peers: number, now = 0): Uint8Array {
  const { tracker, store } = makeTracker();
  for (let peer = 0; peer < peers; peer++) {
    announce(tracker, { peer, seeder: peer % 3 === 0, event: "none", wanted: 0 }, now);
  }
  return dumped(store, now);
}

describe.each([
  ["a small swarm", 9],
  ["a large swarm", 900],
])("%s", (_name, peers) => {
  test("is there again with its roles, and its peers go on growing old", () => {
    const { tracker, store, memory } = makeTracker();
    const { counts } = put(store, swarmOf(peers, 60), { at: 100, now: 5000, elapsed: 200 });
    expect(counts).toMatchObject({ peers, swarms: 1, expired: 0 });
    expect(scrape(tracker, 1)).toEqual([peers / 3, (peers * 2) / 3, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
    // 40 seconds old when it was dumped, 240 when it was put back.
    sweepRound(new Sweep(store), 5000 + PEER_TIMEOUT - 240 - 10);
    expect(takeCensus(memory).peers).toBe(peers);
    sweepRound(new Sweep(store), 5000 + PEER_TIMEOUT - 240 + 20);
    expect(takeCensus(memory).peers).toBe(0);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("may be put back twice, and nothing changes", () => {
    const { tracker, store, memory } = makeTracker();
    const chunk = swarmOf(peers);
    put(store, chunk);
    const before = takeCensus(memory);
    expect(put(store, chunk).counts).toMatchObject({ peers, swarms: 0 });
    expect(takeCensus(memory)).toEqual(before);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("that is too old does not come back, its counter does", () => {
    const { tracker, store } = makeTracker();
    const from = makeTracker();
    for (let peer = 0; peer < peers; peer++) complete(from.tracker, { peer });
    const { counts } = put(store, dumped(from.store), { elapsed: PEER_TIMEOUT + 20, now: 1000 });
    expect(counts).toMatchObject({ expired: peers, peers: 0 });
    expect(scrape(tracker, 1)).toEqual([0, 0, peers]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("keeps only the peers that the judge admits", () => {
    const { tracker, store } = makeTracker();
    const mayPeer: Judge["mayPeer"] = (bytes, at) => peerNumberAt(bytes, at) % 3 === 0;
    const { counts } = put(store, swarmOf(peers), { judge: { ...ALL, mayPeer } });
    expect(counts).toMatchObject({ peers: peers / 3, refused: (peers * 2) / 3 });
    expect(scrape(tracker, 1)).toEqual([peers / 3, 0, 0]);
    const none = makeTracker();
    put(none.store, swarmOf(peers), { judge: { ...ALL, maySwarm: () => false } });
    expect(takeCensus(none.memory).swarms).toBe(0);
  });

  test("joins one that is there, as it would have been put back alone", () => {
    const alone = makeTracker();
    put(alone.store, swarmOf(peers));
    const joined = makeTracker();
    announce(joined.tracker, { peer: 5000 });
    put(joined.store, swarmOf(peers));
    announce(joined.tracker, { peer: 5000, event: "stopped" });
    for (const { tracker } of [alone, joined]) {
      expect(scrape(tracker, 1)).toEqual([peers / 3, (peers * 2) / 3, 0]);
      expect(brokenInvariants(tracker)).toEqual([]);
    }
  });
});

describe("of a peer that is stored already", () => {
  const tick = makeTracker().store.peerTicks.seconds;
  /** A peer announced in one store and later or earlier in the other, where it is put back. */
  const meet = (
    ours: number,
    theirs: number,
    seeds: { ours: boolean; theirs: boolean },
    roleTicks = 0,
  ) => {
    const from = makeTracker();
    announce(from.tracker, { seeder: seeds.theirs }, theirs * tick);
    const to = makeTracker();
    announce(to.tracker, { seeder: seeds.ours }, ours * tick);
    const now = 10 * tick;
    put(to.store, dumped(from.store, now), { at: now, now, roleTicks });
    expect(brokenInvariants(to.tracker)).toEqual([]);
    const [seeders] = scrape(to.tracker, 1);
    return { seeder: seeders === 1, age: ageOf(to.tracker, { seeder: seeders === 1 }, now) };
  };

  test("the younger decides role and age", () => {
    expect(meet(3, 7, { ours: true, theirs: false })).toEqual({ seeder: false, age: 3 });
    expect(meet(7, 3, { ours: true, theirs: false })).toEqual({ seeder: true, age: 3 });
    expect(meet(7, 3, { ours: false, theirs: true })).toEqual({ seeder: false, age: 3 });
  });

  test("the seeder decides if both are of an age", () => {
    expect(meet(5, 5, { ours: false, theirs: true })).toEqual({ seeder: true, age: 5 });
    expect(meet(5, 5, { ours: true, theirs: false })).toEqual({ seeder: true, age: 5 });
  });

  test("the seeder decides within some ticks, where clocks differ; the younger age stays", () => {
    expect(meet(5, 3, { ours: false, theirs: true }, 2)).toEqual({ seeder: true, age: 5 });
    expect(meet(5, 2, { ours: false, theirs: true }, 2)).toEqual({ seeder: false, age: 5 });
    expect(meet(3, 5, { ours: true, theirs: false }, 2)).toEqual({ seeder: true, age: 5 });
    expect(meet(2, 5, { ours: true, theirs: false }, 2)).toEqual({ seeder: false, age: 5 });
  });

  test("it has completed if either says so, and its download counts no more", () => {
    for (const ours of [2, 8]) {
      const from = makeTracker();
      complete(from.tracker, {}, 5 * tick);
      const to = makeTracker();
      announce(to.tracker, {}, ours * tick);
      put(to.store, dumped(from.store, 5 * tick), { at: 5 * tick, now: 8 * tick });
      expect(scrape(to.tracker, 1)[2]).toBe(1);
      complete(to.tracker, {}, 9 * tick);
      expect(scrape(to.tracker, 1)).toEqual([1, 0, 1]);
    }
  });

  test("two stores that exchange it move its age by a tick at most", () => {
    const ages = [1, 7, 20, 33, 50];
    const stores = [PEER_TIMEOUT, 777].map((peerTimeout) => trackerWith({ peerTimeout }));
    const [one, two] = stores as [Tracker, Tracker];
    const now = 10_000;
    for (const age of ages) announce(one, { infoHash: age, wanted: 0 }, now - age * 10);
    const tell = (from: Tracker, to: Tracker): void => {
      const back = new PutBack(to.store, ALL);
      const { peerTicks } = from.store;
      const written = { tick: peerTicks.at(now), tickSeconds: peerTicks.seconds };
      back.open(dumped(from.store, now), { ...written, elapsedSeconds: 0 }, now);
      while (back.next());
    };
    for (let i = 0; i < 20; i++) {
      tell(one, two);
      tell(two, one);
    }
    // 50 ticks of 10 seconds are 38 of 13 in the other, and that is 49 here.
    expect(ages.map((infoHash) => ageOf(one, { infoHash }, now))).toEqual([1, 7, 20, 33, 49]);
  });
});

/** An announce of the property: one peer, or several with numbers one behind the other. */
interface Act {
  infoHash: number;
  family: 4 | 6;
  peer: number;
  many: number;
  seeder: boolean;
  event: "none" | "completed" | "stopped";
  later: number;
}

const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.record({
    infoHash: fc.nat(4),
    family: fc.constantFrom<4 | 6>(4, 6),
    peer: fc.nat(300),
    many: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { arbitrary: fc.nat(200), weight: 1 }),
    seeder: fc.boolean(),
    event: fc.constantFrom("none", "none", "completed", "stopped"),
    later: fc.nat(15),
  }),
  { minLength: 1, maxLength: 40 },
);

test("any store is the same in another one of other keys, memory, timeout and ticks", () => {
  const asked = fc.record({
    acts,
    timeout: fc.integer({ min: 1500, max: 9000 }),
    seed: fc.nat(99),
  });
  fc.assert(
    fc.property(asked, ({ acts: all, timeout, seed }) => {
      const from = trackerWith({ peerTimeout: 1200 });
      let now = 5;
      const peers = new Set<string>();
      for (const { many, later, ...act } of all) {
        now += later;
        for (let peer = act.peer; peer < act.peer + many; peer++) {
          announce(from, { ...act, peer, wanted: 0 }, now);
          peers.add(`${act.infoHash} ${act.family} ${peer}`);
        }
      }
      const settings = { memoryMax: 24 * MIB, peerTimeout: timeout, downloadsTimeout: 7200 };
      const keys = fixedKeys(seed + 2);
      const to = trackerOver(reserveSwarmMemory({ ...settings, threads: true }, keys));
      const back = new PutBack(to.store, ALL, new Int32Array([1, 2, 3, 4]));
      const { peerTicks } = from.store;
      const written = { tick: peerTicks.at(now), tickSeconds: peerTicks.seconds };
      back.open(dumped(from.store, now), { ...written, elapsedSeconds: 0 }, 777);
      while (back.next());
      const slack = (peerTicks.seconds + to.store.peerTicks.seconds) / 2;
      for (const name of peers) {
        const [infoHash, family, peer] = name.split(" ").map(Number) as [number, 4 | 6, number];
        const before = storedPeer(from, infoHash, family, peer, now);
        const after = storedPeer(to, infoHash, family, peer, 777);
        if (before === undefined || after === undefined) expect(after).toBe(before);
        else {
          expect({ ...after, age: 0 }).toEqual({ ...before, age: 0 });
          expect(Math.abs(after.age - before.age)).toBeLessThanOrEqual(slack);
        }
      }
      for (let infoHash = 0; infoHash < 5; infoHash++) {
        expect(scrape(to, infoHash)).toEqual(scrape(from, infoHash));
      }
      const { peers: stored, swarms, swarmsEmpty } = takeCensus(from.store.memory);
      expect(takeCensus(to.store.memory)).toMatchObject({ peers: stored, swarms, swarmsEmpty });
      expect(brokenInvariants(to)).toEqual([]);
    }),
    { numRuns: 60, seed: 11 },
  );
}, 60_000);

describe("ceilings and quotas hold:", () => {
  test("peers of a swarm", () => {
    const tracker = trackerWith({ peersPerSwarmMax: 50 });
    const { counts } = put(tracker.store, swarmOf(120));
    expect(counts).toMatchObject({ peers: 50, crowded: 70 });
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("peers of an address in a swarm", () => {
    const from = makeTracker();
    for (let port = 1; port <= 100; port++)
      announceFrom(from.tracker, { address: [9, 9, 9, 9], port });
    const tracker = trackerWith({ peersPerAddressMax: 7 });
    put(tracker.store, dumped(from.store));
    expect(scrape(tracker, 1)).toEqual([0, 7, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("peers of an address, among others that all come back", () => {
    const from = makeTracker();
    for (let i = 1; i <= 100; i++) {
      announceFrom(from.tracker, { address: [7, i, 9, 9], port: i });
      if (i % 5 === 0) announceFrom(from.tracker, { address: [9, 9, 9, 9], port: i });
      announceFrom(from.tracker, { infoHash: 2, address: [7, i, 9, 9], port: i, seeder: true });
    }
    const tracker = trackerWith({ peersPerAddressMax: 3 });
    put(tracker.store, dumped(from.store));
    expect([scrape(tracker, 1), scrape(tracker, 2)]).toEqual([
      [0, 103, 0],
      [100, 0, 0],
    ]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test.each([3, 300])("a swarm comes back whole if one of %d peers may begin it", (peers) => {
    const from = makeTracker();
    for (let infoHash = 100; infoHash < 150; infoHash++) {
      announceFrom(from.tracker, { infoHash, address: [9, 9, 9, 9] });
    }
    announceFrom(from.tracker, { address: [9, 9, 9, 9], seeder: true });
    for (let i = 1; i < peers - 1; i++) {
      announceFrom(from.tracker, { address: [9, 9, 9, 9], port: 1000 + i, seeder: true });
    }
    announceFrom(from.tracker, { address: [8, 8, 8, 8] });
    const tracker = trackerWith({ swarmsPerAddressMax: 20 });
    for (let infoHash = 100; infoHash < 150; infoHash++) {
      announceFrom(tracker, { infoHash, address: [7, infoHash, 7, 7] });
      announceFrom(tracker, { infoHash, address: [9, 9, 9, 9] });
    }
    put(tracker.store, dumped(from.store));
    expect(scrape(tracker, 1)).toEqual([peers - 1, 1, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("swarms that an address begins", () => {
    const from = makeTracker();
    for (let infoHash = 0; infoHash < 100; infoHash++) {
      announceFrom(from.tracker, { infoHash, address: [9, 9, 9, 9] });
      announceFrom(from.tracker, { infoHash, address: [8, infoHash, 9, 9], family: 4 });
    }
    const tracker = trackerWith({ swarmsPerAddressMax: 10 });
    const { counts } = put(tracker.store, dumped(from.store));
    expect(counts.swarms).toBe(100);
    expect(brokenInvariants(tracker)).toEqual([]);
    const alone = makeTracker();
    for (let infoHash = 0; infoHash < 100; infoHash++) {
      announceFrom(alone.tracker, { infoHash, address: [9, 9, 9, 9] });
    }
    const other = trackerWith({ swarmsPerAddressMax: 10 });
    expect(put(other.store, dumped(alone.store)).counts).toMatchObject({ swarms: 10, crowded: 90 });
    expect(brokenInvariants(other)).toEqual([]);
    expect(takeCensus(other.store.memory).peersNotStored).toEqual([0, 0, 0, 0, 0]);
    const pulled = trackerWith({ swarmsPerAddressMax: 10 });
    put(pulled.store, dumped(alone.store), { notes: true });
    expect(takeCensus(pulled.store.memory).peersNotStored).toEqual([0, 0, 90, 0, 0]);
  });

  test("memory: what finds no room is counted, and what is there is whole", () => {
    const from = makeTracker(128 * MIB);
    for (let infoHash = 0; infoHash < 150_000; infoHash++) {
      announce(from.tracker, { infoHash, peer: infoHash, wanted: 0 });
    }
    const dump = new Dump(from.store, new Uint8Array(16 * MIB));
    const to = makeTracker(4 * MIB);
    const back = new PutBack(to.store, ALL);
    const written = { tick: 0, tickSeconds: from.store.peerTicks.seconds, elapsedSeconds: 0 };
    while (!dump.done) {
      dump.slice(0, 1000);
      if (!dump.isFull && !dump.done) continue;
      back.open(dump.chunk.subarray(0, dump.size), written, 0);
      while (back.next());
      dump.clear();
    }
    expect(back.counts.withoutRoom + back.counts.peers).toBe(150_000);
    expect(takeCensus(to.memory).peers).toBe(back.counts.peers);
    expect(back.counts.peers).toBeGreaterThan(10_000);
    expect(brokenInvariants(to.tracker)).toEqual([]);
  });
});

describe("a tracker's own swarms", () => {
  const NET = { peersPerAddressMax: 256, peersPerSwarmMax: 1e6 };
  const restoring = (store: Store): Store =>
    new Store({ ...store.memory, settings: { ...store.memory.settings, restoring: true } });
  const withKeys = (keys: Int32Array, memoryMax: number, limits: Partial<SwarmSettings> = {}) => {
    const timeouts = { peerTimeout: PEER_TIMEOUT, downloadsTimeout: 3600 };
    return trackerOver(
      reserveSwarmMemory({ memoryMax, threads: false, ...timeouts, ...limits }, keys),
    );
  };

  /** A crowd: 250,000 peers of one /16 in one swarm, more than some buckets hold. */
  const crowd = () => {
    const tracker = withKeys(fixedKeys(1), 64 * MIB, NET);
    for (let i = 0; i < 280_000; i++) {
      announceFrom(tracker, { address: [9, 9, i & 0xff, (i >> 8) & 0xff], port: 1 + (i >> 16) });
    }
    return tracker;
  };

  test("of a crowded swarm all come back where the keys are the same; else each is counted", () => {
    const from = crowd();
    const { peers } = takeCensus(from.store.memory);
    expect(peers).toBeGreaterThan(250_000);
    const chunk = dumped(from.store);
    const same = withKeys(fixedKeys(1), 64 * MIB, NET);
    expect(put(restoring(same.store), chunk).counts).toMatchObject({ peers, crowded: 0 });
    expect(takeCensus(same.store.memory).peers).toBe(peers);
    const other = withKeys(fixedKeys(2), 64 * MIB, NET);
    const { counts } = put(restoring(other.store), chunk);
    expect(counts.crowded).toBeGreaterThan(0);
    expect(takeCensus(other.store.memory).peers).toBe(counts.peers);
    expect(counts.peers + counts.crowded + counts.withoutRoom).toBe(peers);
    expect(brokenInvariants(other)).toEqual([]);
  });

  test("all come back in full memory of the same size, large swarms and small ones", () => {
    const memoryMax = 8 * MIB;
    const from = withKeys(fixedKeys(1), memoryMax);
    for (let i = 0; i < 600_000 && !from.reply.notStored; i++) {
      const infoHash = Math.floor(((i * 7919) % 10_007) ** 2 / 1500);
      announce(from, { infoHash, peer: i, seeder: i % 3 === 0, wanted: 0 });
    }
    expect(from.reply.notStored).not.toBe(0);
    const { peers, swarms } = takeCensus(from.store.memory);
    const to = withKeys(fixedKeys(5), memoryMax);
    const { counts } = put(restoring(to.store), dumped(from.store));
    expect(counts).toMatchObject({ peers, withoutRoom: 0 });
    expect(takeCensus(to.store.memory)).toMatchObject({ peers, swarms });
    expect(brokenInvariants(to)).toEqual([]);
  });

  test("come back whatever their addresses began: they were stored before", () => {
    const limits = { swarmsPerAddressMax: 10 };
    const from = withKeys(fixedKeys(1), 64 * MIB, limits);
    for (let infoHash = 0; infoHash < 100; infoHash++) {
      announceFrom(from, { infoHash, address: [8, infoHash, 9, 9] });
      announceFrom(from, { infoHash, address: [9, 9, 9, 9] });
      announceFrom(from, { infoHash, address: [8, infoHash, 9, 9], event: "stopped" });
    }
    const to = withKeys(fixedKeys(1), 64 * MIB, limits);
    const { counts } = put(restoring(to.store), dumped(from.store));
    expect(counts).toMatchObject({ peers: 100, crowded: 0 });
  });
});

test("a record may name a peer twice, or port 0: it is stored once, or not at all", () => {
  const chunk = swarmOf(2);
  const twice = chunk.slice();
  twice.copyWithin(34 + 6, 34, 34 + 6);
  const { tracker, store, memory } = makeTracker();
  put(store, twice);
  expect(takeCensus(memory)).toMatchObject({ seeders: 1, peers: 1 });
  expect(brokenInvariants(tracker)).toEqual([]);
  const port0 = chunk.slice();
  port0.fill(0, 34 + 4, 34 + 6);
  const other = makeTracker();
  expect(put(other.store, port0).counts).toMatchObject({ peers: 1, refused: 1 });
});

test("a chunk that is cut short ends at its last whole record", () => {
  const from = makeTracker();
  for (let infoHash = 0; infoHash < 50; infoHash++) announce(from.tracker, { infoHash });
  const chunk = dumped(from.store);
  for (let length = 0; length < chunk.length; length += 37) {
    const to = makeTracker(8 * MIB);
    const back = put(to.store, chunk.subarray(0, length));
    expect(back.counts.peers).toBe(Math.floor(length / 42));
    expect(back.at).toBe(42 * back.counts.peers);
  }
});

test.each([false, true])("whatever a chunk holds, the store stays whole; restoring: %p", (own) => {
  const chunk = new Uint8Array([...swarmOf(9), ...swarmOf(300), ...swarmOf(1)]);
  const { tracker, memory } = makeTracker(2 * MIB);
  const store = new Store({ ...memory, settings: { ...memory.settings, restoring: own } });
  const change = fc.record({ at: fc.nat(chunk.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 30 }), fc.nat(127), (changes, tick) => {
      const bytes = chunk.slice();
      for (const { at, byte } of changes) bytes[at] = byte;
      const back = new PutBack(store, ALL);
      for (const countersOnly of own ? [false, true] : [false]) {
        back.countersOnly = countersOnly;
        back.open(bytes, { tick, tickSeconds: 10, elapsedSeconds: 5 }, 100);
        while (back.next());
        expect(back.at).toBeLessThanOrEqual(bytes.length);
      }
    }),
    { numRuns: 1000, seed: 5 },
  );
  expect(brokenInvariants(tracker)).toEqual([]);
});

test("swarms are put back while another thread's locks are asked for", () => {
  const from = makeTracker();
  for (let infoHash = 0; infoHash < 500; infoHash++) complete(from.tracker, { infoHash });
  const { tracker, store } = makeTracker(64 * MIB, true);
  expect(put(store, dumped(from.store)).counts).toMatchObject({ swarms: 500, peers: 500 });
  expect(scrape(tracker, 499)).toEqual([1, 0, 1]);
  expect(brokenInvariants(tracker)).toEqual([]);
});
