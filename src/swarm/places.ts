/**
 * Places: which peers count as one, because one customer or one network has them.
 *
 *   address   IPv4 /32   IPv6 /64   what one customer has
 *   network   IPv4 /24   IPv6 /48   what one site has, and what one attacker can get
 *
 * Peers are read in wire format by 16-bit halves, as they lie in memory: the low byte of a half is
 * the first of its two bytes on the wire (every machine that Bun runs on is little-endian).
 */
import type { Family } from "../constants.ts";

/** Halves of an address that tell the customer. */
export const addressHalves = (family: Family): number => (family === 4 ? 2 : 4);

/** The part of an IPv4 address's second half that belongs to its /24. */
export const THIRD_BYTE = 0xff;

/** True if two peers have the same address (IPv6: /64); the ports do not matter. */
export function sameAddress(
  a: Uint16Array,
  atA: number,
  b: Uint16Array,
  atB: number,
  family: Family,
): boolean {
  if (a[atA] !== b[atB] || a[atA + 1] !== b[atB + 1]) return false;
  return family === 4 || (a[atA + 2] === b[atB + 2] && a[atA + 3] === b[atB + 3]);
}

/** True if two peers are of the same network: an IPv4 /24, an IPv6 /48. */
export function sameNetwork(
  a: Uint16Array,
  atA: number,
  b: Uint16Array,
  atB: number,
  family: Family,
): boolean {
  if (a[atA] !== b[atB]) return false;
  if (family === 4) return ((a[atA + 1] ^ b[atB + 1]) & THIRD_BYTE) === 0;
  return a[atA + 1] === b[atB + 1] && a[atA + 2] === b[atB + 2];
}

/** 32 bits that are the same for peers of the same network; the upper ones depend on all of it. */
export function networkBits(halves: Uint16Array, at: number, family: Family): number {
  const second = halves[at + 1];
  const bits = halves[at] | ((family === 4 ? second & THIRD_BYTE : second) << 16);
  const mixed = Math.imul(bits, 0x9e3779b1);
  return family === 4 ? mixed : Math.imul(mixed ^ halves[at + 2], 0x85ebca6b);
}
