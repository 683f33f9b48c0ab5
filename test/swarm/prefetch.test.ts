/** Fetching ahead must not be seen in anything but time. */
import { expect, test } from "bun:test";
import { Prefetch } from "../../src/swarm/prefetch.ts";
import { announce, hashOf, makeTracker, MIB, scrape } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

/** Sixty info hashes one behind the other, and where each begins. */
function asked(tracker: ReturnType<typeof makeTracker>["tracker"]): {
  halves: Uint16Array;
  ats: Int32Array;
} {
  const halves = new Uint16Array(60 * 10);
  for (let i = 0; i < 60; i++) {
    hashOf(tracker, i);
    halves.set(tracker.request.infoHashHalves, i * 10);
  }
  return { halves, ats: new Int32Array(60).map((_, i) => i * 10) };
}

test("nothing is changed by it, whether the swarms are known or not", () => {
  const { tracker, memory } = makeTracker(16 * MIB);
  const { halves, ats } = asked(tracker);
  const prefetch = new Prefetch(tracker.store, 60);
  prefetch.fetch(halves, ats, 60);
  for (let infoHash = 0; infoHash < 30; infoHash++) {
    for (let peer = 0; peer <= infoHash * 7; peer++) announce(tracker, { infoHash, peer });
  }
  const before = Bun.hash(new Uint8Array(memory.arena)).toString();
  const shards = Bun.hash(new Uint8Array(memory.shards)).toString();
  prefetch.fetch(halves, ats, 60);
  expect(Bun.hash(new Uint8Array(memory.arena)).toString()).toBe(before);
  expect(Bun.hash(new Uint8Array(memory.shards)).toString()).toBe(shards);
  expect(scrape(tracker, 29)).toEqual([0, 204, 0]);
  expect(brokenInvariants(tracker)).toEqual([]);
});

test("the entry it looks at first is the swarm's own, where no other came in between", () => {
  const { tracker } = makeTracker(16 * MIB);
  const { halves, ats } = asked(tracker);
  announce(tracker, { infoHash: 3 });
  const { table } = tracker.store;
  expect(table.peek(table.placeOf(halves, ats[4]))).toBe(0);
  const block = table.peek(table.placeOf(halves, ats[3]));
  expect(table.hashAt(block)).toBe(hashOf(tracker, 3));
});
