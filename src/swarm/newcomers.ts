/**
 * How many swarms an address has begun lately, so that no single one can fill the memory.
 *
 * Counted in fixed memory: a count-min sketch. An address adds to two cells chosen by a keyed hash
 * and is judged by the smaller of them, so it may be thought to have begun more than it has (when
 * others share both cells), never fewer. The cells are emptied once in a peer timeout, which is
 * when the swarms it began and left would be forgotten. An IPv6 address counts by its /64, which is
 * what one customer has.
 *
 * Cells are shared by all threads and added to without a lock.
 */
import type { Family } from "../constants.ts";
import { hashPeer } from "./keyed-hash.ts";
import type { SwarmMemory } from "./memory.ts";

/** One MiB. With a million swarms begun in a timeout a cell has four that are not its own. */
export const NEWCOMER_CELLS = 2 ** 18;

/** 16-bit halves of an address that count: all of IPv4, the /64 of IPv6. */
const halvesOf = (family: Family): number => (family === 4 ? 2 : 4);

export class Newcomers {
  readonly #cells: Int32Array;
  readonly #keys: Int32Array;
  readonly #max: number;

  constructor(memory: SwarmMemory) {
    this.#cells = new Int32Array(memory.newcomers);
    this.#keys = memory.keys;
    this.#max = memory.settings.swarmsPerAddressMax ?? Infinity;
  }

  /** True if the address may begin one more swarm; that is counted at once. */
  admits(peer: Uint16Array, family: Family): boolean {
    const hash = hashPeer(this.#keys, peer, 0, halvesOf(family));
    const first = hash & (NEWCOMER_CELLS - 1);
    const second = Math.imul(hash ^ this.#keys[0], 0x9e3779b1) >>> 14;
    const cells = this.#cells;
    if (Math.min(cells[first], cells[second]) >= this.#max) return false;
    Atomics.add(cells, first, 1);
    if (second !== first) Atomics.add(cells, second, 1);
    return true;
  }

  /** Forgets everything; takes a tenth of a millisecond. */
  clear(): void {
    this.#cells.fill(0);
  }
}
