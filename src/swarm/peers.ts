/**
 * Loops over peers in wire format: finding one, copying, telling an expired one.
 *
 * A peer is 3 (IPv4) or 9 (IPv6) 16-bit halves, the last of them the port. Offsets here count
 * halves. All of it allocates nothing and never fails.
 */
import { META_TICK } from "./blocks.ts";
import type { Tick } from "./units.ts";

/**
 * Position of a peer among those from `from` to `to` - 1 of the list that begins at `first`; -1 if
 * it is not there. Ports differ most, so they are compared first.
 */
export function findPeer(
  halves: Uint16Array,
  first: number,
  from: number,
  to: number,
  size: number,
  source: Uint16Array,
  at: number,
): number {
  const port = source[at + size - 1];
  let candidate = first + from * size;
  for (let index = from; index < to; index++, candidate += size) {
    if (halves[candidate + size - 1] !== port) continue;
    let same = 0;
    while (same < size - 1 && halves[candidate + same] === source[at + same]) same++;
    if (same === size - 1) return index;
  }
  return -1;
}

/** Copies `count` halves. */
export function copyHalves(
  source: Uint16Array,
  from: number,
  target: Uint16Array,
  to: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) target[to + i] = source[from + i];
}

/** Copies the peer at position `from` of the list that begins at `first` to position `to`. */
export function movePeer(
  halves: Uint16Array,
  first: number,
  size: number,
  from: number,
  to: number,
): void {
  copyHalves(halves, first + from * size, halves, first + to * size, size);
}

/** The peers at two positions of the list that begins at `first` change places. */
export function swapPeers(
  halves: Uint16Array,
  first: number,
  size: number,
  a: number,
  b: number,
): void {
  for (let i = 0; i < size; i++) {
    const half = halves[first + a * size + i];
    halves[first + a * size + i] = halves[first + b * size + i];
    halves[first + b * size + i] = half;
  }
}

/** True if the peer's last announce was more than `ticks` ticks before `tick`. */
export function isExpired(meta: number, tick: Tick, ticks: number): boolean {
  return ((tick - meta) & META_TICK) > ticks;
}

/** Room for one more than `count` peers and some after it: an eighth, but two at least. */
export function roomier(count: number): number {
  return count < 4 ? count + 1 : count + Math.max(2, count >>> 3);
}
