/**
 * Large swarms: the peers of one role and family, spread over buckets by a keyed hash of their
 * network.
 *
 * All peers of one network (IPv4 /24, IPv6 /48) lie in one bucket, and a bucket in one page: so no
 * network can own a swarm, an address can be counted where its peers lie, and peers of two buckets
 * are always of two networks. A directory grows by linear hashing: with n buckets, hash `h` lives
 * in bucket `h mod 2^k` (2^k is the power of two at or above n), or without the top bit if there is
 * no such bucket yet. When the buckets hold more than BUCKET_PEERS on average, the next one in turn
 * is split in two, so an announce pays for one split at most, however large the swarm.
 *
 *   n = 6:   0   1  | 2   3  | 4   5        buckets 2 and 3 are still to be split into 2,6 and 3,7
 *
 * A directory is known by the cell that points to it: the offset of a word in the block of its
 * swarm, 0 while it has no peers. Blocks are described in `blocks.ts`. Nothing here throws; what
 * finds no room in the arena changes nothing and says so. The caller holds the lock of the shard.
 */
import type { Family } from "../constants.ts";
import type { Arena } from "./arena.ts";
import {
  align,
  BLOCK_OWNER,
  BUCKET_CAPACITY,
  BUCKET_COUNT,
  BUCKET_HEADER_SIZE,
  DIRECTORY_BUCKETS,
  DIRECTORY_HEADER_SIZE,
  DIRECTORY_LARGEST,
  DIRECTORY_PEERS,
  KIND_BUCKET,
  KIND_DIRECTORY,
  peerHalves,
  peerSize,
  sizeOf,
  type Role,
} from "./blocks.ts";
import { adoptBuckets } from "./compact.ts";
import { hashNetwork } from "./keyed-hash.ts";
import { PAGE_SIZE } from "./memory.ts";
import { copyHalves, findPeer, isExpired, roomier } from "./peers.ts";
import type { Population } from "./population.ts";
import type { BucketAt, Cell, Line, SwarmAt, Tick } from "./units.ts";

/** Peers per bucket on average before the next one is split. */
const BUCKET_PEERS = 48;
/** Buckets are merged again when they hold fewer than this on average. */
const BUCKET_PEERS_MIN = 12;
/** A directory is one block and a block fits a page; beyond this its buckets grow longer. */
export const BUCKETS_MAX = Math.floor((PAGE_SIZE - DIRECTORY_HEADER_SIZE) / 4);
const BUCKETS_AT_FIRST = 4;

/** Peers of each family that a bucket holds at most: what fits a page. */
export const BUCKET_PEERS_MAX = {
  4: Math.floor((PAGE_SIZE - BUCKET_HEADER_SIZE) / (peerSize(4) + 1)),
  6: Math.floor((PAGE_SIZE - BUCKET_HEADER_SIZE) / (peerSize(6) + 1)),
} as const;

export class Directories {
  /** Where in its bucket `find` or `insert` left the peer. */
  index = -1;
  /** Peers of the bucket that `find` looked through. */
  searched = 0;
  readonly #arena: Arena;
  readonly #keys: Int32Array;
  readonly #population: Population;

  constructor(arena: Arena, keys: Int32Array, population: Population) {
    this.#arena = arena;
    this.#keys = keys;
    this.#population = population;
  }

  /** Peers in the directory. */
  count(cell: Cell): number {
    const directory = this.#arena.words[cell >>> 2];
    return directory === 0 ? 0 : this.#arena.words[(directory + DIRECTORY_PEERS) >>> 2];
  }

  /** The bucket for the network of this peer; 0 if the network has no bucket. */
  home(cell: Cell, family: Family, source: Uint16Array, at: number): BucketAt {
    const { words } = this.#arena;
    const directory = words[cell >>> 2];
    return directory === 0 ? 0 : words[this.#home(directory, family, source, at) >>> 2];
  }

  /** Bucket that holds the peer whose halves begin at `source[at]`, or 0; `index` tells where. */
  find(cell: Cell, family: Family, source: Uint16Array, at: number): BucketAt {
    const bucket = this.home(cell, family, source, at);
    this.searched = 0;
    if (bucket === 0) return 0;
    const { halves } = this.#arena;
    const count = halves[(bucket + BUCKET_COUNT) >>> 1];
    this.searched = count;
    const first = (bucket + BUCKET_HEADER_SIZE) >>> 1;
    this.index = findPeer(halves, first, 0, count, peerHalves(family), source, at);
    return this.index < 0 ? 0 : bucket;
  }

  /** Adds a peer that is not there. Returns its bucket, or 0 if there is no room. */
  insert(
    line: Line,
    cell: Cell,
    family: Family,
    source: Uint16Array,
    at: number,
    meta: number,
  ): BucketAt {
    const { words } = this.#arena;
    const directory = words[cell >>> 2] || this.#create(line, cell);
    if (directory === 0) return 0;
    const home = this.#home(directory, family, source, at);
    const bucket = this.#bucketWithRoom(line, home, family);
    if (bucket === 0) return 0;
    this.index = this.#append(bucket, family, source, at, meta);
    words[(directory + DIRECTORY_PEERS) >>> 2] += 1;
    const largest = (directory + DIRECTORY_LARGEST) >>> 2;
    if (this.index >= words[largest]) words[largest] = this.index + 1;
    if (!this.#splitOne(line, cell, family)) return bucket;
    return this.find(cell, family, source, at);
  }

  /** Offset of the peer's meta byte. */
  metaAt(family: Family, bucket: BucketAt, index: number): number {
    const capacity = this.#arena.halves[(bucket + BUCKET_CAPACITY) >>> 1];
    return bucket + BUCKET_HEADER_SIZE + capacity * peerSize(family) + index;
  }

  /** Takes a peer out of its bucket; the bucket's last one takes its place. */
  remove(line: Line, cell: Cell, family: Family, bucket: BucketAt, index: number): void {
    const { halves, words } = this.#arena;
    const last = halves[(bucket + BUCKET_COUNT) >>> 1] - 1;
    this.#move(bucket, family, last, bucket, index);
    halves[(bucket + BUCKET_COUNT) >>> 1] = last;
    words[(words[cell >>> 2] + DIRECTORY_PEERS) >>> 2] -= 1;
    if (last === 0) this.#drop(line, words[(bucket + BLOCK_OWNER) >>> 2]);
  }

  /**
   * Takes out the peers of bucket `i` whose last announce is too long ago. Returns how many peers
   * it looked at; -1 if there is no bucket of this number, nor of a higher one.
   */
  expire(
    line: Line,
    swarm: SwarmAt,
    cell: Cell,
    family: Family,
    role: Role,
    tick: Tick,
    ticks: number,
    i: number,
  ): number {
    const { words } = this.#arena;
    const directory = words[cell >>> 2];
    if (directory === 0 || i >= words[(directory + DIRECTORY_BUCKETS) >>> 2]) return -1;
    const owner = directory + DIRECTORY_HEADER_SIZE + 4 * i;
    const bucket = words[owner >>> 2];
    if (bucket === 0) return 0;
    const peers = this.peersIn(bucket);
    const left = this.#expireBucket(line, swarm, cell, family, role, bucket, tick, ticks);
    if (left > 0) this.#tighten(line, owner, family);
    return peers;
  }

  /**
   * Once all buckets have been through `expire`: sees which is the largest now, and undoes up to
   * `merges` splits, last first, while the buckets are nearly empty. True if no more are to be.
   */
  tidy(line: Line, cell: Cell, family: Family, merges: number): boolean {
    const { words } = this.#arena;
    const directory = words[cell >>> 2];
    if (directory === 0) return true;
    let largest = 0;
    for (let i = 0; i < this.bucketCount(cell); i++) {
      largest = Math.max(largest, this.peersAt(cell, i));
    }
    words[(directory + DIRECTORY_LARGEST) >>> 2] = largest;
    for (; merges > 0; merges--) {
      const buckets = words[(directory + DIRECTORY_BUCKETS) >>> 2];
      const peers = words[(directory + DIRECTORY_PEERS) >>> 2];
      if (buckets === 1 || peers >= buckets * BUCKET_PEERS_MIN) return true;
      if (!this.#mergeLast(line, directory, family, buckets - 1)) return true;
    }
    return false;
  }

  /** Takes the old peers out of a bucket, which goes if none stay; returns how many do. */
  #expireBucket(
    line: Line,
    swarm: SwarmAt,
    cell: Cell,
    family: Family,
    role: Role,
    bucket: BucketAt,
    tick: Tick,
    ticks: number,
  ): number {
    const { bytes, halves } = this.#arena;
    let left = halves[(bucket + BUCKET_COUNT) >>> 1];
    for (let index = left - 1; index >= 0; index--) {
      if (!isExpired(bytes[this.metaAt(family, bucket, index)], tick, ticks)) continue;
      left -= 1;
      this.#population.expired(line, swarm, family, role, this.peerAt(family, bucket, index));
      this.remove(line, cell, family, bucket, index);
    }
    return left;
  }

  /** Takes all its peers out of the counts: it is about to be released. */
  forgetAll(line: Line, swarm: SwarmAt, cell: Cell, family: Family, role: Role): void {
    const directory = this.#arena.words[cell >>> 2];
    if (directory === 0) return;
    for (let i = 0; i < this.bucketCount(cell); i++) {
      const bucket = this.bucketAt(cell, i);
      const count = bucket === 0 ? 0 : this.peersIn(bucket);
      for (let index = 0; index < count; index++) {
        this.#population.gone(line, swarm, family, role, this.peerAt(family, bucket, index));
      }
    }
  }

  /** Releases the directory and its buckets; the cell becomes 0. */
  release(line: Line, cell: Cell): void {
    const arena = this.#arena;
    const directory = arena.words[cell >>> 2];
    if (directory === 0) return;
    const buckets = arena.words[(directory + DIRECTORY_BUCKETS) >>> 2];
    for (let i = 0; i < buckets; i++) this.#drop(line, directory + DIRECTORY_HEADER_SIZE + 4 * i);
    arena.release(line, directory);
    arena.words[cell >>> 2] = 0;
  }

  // Walking a directory: for drawing peers, and for taking them all back into a swarm's block.

  /** Buckets of the directory; some may be empty. */
  bucketCount(cell: Cell): number {
    const { words } = this.#arena;
    return words[(words[cell >>> 2] + DIRECTORY_BUCKETS) >>> 2];
  }

  /** Offset of a bucket, 0 if it is empty. */
  bucketAt(cell: Cell, i: number): BucketAt {
    const { words } = this.#arena;
    return words[(words[cell >>> 2] + DIRECTORY_HEADER_SIZE + 4 * i) >>> 2];
  }

  /** Peers in a bucket. */
  peersIn(bucket: BucketAt): number {
    return this.#arena.halves[(bucket + BUCKET_COUNT) >>> 1];
  }

  /** Peers in bucket number `i`. */
  peersAt(cell: Cell, i: number): number {
    const bucket = this.bucketAt(cell, i);
    return bucket === 0 ? 0 : this.peersIn(bucket);
  }

  /** Where a peer of a bucket begins, in halves of the arena. */
  peerAt(family: Family, bucket: BucketAt, index: number): number {
    return ((bucket + BUCKET_HEADER_SIZE) >>> 1) + index * peerHalves(family);
  }

  /** No bucket has more peers than this. */
  largest(cell: Cell): number {
    const { words } = this.#arena;
    return words[(words[cell >>> 2] + DIRECTORY_LARGEST) >>> 2];
  }

  // Buckets.

  /** Offset of the word that points to the bucket in which the peer lives or would live. */
  #home(directory: number, family: Family, source: Uint16Array, at: number): number {
    const hash = hashNetwork(this.#keys, source, at, family);
    const buckets = this.#arena.words[(directory + DIRECTORY_BUCKETS) >>> 2];
    const mask = maskFor(buckets);
    let bucket = hash & mask;
    if (bucket >= buckets) bucket &= mask >>> 1;
    return directory + DIRECTORY_HEADER_SIZE + 4 * bucket;
  }

  /** The bucket that `owner` points to, made or enlarged so that one more peer fits; 0 if not. */
  #bucketWithRoom(line: Line, owner: number, family: Family): BucketAt {
    const { words, halves } = this.#arena;
    const bucket = words[owner >>> 2];
    const count = bucket === 0 ? 0 : halves[(bucket + BUCKET_COUNT) >>> 1];
    if (bucket !== 0 && count < halves[(bucket + BUCKET_CAPACITY) >>> 1]) return bucket;
    if (count === BUCKET_PEERS_MAX[family]) return 0;
    return this.#resizeBucket(line, owner, family, roomierBucket(count, family));
  }

  /** Moves what `owner` points to into a bucket of another capacity; 0 if there is no room. */
  #resizeBucket(line: Line, owner: number, family: Family, capacity: number): BucketAt {
    const arena = this.#arena;
    const { words, halves } = arena;
    if (capacity > BUCKET_PEERS_MAX[family]) return 0;
    const size = align(BUCKET_HEADER_SIZE + capacity * (peerSize(family) + 1));
    const bucket = arena.allocate(line, size, KIND_BUCKET);
    if (bucket === 0) return 0;
    const old = words[owner >>> 2];
    const count = old === 0 ? 0 : halves[(old + BUCKET_COUNT) >>> 1];
    words[(bucket + BLOCK_OWNER) >>> 2] = owner;
    halves[(bucket + BUCKET_CAPACITY) >>> 1] = capacity;
    halves[(bucket + BUCKET_COUNT) >>> 1] = count;
    for (let i = 0; i < count; i++) this.#move(old, family, i, bucket, i);
    if (old !== 0) arena.release(line, old);
    words[owner >>> 2] = bucket;
    return bucket;
  }

  #append(bucket: BucketAt, family: Family, source: Uint16Array, at: number, meta: number): number {
    const { halves, bytes } = this.#arena;
    const count = peerHalves(family);
    const index = halves[(bucket + BUCKET_COUNT) >>> 1]++;
    copyHalves(source, at, halves, ((bucket + BUCKET_HEADER_SIZE) >>> 1) + index * count, count);
    bytes[this.metaAt(family, bucket, index)] = meta;
    return index;
  }

  #move(from: number, family: Family, index: number, to: number, place: number): void {
    const { halves, bytes } = this.#arena;
    const count = peerHalves(family);
    const source = ((from + BUCKET_HEADER_SIZE) >>> 1) + index * count;
    copyHalves(halves, source, halves, ((to + BUCKET_HEADER_SIZE) >>> 1) + place * count, count);
    bytes[this.metaAt(family, to, place)] = bytes[this.metaAt(family, from, index)];
  }

  /** Releases the bucket that `owner` points to. */
  #drop(line: Line, owner: number): void {
    const bucket = this.#arena.words[owner >>> 2];
    if (bucket === 0) return;
    this.#arena.release(line, bucket);
    this.#arena.words[owner >>> 2] = 0;
  }

  /** Gives back the room of a bucket that has lost most of its peers. */
  #tighten(line: Line, owner: number, family: Family): void {
    const { words, halves } = this.#arena;
    const bucket = words[owner >>> 2];
    const count = halves[(bucket + BUCKET_COUNT) >>> 1];
    if (halves[(bucket + BUCKET_CAPACITY) >>> 1] <= count + 8 + (count >>> 1)) return;
    this.#resizeBucket(line, owner, family, roomierBucket(count, family));
  }

  // Directories.

  #create(line: Line, cell: Cell): number {
    const arena = this.#arena;
    const size = DIRECTORY_HEADER_SIZE + 4 * BUCKETS_AT_FIRST;
    const directory = arena.allocate(line, size, KIND_DIRECTORY);
    if (directory === 0) return 0;
    arena.words.fill(0, (directory + BLOCK_OWNER) >>> 2, (directory + size) >>> 2);
    arena.words[(directory + BLOCK_OWNER) >>> 2] = cell;
    arena.words[(directory + DIRECTORY_BUCKETS) >>> 2] = 1;
    arena.words[cell >>> 2] = directory;
    return directory;
  }

  /** Splits the next bucket in turn if the buckets are too full; true if any peer changed place. */
  #splitOne(line: Line, cell: Cell, family: Family): boolean {
    const { words, halves } = this.#arena;
    let directory = words[cell >>> 2];
    const buckets = words[(directory + DIRECTORY_BUCKETS) >>> 2];
    if (words[(directory + DIRECTORY_PEERS) >>> 2] <= buckets * BUCKET_PEERS) return false;
    if (buckets === BUCKETS_MAX) return false;
    directory = this.#withRoomFor(line, directory, buckets + 1);
    if (directory === 0) return false;
    // The new bucket n takes its peers from the one it differs from only in the top bit.
    const added = directory + DIRECTORY_HEADER_SIZE + 4 * buckets;
    const split = directory + DIRECTORY_HEADER_SIZE + 4 * (buckets & (maskFor(buckets + 1) >>> 1));
    words[added >>> 2] = 0;
    words[(directory + DIRECTORY_BUCKETS) >>> 2] = buckets + 1;
    const bucket = words[split >>> 2];
    if (bucket === 0) return true;
    const peer = peerHalves(family);
    const count = halves[(bucket + BUCKET_COUNT) >>> 1];
    // Room first, for all of them: after half a split some peers would not be found.
    if (this.#resizeBucket(line, added, family, count) === 0) {
      words[(directory + DIRECTORY_BUCKETS) >>> 2] = buckets;
      return false;
    }
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const at = ((bucket + BUCKET_HEADER_SIZE) >>> 1) + i * peer;
      if (this.#home(directory, family, halves, at) === added) {
        this.#append(words[added >>> 2], family, halves, at, this.#meta(family, bucket, i));
      } else this.#move(bucket, family, i, bucket, kept++);
    }
    halves[(bucket + BUCKET_COUNT) >>> 1] = kept;
    this.#settle(line, split, family);
    this.#settle(line, added, family);
    return true;
  }

  #meta(family: Family, bucket: BucketAt, index: number): number {
    return this.#arena.bytes[this.metaAt(family, bucket, index)];
  }

  /** After a split or a merge: an empty bucket goes, a roomy one is made to measure. */
  #settle(line: Line, owner: number, family: Family): void {
    const { words, halves } = this.#arena;
    const count = halves[(words[owner >>> 2] + BUCKET_COUNT) >>> 1];
    if (count === 0) this.#drop(line, owner);
    else this.#resizeBucket(line, owner, family, roomierBucket(count, family));
  }

  /** The directory, moved to a larger block if it needs one for `buckets`; 0 if it cannot. */
  #withRoomFor(line: Line, directory: number, buckets: number): number {
    const arena = this.#arena;
    const size = sizeOf(arena.words[directory >>> 2]);
    if (DIRECTORY_HEADER_SIZE + 4 * buckets <= size) return directory;
    const room = Math.min(BUCKETS_MAX, buckets + Math.max(BUCKETS_AT_FIRST, buckets >>> 3));
    const larger = arena.allocate(line, DIRECTORY_HEADER_SIZE + 4 * room, KIND_DIRECTORY);
    if (larger === 0) return 0;
    arena.bytes.copyWithin(larger + BLOCK_OWNER, directory + BLOCK_OWNER, directory + size);
    arena.words[arena.words[(larger + BLOCK_OWNER) >>> 2] >>> 2] = larger;
    adoptBuckets(arena, larger);
    arena.release(line, directory);
    return larger;
  }

  #mergeLast(line: Line, directory: number, family: Family, last: number): boolean {
    const { words, halves } = this.#arena;
    const from = directory + DIRECTORY_HEADER_SIZE + 4 * last;
    const to = directory + DIRECTORY_HEADER_SIZE + 4 * (last & (maskFor(last + 1) >>> 1));
    const source = words[from >>> 2];
    if (source !== 0) {
      const moving = halves[(source + BUCKET_COUNT) >>> 1];
      const target = words[to >>> 2];
      const count = target === 0 ? 0 : halves[(target + BUCKET_COUNT) >>> 1];
      const merged = this.#resizeBucket(line, to, family, count + moving);
      if (merged === 0) return false;
      for (let i = 0; i < moving; i++) this.#move(source, family, i, merged, count + i);
      halves[(merged + BUCKET_COUNT) >>> 1] = count + moving;
      const largest = (directory + DIRECTORY_LARGEST) >>> 2;
      if (count + moving > words[largest]) words[largest] = count + moving;
      this.#drop(line, from);
    }
    words[(directory + DIRECTORY_BUCKETS) >>> 2] = last;
    return true;
  }
}

/** The smallest 2^k - 1 that covers bucket numbers below `buckets`. */
function maskFor(buckets: number): number {
  return (1 << (32 - Math.clz32(buckets - 1))) - 1;
}

/** Room for some more than `count` peers, as far as a page allows. */
function roomierBucket(count: number, family: Family): number {
  return Math.min(roomier(count), BUCKET_PEERS_MAX[family]);
}
