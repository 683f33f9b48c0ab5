/**
 * Records: swarms and peers on their way out of one store and into another.
 *
 *   record, 34 bytes and its peers; little-endian, as everything in the store
 *
 *   offset  size  field
 *        0    20  info hash
 *       20     4  downloads, 31 bits
 *       24     2  IPv4 seeders
 *       26     2  IPv4 leechers
 *       28     2  IPv6 seeders
 *       30     2  IPv6 leechers
 *       32     2  minutes since the swarm lost its last peer, if all four are 0
 *       34  6*n4  IPv4 peers in wire format, seeders first
 *        …  18*n6 IPv6 peers likewise
 *        …  n4+n6 meta bytes of all peers, as in blocks.ts: completed | tick of the last announce
 *        …  0, 1  a zero, so that the next record begins at an even byte
 *
 * Records lie one behind the other in a chunk. The ticks are those of the store that wrote them:
 * which tick it was then, and how long one lasts, goes with the chunk. A large swarm has several
 * records. A record says nothing about hash keys, memory or timeouts.
 */
import { DOWNLOADS_MAX, LEECHERS, META_TICK, peerSize, SEEDERS, type Role } from "./blocks.ts";
import type { Family } from "../constants.ts";
import type { Tick } from "./units.ts";

export const RECORD_DOWNLOADS = 20;
/** The first of four counts of two bytes each. */
const RECORD_COUNTS = 24;
export const RECORD_MINUTES = 32;
export const RECORD_PEERS = 34;

/** The largest number of minutes in a record: 45 days. */
export const MINUTES_MAX = 0xffff;

/** Offset of the count of a role and family in a record. */
export const recordCountAt = (family: Family, role: Role): number =>
  RECORD_COUNTS + (family === 4 ? 0 : 4) + 2 * role;

/** Bytes of a record with these numbers of peers. */
export function recordSize(ipv4: number, ipv6: number): number {
  const size = RECORD_PEERS + ipv4 * (peerSize(4) + 1) + ipv6 * (peerSize(6) + 1);
  return size + (size & 1);
}

/** Peers of a family in the record at `at`; both offsets count bytes. */
export function recordPeers(halves: Uint16Array, at: number, family: Family): number {
  const seeders = halves[(at + recordCountAt(family, SEEDERS)) >>> 1];
  return seeders + halves[(at + recordCountAt(family, LEECHERS)) >>> 1];
}

/** Downloads of the record at `at`. */
export function recordDownloads(halves: Uint16Array, at: number): number {
  const low = (at + RECORD_DOWNLOADS) >>> 1;
  return halves[low + 1] * 0x10000 + halves[low];
}

/**
 * Where the record at `at` ends, in a chunk of `size` bytes. Returns 0 if it is not sound: it is
 * longer than the chunk, or has more downloads than a counter holds.
 */
export function recordEnd(halves: Uint16Array, at: number, size: number): number {
  if (at + RECORD_PEERS > size) return 0;
  const end = at + recordSize(recordPeers(halves, at, 4), recordPeers(halves, at, 6));
  return end > size || recordDownloads(halves, at) > DOWNLOADS_MAX ? 0 : end;
}

/**
 * Age in ticks of a peer with this meta byte, when it was `tick`. One that announced in another
 * thread just when a tick began may be a tick ahead: it has no age.
 */
export function ageOf(meta: number, tick: Tick): number {
  const age = (tick - meta) & META_TICK;
  return age === META_TICK ? 0 : age;
}
