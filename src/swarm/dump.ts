/**
 * The dump: all swarms and their peers as records (records.ts), a slice at a time. It changes
 * nothing.
 *
 * Small swarms are copied whole while the walk passes. A large swarm is only noted, by its info
 * hash, and written piece by piece before the walk goes on; so is a swarm for which the chunk has
 * no room left. A slice holds the lock of one shard while it copies up to PIECE_PEERS peers, or one
 * bucket that has more.
 *
 *   walk   a b C d ‖ C₁ C₂ C₃ ‖ e f …       C is large: it is found again before each piece
 *
 * Whatever happens between slices, a peer that stays in its swarm is met, at least once:
 *
 *   it becomes a seeder          leechers come before seeders, so it is met twice
 *   its bucket is split          peers only move to buckets that are still to come
 *   buckets are merged           the directory is begun again
 *   the family comes back        all of it is written from the block
 *
 * A seeder of a large swarm that becomes a leecher again meanwhile may be missed until it announces
 * next. Claims (claims.ts) are left out: a record cannot name their owners.
 */
import { FAMILIES, INFO_HASH_SIZE, type Family } from "../constants.ts";
import {
  FLAG_EMPTY,
  LEECHERS,
  peerHalves,
  peerSize,
  ROLES,
  SEEDERS,
  SWARM_EMPTY_SINCE,
  SWARM_FLAGS,
  SWARM_INFO_HASH,
  type Role,
} from "./blocks.ts";
import { BUCKET_PEERS_MAX } from "./directories.ts";
import { PAGE_SIZE } from "./memory.ts";
import { copyHalves } from "./peers.ts";
import {
  ageOf,
  recordCountAt,
  MINUTES_MAX,
  RECORD_DOWNLOADS,
  RECORD_MINUTES,
  RECORD_PEERS,
  recordSize,
} from "./records.ts";
import type { Store } from "./store.ts";
import { lineOf } from "./table.ts";
import { Walk } from "./walk.ts";
import type { Cell, Hash, SwarmAt, Tick } from "./units.ts";

/**
 * Peers of a piece, unless one bucket has more. By the cost of a peer, writing one takes some
 * 5 µs and putting it back 0.2 ms; a turn puts back a whole record at least.
 */
const PIECE_PEERS = 512;
/** What copying a peer costs, in units of the walk. */
const UNITS_PER_PEER = 0.25;

/** Any bucket, and any small swarm, fits an empty chunk of this size. */
export const CHUNK_BYTES_MIN = 2 * PAGE_SIZE;

/** Families and roles of a large swarm in the order in which they are written. */
const STEPS: readonly { family: Family; role: Role }[] = [
  { family: 4, role: LEECHERS },
  { family: 4, role: SEEDERS },
  { family: 6, role: LEECHERS },
  { family: 6, role: SEEDERS },
];

/** A swarm that is still to be written, and how far it is. */
interface Noted {
  readonly infoHash: Uint16Array;
  readonly hash: Hash;
  step: number;
  bucket: number;
  /** Buckets of the directory after the last piece. */
  buckets: number;
}

export class Dump {
  /** Records of whole peers, and how many bytes of it they take. */
  readonly chunk: Uint8Array;
  size = 0;
  /** The tick of the last slice: no peer of the chunk has announced later. */
  tick: Tick = 0;
  /** Records and peers written so far, in all chunks. */
  records = 0;
  peers = 0;
  readonly #halves: Uint16Array;
  readonly #store: Store;
  readonly #walk: Walk;
  readonly #ticksMax: number;
  readonly #noted: Noted[] = [];
  #lacksRoom = false;
  #emptyTick: Tick = 0;
  /** Meta bytes of a record whose peers are sifted. */
  readonly #metas = new Uint8Array(Math.max(PIECE_PEERS, BUCKET_PEERS_MAX[4]));

  /**
   * Records are written to `chunk`, a whole buffer of CHUNK_BYTES_MIN or more. With `ticksMax` only
   * peers up to that age are written, and no swarms without such peers.
   */
  constructor(store: Store, chunk: Uint8Array, ticksMax = Infinity) {
    if (chunk.length < CHUNK_BYTES_MIN) throw new RangeError("a chunk must hold any bucket");
    this.chunk = chunk;
    this.#halves = new Uint16Array(chunk.buffer);
    this.#store = store;
    this.#walk = new Walk(store);
    this.#ticksMax = ticksMax;
  }

  /** True once everything has been written; the last chunk may still hold records. */
  get done(): boolean {
    return this.#walk.done && this.#noted.length === 0;
  }

  /** True if the chunk should be taken before the next slice: `clear` begins another one. */
  get isFull(): boolean {
    return this.#lacksRoom || this.size > this.chunk.length / 2;
  }

  clear(): void {
    this.size = 0;
    this.#lacksRoom = false;
  }

  /** Writes about `units` of swarms, some 100 nanoseconds each, or one piece of a large swarm. */
  slice(nowSeconds: number, units: number): void {
    this.tick = this.#store.peerTicks.at(nowSeconds);
    this.#emptyTick = this.#store.emptyTicks.at(nowSeconds);
    const noted = this.#noted[0];
    if (noted === undefined) this.#walk.slice(units, this.#visit);
    else if (this.#goOn(noted)) this.#noted.shift();
  }

  readonly #visit = (swarm: SwarmAt): number => {
    const { swarms } = this.#store;
    const large = swarms.isLarge(swarm, 4) || swarms.isLarge(swarm, 6);
    if (large || this.#lacksRoom || !this.#writeWhole(swarm)) {
      this.#note(swarm);
      return 1;
    }
    return 1 + UNITS_PER_PEER * swarms.peers(swarm);
  };

  #note(swarm: SwarmAt): void {
    const { arena, table } = this.#store;
    const at = (swarm + SWARM_INFO_HASH) >>> 1;
    const infoHash = arena.halves.slice(at, at + INFO_HASH_SIZE / 2);
    this.#noted.push({ infoHash, hash: table.hashAt(swarm), step: 0, bucket: 0, buckets: 0 });
  }

  /** Writes the next piece of a swarm. True at its end, or if it is gone. */
  #goOn(noted: Noted): boolean {
    const store = this.#store;
    const line = lineOf(noted.hash);
    store.enter(line);
    const swarm = store.table.find(line, noted.hash, noted.infoHash);
    const ended = swarm === 0 || this.#writePiece(swarm, noted);
    store.leave(line);
    return ended;
  }

  /** True when all of the swarm has been written. */
  #writePiece(swarm: SwarmAt, noted: Noted): boolean {
    const { swarms, directories } = this.#store;
    if (!swarms.isLarge(swarm, 4) && !swarms.isLarge(swarm, 6)) return this.#writeWhole(swarm);
    for (; noted.step < STEPS.length; noted.step++, noted.bucket = 0, noted.buckets = 0) {
      const { family, role } = STEPS[noted.step];
      if (!swarms.isLarge(swarm, family)) {
        const count = swarms.smallCount(swarm, family);
        if (!this.#writeBlock(swarm, family === 4 ? count : 0, family === 6 ? count : 0))
          return false;
        noted.step |= 1; // Both roles are written.
        continue;
      }
      const cell = swarms.cell(swarm, family, role);
      if (directories.count(cell) === 0) continue;
      if (directories.bucketCount(cell) < noted.buckets) noted.bucket = 0;
      this.#writeBuckets(swarm, cell, noted);
      if (noted.bucket < noted.buckets) return false;
    }
    return true;
  }

  // Records. What finds no room in the chunk writes nothing and sets `#lacksRoom`.

  /** Writes a swarm whose peers all lie in its block. */
  #writeWhole(swarm: SwarmAt): boolean {
    const { swarms } = this.#store;
    return this.#writeBlock(swarm, swarms.smallCount(swarm, 4), swarms.smallCount(swarm, 6));
  }

  /** Writes the peers that lie in a swarm's block: all of a family, or 0. */
  #writeBlock(swarm: SwarmAt, ipv4: number, ipv6: number): boolean {
    const { arena, swarms } = this.#store;
    if (!this.#hasRoomFor(recordSize(ipv4, ipv6))) return false;
    const at = this.#begin(swarm);
    let peers = at + RECORD_PEERS;
    let meta = peers + ipv4 * peerSize(4) + ipv6 * peerSize(6);
    for (const family of FAMILIES) {
      const count = family === 4 ? ipv4 : ipv6;
      if (count === 0) continue;
      const seeders = swarms.smallSeeders(swarm, family);
      this.#setCount(at, family, SEEDERS, seeders);
      this.#setCount(at, family, LEECHERS, count - seeders);
      const from = swarms.peersAt(swarm, family);
      copyHalves(arena.halves, from, this.#halves, peers >>> 1, count * peerHalves(family));
      this.#copyMeta(swarms.metaAt(swarm, family), meta, count);
      peers += count * peerSize(family);
      meta += count;
    }
    this.#end(swarm, at);
    return true;
  }

  /** Writes buckets of a directory from where the swarm was left, as many as may be. */
  #writeBuckets(swarm: SwarmAt, cell: Cell, noted: Noted): void {
    const { arena, directories } = this.#store;
    const { family, role } = STEPS[noted.step];
    noted.buckets = directories.bucketCount(cell);
    const bytes = this.chunk.length - this.size - RECORD_PEERS - 1;
    const room = Math.floor(bytes / (peerSize(family) + 1));
    const most = Math.min(PIECE_PEERS, room);
    let end = noted.bucket;
    let count = 0;
    for (; end < noted.buckets; end++) {
      const peers = directories.peersAt(cell, end);
      if (count + peers > (count === 0 ? room : most)) break;
      count += peers;
    }
    if (count === 0) {
      this.#lacksRoom = end < noted.buckets;
      if (!this.#lacksRoom) noted.bucket = end;
      return;
    }
    const at = this.#begin(swarm);
    this.#setCount(at, family, role, count);
    let peers = at + RECORD_PEERS;
    let meta = peers + count * peerSize(family);
    for (; noted.bucket < end; noted.bucket++) {
      const inBucket = directories.peersAt(cell, noted.bucket);
      if (inBucket === 0) continue;
      const bucket = directories.bucketAt(cell, noted.bucket);
      const from = directories.peerAt(family, bucket, 0);
      copyHalves(arena.halves, from, this.#halves, peers >>> 1, inBucket * peerHalves(family));
      this.#copyMeta(directories.metaAt(family, bucket, 0), meta, inBucket);
      peers += inBucket * peerSize(family);
      meta += inBucket;
    }
    this.#end(swarm, at);
  }

  #hasRoomFor(bytes: number): boolean {
    this.#lacksRoom = this.size + bytes > this.chunk.length;
    return !this.#lacksRoom;
  }

  /** Writes all of a record but its counts and peers; returns where it begins. */
  #begin(swarm: SwarmAt): number {
    const { arena, swarms, emptyTicks } = this.#store;
    const at = this.size;
    const halves = this.#halves;
    const hash = (swarm + SWARM_INFO_HASH) >>> 1;
    copyHalves(arena.halves, hash, halves, at >>> 1, INFO_HASH_SIZE / 2);
    const downloads = swarms.downloads(swarm);
    halves[(at + RECORD_DOWNLOADS) >>> 1] = downloads;
    halves[((at + RECORD_DOWNLOADS) >>> 1) + 1] = downloads >>> 16;
    for (const { family, role } of STEPS) this.#setCount(at, family, role, 0);
    let minutes = 0;
    if ((arena.bytes[swarm + SWARM_FLAGS] & FLAG_EMPTY) !== 0) {
      const ticks = emptyTicks.between(arena.bytes[swarm + SWARM_EMPTY_SINCE], this.#emptyTick);
      minutes = Math.min(MINUTES_MAX, Math.floor((ticks * emptyTicks.seconds) / 60));
    }
    halves[(at + RECORD_MINUTES) >>> 1] = minutes;
    return at;
  }

  /** Ends the record at `at`, unless it would say nothing. */
  #end(swarm: SwarmAt, at: number): void {
    const { claims } = this.#store.population;
    const hash = claims === undefined ? 0 : this.#store.table.hashAt(swarm);
    const hasClaims = claims !== undefined && claims.count(lineOf(hash)) > 0;
    if (hasClaims || this.#ticksMax !== Infinity) this.#sift(at, hash, hasClaims);
    const ipv4 = this.#count(at, 4, SEEDERS) + this.#count(at, 4, LEECHERS);
    const ipv6 = this.#count(at, 6, SEEDERS) + this.#count(at, 6, LEECHERS);
    const peers = ipv4 + ipv6;
    if (peers === 0) {
      if (this.#ticksMax !== Infinity || this.#store.swarms.downloads(swarm) === 0) return;
    }
    this.size = at + recordSize(ipv4, ipv6);
    if ((peers & 1) !== 0) this.chunk[this.size - 1] = 0;
    this.records += 1;
    this.peers += peers;
  }

  /** Takes out of a record the peers that are too old, and claims. */
  #sift(at: number, hash: Hash, hasClaims: boolean): void {
    const { chunk } = this;
    const halves = this.#halves;
    const metas = this.#metas;
    let from = at + RECORD_PEERS;
    let to = from;
    let meta = from;
    for (const { family, role } of STEPS) meta += this.#count(at, family, role) * peerSize(family);
    let kept = 0;
    for (const family of FAMILIES) {
      const size = peerSize(family);
      for (const role of ROLES) {
        const count = this.#count(at, family, role);
        const before = kept;
        for (let i = 0; i < count; i++, meta++, from += size) {
          if (ageOf(chunk[meta], this.tick) > this.#ticksMax) continue;
          if (hasClaims && this.#isClaim(hash, family, from >>> 1)) continue;
          copyHalves(halves, from >>> 1, halves, to >>> 1, size >>> 1);
          metas[kept++] = chunk[meta];
          to += size;
        }
        this.#setCount(at, family, role, kept - before);
      }
    }
    for (let i = 0; i < kept; i++) chunk[to + i] = metas[i];
  }

  #isClaim(hash: Hash, family: Family, at: number): boolean {
    const { claims } = this.#store.population;
    return claims!.find(lineOf(hash), hash, family, this.#halves, at) >= 0;
  }

  #copyMeta(from: number, to: number, count: number): void {
    const { bytes } = this.#store.arena;
    for (let i = 0; i < count; i++) this.chunk[to + i] = bytes[from + i];
  }

  #count(at: number, family: Family, role: Role): number {
    return this.#halves[(at + recordCountAt(family, role)) >>> 1];
  }

  #setCount(at: number, family: Family, role: Role, count: number): void {
    this.#halves[(at + recordCountAt(family, role)) >>> 1] = count;
  }
}
