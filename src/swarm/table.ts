/**
 * The index: info hash to the block of its swarm.
 *
 * Each shard has a region of its own in which its table, open addressing with linear probing, lies
 * at the front and doubles in place. An entry is one word:
 *
 *   bits 31..29   tag: three bits of the hash, so that most other swarms need not be looked at
 *   bits 28..0    offset of the swarm's block, in words; the whole entry is 0 if there is none
 *
 *   hash of the info hash   [ shard: 8 | slot: up to 21 from the top … | tag: 3 ]
 *
 * Removing an entry moves later ones back instead of leaving a mark, so a table never degrades.
 * The caller holds the lock of the shard. Nothing here throws.
 */
import type { Arena } from "./arena.ts";
import { SWARM_INFO_HASH } from "./blocks.ts";
import { hashInfoHash } from "./keyed-hash.ts";
import {
  POOL,
  SHARD_BITS,
  SHARD_COUNT,
  SHARD_INDEX_BITS,
  SHARD_SWARMS,
  SHARD_WORDS,
  type SwarmMemory,
} from "./memory.ts";
import type { Hash, Line, SwarmAt } from "./units.ts";

/** A table begins with 64 entries: one page of memory holds those of 16 shards. */
const TABLE_BITS_MIN = 6;

/** A table doubles when more than 7 in 10 of its entries are taken. */
const LOAD_MAX_TENTHS = 7;
/** The last table, which cannot double, takes swarms until 9 in 10 are. */
const LOAD_FULL_TENTHS = 9;

const OFFSET_MASK = 0x1fffffff;

/** The line of the shard that a hash belongs to. */
export const lineOf = (hash: Hash): Line => (hash >>> (32 - SHARD_BITS)) * SHARD_WORDS;

export class Table {
  readonly #arena: Arena;
  readonly #index: Int32Array;
  readonly #regionBits: number;
  readonly #keys: Int32Array;
  /** Holds the entries of a table while it doubles. */
  readonly #scratch: Int32Array;

  constructor(memory: SwarmMemory, arena: Arena) {
    this.#arena = arena;
    this.#index = new Int32Array(memory.index);
    this.#regionBits = memory.indexRegionBits;
    this.#keys = memory.keys;
    this.#scratch = new Int32Array(2 ** memory.indexRegionBits);
  }

  /** Offset of the swarm with these ten halves of info hash, whose hash is `hash`; 0 if unknown. */
  find(line: Line, hash: Hash, infoHash: Uint16Array): SwarmAt {
    const bits = this.#arena.shards[line + SHARD_INDEX_BITS];
    if (bits === 0) return 0;
    const index = this.#index;
    const start = this.#start(line);
    const mask = (1 << bits) - 1;
    const tag = hash << 29;
    for (let slot = slotOf(hash, bits); ; slot = (slot + 1) & mask) {
      const entry = index[start + slot];
      if (entry === 0) return 0;
      if (((entry ^ tag) & ~OFFSET_MASK) !== 0) continue;
      const offset = (entry & OFFSET_MASK) << 2;
      if (this.#holds(offset, infoHash)) return offset;
    }
  }

  /** Offset of a swarm whose info hash has this hash; 0 if there is none. */
  findHash(line: Line, hash: Hash): SwarmAt {
    const bits = this.#arena.shards[line + SHARD_INDEX_BITS];
    if (bits === 0) return 0;
    const start = this.#start(line);
    const mask = (1 << bits) - 1;
    for (let slot = slotOf(hash, bits); ; slot = (slot + 1) & mask) {
      const entry = this.#index[start + slot];
      if (entry === 0) return 0;
      if ((((hash << 29) ^ entry) & ~OFFSET_MASK) !== 0) continue;
      const offset = (entry & OFFSET_MASK) << 2;
      if (this.hashAt(offset) === hash) return offset;
    }
  }

  /** Place in the index of the first entry that a search for the info hash at `at` looks at. */
  placeOf(halves: Uint16Array, at: number): number {
    const hash = hashInfoHash(this.#keys, halves, at);
    const line = lineOf(hash);
    const bits = this.#arena.shards[line + SHARD_INDEX_BITS];
    return this.#start(line) + (bits === 0 ? 0 : slotOf(hash, bits));
  }

  /** Offset of the swarm that the entry at a place names; 0 if there is none. */
  peek(place: number): SwarmAt {
    return (this.#index[place] & OFFSET_MASK) << 2;
  }

  /** Adds the swarm at `offset`, which is not in the table. Returns false if the table is full. */
  insert(line: Line, hash: Hash, offset: SwarmAt): boolean {
    const { shards } = this.#arena;
    const swarms = shards[line + SHARD_SWARMS];
    let bits = shards[line + SHARD_INDEX_BITS];
    if (bits === 0 || swarms * 10 >= LOAD_MAX_TENTHS << bits) {
      if (bits < this.#regionBits) bits = this.#grow(line, bits);
      else if (swarms * 10 >= LOAD_FULL_TENTHS << bits) return false;
    }
    this.#put(line, bits, hash, (hash << 29) | (offset >>> 2));
    shards[line + SHARD_SWARMS] = swarms + 1;
    return true;
  }

  /**
   * Makes tables that are still empty as large as this number of swarms will need, so that they do
   * not double again and again, which took a tenth of the time. No other thread may be there yet.
   */
  expect(swarms: number): void {
    const { shards } = this.#arena;
    let bits = Math.min(TABLE_BITS_MIN, this.#regionBits);
    const each = swarms / SHARD_COUNT;
    while (bits < this.#regionBits && each * 10 >= LOAD_MAX_TENTHS << bits) bits++;
    for (let line = 0; line < POOL; line += SHARD_WORDS) {
      if (shards[line + SHARD_INDEX_BITS] === 0) shards[line + SHARD_INDEX_BITS] = bits;
    }
  }

  /** Takes the swarm at `offset` out. */
  remove(line: Line, hash: Hash, offset: number): void {
    const { shards } = this.#arena;
    const bits = shards[line + SHARD_INDEX_BITS];
    const index = this.#index;
    const start = this.#start(line);
    const mask = (1 << bits) - 1;
    let hole = this.#slotHolding(line, bits, hash, offset);
    for (let slot = (hole + 1) & mask; index[start + slot] !== 0; slot = (slot + 1) & mask) {
      const home = slotOf(this.hashAt((index[start + slot] & OFFSET_MASK) << 2), bits);
      // The entry may move back to the hole unless its home lies behind the hole.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      index[start + hole] = index[start + slot];
      hole = slot;
    }
    index[start + hole] = 0;
    shards[line + SHARD_SWARMS] -= 1;
  }

  /** The swarm at `from` now lies at `to`; its info hash can be read at either. */
  repoint(line: Line, from: number, to: number): void {
    const hash = this.hashAt(to);
    const slot = this.#slotHolding(line, this.#arena.shards[line + SHARD_INDEX_BITS], hash, from);
    this.#index[this.#start(line) + slot] = (hash << 29) | (to >>> 2);
  }

  /** Slots of the shard's table; 0 before its first swarm. */
  slots(line: Line): number {
    const bits = this.#arena.shards[line + SHARD_INDEX_BITS];
    return bits === 0 ? 0 : 1 << bits;
  }

  /** Offset of the swarm in a slot of the shard's table; 0 if there is none. */
  at(line: Line, slot: number): SwarmAt {
    return (this.#index[this.#start(line) + slot] & OFFSET_MASK) << 2;
  }

  /** The hash of the swarm at `offset`. */
  hashAt(offset: SwarmAt): Hash {
    return hashInfoHash(this.#keys, this.#arena.halves, (offset + SWARM_INFO_HASH) >>> 1);
  }

  #start(line: Line): number {
    return ((line / SHARD_WORDS) | 0) << this.#regionBits;
  }

  #holds(offset: number, infoHash: Uint16Array): boolean {
    const { halves } = this.#arena;
    const at = (offset + SWARM_INFO_HASH) >>> 1;
    for (let i = 0; i < 10; i++) if (halves[at + i] !== infoHash[i]) return false;
    return true;
  }

  #put(line: Line, bits: number, hash: Hash, entry: number): void {
    const index = this.#index;
    const start = this.#start(line);
    const mask = (1 << bits) - 1;
    let slot = slotOf(hash, bits);
    while (index[start + slot] !== 0) slot = (slot + 1) & mask;
    index[start + slot] = entry;
  }

  #slotHolding(line: Line, bits: number, hash: Hash, offset: number): number {
    const index = this.#index;
    const start = this.#start(line);
    const mask = (1 << bits) - 1;
    let slot = slotOf(hash, bits);
    while ((index[start + slot] & OFFSET_MASK) !== offset >>> 2) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(line: Line, bits: number): number {
    const index = this.#index;
    const scratch = this.#scratch;
    const start = this.#start(line);
    const before = bits === 0 ? 0 : 1 << bits;
    const grown = bits === 0 ? Math.min(TABLE_BITS_MIN, this.#regionBits) : bits + 1;
    for (let slot = 0; slot < before; slot++) {
      scratch[slot] = index[start + slot];
      index[start + slot] = 0;
    }
    this.#arena.shards[line + SHARD_INDEX_BITS] = grown;
    for (let slot = 0; slot < before; slot++) {
      const entry = scratch[slot];
      if (entry !== 0) this.#put(line, grown, this.hashAt((entry & OFFSET_MASK) << 2), entry);
    }
    return grown;
  }
}

/** Home of a hash in a table of `1 << bits` slots: the bits below the shard's. */
function slotOf(hash: Hash, bits: number): number {
  return (hash << SHARD_BITS) >>> (32 - bits);
}
