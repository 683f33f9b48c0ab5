/** Strangers choose info hashes and addresses; the keys decide where they land. */
import { describe, expect, test } from "bun:test";
import {
  HASH_KEY_WORDS,
  hashAddress,
  hashInfoHash,
  hashNetwork,
  hashPeer,
  hashPlaces,
} from "../../src/swarm/keyed-hash.ts";
import { fixedKeys } from "./fixture.ts";

const COUNT = 32_768;
const infoHash = new Uint8Array(new ArrayBuffer(20));
const infoHashHalves = new Uint16Array(infoHash.buffer);

/** What somebody might send who wants all swarms in one place: info hash number `i`. */
const FAMILIES_OF_INFO_HASHES: Record<string, (i: number) => void> = {
  "share all but the last two bytes": (i) => {
    infoHash[18] = i >> 8;
    infoHash[19] = i;
  },
  "share all but the first two bytes": (i) => {
    infoHash[0] = i >> 8;
    infoHash[1] = i;
  },
  "are an arithmetic progression of 65,536": (i) => {
    infoHash[16] = i >> 8;
    infoHash[17] = i;
  },
  "are an arithmetic progression of 40,503": (i) => {
    new DataView(infoHash.buffer).setUint32(14, Math.imul(i, 40503));
  },
  "differ in fifteen bits spread over them": (i) => {
    for (let bit = 0; bit < 15; bit++) infoHash[bit + (bit >> 2)] = (i >> bit) & 1 ? 0x80 : 0;
  },
  "repeat the same half ten times": (i) => {
    for (let half = 0; half < 10; half++) infoHashHalves[half] = i;
  },
  "have two halves that add up to the same": (i) => {
    infoHashHalves[2] = i;
    infoHashHalves[7] = 65_535 - i;
  },
};

/** Standard deviations by which values in `places` places are from an even spread. */
function unevenness(values: number[], places: number): number {
  const counts = new Uint32Array(places);
  for (const value of values) counts[value]++;
  const mean = values.length / places;
  const chiSquare = counts.reduce((sum, n) => sum + (n - mean) ** 2 / mean, 0);
  return (chiSquare - places + 1) / Math.sqrt(2 * (places - 1));
}

/** Hashes of one family of info hashes under one key. */
function hashes(set: (i: number) => void, seed: number): number[] {
  const keys = fixedKeys(seed);
  infoHash.fill(0x33);
  return Array.from({ length: COUNT }, (_, i) => {
    set(i);
    return hashInfoHash(keys, infoHashHalves, 0);
  });
}

describe("info hashes that", () => {
  for (const [name, set] of Object.entries(FAMILIES_OF_INFO_HASHES)) {
    test(`${name} spread over shards, slots and tags as chance would have it`, () => {
      const shards: number[] = [];
      const slots: number[] = [];
      const tags: number[] = [];
      const collisions: number[] = [];
      for (let seed = 1; seed <= 5; seed++) {
        const all = hashes(set, seed);
        // A linear sum may be more even than chance, never much less.
        shards.push(
          unevenness(
            all.map((hash) => hash >>> 24),
            256,
          ),
        );
        slots.push(
          unevenness(
            all.map((hash) => (hash << 8) >>> 23),
            512,
          ),
        );
        tags.push(
          unevenness(
            all.map((hash) => hash & 7),
            8,
          ),
        );
        collisions.push(COUNT - new Set(all).size);
      }
      const median = (list: number[]): number => list.sort((a, b) => a - b)[2];
      expect(median(shards)).toBeLessThan(6);
      expect(median(slots)).toBeLessThan(6);
      expect(median(tags)).toBeLessThan(6);
      // 32,768 of 2^32: one in eight draws has a pair by chance.
      expect(median(collisions)).toBeLessThan(8);
    });
  }
});

describe("a hash", () => {
  test("depends on every bit of an info hash and on every key it uses", () => {
    const keys = fixedKeys();
    infoHash.fill(0x5c);
    const hash = hashInfoHash(keys, infoHashHalves, 0);
    expect(hashInfoHash(keys, infoHashHalves, 0)).toBe(hash);
    for (let bit = 0; bit < 160; bit++) {
      infoHash[bit >> 3] ^= 1 << (bit & 7);
      expect(hashInfoHash(keys, infoHashHalves, 0)).not.toBe(hash);
      infoHash[bit >> 3] ^= 1 << (bit & 7);
    }
    for (let key = 0; key < 20; key++) {
      const others = fixedKeys();
      others[key] ^= 0x55555555;
      expect(hashInfoHash(others, infoHashHalves, 0)).not.toBe(hash);
    }
    for (let key = 20; key < HASH_KEY_WORDS; key++) {
      const others = fixedKeys();
      others[key] ^= 0x55555555;
      expect(hashInfoHash(others, infoHashHalves, 0)).toBe(hash);
    }
  });

  test("of a peer depends on all of its 3 or 9 halves, and on nothing after them", () => {
    const keys = fixedKeys();
    const halves = new Uint16Array(12).fill(0x1234);
    for (const count of [3, 9]) {
      const hash = hashPeer(keys, halves, 1, count);
      for (let i = 0; i < 12; i++) {
        halves[i] ^= 0x100;
        const same = hashPeer(keys, halves, 1, count) === hash;
        expect(same).toBe(i < 1 || i > count);
        halves[i] ^= 0x100;
      }
    }
  });

  test("of a peer uses other keys than that of an info hash", () => {
    const keys = fixedKeys();
    const halves = new Uint16Array(10).fill(7);
    halves[9] = 0;
    expect(hashPeer(keys, halves, 0, 9)).not.toBe(hashInfoHash(keys, halves, 0));
  });

  test("reads its input where it is told to", () => {
    const keys = fixedKeys();
    const halves = new Uint16Array(30).map((_, i) => i * 2654);
    const moved = new Uint16Array(40);
    moved.set(halves.subarray(5, 15), 21);
    expect(hashInfoHash(keys, moved, 21)).toBe(hashInfoHash(keys, halves, 5));
  });
});

describe("peers", () => {
  const halves = new Uint16Array(9);
  const bytes = new Uint8Array(halves.buffer);
  const SETS: Record<string, [count: number, set: (i: number) => void]> = {
    "of one /16": [3, (i) => bytes.set([10, 1, i >> 8, i, 0x1a, 0xe1])],
    "of one address, on sequential ports": [3, (i) => bytes.set([10, 1, 1, 1, i >> 8, i])],
    "of one /64": [
      9,
      (i) => bytes.set([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i >> 8, i]),
    ],
    "of one IPv6 address, on sequential ports": [9, (i) => bytes.set([i >> 8, i], 16)],
  };
  for (const [name, [count, set]] of Object.entries(SETS)) {
    test(`${name} spread over buckets as chance would have it`, () => {
      const results = [1, 2, 3, 4, 5].map((seed) => {
        const keys = fixedKeys(seed);
        const all = Array.from({ length: COUNT }, (_, i) => {
          set(i);
          return hashPeer(keys, halves, 0, count);
        });
        return unevenness(
          all.map((hash) => hash & 511),
          512,
        );
      });
      expect(results.sort((a, b) => a - b)[2]).toBeLessThan(6);
    });
  }
});

test("the places of many peers are hashed as those of each alone", () => {
  const keys = fixedKeys(3);
  const halves = crypto.getRandomValues(new Uint16Array(900));
  for (const family of [4, 6] as const) {
    const out = new Int32Array(200);
    hashPlaces(keys, halves, 0, family, 100, out);
    for (let i = 0; i < 100; i++) {
      const at = i * (family === 4 ? 3 : 9);
      const alone = [hashAddress(keys, halves, at, family), hashNetwork(keys, halves, at, family)];
      expect([out[2 * i], out[2 * i + 1]]).toEqual(alone);
    }
  }
});
