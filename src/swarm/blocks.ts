/**
 * The bytes of the three kinds of block: swarm, directory, bucket.
 *
 * A block lies in one page of the arena, begins at a multiple of four, and its first half tells its
 * size and, in the two bits that a multiple of four leaves, its kind. An offset is a byte offset in
 * the arena; 0 means none.
 *
 *   swarm: what is known of one info hash
 *
 *   offset  size  field
 *        0     2  size in bytes | kind
 *        2     2  IPv4: capacity, peers
 *        4    20  info hash
 *       24     1  IPv4: seeders among the peers
 *       25     1  flags: which of the fields below are there
 *       26     1  when it fell empty, if FLAG_EMPTY
 *       27     1  downloads completed, the lowest eight bits
 *       28     4  IPv6: capacity, peers, seeders among them, 0; if FLAG_IPV6
 *        …     4  downloads completed, the other bits, if FLAG_DOWNLOADS
 *        …     8  offsets of the two IPv4 directories, if FLAG_LARGE_IPV4
 *        …     8  offsets of the two IPv6 directories, if FLAG_LARGE_IPV6
 *        …   6*c  IPv4 peers in wire format, seeders first
 *        …  18*c  IPv6 peers in wire format, seeders first
 *        …     c  meta of the IPv4 peers
 *        …     c  meta of the IPv6 peers
 *
 *   directory: the seeders, or the leechers, of one family in a large swarm
 *
 *        0     4  size in bytes | kind
 *        4     4  offset of the one word that points here
 *        8     4  peers
 *       12     4  buckets
 *       16     4  most peers a bucket has had; the bound for drawing one evenly
 *       20   4*b  offsets of the buckets, 0 for an empty one
 *
 *   bucket: peers whose keyed hash is the same in the directory's bits
 *
 *        0     4  size in bytes | kind
 *        4     4  offset of the one word that points here
 *        8     2  capacity
 *       10     2  peers
 *       12     …  peers in wire format, then their meta
 *
 * The meta byte of a peer: bit 7, it has completed; bits 0 to 6, the tick of its last announce.
 */
import { PEER_SIZE_IPV4, PEER_SIZE_IPV6, type Family } from "../constants.ts";

export const KIND_DEAD = 0;
export const KIND_SWARM = 1;
export const KIND_DIRECTORY = 2;
export const KIND_BUCKET = 3;

/** Size and kind of the block whose first word is `header`. */
export const sizeOf = (header: number): number => header & 0xfffc;
export const kindOf = (header: number): number => header & 3;
export const headerOf = (size: number, kind: number): number => size | kind;

export const SWARM_CAPACITY_IPV4 = 2;
export const SWARM_COUNT_IPV4 = 3;
export const SWARM_INFO_HASH = 4;
export const SWARM_SEEDERS_IPV4 = 24;
export const SWARM_FLAGS = 25;
export const SWARM_EMPTY_SINCE = 26;
export const SWARM_DOWNLOADS_LOW = 27;
/** What every swarm has; most have no more before their peers. */
export const SWARM_HEADER_SIZE = 28;
// Only with FLAG_IPV6.
export const SWARM_CAPACITY_IPV6 = 28;
const SWARM_COUNT_IPV6 = 29;
const SWARM_SEEDERS_IPV6 = 30;

export const FLAG_LARGE_IPV4 = 1;
export const FLAG_LARGE_IPV6 = 2;
const FLAGS_LARGE = FLAG_LARGE_IPV4 | FLAG_LARGE_IPV6;
/** The swarm has no peers; SWARM_EMPTY_SINCE tells since when. */
export const FLAG_EMPTY = 4;
/** It has room for IPv6 peers, in its block or in directories. */
export const FLAG_IPV6 = 8;
/** It has had more than 255 downloads. */
export const FLAG_DOWNLOADS = 16;
/** The flags that decide which fields a block has. */
const FLAGS_ALL = 31;
/** Its shard's list of swarms without peers has an entry with the tick in SWARM_EMPTY_SINCE. */
export const FLAG_LISTED = 32;
/** Two offsets: the seeders' directory, the leechers' directory. */
export const DIRECTORY_PAIR_SIZE = 8;

/** Points to the block; second word of every block that is not a swarm. */
export const BLOCK_OWNER = 4;

export const DIRECTORY_PEERS = 8;
export const DIRECTORY_BUCKETS = 12;
export const DIRECTORY_LARGEST = 16;
export const DIRECTORY_HEADER_SIZE = 20;

export const BUCKET_CAPACITY = 8;
export const BUCKET_COUNT = 10;
export const BUCKET_HEADER_SIZE = 12;

export const META_COMPLETED = 0x80;
export const META_TICK = 0x7f;

/** Roles, in the order in which a swarm stores its peers. */
export const SEEDERS = 0;
export const LEECHERS = 1;
export type Role = 0 | 1;
export const ROLES: readonly Role[] = [SEEDERS, LEECHERS];

/** The meta byte of a peer that announces at `tick`. */
export const metaOf = (completed: boolean, tick: number): number =>
  completed ? META_COMPLETED | tick : tick;

/** Counters of downloads are 31 bits wide. */
export const DOWNLOADS_MAX = 2 ** 31 - 1;

/** Bytes of a peer in wire format, and the 16-bit halves that makes. */
export const peerSize = (family: Family): number =>
  family === 4 ? PEER_SIZE_IPV4 : PEER_SIZE_IPV6;
export const peerHalves = (family: Family): number => peerSize(family) >>> 1;

/** The flag, and the fields in the head of a swarm, that belong to a family. */
export const flagLarge = (family: Family): number =>
  family === 4 ? FLAG_LARGE_IPV4 : FLAG_LARGE_IPV6;
export const capacityAt = (family: Family): number =>
  family === 4 ? SWARM_CAPACITY_IPV4 : SWARM_CAPACITY_IPV6;
export const countAt = (family: Family): number =>
  family === 4 ? SWARM_COUNT_IPV4 : SWARM_COUNT_IPV6;
export const seedersAt = (family: Family): number =>
  family === 4 ? SWARM_SEEDERS_IPV4 : SWARM_SEEDERS_IPV6;

/** True if peers of the swarm lie in directories. */
export const hasDirectories = (bytes: Uint8Array, swarm: number): boolean =>
  (bytes[swarm + SWARM_FLAGS] & FLAGS_LARGE) !== 0;

/** Seeders of a swarm without directories. */
export const seedersInBlock = (bytes: Uint8Array, swarm: number): number =>
  sumInBlock(bytes, swarm, SWARM_SEEDERS_IPV4, SWARM_SEEDERS_IPV6);
/** Peers of a swarm without directories. */
export const peersInBlock = (bytes: Uint8Array, swarm: number): number =>
  sumInBlock(bytes, swarm, SWARM_COUNT_IPV4, SWARM_COUNT_IPV6);

function sumInBlock(bytes: Uint8Array, swarm: number, ipv4: number, ipv6: number): number {
  const hasIpv6 = (bytes[swarm + SWARM_FLAGS] & FLAG_IPV6) !== 0;
  return bytes[swarm + ipv4] + (hasIpv6 ? bytes[swarm + ipv6] : 0);
}

/** `size` rounded up to a multiple of four. */
export const align = (size: number): number => (size + 3) & ~3;

/** Where the fields that not every swarm has begin in its block, by its flags. */
const DOWNLOADS_AT = new Uint8Array(FLAGS_ALL + 1);
const DIRECTORIES_AT = new Uint8Array(FLAGS_ALL + 1);
const PEERS_AT = new Uint8Array(FLAGS_ALL + 1);
for (let flags = 0; flags <= FLAGS_ALL; flags++) {
  const size = (flag: number, bytes: number): number => ((flags & flag) === 0 ? 0 : bytes);
  DOWNLOADS_AT[flags] = SWARM_HEADER_SIZE + size(FLAG_IPV6, 4);
  DIRECTORIES_AT[flags] = DOWNLOADS_AT[flags] + size(FLAG_DOWNLOADS, 4);
  PEERS_AT[flags] =
    DIRECTORIES_AT[flags] +
    size(FLAG_LARGE_IPV4, DIRECTORY_PAIR_SIZE) +
    size(FLAG_LARGE_IPV6, DIRECTORY_PAIR_SIZE);
}
export const downloadsAt = (flags: number): number => DOWNLOADS_AT[flags & FLAGS_ALL];
export const directoriesAt = (flags: number): number => DIRECTORIES_AT[flags & FLAGS_ALL];
export const peersAt = (flags: number): number => PEERS_AT[flags & FLAGS_ALL];

/** Bytes of a swarm's block: its fields, and 7 or 19 bytes for each peer. */
export function blockSize(flags: number, ipv4: number, ipv6: number): number {
  const peers = ipv4 * (peerSize(4) + 1) + ipv6 * (peerSize(6) + 1);
  return align(peersAt(flags) + peers);
}
