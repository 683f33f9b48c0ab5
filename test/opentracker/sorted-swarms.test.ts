import { expect, test } from "bun:test";
import { SortedSwarms } from "../../src/opentracker/sorted-swarms.ts";
import { EVENT_NONE } from "../../src/constants.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { makeTracker, MIB, setPeer } from "../swarm/fixture.ts";

/** Announces the info hash of these bytes, the rest of it zeros. */
function announceHash(tracker: Tracker, bytes: readonly number[], seeder = false): void {
  const { request } = tracker;
  request.infoHash.fill(0);
  request.infoHash.set(bytes);
  setPeer(tracker, 4, 1);
  request.event = EVENT_NONE;
  request.seeder = seeder;
  request.wanted = 0;
  tracker.announce(0);
}

function takeAll(sorted: SortedSwarms): number[] {
  const all: number[] = [];
  for (let part = sorted.take(); part !== undefined; part = sorted.take()) all.push(...part);
  return all;
}

/** All info hashes in order, and the number of passes. */
function collected(tracker: Tracker, swarms: number): { hashes: string[]; passes: number } {
  const sorted = new SortedSwarms(tracker.store, swarms);
  const hashes: string[] = [];
  for (let passes = 1; ; passes++) {
    while (!sorted.collect(Infinity));
    for (const record of takeAll(sorted)) {
      const words = sorted.records.subarray(record * 8, record * 8 + 5);
      hashes.push(Array.from(words, (word) => word.toString(16).padStart(8, "0")).join(""));
    }
    if (sorted.last) return { hashes, passes };
    sorted.next();
  }
}

test("info hashes come in ascending order, each once, with the counts of their swarms", () => {
  const { tracker } = makeTracker();
  announceHash(tracker, [0xff, 0xff], true);
  announceHash(tracker, [0]);
  announceHash(tracker, [0x80, 0, 0, 0, 0, 1]);
  announceHash(tracker, [0x80]);
  announceHash(tracker, [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  announceHash(tracker, new Array<number>(20).fill(0xff));
  const zeros = (hex: string): string => hex.padEnd(40, "0");
  expect(collected(tracker, 6).hashes).toEqual([
    zeros(""),
    zeros("80"),
    `80${"0".repeat(37)}1`,
    zeros("800000000001"),
    zeros("ffff"),
    "f".repeat(40),
  ]);
  const sorted = new SortedSwarms(tracker.store, 6);
  sorted.collect(Infinity);
  const last = takeAll(sorted)[4]! * 8;
  expect([...sorted.records.subarray(last + 5, last + 8)]).toEqual([1, 0, 0]);
});

test("a pass stops when its time is over and continues with the next call", () => {
  const { tracker } = makeTracker();
  announceHash(tracker, [1]);
  const sorted = new SortedSwarms(tracker.store, 1);
  expect(sorted.collect(0)).toBe(false);
  expect(sorted.collect(Infinity)).toBe(true);
  expect(takeAll(sorted)).toEqual([0]);
});

test.each([
  ["evenly", (i: number) => [Math.imul(i, 0x9e37) >>> 8, i, i >>> 8, i >>> 16]],
  [
    "over a single prefix of 17 bytes",
    (i: number) => [...new Array<number>(17).fill(7), i >>> 16, i >>> 8, i],
  ],
])(
  "more swarms than a pass holds come in several, spread %s",
  (_how, bytesOf) => {
    const { tracker } = makeTracker(64 * MIB);
    const expected = new Set<string>();
    for (let i = 0; i < 150_000; i++) {
      const bytes = new Uint8Array(20);
      bytes.set(bytesOf(i));
      expected.add(bytes.toHex());
      announceHash(tracker, [...bytes]);
    }
    const { hashes, passes } = collected(tracker, expected.size);
    expect(hashes).toHaveLength(expected.size);
    expect(hashes.every((hash, at) => at === 0 || hash > hashes[at - 1]!)).toBe(true);
    expect(passes).toBeGreaterThanOrEqual(3);
    expect(passes).toBeLessThan(12);
  },
  20_000,
);
