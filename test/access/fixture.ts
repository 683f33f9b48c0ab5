/** Shared by the tests of access lists: keys, hashes by number, and work done without turns. */
import { HASH_KEY_WORDS } from "../../src/swarm/keyed-hash.ts";
import type { Sliced } from "../../src/host/turns.ts";

export const KEYS = Int32Array.from({ length: HASH_KEY_WORDS }, (_, i) =>
  Math.imul(i + 1, 0x9e3779b1),
);

/** The 20 bytes of info hash number `n`, and their halves. */
export function hashOf(n: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.imul(n, 0x85ebca6b));
  view.setUint32(8, Math.imul(n, 0xc2b2ae35));
  view.setUint32(16, n);
  return bytes;
}

export function halvesOf(hash: Uint8Array): Uint16Array {
  return new Uint16Array(hash.slice().buffer);
}

/** Does sliced work in one go. */
export function atOnce<Result>(work: Sliced<Result>): Result {
  for (let step = work.next(); ; step = work.next()) if (step.done) return step.value;
}

export const text = (words: string): Uint8Array => new TextEncoder().encode(words);
