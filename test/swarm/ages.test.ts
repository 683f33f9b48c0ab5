/** How old peers are after a tracker was restarted, and what two stores say of their ages. */
import { describe, expect, test } from "bun:test";
import { Ages, EXPIRED } from "../../src/swarm/ages.ts";
import { Dump } from "../../src/swarm/dump.ts";
import { PutBack } from "../../src/swarm/put-back.ts";
import type { Store } from "../../src/swarm/store.ts";
import { announce, makeMemory, makeTracker, MIB, PEER_TIMEOUT, trackerOver } from "./fixture.ts";
import { storedPeer } from "./stored.ts";

const ALL = { maySwarm: () => true, mayPeer: () => true };

/** A tracker whose clock showed 0 at this time since 1970. */
const trackerAt = (startedSeconds: number) =>
  trackerOver(makeMemory(16 * MIB, false, { startedSeconds }));

function dumped(store: Store, now: number): Uint8Array {
  const dump = new Dump(store, new Uint8Array(MIB));
  while (!dump.done) dump.slice(now, 1000);
  return dump.chunk.slice(0, dump.size);
}

test("a meta byte keeps its age and whether the peer has completed, or is too old", () => {
  const ages = new Ages(makeTracker().store);
  ages.open({ tick: 5, tickSeconds: 10, elapsedSeconds: 20 }, 70);
  expect([ages.tick, ages.metas[5], ages.metas[0x80 | 3]]).toEqual([7, 5, 0x80 | 3]);
  expect(ages.metas[(5 - 58) & 127]).toBe((7 - 60) & 127);
  expect(ages.metas[(5 - 59) & 127]).toBe(EXPIRED);
  // Ticks of another length, and a clock that went back.
  ages.open({ tick: 5, tickSeconds: 21, elapsedSeconds: -4 }, 70);
  expect(ages.metas[3]).toBe(3);
});

test("a tick is taken over where the ticks since then are known, unless it is to come", () => {
  const ages = new Ages(makeTracker().store);
  // The clock of the writer is two ticks ahead of ours.
  ages.open({ tick: 9, tickSeconds: 10, elapsedSeconds: 0, ticksSince: -2 }, 70);
  expect([ages.metas[5], ages.metas[7], ages.metas[9]]).toEqual([5, 7, 7]);
  ages.open({ tick: 5, tickSeconds: 10, elapsedSeconds: 0, ticksSince: 2 }, 70);
  expect([ages.metas[3], ages.metas[5]]).toEqual([3, 5]);
});

describe("over many restarts of some seconds each,", () => {
  const TICK = 10;
  const LIFETIME = PEER_TIMEOUT / TICK;

  /** The age in ticks of a peer after so many restarts, as the last of them sees it. */
  const ageAfter = (restarts: number, run: number, gap: number): number => {
    let from = trackerAt(1_800_000_003.3);
    let wall = 1_800_000_003.3;
    announce(from, { wanted: 0 }, 0.4);
    for (let i = 0; i < restarts; i++) {
      const { tick, chunk } = {
        tick: from.store.peerTicks.at(run),
        chunk: dumped(from.store, run),
      };
      // The file has whole seconds.
      const begun = Math.floor(wall + run);
      wall += run + gap;
      from = trackerAt(wall);
      const back = new PutBack(from.store, ALL);
      back.open(chunk, { tick, tickSeconds: TICK, elapsedSeconds: wall + 0.2 - begun }, 0.2);
      while (back.next());
    }
    return storedPeer(from, 1, 4, 1, 0.2)?.age ?? Infinity;
  };

  test.each([
    [200, 1.5, 0.9],
    [150, 3.1, 0.3],
    [60, 4.9, 1.1],
    [40, 9, 0.1],
    [30, 6.2, 6.5],
  ])("%i of %p s and %p s between, a peer's age is that of the clock", (restarts, run, gap) => {
    const age = restarts * (run + gap);
    expect(Math.abs(ageAfter(restarts, run, gap) - age)).toBeLessThanOrEqual(TICK);
  });

  test("a peer that is gone goes when its time is over, and not before", () => {
    const restarts = (LIFETIME * TICK) / 2.4;
    expect(ageAfter(restarts - 10, 1.5, 0.9)).toBeLessThanOrEqual(PEER_TIMEOUT);
    expect(ageAfter(restarts + 10, 1.5, 0.9)).toBe(Infinity);
  });
});
