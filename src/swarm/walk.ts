/**
 * The walk: once past every swarm, a slice at a time, changing nothing.
 *
 * A slice holds the lock of one shard. Between two slices swarms come, go and move, and still each
 * one that is there all the time is met exactly once. That is because a slice only ends at an empty
 * slot of the table, and in a table with linear probing nothing ever crosses an empty slot:
 *
 *   slots   a b . c d e . . f g      an entry lies at its home or behind it, without a gap
 *                ^ a slice ends      removing moves entries back, but never before their home
 *
 * When a table doubles, slot n becomes slot 2n, and those before and behind it stay before and
 * behind. The walk begins at the first empty slot, so the run that goes round the end is whole too.
 */
import type { Family } from "../constants.ts";
import { peerHalves, type Role, ROLES } from "./blocks.ts";
import { SHARD_COUNT, SHARD_WORDS } from "./memory.ts";
import type { Store } from "./store.ts";
import type { Line, SwarmAt } from "./units.ts";

/** What an empty slot costs, where a swarm costs what its visitor says. */
const UNITS_PER_EMPTY_SLOT = 0.1;

/**
 * Units of a slice beside requests: the longest that an announce waits for the lock of a shard,
 * some 50 microseconds.
 */
export const WALK_SLICE_UNITS = 500;

/** Peers of one directory that `visitPeers` looks at; of larger ones it takes a sample. */
const SAMPLE_PEERS = 4000;

export class Walk {
  /** True once every shard has been walked. */
  done = false;
  readonly #store: Store;
  #shard = 0;
  /** Slots of the shard's table when the last slice ended; 0 before its first. */
  #slots = 0;
  /** Where the walk of this shard begins and goes on; may lie beyond the end, then it wraps. */
  #first = 0;
  #cursor = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Visits swarms of one shard for about `units` of work. `visit` is given the swarm's offset,
   * which is good until it returns, and says how many units it took; some 100 nanoseconds each.
   */
  slice(units: number, visit: (swarm: SwarmAt) => number): void {
    if (this.done) return;
    const store = this.#store;
    const line = this.#shard * SHARD_WORDS;
    store.enter(line);
    const ended = this.#walk(line, units, visit);
    store.leave(line);
    if (!ended) return;
    this.#slots = 0;
    this.#shard += 1;
    this.done = this.#shard === SHARD_COUNT;
  }

  /** True when the shard has been walked to its end. The lock of the shard is held. */
  #walk(line: Line, units: number, visit: (swarm: SwarmAt) => number): boolean {
    const { table } = this.#store;
    const slots = table.slots(line);
    if (slots === 0) return true;
    this.#adapt(line, slots);
    const end = slots + this.#first;
    for (; this.#cursor < end; this.#cursor++) {
      const swarm = table.at(line, this.#cursor & (slots - 1));
      if (swarm !== 0) {
        units -= visit(swarm);
        continue;
      }
      if (units <= 0) return false;
      units -= UNITS_PER_EMPTY_SLOT;
    }
    return true;
  }

  /** Finds the place again, in a table that may have doubled since. */
  #adapt(line: Line, slots: number): void {
    const { table } = this.#store;
    if (this.#slots === 0) {
      let first = 0;
      while (table.at(line, first) !== 0) first++;
      this.#first = first;
      this.#cursor = first;
    } else {
      this.#first *= slots / this.#slots;
      this.#cursor *= slots / this.#slots;
    }
    this.#slots = slots;
  }
}

/** Visits every swarm, as `Walk.slice` does; may be interrupted after each slice. */
export function* walkAll(
  store: Store,
  visit: (swarm: SwarmAt) => number,
): Generator<undefined, void> {
  const walk = new Walk(store);
  for (;;) {
    walk.slice(WALK_SLICE_UNITS, visit);
    if (walk.done) return;
    yield;
  }
}

/**
 * Gets where a peer and its meta byte lie: the peer in halves of the arena, the other in bytes; for
 * how many peers it stands, and its role.
 */
export type PeerVisit = (at: number, weight: number, metaAt: number, role: Role) => void;

/**
 * Visits the peers of a family in a swarm. Of a huge swarm only some buckets are looked at; which
 * networks are in which bucket is a keyed hash, so they are a fair sample. Returns the peers
 * visited. The lock of the shard is held.
 */
export function visitPeers(store: Store, swarm: SwarmAt, family: Family, visit: PeerVisit): number {
  const { swarms } = store;
  if (swarms.isLarge(swarm, family)) return visitLarge(store, swarm, family, visit);
  const count = swarms.smallCount(swarm, family);
  const first = swarms.peersAt(swarm, family);
  const meta = swarms.metaAt(swarm, family);
  for (let index = 0; index < count; index++) {
    const at = first + index * peerHalves(family);
    visit(at, 1, meta + index, swarms.roleOfSmall(swarm, family, index));
  }
  return count;
}

function visitLarge(store: Store, swarm: SwarmAt, family: Family, visit: PeerVisit): number {
  const { swarms, directories } = store;
  let visited = 0;
  for (const role of ROLES) {
    const cell = swarms.cell(swarm, family, role);
    const peers = directories.count(cell);
    if (peers === 0) continue;
    const step = Math.ceil(peers / SAMPLE_PEERS);
    for (let i = 0; i < directories.bucketCount(cell); i += step) {
      const bucket = directories.bucketAt(cell, i);
      if (bucket === 0) continue;
      const count = directories.peersIn(bucket);
      for (let index = 0; index < count; index++) {
        const at = directories.peerAt(family, bucket, index);
        visit(at, step, directories.metaAt(family, bucket, index), role);
      }
      visited += count;
    }
  }
  return visited;
}
