import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_PAUSED,
  EVENT_STARTED,
  EVENT_STOPPED,
} from "../../src/constants.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { HASH_KEY_WORDS } from "../../src/swarm/keyed-hash.ts";
import { reserveSwarmMemory, SHARD_COUNT, type SwarmMemory } from "../../src/swarm/memory.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { brokenInvariants } from "./invariants.ts";
import { keyOf, Twin, type TwinAnnounce } from "./twin.ts";

const EVENTS = {
  none: EVENT_NONE,
  completed: EVENT_COMPLETED,
  started: EVENT_STARTED,
  stopped: EVENT_STOPPED,
  paused: EVENT_PAUSED,
};
const OFFSET_IPV6 = 8192;
const PEER_TIMEOUT = 600;
const DOWNLOADS_TIMEOUT = 3600;

/** A tracker with fixed keys: a failing sequence fails again. */
function makeTracker(memoryMax = 64 * 2 ** 20): { tracker: Tracker; memory: SwarmMemory } {
  const keys = new Int32Array(HASH_KEY_WORDS).map((_, i) => Math.imul(i + 1, 0x9e3779b1) | 1);
  const memory = reserveSwarmMemory(
    { memoryMax, peerTimeout: PEER_TIMEOUT, downloadsTimeout: DOWNLOADS_TIMEOUT, threads: true },
    keys,
  );
  const seed = new Int32Array([1, 2, 3, 4]);
  return { tracker: new Tracker(memory, new ArrayBuffer(65536), seed), memory };
}

function setInfoHash(tracker: Tracker, infoHash: number): void {
  tracker.request.infoHash.fill(0x5a);
  new DataView(tracker.request.infoHash.buffer).setUint32(16, infoHash);
}

/** Peer number `peer`: its number is its address, its port is 1000 and more. */
function setPeer(tracker: Tracker, family: 4 | 6, peer: number, port0 = false): void {
  const bytes = tracker.request.peer;
  bytes.fill(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(family === 4 ? 0 : 12, family === 4 ? 0x0a000000 + peer : peer);
  if (family === 6) bytes[0] = 0x20;
  view.setUint16(family === 4 ? 4 : 16, port0 ? 0 : 1000 + (peer % 7));
  tracker.request.family = family;
}

function announce(tracker: Tracker, a: TwinAnnounce, now: number): string[] {
  setInfoHash(tracker, a.infoHash);
  setPeer(tracker, a.family, a.peer, a.port0);
  tracker.request.seeder = a.seeder;
  tracker.request.event = EVENTS[a.event];
  tracker.request.wanted = a.wanted;
  tracker.request.bothFamilies = a.bothFamilies;
  tracker.request.offsetIpv4 = 0;
  tracker.request.offsetIpv6 = OFFSET_IPV6;
  tracker.announce(now);
  return offered(tracker);
}

/** Keys of the peers in the reply buffer. */
function offered(tracker: Tracker): string[] {
  const view = new DataView(tracker.replies.buffer);
  const keys: string[] = [];
  for (let i = 0; i < tracker.reply.peersIpv4; i++) {
    const peer = view.getUint32(i * 6) - 0x0a000000;
    expect(view.getUint16(i * 6 + 4)).toBe(1000 + (peer % 7));
    keys.push(keyOf(4, peer));
  }
  for (let i = 0; i < tracker.reply.peersIpv6; i++) {
    const at = OFFSET_IPV6 + i * 18;
    const peer = view.getUint32(at + 12);
    expect(view.getUint8(at)).toBe(0x20);
    expect(view.getUint16(at + 16)).toBe(1000 + (peer % 7));
    keys.push(keyOf(6, peer));
  }
  return keys;
}

function countsOf(tracker: Tracker): [number, number, number] {
  const { seeders, leechers, downloads } = tracker.reply;
  return [seeders, leechers, downloads];
}

function scrape(tracker: Tracker, infoHash: number): [number, number, number] {
  setInfoHash(tracker, infoHash);
  tracker.scrape();
  return countsOf(tracker);
}

function sweepRound(sweep: Sweep, now: number): void {
  const end = sweep.shardsDone + SHARD_COUNT;
  while (sweep.shardsDone < end) sweep.slice(now, 100);
}

const plain: TwinAnnounce = {
  infoHash: 1,
  family: 4,
  peer: 1,
  port0: false,
  seeder: false,
  event: "started",
  wanted: 50,
  bothFamilies: true,
};

describe("a tracker and its slow twin agree", () => {
  const announceArbitrary = fc.record({
    infoHash: fc.nat(3),
    family: fc.constantFrom<4 | 6>(4, 6),
    peer: fc.nat(400),
    port0: fc.integer({ min: 0, max: 30 }).map((n) => n === 0),
    seeder: fc.boolean(),
    event: fc.constantFrom<TwinAnnounce["event"]>(
      "none",
      "completed",
      "started",
      "stopped",
      "paused",
    ),
    wanted: fc.nat(120),
    bothFamilies: fc.boolean(),
  });
  const step = fc.oneof(
    { weight: 6, arbitrary: announceArbitrary.map((a) => ({ kind: "announce" as const, a })) },
    {
      weight: 2,
      arbitrary: fc
        .record({ a: announceArbitrary, count: fc.nat(600) })
        .map((burst) => ({ kind: "burst" as const, ...burst })),
    },
    { weight: 1, arbitrary: fc.nat(500).map((seconds) => ({ kind: "wait" as const, seconds })) },
    { weight: 1, arbitrary: fc.constant({ kind: "sweep" as const }) },
  );

  test("over random announces, stops, completions, bursts and expiries of both families", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const { tracker, memory } = makeTracker(16 * 2 ** 20);
        const twin = new Twin(PEER_TIMEOUT, DOWNLOADS_TIMEOUT);
        const sweep = new Sweep(tracker);
        let now = 0;
        const both = (a: TwinAnnounce): void => {
          // The real one expires what it touches, so both sweep before they are compared.
          const drawn = announce(tracker, a, now);
          const may = twin.announce(a, now);
          expect(countsOf(tracker)).toEqual(twin.counts(a.infoHash));
          expect(new Set(drawn).size).toBe(drawn.length);
          const first = new Set(may.first);
          const then = new Set(may.then);
          const wantedFirst = Math.min(a.wanted, first.size);
          expect(drawn.filter((key) => first.has(key)).length).toBe(wantedFirst);
          const wantedThen = Math.min(a.wanted - wantedFirst, then.size);
          expect(drawn.filter((key) => then.has(key)).length).toBe(wantedThen);
          expect(drawn.length).toBe(wantedFirst + wantedThen);
        };
        for (const step of steps) {
          if (step.kind === "announce") both(step.a);
          else if (step.kind === "burst") {
            for (let i = 0; i < step.count; i++) both({ ...step.a, peer: step.a.peer + i });
          } else {
            if (step.kind === "wait") now += step.seconds;
            sweepRound(sweep, now);
            twin.sweep(now);
          }
        }
        const census = takeCensus(memory);
        const totals = [0, 1, 2, 3].map((infoHash) => twin.counts(infoHash));
        expect(census.swarms).toBe(twin.swarms.size);
        expect(census.seedersIpv4 + census.seedersIpv6).toBe(totals.reduce((n, c) => n + c[0], 0));
        expect(census.leechersIpv4 + census.leechersIpv6).toBe(
          totals.reduce((n, c) => n + c[1], 0),
        );
        expect(census.peersExpired).toBe(twin.expired);
        expect(totals).toEqual([0, 1, 2, 3].map((infoHash) => scrape(tracker, infoHash)));
        expect(brokenInvariants(tracker)).toEqual([]);
      }),
      { numRuns: 60, seed: 20261122 },
    );
  }, 60_000);
});
