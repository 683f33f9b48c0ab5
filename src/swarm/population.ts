/**
 * The population: whenever a peer comes, goes or changes its role, the counts of its shard and what
 * its address and network hold change here, so that they cannot drift from what is stored.
 *
 * Moving a peer, from block to bucket or page to page, is neither coming nor going. The caller
 * holds the lock of the shard.
 */
import type { Family } from "../constants.ts";
import type { Arena } from "./arena.ts";
import { FLAG_EMPTY, LEECHERS, SEEDERS, SWARM_FLAGS, type Role } from "./blocks.ts";
import { Holdings } from "./holdings.ts";
import {
  SHARD_EMPTY_SWARMS,
  SHARD_SEEDERS_IPV4,
  SHARD_SEEDERS_IPV6,
  TOTAL_EXPIRED,
  totalsOf,
  type SwarmMemory,
} from "./memory.ts";

export class Population {
  readonly holdings: Holdings;
  readonly #arena: Arena;

  constructor(memory: SwarmMemory, arena: Arena) {
    this.holdings = new Holdings(memory);
    this.#arena = arena;
  }

  /** The peer whose halves begin at `source[at]` has been stored. */
  came(line: number, family: Family, role: Role, source: Uint16Array, at: number): void {
    this.#arena.shards[columnOf(line, family) + role] += 1;
    this.holdings.charge(source, at, family);
  }

  /** The peer goes: it stopped, or had to make room. */
  gone(line: number, family: Family, role: Role, source: Uint16Array, at: number): void {
    this.#arena.shards[columnOf(line, family) + role] -= 1;
    this.holdings.discharge(source, at, family);
  }

  /** The peer goes because its last announce was too long ago; it lies at `at` in the arena. */
  expired(line: number, family: Family, role: Role, at: number): void {
    this.gone(line, family, role, this.#arena.halves, at);
    this.#arena.totals[totalsOf(line) + TOTAL_EXPIRED] += 1;
  }

  /** A peer now has this role, and had the other. */
  switched(line: number, family: Family, role: Role): void {
    const column = columnOf(line, family);
    this.#arena.shards[column + role] += 1;
    this.#arena.shards[column + (role === SEEDERS ? LEECHERS : SEEDERS)] -= 1;
  }

  /** Marks a swarm as one without peers, or as one that has some again; it may be so already. */
  setEmpty(line: number, swarm: number, empty: boolean): void {
    const { bytes, shards } = this.#arena;
    const flags = bytes[swarm + SWARM_FLAGS];
    if (((flags & FLAG_EMPTY) !== 0) === empty) return;
    bytes[swarm + SWARM_FLAGS] = flags ^ FLAG_EMPTY;
    shards[line + SHARD_EMPTY_SWARMS] += empty ? 1 : -1;
  }
}

const columnOf = (line: number, family: Family): number =>
  line + (family === 4 ? SHARD_SEEDERS_IPV4 : SHARD_SEEDERS_IPV6);
