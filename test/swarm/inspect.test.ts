/** The look at one swarm: exact counts, ages of its peers, a bounded choice of them. */
import { describe, expect, test } from "bun:test";

import { inspect } from "../../src/swarm/inspect.ts";
import { announce, complete, makeTracker, PEER_TIMEOUT, peerNumberAt } from "./fixture.ts";

const TICK = PEER_TIMEOUT / 60;

function hashOf(infoHash: number): Uint8Array {
  const bytes = new Uint8Array(20).fill(0x5a);
  new DataView(bytes.buffer).setUint32(16, infoHash);
  return bytes;
}

test("a swarm that is not known is undefined", () => {
  const { tracker, store } = makeTracker();
  announce(tracker, { infoHash: 1 });
  expect(inspect(store, hashOf(2), 0)).toBeUndefined();
});

test("counts are those of families and roles, with the downloads", () => {
  const { tracker, store } = makeTracker();
  announce(tracker, { peer: 1, seeder: true });
  announce(tracker, { peer: 2 });
  announce(tracker, { peer: 3 });
  announce(tracker, { peer: 1, family: 6 });
  complete(tracker, { peer: 2, family: 6 });
  const seen = inspect(store, hashOf(1), 0);
  expect(seen?.counts).toEqual({
    4: { seeders: 1, leechers: 2 },
    6: { seeders: 1, leechers: 1 },
  });
  expect(seen?.downloads).toBe(1);
  expect(seen?.emptySeconds).toBeUndefined();
});

test("ages are those of the last announces, in ticks", () => {
  const { tracker, store } = makeTracker();
  announce(tracker, { peer: 1 }, 0);
  announce(tracker, { peer: 2 }, 5 * TICK);
  announce(tracker, { peer: 3 }, 5 * TICK);
  const seen = inspect(store, hashOf(1), 7 * TICK + 3)!;
  expect([...seen.ages.entries()].filter(([, count]) => count > 0)).toEqual([
    [2, 2],
    [7, 1],
  ]);
  expect([seen.tickSeconds, seen.secondsIntoTick]).toEqual([TICK, 3]);
});

test("a swarm without peers is known for its downloads, and since when it has none", () => {
  const { tracker, store } = makeTracker();
  complete(tracker, { peer: 1 }, 0);
  announce(tracker, { peer: 1, event: "stopped" }, 0);
  const seen = inspect(store, hashOf(1), 600)!;
  expect(seen.downloads).toBe(1);
  expect(seen.emptySeconds).toBeGreaterThan(500);
  expect(seen.emptySeconds).toBeLessThan(700);
});

describe("peers", () => {
  test("are copied only if they are asked for", () => {
    const { tracker, store } = makeTracker();
    announce(tracker, { peer: 1 });
    expect(inspect(store, hashOf(1), 0)?.peers).toEqual([]);
  });

  test("are all of a small swarm, with role and age", () => {
    const { tracker, store } = makeTracker();
    announce(tracker, { peer: 1, seeder: true }, 0);
    announce(tracker, { peer: 2 }, 3 * TICK);
    announce(tracker, { peer: 7, family: 6 }, 3 * TICK);
    const { peers } = inspect(store, hashOf(1), 3 * TICK, 10)!;
    const shown = peers.map(({ family, bytes, seeder, age }) => {
      const number = family === 4 ? peerNumberAt(bytes, 0) : bytes[4];
      return [family, number, bytes.length, seeder, age];
    });
    expect(shown).toEqual([
      [4, 1, 6, true, 3],
      [4, 2, 6, false, 0],
      [6, 7, 18, false, 0],
    ]);
  });

  test("of a large swarm are a choice without repetition, and ages stand for all", () => {
    const { tracker, store } = makeTracker();
    const count = 30_000;
    for (let peer = 1; peer <= count; peer++) {
      announce(tracker, { peer, wanted: 0, seeder: peer % 3 === 0 }, peer % 2 === 0 ? 0 : TICK);
    }
    const seen = inspect(store, hashOf(1), TICK, 500)!;
    const numbers = new Set(seen.peers.map(({ bytes }) => peerNumberAt(bytes, 0)));
    expect([seen.peers.length, numbers.size]).toEqual([500, 500]);
    const seeders = seen.peers.filter(({ seeder }) => seeder).length;
    expect(seeders).toBeGreaterThan(80);
    expect(seeders).toBeLessThan(320);
    const { seeders: all, leechers } = tracker.reply;
    expect(seen.counts[4]).toEqual({ seeders: all, leechers });
    for (const age of [0, 1]) {
      expect(Math.abs(seen.ages[age] - count / 2)).toBeLessThan(count / 10);
    }
  });
});
