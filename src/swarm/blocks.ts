/**
 * The bytes of the three kinds of block: swarm, directory, bucket.
 *
 * A block lies in one page of the arena, begins at a multiple of four, and its first word tells its
 * size and kind. An offset is a byte offset in the arena; 0 means none.
 *
 *   swarm: what is known of one info hash
 *
 *   offset  size  field
 *        0     4  size in bytes, kind << 16
 *        4    20  info hash
 *       24     4  downloads completed
 *       28     4  IPv4: capacity, peers, seeders among them; flags
 *       32     4  IPv6: capacity, peers, seeders among them; when it fell empty
 *       36     8  offsets of the two IPv4 directories, if FLAG_LARGE_IPV4
 *        …     8  offsets of the two IPv6 directories, if FLAG_LARGE_IPV6
 *        …   6*c  IPv4 peers in wire format, seeders first
 *        …  18*c  IPv6 peers in wire format, seeders first
 *        …     c  meta of the IPv4 peers
 *        …     c  meta of the IPv6 peers
 *
 *   directory: the seeders, or the leechers, of one family in a large swarm
 *
 *        0     4  size in bytes, kind << 16
 *        4     4  offset of the one word that points here
 *        8     4  peers
 *       12     4  buckets
 *       16     4  most peers a bucket has had; the bound for drawing one evenly
 *       20   4*b  offsets of the buckets, 0 for an empty one
 *
 *   bucket: peers whose keyed hash is the same in the directory's bits
 *
 *        0     4  size in bytes, kind << 16
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
export const sizeOf = (header: number): number => header & 0xffff;
export const kindOf = (header: number): number => header >>> 16;
export const headerOf = (size: number, kind: number): number => (kind << 16) | size;

export const SWARM_INFO_HASH = 4;
export const SWARM_DOWNLOADS = 24;
export const SWARM_CAPACITY_IPV4 = 28;
export const SWARM_COUNT_IPV4 = 29;
export const SWARM_SEEDERS_IPV4 = 30;
export const SWARM_FLAGS = 31;
export const SWARM_CAPACITY_IPV6 = 32;
export const SWARM_COUNT_IPV6 = 33;
export const SWARM_SEEDERS_IPV6 = 34;
export const SWARM_EMPTY_SINCE = 35;
export const SWARM_HEADER_SIZE = 36;

export const FLAG_LARGE_IPV4 = 1;
export const FLAG_LARGE_IPV6 = 2;
/** The swarm has no peers; SWARM_EMPTY_SINCE tells since when. */
export const FLAG_EMPTY = 4;
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

/** Bytes of a peer in wire format, and the 16-bit halves that makes. */
export const peerSize = (family: Family): number =>
  family === 4 ? PEER_SIZE_IPV4 : PEER_SIZE_IPV6;
export const peerHalves = (family: Family): number => peerSize(family) >>> 1;

/** `size` rounded up to a multiple of four. */
export const align = (size: number): number => (size + 3) & ~3;
