/**
 * The share of announces that come from one private address. If it is large, something in front of
 * the tracker, such as the NAT of a container network, hides the clients' addresses, and peers get
 * an address that they cannot reach.
 *
 * Each thread samples one announce in SAMPLE_EVERY and keeps the frequent addresses of its sample
 * in shared memory (see frequent.ts):
 *
 *   row   [ announces sampled | the words of a Frequent: 32 keys in 4 sets ]     32-bit words
 *
 * A key is a hash: the address itself is not kept. A count is too high by about 1/32 of the sample
 * at most. When a row has counted HALVE_AFTER announces it is halved, so that old ones count less.
 */
import { isPrivate } from "../net/addresses.ts";
import type { AnnounceRequest } from "../swarm/requests.ts";
import { Frequent, frequentBytes } from "./frequent.ts";

const SAMPLE_EVERY = 32;
const HALVE_AFTER = 4096;

const SET_BITS = 2;
const ROW_BYTES = Uint32Array.BYTES_PER_ELEMENT + frequentBytes(SET_BITS);
/** Rows of two threads share no cache line. */
const ROW_STRIDE = 64 * Math.ceil(ROW_BYTES / 64);

/** With fewer sampled announces the share is 0. */
const SAMPLED_MIN = 100;

/** Shared memory for `threads` threads. */
export function privateShareMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * ROW_STRIDE);
}

/** The sample of one thread. */
export class PrivateShare {
  readonly #row: Uint32Array;
  readonly #frequent: Frequent;
  #untilNext = SAMPLE_EVERY;

  constructor(memory: SharedArrayBuffer, thread: number) {
    this.#row = rowOf(memory, thread);
    this.#frequent = frequentOf(this.#row);
  }

  /** Call it for every announce that is answered. Takes some ten nanoseconds at most. */
  note({ peer, family }: Pick<AnnounceRequest, "peer" | "family">): void {
    this.#untilNext -= 1;
    if (this.#untilNext > 0) return;
    this.#untilNext = SAMPLE_EVERY;
    this.#row[0] += 1;
    if (isPrivate(peer, 0, family)) this.#frequent.add(keyOf(peer, family === 4 ? 4 : 16), 0, 1);
    if (this.#row[0] < HALVE_AFTER) return;
    this.#row[0] >>>= 1;
    this.#frequent.halve();
  }
}

/**
 * The share, 0 to 1, of the private address that announces most, over all threads; 0 if too few
 * announces were sampled.
 */
export function largestPrivateShare(memory: SharedArrayBuffer): number {
  const counts = new Map<number, number>();
  let sampled = 0;
  for (let thread = 0; thread < memory.byteLength / ROW_STRIDE; thread++) {
    const row = rowOf(memory, thread);
    const frequent = frequentOf(row);
    sampled += row[0];
    for (const { high, count } of frequent.top(frequent.entries)) {
      counts.set(high, (counts.get(high) ?? 0) + count);
    }
  }
  return sampled < SAMPLED_MIN ? 0 : Math.max(0, ...counts.values()) / sampled;
}

function rowOf(memory: SharedArrayBuffer, thread: number): Uint32Array {
  return new Uint32Array(memory, thread * ROW_STRIDE, ROW_BYTES / Uint32Array.BYTES_PER_ELEMENT);
}

/** Strangers cannot choose private addresses in our network, so the key need not be secret. */
function frequentOf(row: Uint32Array): Frequent {
  return new Frequent(row.subarray(1), SET_BITS, 1);
}

/** FNV-1a, 0 to 2^32 - 1. */
function keyOf(bytes: Uint8Array, size: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < size; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
  return hash >>> 0;
}
