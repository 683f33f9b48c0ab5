/**
 * Prefetch: what the info hashes of a batch will need of memory is fetched before it is needed.
 *
 * An announce follows a path of three places that are mostly not in the cache: the entry of the
 * index, the head of the swarm's block, the peers and meta bytes behind it. One after the other
 * they would cost an announce three waits. Here all of a batch take each step together, in loops
 * short enough that the processor waits for many of them at once:
 *
 *   info hash → entry     info hash → entry     …     all entries
 *               entry → block         entry → block   all blocks
 *                       block → peers         …       all peers and meta bytes
 *
 * It takes no lock and decides nothing: what it reads may be about to change, and an entry whose
 * hash collides leads elsewhere. A read behind the end of the arena gives nothing.
 */
import type { Arena } from "./arena.ts";
import {
  FLAG_IPV6,
  peersAt,
  SWARM_CAPACITY_IPV4,
  SWARM_CAPACITY_IPV6,
  SWARM_FLAGS,
} from "./blocks.ts";
import { PEER_SIZE_IPV4, PEER_SIZE_IPV6 } from "../constants.ts";
import type { Store } from "./store.ts";
import type { Table } from "./table.ts";

/** Bytes and words of a cache line. */
const LINE_BYTES = 64;
const LINE_WORDS = LINE_BYTES / Int32Array.BYTES_PER_ELEMENT;

export class Prefetch {
  readonly #arena: Arena;
  readonly #table: Table;
  /** For each info hash the place of its entry in the index, then the offset of its block. */
  readonly #places: Int32Array;
  /** Keeps what is read from being optimized away. */
  readonly #touched = new Int32Array(1);

  /** For at most `most` info hashes at a time. */
  constructor(store: Store, most: number) {
    this.#arena = store.arena;
    this.#table = store.table;
    this.#places = new Int32Array(most);
  }

  /** Fetches what the first `count` info hashes need; number i begins at `halves[ats[i]]`. */
  fetch(halves: Uint16Array, ats: Int32Array, count: number): void {
    const table = this.#table;
    const { bytes, words } = this.#arena;
    const places = this.#places;
    let touched = 0;
    for (let i = 0; i < count; i++) places[i] = table.placeOf(halves, ats[i]);
    for (let i = 0; i < count; i++) places[i] = table.peek(places[i]);
    for (let i = 0; i < count; i++) {
      const word = places[i] >>> 2;
      touched ^= words[word] ^ words[word + LINE_WORDS];
    }
    for (let i = 0; i < count; i++) {
      const block = places[i];
      const flags = bytes[block + SWARM_FLAGS];
      const ipv4 = bytes[block + SWARM_CAPACITY_IPV4] * PEER_SIZE_IPV4;
      const ipv6 = (flags & FLAG_IPV6) === 0 ? 0 : bytes[block + SWARM_CAPACITY_IPV6];
      const meta = block + peersAt(flags) + ipv4 + ipv6 * PEER_SIZE_IPV6;
      touched ^= bytes[meta];
      for (let at = block + 2 * LINE_BYTES; at < meta; at += LINE_BYTES) touched ^= bytes[at];
    }
    this.#touched[0] = touched;
  }
}
