/** The list of hashes: adding, removing and finding, for all threads, in little memory. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";

import { HashList, hashListMemory } from "../../src/access/hash-list.ts";
import { HASH_KEY_WORDS } from "../../src/swarm/keyed-hash.ts";
import { halvesOf, hashOf, KEYS } from "./fixture.ts";

const listOf = (hashes: number) => new HashList(hashListMemory(hashes), KEYS);

test("a hash is on the list from when it is added until it is removed", () => {
  const list = listOf(10);
  const hash = halvesOf(hashOf(1));
  expect(list.contains(hash, 0)).toBe(false);
  expect(list.remove(hash, 0)).toBe(false);
  expect(list.add(hash, 0)).toBe("added");
  expect(list.add(hash, 0)).toBe("present");
  expect([list.size, list.contains(hash, 0)]).toEqual([1, true]);
  expect(list.remove(hash, 0)).toBe(true);
  expect(list.remove(hash, 0)).toBe(false);
  expect([list.size, list.contains(hash, 0)]).toEqual([0, false]);
});

test("hashes that differ in one bit are different", () => {
  const list = listOf(10);
  list.add(halvesOf(hashOf(1)), 0);
  for (let bit = 0; bit < 160; bit++) {
    const other = hashOf(1);
    other[bit >> 3] ^= 1 << (bit & 7);
    expect(list.contains(halvesOf(other), 0)).toBe(false);
  }
});

test("a list agrees with a set over random additions and removals", () => {
  const change = fc.record({ n: fc.integer({ min: 0, max: 60 }), add: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 300 }), (changes) => {
      const list = listOf(40);
      const twin = new Set<number>();
      for (const { n, add } of changes) {
        const hash = halvesOf(hashOf(n));
        if (add) {
          expect(list.add(hash, 0)).toBe(twin.has(n) ? "present" : "added");
          twin.add(n);
        } else {
          expect(list.remove(hash, 0)).toBe(twin.delete(n));
        }
      }
      expect(list.size).toBe(twin.size);
      for (let n = 0; n <= 60; n++) {
        expect(list.contains(halvesOf(hashOf(n)), 0)).toBe(twin.has(n));
      }
    }),
    { numRuns: 100 },
  );
});

test("adding and removing the same hash many times does not fill a list", () => {
  const list = listOf(1);
  const hash = halvesOf(hashOf(7));
  for (let i = 0; i < 1000; i++) {
    expect(list.add(hash, 0)).toBe("added");
    expect(list.remove(hash, 0)).toBe(true);
  }
});

test("hashes that are placed are on the list as if added, each once", () => {
  const list = listOf(500);
  for (let n = 0; n < 500; n++) {
    list.place(halvesOf(hashOf(n)), 0);
    list.place(halvesOf(hashOf(n >> 1)), 0);
  }
  expect(list.size).toBe(500);
  for (let n = 0; n < 500; n++) {
    expect(list.contains(halvesOf(hashOf(n)), 0)).toBe(true);
    expect(list.contains(halvesOf(hashOf(1000 + n)), 0)).toBe(false);
    expect(list.add(halvesOf(hashOf(n)), 0)).toBe("present");
  }
  expect(list.remove(halvesOf(hashOf(7)), 0)).toBe(true);
  expect([list.size, list.contains(halvesOf(hashOf(7)), 0)]).toEqual([499, false]);
});

test("a full list says so and stays as it is", () => {
  const list = listOf(1);
  let n = 0;
  while (list.add(halvesOf(hashOf(n)), 0) === "added") n += 1;
  expect(n).toBeGreaterThan(50);
  expect(list.add(halvesOf(hashOf(n)), 0)).toBe("full");
  expect(list.add(halvesOf(hashOf(0)), 0)).toBe("present");
  expect([list.size, list.contains(halvesOf(hashOf(n)), 0)]).toEqual([n, false]);
});

test("another view of the same memory sees every change", () => {
  const list = listOf(10);
  const other = new HashList(list.memory, KEYS);
  list.add(halvesOf(hashOf(1)), 0);
  expect([other.size, other.contains(halvesOf(hashOf(1)), 0)]).toEqual([1, true]);
  list.remove(halvesOf(hashOf(1)), 0);
  expect([other.size, other.contains(halvesOf(hashOf(1)), 0)]).toEqual([0, false]);
});

/** Slots in use beside each other, the most that a search may pass. */
function longestRow(memory: SharedArrayBuffer): number {
  const [slots] = new Int32Array(memory, 0, 1);
  const states = new Uint8Array(memory, memory.byteLength - slots);
  let [row, longest] = [0, 0];
  for (const state of states) {
    row = state === 0 ? 0 : row + 1;
    longest = Math.max(longest, row);
  }
  return longest;
}

describe("no search is long, whichever info hashes strangers choose", () => {
  const HASHES = 60_000;
  const FAMILIES: Record<string, (view: DataView, i: number) => void> = {
    "their last bytes differ": (view, i) => view.setUint32(16, i),
    "their first bytes differ": (view, i) => view.setUint32(0, i),
    "the highest bits of their halves differ": (view, i) => {
      for (let bit = 0; bit < 10; bit++) view.setUint16(2 * bit, ((i >> bit) & 1) << 15);
      view.setUint16(0, i);
    },
    "all their halves are the same": (view, i) => {
      for (let at = 0; at < 20; at += 2) view.setUint16(at, i);
    },
  };
  test.each(Object.entries(FAMILIES))("%s", (_name, set) => {
    const keys = crypto.getRandomValues(new Int32Array(HASH_KEY_WORDS));
    const list = new HashList(hashListMemory(HASHES / 2), keys);
    const halves = new Uint16Array(10);
    const view = new DataView(halves.buffer);
    // Half of them are listed; a search for the others ends at a slot that was never used.
    for (let i = 0; i < HASHES; i += 2) {
      set(view, i);
      list.add(halves, 0);
    }
    expect(list.size).toBe(HASHES / 2);
    for (let i = 1; i < HASHES; i += 2) {
      set(view, i);
      if (list.contains(halves, 0)) expect(i).toBe(-1);
    }
    expect(longestRow(list.memory)).toBeLessThan(1000);
  });
});

describe("a million hashes", () => {
  test("take at most 32 bytes each", () => {
    expect(hashListMemory(1_000_000).byteLength).toBeLessThanOrEqual(32_000_000);
  });
});
