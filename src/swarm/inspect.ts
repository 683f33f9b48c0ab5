/**
 * The look at one swarm: its counts, how old its peers are, and some of them.
 *
 * Counts are exact. Ages come from the peers themselves, of a huge swarm from a sample that stands
 * for all (walk.ts): a look takes a third of a millisecond at most, in which the lock of one shard
 * is held. Ages are as coarse as ticks (ticks.ts).
 */
import { FAMILIES, INFO_HASH_SIZE, type Family } from "../constants.ts";
import {
  FLAG_EMPTY,
  LEECHERS,
  META_TICK,
  peerSize,
  SEEDERS,
  SWARM_EMPTY_SINCE,
  SWARM_FLAGS,
} from "./blocks.ts";
import { hashInfoHash } from "./keyed-hash.ts";
import { ageOf } from "./records.ts";
import type { Store } from "./store.ts";
import { lineOf } from "./table.ts";
import type { SwarmAt } from "./units.ts";
import { visitPeers } from "./walk.ts";

/** A peer: its address and port in wire format. */
export interface SeenPeer {
  family: Family;
  bytes: Uint8Array;
  seeder: boolean;
  /** Ticks since its last announce. */
  age: number;
}

/** Seeders and leechers of a family. */
export interface RoleCounts {
  seeders: number;
  leechers: number;
}

/** What was seen of a swarm. */
export interface SeenSwarm {
  counts: Record<Family, RoleCounts>;
  downloads: number;
  /** Seconds since it lost its last peer; undefined while it has peers. */
  emptySeconds: number | undefined;
  /** Peers by their age in ticks; in a huge swarm those of a sample, each standing for several. */
  ages: Float64Array;
  /** How long a tick lasts, and how long ago the present one began. */
  tickSeconds: number;
  secondsIntoTick: number;
  /** A random choice of the peers, as many as were asked for at most. */
  peers: SeenPeer[];
}

/** Looks at a swarm; undefined if it is not known. At most `peersMax` of its peers are copied. */
export function inspect(
  store: Store,
  infoHash: Uint8Array,
  nowSeconds: number,
  peersMax = 0,
): SeenSwarm | undefined {
  const halves = new Uint16Array(infoHash.slice(0, INFO_HASH_SIZE).buffer);
  const hash = hashInfoHash(store.memory.keys, halves, 0);
  const line = lineOf(hash);
  store.enter(line);
  const swarm = store.table.find(line, hash, halves);
  const seen = swarm === 0 ? undefined : look(store, swarm, nowSeconds, peersMax);
  store.leave(line);
  return seen;
}

/** The lock of the shard is held. */
function look(store: Store, swarm: SwarmAt, nowSeconds: number, peersMax: number): SeenSwarm {
  const { arena, swarms, peerTicks, emptyTicks } = store;
  const tick = peerTicks.at(nowSeconds);
  const ages = new Float64Array(META_TICK + 1);
  const choice = new Choice(peersMax);
  for (const family of FAMILIES) {
    visitPeers(store, swarm, family, (at, weight, metaAt, role) => {
      const age = ageOf(arena.bytes[metaAt], tick);
      ages[age] += weight;
      const place = choice.next();
      if (place < 0) return;
      const bytes = arena.bytes.slice(2 * at, 2 * at + peerSize(family));
      choice.peers[place] = { family, bytes, seeder: role === SEEDERS, age };
    });
  }
  const count = (family: Family): RoleCounts => ({
    seeders: swarms.count(swarm, family, SEEDERS),
    leechers: swarms.count(swarm, family, LEECHERS),
  });
  const isEmpty = (arena.bytes[swarm + SWARM_FLAGS] & FLAG_EMPTY) !== 0;
  const emptyFor = (): number =>
    emptyTicks.between(arena.bytes[swarm + SWARM_EMPTY_SINCE], emptyTicks.at(nowSeconds));
  return {
    counts: { 4: count(4), 6: count(6) },
    downloads: swarms.downloads(swarm),
    emptySeconds: isEmpty ? emptyFor() * emptyTicks.seconds : undefined,
    ages,
    tickSeconds: peerTicks.seconds,
    secondsIntoTick: peerTicks.secondsInto(nowSeconds),
    peers: choice.peers,
  };
}

/** Chooses some of a row of unknown length, each with the same chance. */
class Choice {
  readonly peers: SeenPeer[] = [];
  readonly #most: number;
  #met = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** The place of the next one among the chosen ones; negative if it is not chosen. */
  next(): number {
    const met = this.#met++;
    if (met < this.#most) return met;
    const place = Math.floor(Math.random() * (met + 1));
    return place < this.#most ? place : -1;
  }
}
