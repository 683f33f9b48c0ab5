/**
 * Swarms without peers that stay for their download counters: which of a shard's is the oldest.
 *
 * Each shard has a ring of entries, in the order in which its swarms fell empty:
 *
 *   entry   word 0   lower 24 bits of the swarm's hash | tick at which it fell empty
 *           word 1   key of the address that is charged for it (see holdings.ts), 0 for none
 *
 * The ring bounds what such swarms take: an eighth of the memory. One more makes the oldest go;
 * so does memory that is full. A swarm that has got peers again leaves its entry behind, which is
 * known by a flag or a tick that no longer fit. The caller holds the lock of the shard.
 */
import { FAMILIES } from "../constants.ts";
import type { Arena } from "./arena.ts";
import { FLAG_EMPTY, FLAG_LISTED, SWARM_EMPTY_SINCE, SWARM_FLAGS } from "./blocks.ts";
import {
  EMPTY_SWARM_WORDS,
  SHARD_COUNT,
  SHARD_EMPTY_FIRST,
  SHARD_EMPTY_LISTED,
  SHARD_WORDS,
  type SwarmMemory,
} from "./memory.ts";
import type { Population } from "./population.ts";
import type { Swarms } from "./swarms.ts";
import type { Hash, Line, SwarmAt, Tick } from "./units.ts";

const TICK_BITS = 8;
const TICK_MASK = 0xff;

export class EmptySwarms {
  readonly #arena: Arena;
  readonly #swarms: Swarms;
  readonly #population: Population;
  readonly #ring: Int32Array;
  /** Entries of one shard. */
  readonly #size: number;

  constructor(memory: SwarmMemory, arena: Arena, swarms: Swarms, population: Population) {
    this.#arena = arena;
    this.#swarms = swarms;
    this.#population = population;
    const { index, emptySwarmsAt, holdingsAt } = memory;
    this.#ring = new Int32Array(index, emptySwarmsAt, (holdingsAt - emptySwarmsAt) / 4);
    this.#size = this.#ring.length / EMPTY_SWARM_WORDS / SHARD_COUNT;
  }

  /** True if one more makes the oldest go. */
  isFull(line: Line): boolean {
    return this.#arena.shards[line + SHARD_EMPTY_LISTED] >= this.#size;
  }

  /**
   * Makes a swarm that has had no peers since `tick`. Returns 0 if there is no room for it; none of
   * the others is dropped for it.
   */
  create(line: Line, hash: Hash, infoHash: Uint16Array, tick: Tick): SwarmAt {
    if (this.isFull(line)) return 0;
    const swarm = this.#swarms.create(line, hash, infoHash, 1, 0);
    if (swarm !== 0) this.mark(line, hash, swarm, tick, 0);
    return swarm;
  }

  /** Keeps a swarm that has just lost its last peer. Returns the swarm, which may have moved. */
  keep(line: Line, hash: Hash, swarm: SwarmAt, tick: Tick): SwarmAt {
    const swarms = this.#swarms;
    const { lastAddress } = this.#population.holdings;
    for (const family of FAMILIES) {
      if (swarms.isLarge(swarm, family)) swarm = swarms.diminish(line, swarm, family);
      else swarm = swarms.tighten(line, swarm, family);
    }
    this.mark(line, hash, swarm, tick, lastAddress);
    return swarm;
  }

  /** Notes that a swarm has no peers from `tick` on; the address with this key is charged. */
  mark(line: Line, hash: Hash, swarm: SwarmAt, tick: Tick, address: number): void {
    const { bytes } = this.#arena;
    this.#population.setEmpty(line, swarm, true);
    const listed = (bytes[swarm + SWARM_FLAGS] & FLAG_LISTED) !== 0;
    if (listed && bytes[swarm + SWARM_EMPTY_SINCE] === tick) return;
    bytes[swarm + SWARM_FLAGS] |= FLAG_LISTED;
    bytes[swarm + SWARM_EMPTY_SINCE] = tick;
    if (this.isFull(line)) this.drop(line, 1);
    this.#add(line, hash, tick, address);
  }

  /** Drops the `most` oldest of the shard's list; returns how many there were. */
  drop(line: Line, most: number): number {
    const { shards } = this.#arena;
    const count = Math.min(most, shards[line + SHARD_EMPTY_LISTED]);
    for (let i = 0; i < count; i++) this.#dropOldest(line);
    return count;
  }

  /** Drops those that fell empty more than `lifetime` ticks ago. */
  expire(line: Line, tick: Tick, lifetime: number): void {
    const { shards } = this.#arena;
    while (shards[line + SHARD_EMPTY_LISTED] > 0) {
      const since = this.#ring[this.#at(line, shards[line + SHARD_EMPTY_FIRST])];
      if (((tick - since) & TICK_MASK) <= lifetime) return;
      this.#dropOldest(line);
    }
  }

  #add(line: Line, hash: Hash, tick: Tick, address: number): void {
    const { shards } = this.#arena;
    const place = shards[line + SHARD_EMPTY_FIRST] + shards[line + SHARD_EMPTY_LISTED]++;
    const at = this.#at(line, place % this.#size);
    this.#ring[at] = (hash << TICK_BITS) | tick;
    this.#ring[at + 1] = address;
    if (address !== 0) this.#population.holdings.changeAddress(address, 1);
  }

  /** Takes the oldest entry off the list, and its swarm away if that is still without peers. */
  #dropOldest(line: Line): void {
    const { shards, bytes } = this.#arena;
    const first = shards[line + SHARD_EMPTY_FIRST];
    shards[line + SHARD_EMPTY_FIRST] = first + 1 === this.#size ? 0 : first + 1;
    shards[line + SHARD_EMPTY_LISTED] -= 1;
    const at = this.#at(line, first);
    const entry = this.#ring[at];
    const address = this.#ring[at + 1];
    if (address !== 0) this.#population.holdings.changeAddress(address, -1);
    const hash = (shardOf(line) << (32 - TICK_BITS)) | (entry >>> TICK_BITS);
    const swarm = this.#swarms.table.findHash(line, hash);
    if (swarm === 0 || bytes[swarm + SWARM_EMPTY_SINCE] !== (entry & TICK_MASK)) return;
    if ((bytes[swarm + SWARM_FLAGS] & FLAG_EMPTY) !== 0) this.#swarms.remove(line, hash, swarm);
    // It has peers just now; when it has lost them, it needs an entry again.
    else bytes[swarm + SWARM_FLAGS] &= ~FLAG_LISTED;
  }

  #at(line: Line, place: number): number {
    return (shardOf(line) * this.#size + place) * EMPTY_SWARM_WORDS;
  }
}

const shardOf = (line: Line): number => (line / SHARD_WORDS) | 0;
