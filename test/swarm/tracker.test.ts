import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { peerHalves } from "../../src/swarm/blocks.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { cellOf } from "../../src/swarm/completions.ts";
import { hashInfoHash, hashPeer } from "../../src/swarm/keyed-hash.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import {
  DOWNLOADS_TIMEOUT,
  MIB,
  PEER_TIMEOUT,
  announce,
  complete,
  countsOf,
  fixedKeys,
  infoHashesOfOneShard,
  makeMemory,
  makeTracker,
  plain,
  scrape,
  setInfoHash,
  setPeer,
  setSource,
  sweepRound,
  trackerOver,
} from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";
import { keyOf, Twin, type TwinAnnounce } from "./twin.ts";

const asked = makeTracker(16 * MIB).tracker;

/** The cell in which the core remembers a download, under the fixed keys. */
function cellOfDownload({ infoHash, family, peer, from }: TwinAnnounce): number {
  setInfoHash(asked, infoHash);
  setPeer(asked, family, peer);
  if (from !== undefined) setSource(asked, from.family, from.peer);
  const { infoHashHalves, chargedHalves, chargedFamily } = asked.request;
  const keys = fixedKeys();
  return cellOf(
    hashInfoHash(keys, infoHashHalves, 0),
    hashPeer(keys, chargedHalves, 0, peerHalves(chargedFamily)),
  );
}

/** A tracker and its twin, asked the same; `check` also compares what was drawn. */
class Pair {
  readonly twin: Twin;
  readonly tracker;
  readonly memory;
  readonly sweep: Sweep;
  now = 0;
  #sweptAt = 0;

  constructor(memoryMax: number, claims = false) {
    this.memory = makeMemory(memoryMax, false, { claims });
    this.tracker = trackerOver(this.memory);
    this.sweep = new Sweep(this.tracker.store);
    this.twin = new Twin(PEER_TIMEOUT, DOWNLOADS_TIMEOUT, cellOfDownload);
  }

  announce(a: TwinAnnounce): void {
    announce(this.tracker, a, this.now);
    this.twin.announce(a, this.now);
  }

  check(a: TwinAnnounce): void {
    const drawn = announce(this.tracker, a, this.now);
    const stored = this.twin.announce(a, this.now);
    expect(countsOf(this.tracker)).toEqual(this.twin.counts(a.infoHash));
    expect(this.tracker.reply.stored).toBe(stored);
    const { first, then } = this.twin.mayOffer(a, stored);
    expect(new Set(drawn).size).toBe(drawn.length);
    const wantedFirst = Math.min(a.wanted, first.size);
    expect(drawn.filter((key) => first.has(key)).length).toBe(wantedFirst);
    const wantedThen = Math.min(a.wanted - wantedFirst, then.size);
    expect(drawn.filter((key) => then.has(key)).length).toBe(wantedThen);
    expect(drawn.length).toBe(wantedFirst + wantedThen);
  }

  sweepRound(units: number): void {
    sweepRound(this.sweep, this.now, units);
    this.twin.sweep(this.now);
    this.#sweptAt = this.now;
  }

  /** Time goes by, and the sweep comes by before an age begins again, as upkeep promises. */
  wait(seconds: number): void {
    for (let left = seconds; left > 0;) {
      const hop = Math.min(left, this.#sweptAt + PEER_TIMEOUT - this.now);
      this.now += hop;
      left -= hop;
      if (this.now === this.#sweptAt + PEER_TIMEOUT) this.sweepRound(500);
    }
  }

  /** Everything both know is the same, and the buffers are sound. */
  compare(infoHashes: number[]): void {
    const census = takeCensus(this.memory);
    const totals = infoHashes.map((infoHash) => this.twin.counts(infoHash));
    expect(census.swarms).toBe(this.twin.swarms.size);
    expect(census.seeders).toBe(totals.reduce((n, c) => n + c[0], 0));
    expect(census.leechers).toBe(totals.reduce((n, c) => n + c[1], 0));
    expect(census.peersExpired).toBe(this.twin.expired);
    expect(totals).toEqual(infoHashes.map((infoHash) => scrape(this.tracker, infoHash)));
    expect(brokenInvariants(this.tracker)).toEqual([]);
  }
}

const event = fc.constantFrom<TwinAnnounce["event"]>(
  "none",
  "completed",
  "started",
  "stopped",
  "paused",
);

function announceOf(infoHash: fc.Arbitrary<number>, peers: number): fc.Arbitrary<TwinAnnounce> {
  return fc.record({
    infoHash,
    family: fc.constantFrom<4 | 6>(4, 6),
    peer: fc.nat(peers),
    port0: fc.integer({ min: 0, max: 30 }).map((n) => n === 0),
    seeder: fc.boolean(),
    event,
    wanted: fc.nat(120),
    bothFamilies: fc.boolean(),
  });
}

describe("a tracker and its slow twin agree", () => {
  const some = announceOf(fc.nat(3), 400);
  const step = fc.oneof(
    { weight: 6, arbitrary: some.map((a) => ({ kind: "announce" as const, a })) },
    {
      weight: 3,
      arbitrary: fc
        .record({ a: some, count: fc.noBias(fc.nat(600)), leave: fc.boolean() })
        .map((burst) => ({ kind: "burst" as const, ...burst })),
    },
    {
      weight: 2,
      arbitrary: fc.noBias(fc.nat(500)).map((seconds) => ({ kind: "wait" as const, seconds })),
    },
    {
      weight: 2,
      arbitrary: fc
        .integer({ min: 1, max: 500 })
        .map((units) => ({ kind: "sweep" as const, units })),
    },
  );

  test("over random announces, stops, completions, bursts and expiries of both families", () => {
    let enlarged = 0;
    let diminished = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80, size: "max" }), (steps) => {
        const pair = new Pair(16 * MIB);
        for (const step of steps) {
          if (step.kind === "announce") pair.check(step.a);
          else if (step.kind === "wait") pair.wait(step.seconds);
          else if (step.kind === "sweep") pair.sweepRound(step.units);
          else {
            for (let i = 0; i < step.count; i++) {
              const event = step.leave ? "stopped" : step.a.event;
              pair.check({ ...step.a, peer: step.a.peer + i, event });
            }
          }
        }
        pair.compare([0, 1, 2, 3]);
        enlarged += pair.twin.enlarged;
        diminished += pair.twin.diminished;
      }),
      { numRuns: 100, seed: 20261122 },
    );
    // The sequences did go where it is difficult.
    expect(enlarged).toBeGreaterThan(50);
    expect(diminished).toBeGreaterThan(10);
  }, 60_000);

  test("where addresses claim those of others, own some, and are claimed in turn", () => {
    // Sources are few, and some of the peers as well: so both meet again.
    const from = fc.option(fc.record({ family: fc.constantFrom<4 | 6>(4, 6), peer: fc.nat(12) }), {
      nil: undefined,
    });
    const one = fc
      .tuple(announceOf(fc.nat(2), 90), from, fc.noBias(fc.nat(140)), fc.boolean())
      .map(([a, from, count, leave]) => ({ kind: "burst" as const, a, from, count, leave }));
    const step = fc.oneof(
      { weight: 6, arbitrary: one },
      { weight: 2, arbitrary: fc.nat(400).map((seconds) => ({ kind: "wait" as const, seconds })) },
      {
        weight: 2,
        arbitrary: fc
          .integer({ min: 1, max: 500 })
          .map((units) => ({ kind: "sweep" as const, units })),
      },
    );
    let takenBack = 0;
    let enlarged = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60, size: "max" }), (steps) => {
        const pair = new Pair(256 * MIB, true);
        for (const step of steps) {
          if (step.kind === "wait") pair.wait(step.seconds);
          else if (step.kind === "sweep") pair.sweepRound(step.units);
          else {
            for (let i = 0; i < step.count; i++) {
              const event = step.leave ? "stopped" : step.a.event;
              const { from } = step;
              pair.check({ ...step.a, peer: step.a.peer + i, event, from });
            }
          }
        }
        pair.compare([0, 1, 2]);
        takenBack += pair.twin.takenBack;
        enlarged += pair.twin.enlarged;
      }),
      { numRuns: 60, seed: 20261122 },
    );
    expect(takenBack).toBeGreaterThan(500);
    expect(enlarged).toBeGreaterThan(50);
  }, 60_000);

  test("when hundreds of swarms share a shard, its table grows, and its pages are moved", () => {
    const infoHashes = infoHashesOfOneShard(makeTracker(16 * MIB).tracker, 600);
    const one = announceOf(fc.constantFrom(...infoHashes), 6);
    const step = fc.oneof(
      { weight: 20, arbitrary: one.map((a) => ({ kind: "announce" as const, a })) },
      {
        weight: 3,
        arbitrary: fc
          .record({ a: one, first: fc.nat(599), count: fc.noBias(fc.nat(600)) })
          .map((spray) => ({ kind: "spray" as const, ...spray })),
      },
      { weight: 1, arbitrary: fc.nat(900).map((seconds) => ({ kind: "wait" as const, seconds })) },
      {
        weight: 1,
        arbitrary: fc
          .integer({ min: 1, max: 99 })
          .map((units) => ({ kind: "sweep" as const, units })),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 120, size: "max" }), (steps) => {
        // So much that the shard keeps all of them for their downloads.
        const pair = new Pair(64 * MIB);
        for (const step of steps) {
          if (step.kind === "announce") pair.check(step.a);
          else if (step.kind === "wait") pair.wait(step.seconds);
          else if (step.kind === "sweep") pair.sweepRound(step.units);
          else {
            for (let i = 0; i < step.count; i++) {
              pair.check({ ...step.a, infoHash: infoHashes[(step.first + i) % 600] });
            }
          }
        }
        pair.compare(infoHashes);
      }),
      { numRuns: 60, seed: 20261122 },
    );
  }, 60_000);

  test("when thousands of peers of large swarms come, switch roles and go", () => {
    const pair = new Pair(64 * MIB);
    let state = 7;
    const below = (n: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return Math.floor((state / 0x80000000) * n);
    };
    const peers = [3000, 400];
    for (let i = 0; i < 120_000; i++) {
      const infoHash = below(2);
      // Waves: for a while most announce, then most stop.
      const leaving = Math.floor(i / 20_000) % 2 === 1 ? 0.85 : 0.1;
      const a: TwinAnnounce = {
        ...plain,
        infoHash,
        family: below(2) === 0 ? 4 : 6,
        peer: below(peers[infoHash]),
        seeder: below(2) === 0,
        event: below(1000) < leaving * 1000 ? "stopped" : below(9) === 0 ? "completed" : "none",
        wanted: below(80),
        bothFamilies: below(2) === 0,
      };
      if (i % 100 === 0) pair.check(a);
      else pair.announce(a);
      // Nothing is old enough to expire: slices may only tidy.
      if (i % 50 === 0) pair.sweep.slice(pair.now, 40);
      if (i % 20_000 !== 0) continue;
      pair.sweepRound(40);
      pair.compare([0, 1]);
    }
    expect(pair.twin.enlarged).toBeGreaterThan(6);
    expect(pair.twin.diminished).toBeGreaterThan(3);
    pair.now = PEER_TIMEOUT + 30;
    pair.sweepRound(100);
    pair.compare([0, 1]);
    expect(takeCensus(pair.memory).seedersIpv4).toBe(0);
  }, 60_000);
});

describe("an announce", () => {
  test("counts the announcer in its own reply", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1, seeder: true });
    expect(countsOf(tracker)).toEqual([1, 0, 0]);
    announce(tracker, { peer: 2 });
    expect(countsOf(tracker)).toEqual([1, 1, 0]);
  });

  test("makes a peer known to leechers of its swarm and to no other swarm", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1 });
    expect(announce(tracker, { peer: 2 })).toEqual(["4/1"]);
    expect(announce(tracker, { peer: 3, infoHash: 2 })).toEqual([]);
  });

  test("never offers the announcer itself, as whatever it announces", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1 });
    for (const seeder of [true, false, true]) {
      for (const event of ["none", "started", "completed", "paused"] as const) {
        expect(announce(tracker, { peer: 1, seeder, event })).toEqual([]);
      }
    }
  });

  test("takes the same address with another port for another peer", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1 });
    setPeer(tracker, 4, 1);
    tracker.request.peer[5] += 1;
    tracker.announce(0);
    expect(tracker.reply.leechers).toBe(2);
  });

  test("offers a seeder leechers only, and seeders after them when it starts", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1, seeder: true });
    announce(tracker, { peer: 2, seeder: false });
    const seeder = { peer: 3, seeder: true };
    expect(announce(tracker, { ...seeder, event: "none" })).toEqual(["4/2"]);
    expect(announce(tracker, { ...seeder, event: "completed" })).toEqual(["4/2"]);
    expect(announce(tracker, { ...seeder, event: "started" })).toEqual(["4/2", "4/1"]);
    expect(announce(tracker, { ...seeder, event: "started", wanted: 1 })).toEqual(["4/2"]);
  });

  test("offers a partial seed leechers only", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1, seeder: true });
    announce(tracker, { peer: 2, seeder: false });
    expect(announce(tracker, { peer: 3, event: "paused" })).toEqual(["4/2"]);
    expect(countsOf(tracker)).toEqual([1, 2, 0]);
  });

  test("that stops removes the peer and is told counts, but no peers", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1, seeder: true });
    announce(tracker, { peer: 2 });
    expect(announce(tracker, { peer: 2, event: "stopped" })).toEqual([]);
    expect(countsOf(tracker)).toEqual([1, 0, 0]);
    expect(tracker.reply.stored).toBe(false);
    expect(announce(tracker, { peer: 3 })).toEqual(["4/1"]);
  });

  test("that stops an unknown peer changes nothing", () => {
    const { tracker, memory } = makeTracker();
    announce(tracker, { peer: 9, event: "stopped" });
    expect(takeCensus(memory).swarms).toBe(0);
    announce(tracker, { peer: 1 });
    announce(tracker, { peer: 9, event: "stopped" });
    expect(countsOf(tracker)).toEqual([0, 1, 0]);
  });

  test("with port 0 is answered, but not stored, counted or offered to others", () => {
    const { tracker, memory } = makeTracker();
    announce(tracker, { peer: 9, port0: true });
    expect(tracker.reply.stored).toBe(false);
    expect(takeCensus(memory).swarms).toBe(0);
    announce(tracker, { peer: 1 });
    expect(tracker.reply.stored).toBe(true);
    expect(announce(tracker, { peer: 9, port0: true })).toEqual(["4/1"]);
    expect(countsOf(tracker)).toEqual([0, 1, 0]);
    expect(announce(tracker, { peer: 1 })).toEqual([]);
    expect(takeCensus(memory).peersNotStored).toEqual([0, 0, 0, 0, 0]);
  });

  test("forgets old peers of its own family in a small swarm without a sweep", () => {
    const { tracker, memory } = makeTracker();
    for (let peer = 1; peer <= 100; peer++) announce(tracker, { peer, seeder: peer > 90 }, 0);
    announce(tracker, { peer: 1, family: 6 }, 0);
    announce(tracker, { peer: 200 }, PEER_TIMEOUT);
    expect(countsOf(tracker)).toEqual([10, 92, 0]);
    expect(announce(tracker, { peer: 200 }, PEER_TIMEOUT + 10)).toEqual(["6/1"]);
    expect(countsOf(tracker)).toEqual([0, 2, 0]);
    expect(takeCensus(memory)).toMatchObject({
      peersExpired: 100,
      seedersIpv4: 0,
      leechersIpv4: 1,
      leechersIpv6: 1,
    });
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("keeps a peer that announces again as long as it does", () => {
    const { tracker } = makeTracker();
    for (let now = 0; now < 20 * PEER_TIMEOUT; now += PEER_TIMEOUT / 2) {
      announce(tracker, { peer: 1 }, now);
      announce(tracker, { peer: 2 }, now);
      expect(countsOf(tracker)).toEqual([0, 2, 0]);
    }
  });
});

describe("a download", () => {
  test("is counted once for a peer, however often it completes", () => {
    const { tracker } = makeTracker();
    const completed = { peer: 1, seeder: true, event: "completed" } as const;
    announce(tracker, { peer: 1 });
    announce(tracker, completed);
    announce(tracker, completed);
    announce(tracker, { peer: 1, seeder: false });
    announce(tracker, completed);
    expect(countsOf(tracker)).toEqual([1, 0, 1]);
    complete(tracker, { peer: 2 });
    expect(countsOf(tracker)).toEqual([2, 0, 2]);
  });

  test("is not counted for a peer that was not stored as a leecher before", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1, seeder: true, event: "completed" });
    announce(tracker, { peer: 2, seeder: true });
    announce(tracker, { peer: 2, seeder: true, event: "completed" });
    expect(countsOf(tracker)).toEqual([2, 0, 0]);
    for (let peer = 10; peer < 200; peer++) announce(tracker, { peer, seeder: true });
    announce(tracker, { peer: 201, seeder: true, event: "completed" });
    announce(tracker, { peer: 10, seeder: true, event: "completed" });
    expect(countsOf(tracker)[2]).toBe(0);
  });

  test("is not counted again for a peer that stops and begins anew", () => {
    const { tracker } = makeTracker();
    for (let round = 0; round < 100; round++) {
      complete(tracker, { peer: 1 });
      announce(tracker, { peer: 1, event: "stopped" });
    }
    expect(scrape(tracker, 1)).toEqual([0, 0, 1]);
    complete(tracker, { peer: 1, infoHash: 2 });
    expect(countsOf(tracker)).toEqual([1, 0, 1]);
  });

  test("is not counted while something is left, nor for being a seeder", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1, seeder: false, event: "completed" });
    announce(tracker, { peer: 2, seeder: true, event: "started" });
    expect(countsOf(tracker)).toEqual([1, 1, 0]);
  });

  test("is counted once in a large swarm too, whichever role the peer takes between", () => {
    const { tracker } = makeTracker();
    for (let peer = 10; peer < 400; peer++) announce(tracker, { peer });
    for (const seeder of [true, false, true, false, true]) {
      announce(tracker, { peer: 1, seeder, event: "completed" });
    }
    expect(countsOf(tracker)).toEqual([1, 390, 1]);
  });

  test("outlives the peers of its swarm for the time set, then the swarm vanishes", () => {
    const { tracker, memory } = makeTracker();
    const sweep = new Sweep(tracker.store);
    complete(tracker, { peer: 1 }, 0);
    announce(tracker, { peer: 1, event: "stopped" }, 100);
    expect(countsOf(tracker)).toEqual([0, 0, 1]);
    // A tick of empty swarms is a minute here: never too early, at most two ticks late.
    sweepRound(sweep, 100 + DOWNLOADS_TIMEOUT);
    expect(scrape(tracker, 1)).toEqual([0, 0, 1]);
    sweepRound(sweep, 100 + DOWNLOADS_TIMEOUT + 120);
    expect(scrape(tracker, 1)).toEqual([0, 0, 0]);
    expect(takeCensus(memory)).toMatchObject({ swarms: 0, downloads: 1 });
  });

  test("keeps its time from the last peer's end, not from the first's", () => {
    const { tracker } = makeTracker();
    const sweep = new Sweep(tracker.store);
    complete(tracker, { peer: 1 }, 0);
    announce(tracker, { peer: 1, event: "stopped" }, 0);
    announce(tracker, { peer: 2 }, 3000);
    announce(tracker, { peer: 2, event: "stopped" }, 3000);
    sweepRound(sweep, 3000 + DOWNLOADS_TIMEOUT);
    expect(scrape(tracker, 1)).toEqual([0, 0, 1]);
  });

  test("leaves nothing behind in a swarm that never had one", () => {
    const { tracker, memory } = makeTracker();
    announce(tracker, { peer: 1, seeder: true });
    announce(tracker, { peer: 1, event: "stopped" });
    expect(takeCensus(memory).swarms).toBe(0);
  });
});

describe("eviction", () => {
  test("forgets a swarm at once, small or large, with its peers and downloads", () => {
    const { tracker, memory } = makeTracker();
    for (const infoHash of [1, 2]) {
      for (let peer = 0; peer < (infoHash === 1 ? 3 : 700); peer++) {
        const family = peer % 2 === 0 ? 4 : 6;
        if (peer % 3 === 0) complete(tracker, { infoHash, peer, family });
        else announce(tracker, { infoHash, peer, family });
      }
    }
    announce(tracker, { infoHash: 3, peer: 1 });
    for (const infoHash of [1, 2]) {
      setInfoHash(tracker, infoHash);
      expect(tracker.store.evict(tracker.request.infoHashHalves)).toBe(true);
      expect(tracker.store.evict(tracker.request.infoHashHalves)).toBe(false);
      expect(scrape(tracker, infoHash)).toEqual([0, 0, 0]);
    }
    expect(scrape(tracker, 3)).toEqual([0, 1, 0]);
    expect(takeCensus(memory)).toMatchObject({
      swarms: 1,
      seedersIpv4: 0,
      leechersIpv4: 1,
      seedersIpv6: 0,
      leechersIpv6: 0,
    });
    expect(brokenInvariants(tracker)).toEqual([]);
  });
});

describe("a scrape", () => {
  test("of an unknown swarm answers zeros and makes nothing known", () => {
    const { tracker, memory } = makeTracker();
    announce(tracker, { peer: 1 });
    expect(scrape(tracker, 77)).toEqual([0, 0, 0]);
    expect(takeCensus(memory).swarms).toBe(1);
  });

  test("leaves no peers of the last announce in the reply", () => {
    const { tracker } = makeTracker();
    announce(tracker, { peer: 1 });
    expect(announce(tracker, { peer: 2 })).toEqual([keyOf(4, 1)]);
    expect(scrape(tracker, 1)).toEqual([0, 2, 0]);
    expect(tracker.reply.peersIpv4).toBe(0);
    expect(tracker.reply.stored).toBe(false);
  });
});

describe("the time since a peer's last announce", () => {
  test("is told in ticks, and is -1 for a peer that was not known", () => {
    const { tracker } = makeTracker();
    const ticksAfter = (seconds: number, changes: Partial<TwinAnnounce> = {}): number => {
      announce(tracker, changes, seconds);
      return tracker.reply.ticksSinceLast;
    };
    expect(ticksAfter(0)).toBe(-1);
    expect(ticksAfter(0)).toBe(0);
    expect(ticksAfter(30)).toBe(3);
    expect(ticksAfter(50, { seeder: true })).toBe(2);
    expect(ticksAfter(60, { event: "stopped" })).toBe(-1);
    expect(ticksAfter(70)).toBe(-1);
    expect(ticksAfter(80, { port0: true })).toBe(-1);
  });

  test("is told in a large swarm too, also when the peer changes its role", () => {
    const { tracker } = makeTracker();
    for (let peer = 1; peer <= 500; peer++) announce(tracker, { peer });
    announce(tracker, { peer: 7 }, 40);
    expect(tracker.reply.ticksSinceLast).toBe(4);
    announce(tracker, { peer: 7, seeder: true }, 60);
    expect(tracker.reply.ticksSinceLast).toBe(2);
    announce(tracker, { peer: 501 }, 60);
    expect(tracker.reply.ticksSinceLast).toBe(-1);
  });

  test("stays that of the last announce that counted, if a later one was too early", () => {
    const { tracker } = makeTracker();
    const early = (seconds: number, peer: number): number => {
      tracker.request.earlyTicks = 9;
      announce(tracker, { peer }, seconds);
      return tracker.reply.ticksSinceLast;
    };
    for (const peer of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) {
      expect([0, 40, 80, 90, 100].map((seconds) => early(seconds, peer))).toEqual([-1, 4, 8, 9, 1]);
    }
    tracker.request.earlyTicks = 0;
    announce(tracker, { peer: 1 }, 130);
    announce(tracker, { peer: 1 }, 140);
    expect(tracker.reply.ticksSinceLast).toBe(1);
  });
});

test("a download of a client that is no peer is counted once", () => {
  const { tracker } = makeTracker();
  const count = (infoHash: number, peer: number): void => {
    setInfoHash(tracker, infoHash);
    setPeer(tracker, 4, peer);
    tracker.countDownload(0);
  };
  count(1, 1);
  count(1, 1);
  count(1, 2);
  count(2, 1);
  expect(scrape(tracker, 1)).toEqual([0, 0, 2]);
  expect(scrape(tracker, 2)).toEqual([0, 0, 1]);
});
