/**
 * The census: what all shards hold together, and how much of the memory that takes.
 *
 * Reads every shard's line without its lock: each number is right, but they are not of one instant.
 */
import {
  PAGE_SIZE,
  POOL_AVAILABLE,
  SHARD_DOWNLOADS,
  SHARD_EXPIRED,
  SHARD_INDEX_BITS,
  SHARD_LEECHERS_IPV4,
  SHARD_LEECHERS_IPV6,
  SHARD_NOT_STORED,
  SHARD_SEEDERS_IPV4,
  SHARD_SEEDERS_IPV6,
  SHARD_SWARMS,
  SHARD_WORDS,
  POOL,
  type SwarmMemory,
} from "./memory.ts";

export interface Census {
  swarms: number;
  seedersIpv4: number;
  leechersIpv4: number;
  seedersIpv6: number;
  leechersIpv6: number;
  /** Downloads counted since the start, also of swarms that are gone. */
  downloads: number;
  /** Peers forgotten because they did not announce any more. */
  peersExpired: number;
  /** Announces answered but not stored: memory, their swarm or their address was at its limit. */
  peersNotStored: number;
  /** Bytes of pages and tables in use, and what they may become at most. */
  memoryUsed: number;
  memoryMax: number;
}

/** Counts everything; takes some microseconds. */
export function takeCensus(memory: SwarmMemory): Census {
  const shards = new Int32Array(memory.shards);
  const sum = (column: number): number => {
    let total = 0;
    for (let line = 0; line < POOL; line += SHARD_WORDS) total += shards[line + column];
    return total;
  };
  let tableBytes = 0;
  for (let line = 0; line < POOL; line += SHARD_WORDS) {
    const bits = shards[line + SHARD_INDEX_BITS];
    if (bits > 0) tableBytes += 4 << bits;
  }
  const arenaFree = shards[POOL_AVAILABLE] * PAGE_SIZE;
  return {
    swarms: sum(SHARD_SWARMS),
    seedersIpv4: sum(SHARD_SEEDERS_IPV4),
    leechersIpv4: sum(SHARD_LEECHERS_IPV4),
    seedersIpv6: sum(SHARD_SEEDERS_IPV6),
    leechersIpv6: sum(SHARD_LEECHERS_IPV6),
    downloads: sum(SHARD_DOWNLOADS),
    peersExpired: sum(SHARD_EXPIRED),
    peersNotStored: sum(SHARD_NOT_STORED),
    memoryUsed: memory.arena.byteLength - arenaFree + tableBytes,
    memoryMax: memory.arena.byteLength + memory.index.byteLength + memory.newcomers.byteLength,
  };
}
