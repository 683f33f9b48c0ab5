/**
 * The sweep: goes round all swarms, a slice at a time, and forgets what is too old.
 *
 * A slice holds the lock of one shard for at most `units` of work; a unit is a swarm or eight
 * peers, some 100 nanoseconds. It also gives back room that swarms no longer need and moves blocks
 * together. Whoever calls decides how often: every peer must be looked at once in a peer timeout.
 */
import type { Family } from "../constants.ts";
import { LEECHERS, SEEDERS } from "./blocks.ts";
import { compact } from "./compact.ts";
import {
  PAGES_RESERVED,
  SHARD_COUNT,
  SHARD_EXPIRED,
  SHARD_SEEDERS_IPV4,
  SHARD_SEEDERS_IPV6,
  SHARD_WORDS,
} from "./memory.ts";
import type { Newcomers } from "./newcomers.ts";
import { FAMILIES } from "./swarms.ts";
import type { Tracker } from "./tracker.ts";

const PEERS_PER_UNIT = 8;

/** Sizes by which swarms are counted, in peers. */
export const SWARM_SIZES = [1, 10, 100, 1000, 10_000] as const;

export class Sweep {
  /** Shards visited to their end since the start; a round is SHARD_COUNT of them. */
  shardsDone = 0;
  /** When the last round ended; 0 if none has. */
  roundEndedSeconds = 0;
  /** Swarms that had peers in the last round, but no more than the SWARM_SIZES say. */
  readonly sizes = new Float64Array(SWARM_SIZES.length);
  /** The same for the round that goes on, each swarm once; the last number is of larger ones. */
  readonly #counted = new Float64Array(SWARM_SIZES.length + 1);
  readonly #tracker: Tracker;
  readonly #newcomers: Newcomers;
  readonly #peerTimeout: number;
  #slot = 0;
  #clearedAt = 0;

  constructor(tracker: Tracker) {
    this.#tracker = tracker;
    this.#newcomers = tracker.newcomers;
    this.#peerTimeout = tracker.peerTimeout;
  }

  /** Does up to about `units` of work in the shard whose turn it is. */
  slice(nowSeconds: number, units: number): void {
    const tracker = this.#tracker;
    const { arena, table } = tracker;
    const line = (this.shardsDone % SHARD_COUNT) * SHARD_WORDS;
    if (nowSeconds - this.#clearedAt >= this.#peerTimeout) {
      this.#newcomers.clear();
      this.#clearedAt = nowSeconds;
    }
    arena.keepBack = PAGES_RESERVED;
    tracker.enter(line);
    while (units > 0 && this.#slot < table.slots(line)) {
      compact(arena, table, line);
      const swarm = table.at(line, this.#slot);
      units -= swarm === 0 ? 0.1 : this.#visit(line, swarm, nowSeconds);
      // When the swarm went another one may have moved into its slot.
      if (table.at(line, this.#slot) === 0 || !this.#went) this.#slot += 1;
    }
    if (this.#slot >= table.slots(line)) {
      this.#slot = 0;
      this.shardsDone += 1;
      if (this.shardsDone % SHARD_COUNT === 0) this.#endRound(nowSeconds);
    }
    tracker.leave(line);
  }

  #endRound(nowSeconds: number): void {
    this.roundEndedSeconds = nowSeconds;
    let swarms = 0;
    for (let size = 0; size < SWARM_SIZES.length; size++) {
      swarms += this.#counted[size];
      this.sizes[size] = swarms;
    }
    this.#counted.fill(0);
  }

  #count(peers: number): void {
    let size = 0;
    while (size < SWARM_SIZES.length && peers > SWARM_SIZES[size]) size++;
    this.#counted[size] += 1;
  }

  /** True if the swarm visited last was removed. */
  #went = false;

  /** Returns the units of work done. */
  #visit(line: number, swarm: number, nowSeconds: number): number {
    const tracker = this.#tracker;
    const { swarms, table } = tracker;
    const hash = table.hashAt(swarm);
    const tick = tracker.peerTicks.at(nowSeconds);
    let peers = 0;
    let left = 0;
    for (const family of FAMILIES) {
      const seeders = swarms.count(swarm, family, SEEDERS);
      const leechers = swarms.count(swarm, family, LEECHERS);
      peers += seeders + leechers;
      swarm = this.#expire(line, swarm, family, tick);
      left += this.#tally(line, swarm, family, seeders, leechers);
    }
    if (left > 0) this.#count(left);
    this.#went = tracker.settle(line, hash, swarm, nowSeconds) === 0;
    return 1 + peers / PEERS_PER_UNIT;
  }

  /** Forgets the old peers of a family. Returns the swarm, which may have been reshaped. */
  #expire(line: number, swarm: number, family: Family, tick: number): number {
    const { swarms, directories, peerLifetime } = this.#tracker;
    if (!swarms.isLarge(swarm, family)) {
      swarms.expireSmall(swarm, family, tick, peerLifetime);
      return swarms.tighten(line, swarm, family);
    }
    directories.expire(line, swarms.cell(swarm, family, SEEDERS), family, tick, peerLifetime);
    directories.expire(line, swarms.cell(swarm, family, LEECHERS), family, tick, peerLifetime);
    return swarms.diminish(line, swarm, family);
  }

  /** Takes those who went out of the census. Returns how many are left. */
  #tally(line: number, swarm: number, family: Family, seeders: number, leechers: number): number {
    const { arena, swarms } = this.#tracker;
    const at = line + (family === 4 ? SHARD_SEEDERS_IPV4 : SHARD_SEEDERS_IPV6);
    const fewerSeeders = seeders - swarms.count(swarm, family, SEEDERS);
    const fewerLeechers = leechers - swarms.count(swarm, family, LEECHERS);
    arena.shards[at + SEEDERS] -= fewerSeeders;
    arena.shards[at + LEECHERS] -= fewerLeechers;
    arena.shards[line + SHARD_EXPIRED] += fewerSeeders + fewerLeechers;
    return seeders + leechers - fewerSeeders - fewerLeechers;
  }
}
