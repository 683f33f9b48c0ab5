/**
 * The sweep: visits all swarms in rounds, a slice at a time, and removes what is too old.
 *
 * A slice holds the lock of one shard for at most `units` of work; a unit is a swarm or eight
 * peers, some 100 nanoseconds. A swarm that is larger than that is left in the middle, and found
 * again by its info hash in the next slice. The sweep also gives back room that swarms no longer
 * need and moves blocks together. The caller decides how often: every peer must be visited
 * once in a peer timeout.
 */
import { FAMILIES, INFO_HASH_SIZE, type Family } from "../constants.ts";
import { LEECHERS, SEEDERS, SWARM_INFO_HASH, type Role } from "./blocks.ts";
import { compact, WASTE_SWEEP } from "./compact.ts";
import {
  PAGE_SIZE,
  PAGES_RESERVED,
  SHARD_CLOSED_COUNT,
  SHARD_COUNT,
  SHARD_WORDS,
} from "./memory.ts";
import type { Store } from "./store.ts";
import type { Hash, Line, SwarmAt, Tick } from "./units.ts";

const PEERS_PER_UNIT = 8;
/** What looking at one bucket of a large swarm costs beside its peers. */
const UNITS_PER_BUCKET = 0.5;
const UNITS_PER_BUCKET_SEEN = 0.2;
/** Buckets of a large swarm that are merged in one go, and about what that costs. */
const MERGES_PER_STEP = 32;
const UNITS_PER_STEP = 500;

/** What moving the blocks of a page costs, and the bytes it must win on average to be worth it. */
const UNITS_PER_PAGE = 150;
const BYTES_PER_MOVE = PAGE_SIZE / 64;
/** Pages that may be moved in a shard in one round: all it had at its beginning, and these. */
const MOVES_MIN = 64;

/** Sizes by which swarms are counted, in peers. */
export const SWARM_SIZES = [1, 10, 100, 1000, 10_000] as const;

export class Sweep {
  /** Shards visited to their end since the start; a round is SHARD_COUNT of them. */
  shardsDone = 0;
  /** When the last round ended; 0 if none has. */
  roundEndedSeconds = 0;
  /** Swarms with peers, of at most SWARM_SIZES[i] of them, counted in the last round. */
  readonly sizes = new Float64Array(SWARM_SIZES.length);
  /** The same for the round that goes on, each swarm once; the last number is of larger ones. */
  readonly #counted = new Float64Array(SWARM_SIZES.length + 1);
  readonly #store: Store;
  #slot = 0;

  /**
   * Bytes freed by moving blocks in this shard, minus the minimum that makes moving worthwhile.
   * Below minus one page, the waste is page ends that fit no block; moving stops until it doubles.
   */
  #won = 0;
  #unavoidable = 0;
  /** Pages it may still move here: announces may waste them as fast as they are won. */
  #movesLeft = Infinity;

  // Where a swarm was left in the middle.
  #inside = false;
  #insideHash = 0;
  readonly #insideInfoHash = new Uint16Array(INFO_HASH_SIZE / 2);
  #family = 0;
  #role: number = SEEDERS;
  #bucket = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Does up to about `units` of work in the shard whose turn it is. */
  slice(nowSeconds: number, units: number): void {
    const store = this.#store;
    const { arena, table } = store;
    const line = (this.shardsDone % SHARD_COUNT) * SHARD_WORDS;
    arena.keepBack = PAGES_RESERVED;
    store.enter(line);
    while (units > 0) {
      if (this.#tidy(line)) {
        units -= UNITS_PER_PAGE;
        continue;
      }
      if (this.#slot >= table.slots(line)) {
        const { emptyTicks } = store;
        store.emptySwarms.expire(line, emptyTicks.at(nowSeconds), emptyTicks.lifetime);
        this.#endShard(nowSeconds);
        break;
      }
      const swarm = this.#swarmInTurn(line);
      units -= swarm === 0 ? 0.1 : this.#visit(line, swarm, nowSeconds, units);
      if (this.#inside) break;
      // When the swarm went another one may have moved into its slot.
      if (table.at(line, this.#slot) === 0 || !this.#went) this.#slot += 1;
    }
    store.leave(line);
  }

  /** Moves the blocks of one page together if that is worth it; true if it did. */
  #tidy(line: Line): boolean {
    const { arena, table } = this.#store;
    const wasted = arena.wasted(line);
    if (this.#movesLeft === Infinity) {
      this.#movesLeft = MOVES_MIN + arena.shards[line + SHARD_CLOSED_COUNT];
    }
    if (this.#movesLeft === 0 || wasted < 2 * this.#unavoidable) return false;
    if (!compact(arena, table, line, WASTE_SWEEP)) return false;
    this.#movesLeft -= 1;
    const won = wasted - arena.wasted(line) - BYTES_PER_MOVE;
    this.#won = Math.min(PAGE_SIZE, this.#won + won);
    if (this.#won < -PAGE_SIZE) {
      this.#won = 0;
      this.#unavoidable = wasted;
    }
    return true;
  }

  #endShard(nowSeconds: number): void {
    this.#slot = 0;
    this.#won = 0;
    this.#unavoidable = 0;
    this.#movesLeft = Infinity;
    this.shardsDone += 1;
    if (this.shardsDone % SHARD_COUNT === 0) this.#endRound(nowSeconds);
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

  /** True if the swarm that was visited last is gone. */
  #went = false;

  /** The swarm that was left in the middle, if it is still there; else that of the slot, or 0. */
  #swarmInTurn(line: Line): SwarmAt {
    const { table } = this.#store;
    if (this.#inside) {
      const swarm = table.find(line, this.#insideHash, this.#insideInfoHash);
      if (swarm !== 0) return swarm;
    }
    this.#inside = false;
    this.#beginFamily(0);
    return table.at(line, this.#slot);
  }

  #beginFamily(family: number): void {
    this.#family = family;
    this.#role = SEEDERS;
    this.#bucket = 0;
  }

  /** Does up to about `units` of work in a swarm and returns those done; see `#inside`. */
  #visit(line: Line, swarm: SwarmAt, nowSeconds: number, units: number): number {
    const store = this.#store;
    const { swarms, table } = store;
    const hash = table.hashAt(swarm);
    const tick = store.peerTicks.at(nowSeconds);
    let used = 1;
    for (; this.#family < FAMILIES.length; this.#beginFamily(this.#family + 1)) {
      const family = FAMILIES[this.#family];
      const seeders = swarms.count(swarm, family, SEEDERS);
      const leechers = swarms.count(swarm, family, LEECHERS);
      const large = swarms.isLarge(swarm, family);
      if (large) {
        used += this.#expireLarge(line, swarm, family, tick, units - used);
      } else {
        used += (seeders + leechers) / PEERS_PER_UNIT;
        swarms.expireSmall(line, swarm, family, tick, store.peerLifetime);
        swarm = swarms.tighten(line, swarm, family);
      }
      if (large && this.#role <= LEECHERS) {
        this.#leaveInside(hash, swarm);
        return used;
      }
      if (large) swarm = swarms.diminish(line, swarm, family);
    }
    this.#inside = false;
    const left = swarms.peers(swarm);
    if (left > 0) this.#count(left);
    this.#went = store.settle(line, hash, swarm, nowSeconds) === 0;
    return used;
  }

  /** Forgets the old peers of a family from where it was left; at its end, no role is left. */
  #expireLarge(line: Line, swarm: SwarmAt, family: Family, tick: Tick, units: number): number {
    const { swarms, directories, peerLifetime } = this.#store;
    let used = 0;
    for (; this.#role <= LEECHERS; this.#role++, this.#bucket = 0) {
      const cell = swarms.cell(swarm, family, this.#role as Role);
      for (;;) {
        if (used > 0 && used >= units) return used;
        const role = this.#role as Role;
        const bucket = this.#bucket;
        const peers = directories.expire(
          line,
          swarm,
          cell,
          family,
          role,
          tick,
          peerLifetime,
          bucket,
        );
        if (peers < 0) break;
        this.#bucket += 1;
        used += UNITS_PER_BUCKET + peers / PEERS_PER_UNIT;
      }
      used += UNITS_PER_BUCKET_SEEN * this.#bucket;
      if (!directories.tidy(line, cell, family, MERGES_PER_STEP)) return used + UNITS_PER_STEP;
    }
    return used;
  }

  #leaveInside(hash: Hash, swarm: SwarmAt): void {
    const { halves } = this.#store.arena;
    const infoHash = this.#insideInfoHash;
    const at = (swarm + SWARM_INFO_HASH) >>> 1;
    for (let i = 0; i < infoHash.length; i++) infoHash[i] = halves[at + i];
    this.#insideHash = hash;
    this.#inside = true;
  }
}
