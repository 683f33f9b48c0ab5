import { describe, expect, test } from "bun:test";
import { copyHalves, findPeer, isExpired, roomier } from "../../src/swarm/peers.ts";

describe("a peer is found", () => {
  for (const size of [3, 9]) {
    const halves = new Uint16Array(100 * size).map((_, i) => (i * 31) % 251);
    test(`among others of ${size} halves, where it is and only between the bounds`, () => {
      const source = new Uint16Array(20).fill(9);
      for (const index of [0, 1, 50, 98]) {
        source.set(halves.subarray(size + index * size, size + (index + 1) * size), 4);
        // Marked, so that it is there once.
        source[4] = halves[size + index * size] = 60_000 + index;
        expect(findPeer(halves, size, 0, 99, size, source, 4)).toBe(index);
        expect(findPeer(halves, size, index, index + 1, size, source, 4)).toBe(index);
        expect(findPeer(halves, size, 0, index, size, source, 4)).toBe(-1);
        expect(findPeer(halves, size, index + 1, 99, size, source, 4)).toBe(-1);
      }
    });

    test(`only if all ${size} halves are the same`, () => {
      const list = new Uint16Array(size).fill(5);
      for (let half = 0; half < size; half++) {
        const source = new Uint16Array(size).fill(5);
        expect(findPeer(list, 0, 0, 1, size, source, 0)).toBe(0);
        source[half] = 6;
        expect(findPeer(list, 0, 0, 1, size, source, 0)).toBe(-1);
      }
    });
  }
});

test("halves are copied from and to where it says, and no more", () => {
  const target = new Uint16Array(6);
  copyHalves(new Uint16Array([1, 2, 3, 4, 5]), 1, target, 2, 3);
  expect([...target]).toEqual([0, 0, 2, 3, 4, 0]);
});

test("a peer is expired when more ticks than its lifetime have passed, also round the end", () => {
  expect(isExpired(10, 70, 60)).toBe(false);
  expect(isExpired(10, 71, 60)).toBe(true);
  expect(isExpired(100, (100 + 60) & 0x7f, 60)).toBe(false);
  expect(isExpired(100, (100 + 61) & 0x7f, 60)).toBe(true);
  // That it has completed does not make it younger.
  expect(isExpired(0x80 | 10, 70, 60)).toBe(false);
  expect(isExpired(0x80 | 10, 71, 60)).toBe(true);
});

test("room grows by one at first, then by an eighth, and always by one at least", () => {
  expect([0, 1, 2, 3, 4, 8, 15, 16, 24, 80].map(roomier)).toEqual([
    1, 2, 3, 4, 6, 10, 17, 18, 27, 90,
  ]);
});
