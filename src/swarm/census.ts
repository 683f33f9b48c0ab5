/**
 * The census: what all shards hold together, and how much of the memory that takes.
 *
 * Reads every shard's line without its lock: each number is right, but they are not of one instant.
 */
import {
  PAGE_SIZE,
  POOL_AVAILABLE,
  SHARD_EMPTY_SWARMS,
  SHARD_INDEX_BITS,
  SHARD_LEECHERS_IPV4,
  SHARD_LEECHERS_IPV6,
  SHARD_SEEDERS_IPV4,
  SHARD_SEEDERS_IPV6,
  SHARD_SWARMS,
  SHARD_TOTALS,
  SHARD_WORDS,
  POOL,
  TOTAL_DOWNLOADS,
  TOTAL_EXPIRED,
  TOTAL_NOT_STORED,
  type SwarmMemory,
} from "./memory.ts";
import { NOT_STORED_REASONS } from "./requests.ts";

export interface Census {
  swarms: number;
  /** Those of them that have no peers and stay for their download counters. */
  swarmsEmpty: number;
  seedersIpv4: number;
  leechersIpv4: number;
  seedersIpv6: number;
  leechersIpv6: number;
  /** Sums of these four: seeders of both families, leechers of both, peers in all. */
  seeders: number;
  leechers: number;
  peers: number;
  /** Downloads counted since the start, also of swarms that are gone. */
  downloads: number;
  /** Peers removed because they no longer announced. */
  peersExpired: number;
  /** Announces answered but not stored, by reason: in the order of NOT_STORED_REASONS. */
  peersNotStored: number[];
  /** Bytes of pages in use; those of pages and tables, and what they may become at most. */
  memoryOfPages: number;
  memoryUsed: number;
  memoryMax: number;
}

/** Bytes of what lies behind the tables of the index, whatever is stored. */
export function bytesBeside({ index, emptySwarmsAt }: SwarmMemory): number {
  return index.byteLength - emptySwarmsAt;
}

/** Counts everything; takes some microseconds. */
export function takeCensus(memory: SwarmMemory): Census {
  const shards = new Int32Array(memory.shards);
  const totals = new Float64Array(memory.totals);
  const sum = (column: number): number => {
    let total = 0;
    for (let line = 0; line < POOL; line += SHARD_WORDS) total += shards[line + column];
    return total;
  };
  const grown = (column: number): number => {
    let total = 0;
    for (let at = column; at < totals.length; at += SHARD_TOTALS) total += totals[at];
    return total;
  };
  let tableBytes = 0;
  for (let line = 0; line < POOL; line += SHARD_WORDS) {
    const bits = shards[line + SHARD_INDEX_BITS];
    if (bits > 0) tableBytes += 4 << bits;
  }
  const seedersIpv4 = sum(SHARD_SEEDERS_IPV4);
  const leechersIpv4 = sum(SHARD_LEECHERS_IPV4);
  const seedersIpv6 = sum(SHARD_SEEDERS_IPV6);
  const leechersIpv6 = sum(SHARD_LEECHERS_IPV6);
  const memoryOfPages = memory.arena.byteLength - shards[POOL_AVAILABLE] * PAGE_SIZE;
  return {
    swarms: sum(SHARD_SWARMS),
    swarmsEmpty: sum(SHARD_EMPTY_SWARMS),
    seedersIpv4,
    leechersIpv4,
    seedersIpv6,
    leechersIpv6,
    seeders: seedersIpv4 + seedersIpv6,
    leechers: leechersIpv4 + leechersIpv6,
    peers: seedersIpv4 + leechersIpv4 + seedersIpv6 + leechersIpv6,
    downloads: grown(TOTAL_DOWNLOADS),
    peersExpired: grown(TOTAL_EXPIRED),
    peersNotStored: NOT_STORED_REASONS.map((_, reason) => grown(TOTAL_NOT_STORED + reason)),
    memoryOfPages,
    memoryUsed: memoryOfPages + tableBytes,
    memoryMax: memory.arena.byteLength + memory.index.byteLength,
  };
}
