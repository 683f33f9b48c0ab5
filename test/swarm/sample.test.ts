/** Drawing: every peer equally often, nobody twice, never the announcer, as many as wanted. */
import { describe, expect, test } from "bun:test";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { announce, makeTracker } from "./fixture.ts";
import { keyOf, type TwinAnnounce } from "./twin.ts";

interface Group {
  family: 4 | 6;
  seeder: boolean;
  count: number;
}

/** Fills swarm 1; returns the keys of each group. Peers are numbered through, from 1. */
function fill(tracker: Tracker, groups: Group[]): string[][] {
  let peer = 1;
  return groups.map(({ family, seeder, count }) =>
    Array.from({ length: count }, () => {
      announce(tracker, { peer, family, seeder, wanted: 0 });
      return keyOf(family, peer++);
    }),
  );
}

/** How often each peer was drawn in `times` announces. */
function draw(
  tracker: Tracker,
  changes: Partial<TwinAnnounce>,
  times: number,
): Map<string, number> {
  const drawn = new Map<string, number>();
  for (let i = 0; i < times; i++) {
    for (const key of announce(tracker, { event: "none", ...changes })) {
      drawn.set(key, (drawn.get(key) ?? 0) + 1);
    }
  }
  return drawn;
}

/**
 * How far these keys are from being drawn equally often, in standard deviations of chi-square:
 * within 5 by chance except once in a million; windows of neighbours only add to the variance of
 * single peers, not to their means, so many announces of few peers each are compared.
 */
function unevenness(drawn: Map<string, number>, keys: string[]): number {
  const counts = keys.map((key) => drawn.get(key) ?? 0);
  const mean = counts.reduce((sum, n) => sum + n, 0) / counts.length;
  const chiSquare = counts.reduce((sum, n) => sum + (n - mean) ** 2 / mean, 0);
  const freedom = counts.length - 1;
  return (chiSquare - freedom) / Math.sqrt(2 * freedom);
}

const total = (drawn: Map<string, number>, keys: string[]): number =>
  keys.reduce((sum, key) => sum + (drawn.get(key) ?? 0), 0);

for (const family of [4, 6] as const) {
  for (const size of ["small", "large"] as const) {
    const count = size === "small" ? 50 : 600;

    describe(`in a ${size} swarm of IPv${family}`, () => {
      const { tracker } = makeTracker();
      const [seeders, leechers] = fill(tracker, [
        { family, seeder: true, count },
        { family, seeder: false, count },
      ]);
      const everybody = [...seeders, ...leechers];

      test("a leecher from outside is offered every peer equally often", () => {
        const drawn = draw(tracker, { peer: 9999, family, port0: true, wanted: 1 }, 60_000);
        expect(total(drawn, everybody)).toBe(60_000);
        expect(Math.abs(unevenness(drawn, everybody))).toBeLessThan(5);
        expect(Math.abs(total(drawn, seeders) - 30_000)).toBeLessThan(600);
      });

      test("a leecher that is stored is offered all others equally often, and not itself", () => {
        const peer = count + 7;
        const drawn = draw(tracker, { peer, family, seeder: false, wanted: 1 }, 120_000);
        const others = everybody.filter((key) => key !== keyOf(family, peer));
        expect(drawn.has(keyOf(family, peer))).toBe(false);
        expect(total(drawn, others)).toBe(120_000);
        expect(Math.abs(unevenness(drawn, others))).toBeLessThan(5);
        // Nor does its neighbour come in its place: that one would come twice as often.
        const mean = 120_000 / others.length;
        for (const key of others) {
          expect(Math.abs(drawn.get(key)! - mean)).toBeLessThan(6 * Math.sqrt(mean));
        }
      });

      test("a seeder is offered every leecher equally often, and no seeder", () => {
        const drawn = draw(tracker, { peer: 7, family, seeder: true, wanted: 1 }, 60_000);
        expect(total(drawn, leechers)).toBe(60_000);
        expect(drawn.size).toBe(leechers.length);
        expect(Math.abs(unevenness(drawn, leechers))).toBeLessThan(5);
      });

      test("a partial seed that is stored is offered other leechers equally often", () => {
        const peer = count + 3;
        const partial = { peer, family, seeder: false, event: "paused", wanted: 1 } as const;
        const drawn = draw(tracker, partial, 60_000);
        const others = leechers.filter((key) => key !== keyOf(family, peer));
        expect(total(drawn, others)).toBe(60_000);
        expect(Math.abs(unevenness(drawn, others))).toBeLessThan(5);
      });

      test("a window has as many as wanted and no peer twice, and is even too", () => {
        const sums = new Map<string, number>();
        for (let i = 0; i < 20_000; i++) {
          const wanted = 1 + (i % 49);
          const keys = announce(tracker, { peer: 7, family, seeder: true, event: "none", wanted });
          if (keys.length !== wanted || new Set(keys).size !== wanted) expect(keys).toBe([]);
          for (const key of keys) sums.set(key, (sums.get(key) ?? 0) + 1);
        }
        // 20,000 windows of 25 on average; a peer is in about 1 of (leechers / 25) of them.
        const expected = (20_000 * 25) / leechers.length;
        const spread = Math.sqrt(expected) * 6;
        for (const key of leechers) {
          expect(Math.abs(sums.get(key)! - expected)).toBeLessThan(spread);
        }
      });

      test("a client that wants more peers than there are gets all others once", () => {
        const keys = announce(tracker, { peer: 1, family, event: "none", wanted: 1300 });
        expect(keys.length).toBe(2 * count - 1);
        expect(new Set(keys)).toEqual(new Set(everybody.filter((key) => key !== keyOf(family, 1))));
        announce(tracker, { peer: 1, family, seeder: true, event: "none" });
      });

      test("a seeder that starts gets all leechers first, then seeders, evenly", () => {
        const wanted = count + 1;
        const started = { peer: 5, family, seeder: true, event: "started", wanted } as const;
        const drawn = draw(tracker, started, 5000);
        expect(total(drawn, leechers)).toBe(5000 * count);
        const others = seeders.filter((key) => key !== keyOf(family, 5));
        expect(total(drawn, others)).toBe(5000);
        expect(Math.abs(unevenness(drawn, others))).toBeLessThan(5);
        const order = announce(tracker, started).map((key) => leechers.includes(key));
        expect(order.indexOf(false)).toBe(count);
      });

      test("a client that wants no peers is offered none", () => {
        expect(announce(tracker, { peer: 7, family, seeder: true, wanted: 0 })).toEqual([]);
      });
    });
  }
}

describe("two families", () => {
  const groups: Group[] = [
    { family: 4, seeder: false, count: 30 },
    { family: 6, seeder: false, count: 10 },
    { family: 4, seeder: true, count: 300 },
    { family: 6, seeder: true, count: 100 },
  ];
  const { tracker } = makeTracker();
  const [leechersIpv4, leechersIpv6, seedersIpv4, seedersIpv6] = fill(tracker, groups);

  test("share a reply in proportion to their peers, whichever asks", () => {
    for (const family of [4, 6] as const) {
      const drawn = draw(tracker, { peer: 9999, family, port0: true, wanted: 10 }, 20_000);
      const both = [...leechersIpv4, ...leechersIpv6, ...seedersIpv4, ...seedersIpv6];
      expect(total(drawn, both)).toBe(200_000);
      const share = total(drawn, [...leechersIpv6, ...seedersIpv6]) / 200_000;
      expect(Math.abs(share - 0.25)).toBeLessThan(0.005);
      const ofLeechers = total(drawn, [...leechersIpv4, ...leechersIpv6]) / 200_000;
      expect(Math.abs(ofLeechers - 40 / 440)).toBeLessThan(0.005);
    }
  });

  test("share what a seeder is told in proportion to their leechers", () => {
    const asked = { peer: 9999, port0: true, seeder: true, wanted: 2 } as const;
    const drawn = draw(tracker, asked, 20_000);
    expect(total(drawn, [...leechersIpv4, ...leechersIpv6])).toBe(40_000);
    expect(Math.abs(total(drawn, leechersIpv6) / 40_000 - 0.25)).toBeLessThan(0.012);
  });

  test("are told apart when only the own one is wanted", () => {
    for (const family of [4, 6] as const) {
      const asked = { peer: 9999, port0: true, family, bothFamilies: false, wanted: 20 };
      const own = family === 4 ? [...leechersIpv4, ...seedersIpv4] : [...leechersIpv6];
      const drawn = draw(tracker, { ...asked, seeder: true }, 500);
      for (const key of drawn.keys()) expect(key.startsWith(`${family}/`)).toBe(true);
      expect(total(drawn, own)).toBe(500 * Math.min(20, groups[family === 4 ? 0 : 1].count));
    }
  });

  test("write nothing outside the places of their peers", () => {
    tracker.replies.fill(0xee);
    announce(tracker, { peer: 9999, port0: true, wanted: 10 });
    const { peersIpv4, peersIpv6 } = tracker.reply;
    expect(peersIpv4 + peersIpv6).toBe(10);
    expect(tracker.replies.subarray(6 * peersIpv4, 8192).every((b) => b === 0xee)).toBe(true);
    const after = tracker.replies.subarray(8192 + 18 * peersIpv6);
    expect(after.every((byte) => byte === 0xee)).toBe(true);
  });
});

test("a large swarm that most peers have left without a sweep still offers the others", () => {
  const { tracker } = makeTracker();
  for (let peer = 1; peer <= 10_000; peer++) announce(tracker, { peer, wanted: 0 });
  for (let peer = 1; peer <= 10_000; peer++) {
    if (peer % 500 !== 0) announce(tracker, { peer, event: "stopped" });
  }
  const left = Array.from({ length: 20 }, (_, i) => keyOf(4, 500 * (i + 1)));
  const drawn = draw(tracker, { peer: 9, port0: true, wanted: 5 }, 2000);
  expect(total(drawn, left)).toBe(10_000);
  expect(drawn.size).toBe(20);
  expect(announce(tracker, { peer: 500, wanted: 50 }).length).toBe(19);
});
