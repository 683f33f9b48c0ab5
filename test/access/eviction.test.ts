/** Eviction removes all swarms that the lists refuse, and no others. */
import { expect, test } from "bun:test";

import { Access, openToAll } from "../../src/access/access.ts";
import { evictRefused } from "../../src/access/eviction.ts";
import { HashList, hashListMemory } from "../../src/access/hash-list.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { atOnce, halvesOf, hashOf, KEYS } from "./fixture.ts";
import { someMemory } from "../swarm/some-memory.ts";

const SWARMS = 3000;

function openSwarms() {
  const memory = someMemory();
  const tracker = new Tracker(new Store(memory), new ArrayBuffer(64));
  const { request } = tracker;
  for (let n = 0; n < SWARMS; n++) {
    request.infoHash.set(hashOf(n));
    request.peer.set([192, 0, 2, 1 + (n % 200), 26, 225]);
    request.seeder = n % 3 === 0;
    tracker.announce(1);
  }
  return { memory, tracker };
}

function listOf(belongs: (n: number) => boolean): SharedArrayBuffer {
  const list = new HashList(hashListMemory(SWARMS), KEYS);
  for (let n = 0; n < SWARMS; n++) if (belongs(n)) list.add(halvesOf(hashOf(n)), 0);
  return list.memory;
}

function remaining(tracker: Tracker): number[] {
  const found: number[] = [];
  for (let n = 0; n < SWARMS; n++) {
    tracker.request.infoHash.set(hashOf(n));
    tracker.scrape();
    if (tracker.reply.seeders + tracker.reply.leechers > 0) found.push(n);
  }
  return found;
}

const numbers = Array.from({ length: SWARMS }, (_, n) => n);

test("denied swarms are removed with their peers", () => {
  const { memory, tracker } = openSwarms();
  const access = new Access({ ...openToAll(KEYS), deny: listOf((n) => n % 2 === 0) });
  expect(atOnce(evictRefused(tracker.store, access))).toBe(SWARMS / 2);
  expect(remaining(tracker)).toEqual(numbers.filter((n) => n % 2 === 1));
  const census = takeCensus(memory);
  expect([census.swarms, census.peers]).toEqual([1500, 1500]);
});

test("an allow list removes all other swarms", () => {
  const { tracker } = openSwarms();
  const access = new Access({ ...openToAll(KEYS), allow: listOf((n) => n < 10) });
  expect(atOnce(evictRefused(tracker.store, access))).toBe(SWARMS - 10);
  expect(remaining(tracker)).toEqual(numbers.slice(0, 10));
});

test("without lists, and in maintenance, no swarm is removed", () => {
  const { tracker } = openSwarms();
  expect(atOnce(evictRefused(tracker.store, new Access()))).toBe(0);
  const access = new Access({ ...openToAll(KEYS), maintenance: true });
  expect(atOnce(evictRefused(tracker.store, access))).toBe(0);
  expect(remaining(tracker)).toHaveLength(SWARMS);
});
