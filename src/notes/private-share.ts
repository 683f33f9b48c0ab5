/**
 * The share of announces that come from one private address with several ports. If it is large,
 * something in front of the tracker, such as the NAT of a container network, hides the clients'
 * addresses, and peers get an address that they cannot reach. A client in the same network has one
 * port.
 *
 * Each thread samples its first announces, and then one in SAMPLE_EVERY, and keeps the frequent
 * addresses of its sample in shared memory (see frequent.ts):
 *
 *   row   [ announces sampled | the words of a Frequent: 32 keys in 4 sets ]     32-bit words
 *   key   [ hash of the address | hash of the port, two bits ]
 *
 * The address itself is not kept. A count is too high by about 1/32 of the sample at most. When a
 * row has counted HALVE_AFTER announces it is halved, so that old ones count less.
 */
import { isPrivate } from "../net/addresses.ts";
import type { AnnounceRequest } from "../swarm/requests.ts";
import { Frequent, frequentBytes } from "./frequent.ts";

/** The first 128 announces are all sampled: five clients of a new tracker make them in hours. */
const SAMPLED_ALL = 128;
const SAMPLE_EVERY = 32;
const HALVE_AFTER = 4096;

const SET_BITS = 2;
const ROW_BYTES = Uint32Array.BYTES_PER_ELEMENT + frequentBytes(SET_BITS);
/** Rows of two threads share no cache line. */
const ROW_STRIDE = 64 * Math.ceil(ROW_BYTES / 64);

/** With fewer sampled announces the share is 0. */
const SAMPLED_MIN = 20;
/** An address with fewer ports is a client. Of two ports one in four has the hash of the other. */
const PORTS_MIN = 2;

/** Shared memory for `threads` threads. */
export function privateShareMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * ROW_STRIDE);
}

/** The sample of one thread. */
export class PrivateShare {
  readonly #row: Uint32Array;
  readonly #frequent: Frequent;
  #untilNext = 1;

  constructor(memory: SharedArrayBuffer, thread: number) {
    this.#row = rowOf(memory, thread);
    this.#frequent = frequentOf(this.#row);
  }

  /**
   * Call it for every announce that is answered, or refused because its address is private. Takes
   * some ten nanoseconds at most.
   */
  note({ peer, family }: Pick<AnnounceRequest, "peer" | "family">): void {
    this.#untilNext -= 1;
    if (this.#untilNext > 0) return;
    this.#row[0] += 1;
    this.#untilNext = this.#row[0] < SAMPLED_ALL ? 1 : SAMPLE_EVERY;
    const size = family === 4 ? 4 : 16;
    if (isPrivate(peer, 0, family)) this.#frequent.add(keyOf(peer, size), portKey(peer, size), 1);
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
  const counts = new Map<number, Map<number, number>>();
  let sampled = 0;
  for (let thread = 0; thread < memory.byteLength / ROW_STRIDE; thread++) {
    const row = rowOf(memory, thread);
    const frequent = frequentOf(row);
    sampled += row[0];
    for (const { high, low, count } of frequent.top(frequent.entries)) {
      const ports = counts.get(high) ?? new Map<number, number>();
      counts.set(high, ports.set(low, (ports.get(low) ?? 0) + count));
    }
  }
  if (sampled < SAMPLED_MIN) return 0;
  const several = [...counts.values()].filter((ports) => ports.size >= PORTS_MIN);
  const sums = several.map((ports) => [...ports.values()].reduce((sum, count) => sum + count));
  return Math.max(0, ...sums) / sampled;
}

function rowOf(memory: SharedArrayBuffer, thread: number): Uint32Array {
  return new Uint32Array(memory, thread * ROW_STRIDE, ROW_BYTES / Uint32Array.BYTES_PER_ELEMENT);
}

/** Strangers cannot choose private addresses in our network, so the key need not be secret. */
function frequentOf(row: Uint32Array): Frequent {
  return new Frequent(row.subarray(1), SET_BITS, 1);
}

/** Two bits of the port, which lies at `at`. */
function portKey(peer: Uint8Array, at: number): number {
  return Math.imul((peer[at] << 8) | peer[at + 1], 0x9e3779b1) >>> 30;
}

/** FNV-1a, 0 to 2^32 - 1. */
function keyOf(bytes: Uint8Array, size: number): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < size; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
  return hash >>> 0;
}
