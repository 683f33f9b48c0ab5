/**
 * Do strangely many announces come from one private address? Then something before us, such as the
 * NAT of a container network, hides who they are from, and peers are told an address of no use.
 *
 * Every thread looks at one announce in SAMPLE_EVERY and keeps eight candidates in shared memory:
 *
 *   row   [ announces looked at | key, count | … 8 … ]     64-bit floats
 *
 * Whoever makes more than a ninth of a stream stays among eight candidates ("frequent", Misra and
 * Gries 1982); counts are low by up to a ninth. A key is a hash: the address itself is not kept.
 * When a row has seen enough it is halved, so that what was long ago counts less.
 */
import { isPrivate } from "../net/addresses.ts";
import type { AnnounceRequest } from "../swarm/requests.ts";

const SAMPLE_EVERY = 32;
const CANDIDATES = 8;
const ROW_COLUMNS = 8 * Math.ceil((1 + 2 * CANDIDATES) / 8);
const HALVE_AFTER = 4096;

/** Announces looked at before anything is said about them. */
const LOOKED_AT_MIN = 100;

/** Shared memory for `threads` threads. */
export function privateShareMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * ROW_COLUMNS * Float64Array.BYTES_PER_ELEMENT);
}

/** One thread's look at its announces. */
export class PrivateShare {
  readonly #row: Float64Array;
  #untilNext = SAMPLE_EVERY;

  constructor(memory: SharedArrayBuffer, thread: number) {
    const bytes = ROW_COLUMNS * Float64Array.BYTES_PER_ELEMENT;
    this.#row = new Float64Array(memory, thread * bytes, ROW_COLUMNS);
  }

  /** To be called for every announce that is answered. Some ten nanoseconds at most. */
  note({ peer, family }: Pick<AnnounceRequest, "peer" | "family">): void {
    this.#untilNext -= 1;
    if (this.#untilNext > 0) return;
    this.#untilNext = SAMPLE_EVERY;
    const row = this.#row;
    row[0] += 1;
    if (isPrivate(peer, 0, family)) this.#count(keyOf(peer, family === 4 ? 4 : 16));
    if (row[0] >= HALVE_AFTER) for (let at = 0; at < row.length; at++) halve(row, at);
  }

  #count(key: number): void {
    const row = this.#row;
    let free = 0;
    for (let at = 1; at <= 2 * CANDIDATES; at += 2) {
      if (row[at + 1] === 0) {
        free = at;
      } else if (row[at] === key) {
        row[at + 1] += 1;
        return;
      }
    }
    if (free > 0) {
      row[free] = key;
      row[free + 1] = 1;
      return;
    }
    for (let at = 2; at <= 2 * CANDIDATES; at += 2) row[at] -= 1;
  }
}

/**
 * The share, 0 to 1, of the private address that announces most, over all threads; 0 as long as
 * too few announces have been seen.
 */
export function largestPrivateShare(memory: SharedArrayBuffer): number {
  const all = new Float64Array(memory);
  const counts = new Map<number, number>();
  let lookedAt = 0;
  for (let row = 0; row < all.length; row += ROW_COLUMNS) {
    lookedAt += all[row];
    for (let at = row + 1; at <= row + 2 * CANDIDATES; at += 2) {
      if (all[at + 1] > 0) counts.set(all[at], (counts.get(all[at]) ?? 0) + all[at + 1]);
    }
  }
  return lookedAt < LOOKED_AT_MIN ? 0 : Math.max(0, ...counts.values()) / lookedAt;
}

/** Odd columns are keys and stay. */
function halve(row: Float64Array, at: number): void {
  if (at % 2 === 0) row[at] = Math.floor(row[at] / 2);
}

/** FNV-1a. Strangers cannot choose private addresses of ours, so no secret is needed. */
function keyOf(bytes: Uint8Array, size: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < size; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
  return hash;
}
