/**
 * Keyed hashes of info hashes and addresses: which shard, which slot, which bucket.
 *
 * Attackers can choose both inputs, so a secret decides where they land. The input is read as
 * 16-bit halves; each is multiplied by a secret 32-bit number and the products are added. The
 * upper 16 bits of such a sum collide for two different inputs with probability 2^-16, whatever
 * they are (multiply-shift for vectors, Dietzfelbinger 1996). Two such sums make 32 bits; the last
 * step is a bijection that only removes linear patterns, which linear probing would mind.
 *
 * Allocates nothing, keeps no state, never fails.
 */
import type { Family } from "../constants.ts";
import { addressHalves, THIRD_BYTE } from "./places.ts";
import type { Hash } from "./units.ts";

/** Halves of the longest input: an IPv6 peer has nine, an info hash ten. */
const HALVES_MAX = 10;

/** Secret words needed: two sums over an info hash, two over a peer. */
export const HASH_KEY_WORDS = 4 * HALVES_MAX;

const PEER_KEYS = 2 * HALVES_MAX;

/** 32 bits that depend on the ten halves of the info hash at `at`. Signed; use `>>>`. */
export function hashInfoHash(keys: Int32Array, halves: Uint16Array, at: number): Hash {
  return keyedHash(keys, 0, halves, at, 10);
}

/** 32 bits that depend on the `count` halves of a peer that begin at `at` (3 or 9 of them). */
export function hashPeer(keys: Int32Array, halves: Uint16Array, at: number, count: number): number {
  return keyedHash(keys, PEER_KEYS, halves, at, count);
}

/** 32 bits that depend on the place of a peer: its IPv4 address, or the /64 of an IPv6 one. */
export function hashAddress(
  keys: Int32Array,
  halves: Uint16Array,
  at: number,
  family: Family,
): number {
  return keyedHash(keys, PEER_KEYS, halves, at, addressHalves(family));
}

/** 32 bits that depend on the network of a peer: its IPv4 /24, or its IPv6 /48. */
export function hashNetwork(
  keys: Int32Array,
  halves: Uint16Array,
  at: number,
  family: Family,
): number {
  if (family === 6) return keyedHash(keys, PEER_KEYS, halves, at, 3);
  const first = halves[at];
  const third = halves[at + 1] & THIRD_BYTE;
  const high = Math.imul(keys[PEER_KEYS], first) + Math.imul(keys[PEER_KEYS + 1], third);
  const low =
    Math.imul(keys[PEER_KEYS + HALVES_MAX], first) +
    Math.imul(keys[PEER_KEYS + HALVES_MAX + 1], third);
  return mix(high | 0, low | 0);
}

/**
 * Writes `hashAddress` and `hashNetwork` of `count` peers side by side, two numbers for each. For
 * IPv4 in a loop of its own, which takes half of the time.
 */
export function hashPlaces(
  keys: Int32Array,
  halves: Uint16Array,
  at: number,
  family: Family,
  count: number,
  out: Int32Array,
): void {
  if (family === 6) {
    for (let i = 0; i < count; i++, at += 9) {
      out[2 * i] = hashAddress(keys, halves, at, 6);
      out[2 * i + 1] = hashNetwork(keys, halves, at, 6);
    }
    return;
  }
  const high0 = keys[PEER_KEYS];
  const high1 = keys[PEER_KEYS + 1];
  const low0 = keys[PEER_KEYS + HALVES_MAX];
  const low1 = keys[PEER_KEYS + HALVES_MAX + 1];
  for (let i = 0; i < count; i++, at += 3) {
    const first = halves[at];
    const second = halves[at + 1];
    const third = second & THIRD_BYTE;
    const high = Math.imul(high0, first);
    const low = Math.imul(low0, first);
    out[2 * i] = mix((high + Math.imul(high1, second)) | 0, (low + Math.imul(low1, second)) | 0);
    out[2 * i + 1] = mix((high + Math.imul(high1, third)) | 0, (low + Math.imul(low1, third)) | 0);
  }
}

function keyedHash(
  keys: Int32Array,
  key: number,
  halves: Uint16Array,
  at: number,
  count: number,
): number {
  let high = 0;
  let low = 0;
  for (let i = 0; i < count; i++) {
    const half = halves[at + i];
    high = (high + Math.imul(keys[key + i], half)) | 0;
    low = (low + Math.imul(keys[key + HALVES_MAX + i], half)) | 0;
  }
  return mix(high, low);
}

/** The upper halves of two sums, without the linear patterns they have. */
function mix(high: number, low: number): number {
  let hash = (high & 0xffff0000) | (low >>> 16);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
