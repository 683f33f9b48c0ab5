/**
 * The addresses of this machine, which must not become peers: anybody can forge them as the source
 * of a datagram, and clients would then connect to the tracker's machine.
 *
 *   words   [ which table: 0 none, 1 or 2 ][ table 1 ][ table 2 ]
 *   table   [ family, 4 words of address ] × SLOTS, found by a hash of the address, 0 = free
 *
 * One thread writes, and all threads look up without a lock: a new list is built in the unused
 * table and then named in the first word. Lists change once a minute at most and a lookup takes
 * nanoseconds, so no thread still reads a table when it is rebuilt. A search is at most as long as
 * the list, which the machine's owner chooses and not a stranger.
 *
 * Loopback addresses are left out: only this machine can use them, for tests and trials. A lookup
 * allocates nothing and never fails.
 */
import type { Family } from "../constants.ts";
import { readAddress } from "../net/addresses.ts";
import { readU32 } from "../net/words.ts";

/**
 * Twice as many slots as addresses, so that most lookups end at the first word. A shift, not a
 * power: the engine makes a power a double, and every number computed from it, and a lookup took 32
 * ns instead of 2.
 */
const SLOT_BITS = 11;
const SLOTS = 1 << SLOT_BITS;
const SLOT_SHIFT = 32 - SLOT_BITS;
/** The most addresses that are kept; of a machine with more, the first ones. */
export const OWN_ADDRESSES_MAX = SLOTS / 2;

const SLOT_WORDS = 5;
const TABLE_WORDS = SLOTS * SLOT_WORDS;

/** Knuth's multiplier: spreads neighbouring addresses over the table. */
const SPREAD = 0x9e3779b1;

/** Shared memory for an empty list; can be posted to a worker as it is. */
export function ownAddressMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer((1 + 2 * TABLE_WORDS) * Int32Array.BYTES_PER_ELEMENT);
}

export class OwnAddresses {
  readonly #words: Int32Array | undefined;

  /** Without memory the list is empty. */
  constructor(memory?: SharedArrayBuffer) {
    this.#words = memory === undefined ? undefined : new Int32Array(memory);
  }

  /** True if the address in `bytes` at `at` is one of this machine. */
  has(bytes: Uint8Array, at: number, family: Family): boolean {
    const words = this.#words;
    const table = words === undefined ? 0 : words[0];
    if (words === undefined || table === 0) return false;
    const isIpv6 = family === 6;
    const a = readU32(bytes, at) | 0;
    const b = isIpv6 ? readU32(bytes, at + 4) | 0 : 0;
    const c = isIpv6 ? readU32(bytes, at + 8) | 0 : 0;
    const d = isIpv6 ? readU32(bytes, at + 12) | 0 : 0;
    const start = 1 + (table - 1) * TABLE_WORDS;
    for (let slot = place(a, b, c, d); ; slot = (slot + 1) & (SLOTS - 1)) {
      const from = start + slot * SLOT_WORDS;
      if (words[from] === 0) return false;
      if (words[from] !== family || words[from + 1] !== a) continue;
      if (words[from + 2] === b && words[from + 3] === c && words[from + 4] === d) return true;
    }
  }

  /**
   * Replaces the list; texts that are not addresses are ignored. Only one thread may call it, with
   * some time between two calls.
   */
  take(addresses: readonly string[]): void {
    const words = this.#words;
    if (words === undefined) return;
    const next = words[0] === 1 ? 2 : 1;
    const table = 1 + (next - 1) * TABLE_WORDS;
    words.fill(0, table, table + TABLE_WORDS);
    const bytes = new Uint8Array(16);
    let taken = 0;
    for (const text of addresses) {
      const family = readAddress(text, bytes, 0);
      if (family === 0 || taken === OWN_ADDRESSES_MAX) continue;
      put(words, table, bytes, family);
      taken += 1;
    }
    Atomics.store(words, 0, taken === 0 ? 0 : next);
  }
}

/** Writes an address to the first free slot from its home slot on. */
function put(words: Int32Array, table: number, bytes: Uint8Array, family: Family): void {
  const address = [0, 0, 0, 0];
  for (let i = 0; i < (family === 4 ? 1 : 4); i++) address[i] = readU32(bytes, 4 * i) | 0;
  let slot = place(address[0], address[1], address[2], address[3]);
  while (words[table + slot * SLOT_WORDS] !== 0) slot = (slot + 1) & (SLOTS - 1);
  words.set([family, ...address], table + slot * SLOT_WORDS);
}

/** The home slot, at which a search begins. */
function place(a: number, b: number, c: number, d: number): number {
  return Math.imul(a ^ b ^ c ^ d, SPREAD) >>> SLOT_SHIFT;
}
