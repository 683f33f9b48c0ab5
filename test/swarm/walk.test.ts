/** A walk meets what is there all the time exactly once, whatever happens between its slices. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { SWARM_INFO_HASH } from "../../src/swarm/blocks.ts";
import { visitPeers, Walk, WALK_SLICE_UNITS, walkAll } from "../../src/swarm/walk.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { MIB, announce, infoHashesOfOneShard, makeTracker, peerNumberAt } from "./fixture.ts";

function numberOf(tracker: Tracker, swarm: number): number {
  return new DataView(tracker.store.arena.bytes.buffer).getUint32(swarm + SWARM_INFO_HASH + 16);
}

/** The numbers of the swarms met; `between` is called after each slice. */
function walked(tracker: Tracker, units: number, between: () => void = () => {}): number[] {
  const walk = new Walk(tracker.store);
  const met: number[] = [];
  while (!walk.done) {
    walk.slice(units, (swarm) => {
      met.push(numberOf(tracker, swarm));
      return 1;
    });
    between();
  }
  return met;
}

test("every swarm is met once", () => {
  const { tracker } = makeTracker();
  for (let infoHash = 0; infoHash < 5000; infoHash++) announce(tracker, { infoHash });
  for (const units of [1, 7, 100_000]) {
    const met = walked(tracker, units).sort((a, b) => a - b);
    expect(met).toEqual(Array.from({ length: 5000 }, (_, infoHash) => infoHash));
  }
});

test("an empty tracker is walked without a visit", () => {
  expect(walked(makeTracker().tracker, 10)).toEqual([]);
});

test("a slice does about the work it is allowed", () => {
  const { tracker } = makeTracker();
  const ours = infoHashesOfOneShard(tracker, 1000);
  for (const infoHash of ours) announce(tracker, { infoHash });
  const walk = new Walk(tracker.store);
  while (!walk.done) {
    let visits = 0;
    walk.slice(10, () => {
      visits += 1;
      return 1;
    });
    expect(visits).toBeLessThan(60);
  }
});

test("a walk of everything can be interrupted after each slice of work", () => {
  const { tracker } = makeTracker();
  for (let infoHash = 0; infoHash < 1000; infoHash++) announce(tracker, { infoHash });
  let [met, slices, most] = [0, 0, 0];
  let work = 0;
  for (const _ of walkAll(tracker.store, () => ((met += 1), (work += 100), 100))) {
    slices += 1;
    most = Math.max(most, work);
    work = 0;
  }
  expect(met).toBe(1000);
  expect(slices).toBeGreaterThanOrEqual(100_000 / (4 * WALK_SLICE_UNITS));
  expect(most).toBeLessThan(4 * WALK_SLICE_UNITS);
});

test("swarms that stay are met once while others come, go and make the table grow", () => {
  const { tracker: first } = makeTracker();
  const hashes = infoHashesOfOneShard(first, 600);
  const step = fc.record({ add: fc.nat(20), remove: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
      const { tracker } = makeTracker(16 * MIB);
      const staying = hashes.slice(0, 40);
      const passing = hashes.slice(40);
      const there: number[] = [];
      const add = (): void => {
        const infoHash = passing.pop();
        if (infoHash === undefined) return;
        announce(tracker, { infoHash });
        there.push(infoHash);
      };
      for (const infoHash of staying) {
        add();
        announce(tracker, { infoHash });
      }
      const rest = [...steps];
      const met = walked(tracker, 2, () => {
        const next = rest.shift();
        if (next === undefined) return;
        for (let i = 0; i < next.add; i++) add();
        for (let i = 0; i < next.remove; i++) {
          const infoHash = there.shift();
          if (infoHash !== undefined) announce(tracker, { infoHash, event: "stopped" });
        }
      });
      const count = (infoHash: number) => met.filter((other) => other === infoHash).length;
      expect(staying.map(count)).toEqual(staying.map(() => 1));
    }),
    { seed: 7, numRuns: 30 },
  );
});

test("all peers of a swarm are visited, small or large, of the family asked for", () => {
  const { tracker } = makeTracker();
  for (const [infoHash, count] of [
    [1, 5],
    [2, 1000],
  ] as const) {
    for (let peer = 1; peer <= count; peer++) announce(tracker, { infoHash, peer });
    announce(tracker, { infoHash, peer: 9, family: 6 });
  }
  const visited = new Map<number, number[]>();
  const walk = new Walk(tracker.store);
  while (!walk.done) {
    walk.slice(10, (swarm) => {
      const low: number[] = [];
      visitPeers(tracker.store, swarm, 4, (at, weight) => {
        low.push(peerNumberAt(tracker.store.arena.bytes, 2 * at));
        expect(weight).toBe(1);
      });
      visited.set(
        numberOf(tracker, swarm),
        low.sort((a, b) => a - b),
      );
      expect(visitPeers(tracker.store, swarm, 6, () => {})).toBe(1);
      return 1;
    });
  }
  expect(visited.get(1)).toEqual([1, 2, 3, 4, 5]);
  expect(visited.get(2)).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
});

test("of a huge swarm a sample is visited that stands for all", () => {
  const { tracker } = makeTracker();
  for (let peer = 1; peer <= 60_000; peer++) announce(tracker, { peer, wanted: 0 });
  const walk = new Walk(tracker.store);
  let visits = 0;
  let weights = 0;
  const visit = (_at: number, weight: number): void => {
    visits += 1;
    weights += weight;
  };
  while (!walk.done) walk.slice(10, (swarm) => visitPeers(tracker.store, swarm, 4, visit));
  expect(visits).toBeLessThan(5000);
  expect(Math.abs(weights - 60_000)).toBeLessThan(9000);
});
