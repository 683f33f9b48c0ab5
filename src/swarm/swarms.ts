/**
 * Swarms: their blocks, and the peers that lie in them.
 *
 * A family's peers lie in the swarm's own block while there are at most SMALL_PEERS_MAX of them,
 * seeders first; a family that outgrows that goes to two directories, one for each role. Blocks are
 * described in `blocks.ts`. What finds no room in the arena changes nothing and returns 0 or false.
 * The caller holds the lock of the shard. Offsets of swarms change when a swarm is reshaped: the
 * methods that may do that return the new one.
 */
import {
  FAMILIES,
  INFO_HASH_SIZE,
  PEER_SIZE_IPV4,
  PEER_SIZE_IPV6,
  type Family,
} from "../constants.ts";
import type { Arena } from "./arena.ts";
import {
  blockSize,
  capacityAt,
  countAt,
  directoriesAt,
  DIRECTORY_PAIR_SIZE,
  downloadsAt,
  FLAG_DOWNLOADS,
  FLAG_IPV6,
  FLAG_LARGE_IPV4,
  flagLarge,
  hasDirectories,
  KIND_SWARM,
  LEECHERS,
  peerHalves,
  peersAt,
  peersInBlock,
  ROLES,
  SEEDERS,
  seedersAt,
  seedersInBlock,
  SWARM_CAPACITY_IPV4,
  SWARM_CAPACITY_IPV6,
  SWARM_DOWNLOADS_LOW,
  SWARM_FLAGS,
  SWARM_INFO_HASH,
  SWARM_SEEDERS_IPV4,
  type Role,
} from "./blocks.ts";
import { adoptDirectories } from "./compact.ts";
import type { Directories } from "./directories.ts";
import type { Population } from "./population.ts";
import { copyHalves, isExpired, movePeer, roomier, swapPeers } from "./peers.ts";
import { copyShape } from "./shape.ts";
import type { Table } from "./table.ts";
import type { Cell, Hash, Line, SwarmAt, Tick } from "./units.ts";

/** Peers of one family that a swarm's own block holds at most; a search through them is short. */
export const SMALL_PEERS_MAX = 128;

/** A family in directories comes back to the block when it has no more than this. */
const SMALL_PEERS_AGAIN = SMALL_PEERS_MAX / 2;

export class Swarms {
  readonly arena: Arena;
  readonly table: Table;
  readonly directories: Directories;
  readonly #population: Population;

  constructor(arena: Arena, table: Table, directories: Directories, population: Population) {
    this.arena = arena;
    this.table = table;
    this.directories = directories;
    this.#population = population;
  }

  /** A new swarm with room for these numbers of peers; 0 if there is no room for it. */
  create(line: Line, hash: Hash, infoHash: Uint16Array, ipv4: number, ipv6: number): SwarmAt {
    const { arena } = this;
    const flags = ipv6 > 0 ? FLAG_IPV6 : 0;
    const swarm = arena.allocate(line, blockSize(flags, ipv4, ipv6), KIND_SWARM);
    if (swarm === 0) return 0;
    copyHalves(infoHash, 0, arena.halves, (swarm + SWARM_INFO_HASH) >>> 1, INFO_HASH_SIZE / 2);
    arena.words[(swarm + SWARM_SEEDERS_IPV4) >>> 2] = 0;
    arena.bytes[swarm + SWARM_FLAGS] = flags;
    arena.bytes[swarm + SWARM_CAPACITY_IPV4] = ipv4;
    if (ipv6 > 0) {
      arena.words[(swarm + SWARM_CAPACITY_IPV6) >>> 2] = 0;
      arena.bytes[swarm + SWARM_CAPACITY_IPV6] = ipv6;
    }
    if (this.table.insert(line, hash, swarm)) return swarm;
    arena.release(line, swarm);
    return 0;
  }

  /** Removes a swarm and its peers. */
  remove(line: Line, hash: Hash, swarm: SwarmAt): void {
    for (const family of FAMILIES) {
      if (!this.isLarge(swarm, family)) {
        for (let index = this.smallCount(swarm, family) - 1; index >= 0; index--) {
          const at = this.peersAt(swarm, family) + index * peerHalves(family);
          const role = this.roleOfSmall(swarm, family, index);
          this.#population.gone(line, swarm, family, role, at);
        }
        continue;
      }
      for (const role of ROLES) {
        const cell = this.cell(swarm, family, role);
        this.directories.forgetAll(line, swarm, cell, family, role);
        this.directories.release(line, cell);
      }
    }
    this.#population.setEmpty(line, swarm, false);
    this.table.remove(line, hash, swarm);
    this.arena.release(line, swarm);
  }

  /** True if the peers of `family` lie in directories. */
  isLarge(swarm: SwarmAt, family: Family): boolean {
    return (this.arena.bytes[swarm + SWARM_FLAGS] & flagLarge(family)) !== 0;
  }

  /** Peers of one role and family. */
  count(swarm: SwarmAt, family: Family, role: Role): number {
    if (this.isLarge(swarm, family)) {
      return this.directories.count(this.cell(swarm, family, role));
    }
    if (!this.#hasRoomFor(swarm, family)) return 0;
    const seeders = this.arena.bytes[swarm + seedersAt(family)];
    return role === SEEDERS ? seeders : this.arena.bytes[swarm + countAt(family)] - seeders;
  }

  /** Seeders of both families. */
  seeders(swarm: SwarmAt): number {
    const { bytes } = this.arena;
    if (!hasDirectories(bytes, swarm)) return seedersInBlock(bytes, swarm);
    return this.count(swarm, 4, SEEDERS) + this.count(swarm, 6, SEEDERS);
  }

  /** Leechers of both families. */
  leechers(swarm: SwarmAt): number {
    return this.peers(swarm) - this.seeders(swarm);
  }

  /** Peers of both roles and families. */
  peers(swarm: SwarmAt): number {
    const { bytes } = this.arena;
    if (!hasDirectories(bytes, swarm)) return peersInBlock(bytes, swarm);
    return this.seeders(swarm) + this.count(swarm, 4, LEECHERS) + this.count(swarm, 6, LEECHERS);
  }

  /** Times a peer has completed the download; at most DOWNLOADS_MAX. */
  downloads(swarm: SwarmAt): number {
    const { bytes, words } = this.arena;
    const flags = bytes[swarm + SWARM_FLAGS];
    const low = bytes[swarm + SWARM_DOWNLOADS_LOW];
    if ((flags & FLAG_DOWNLOADS) === 0) return low;
    return (words[(swarm + downloadsAt(flags)) >>> 2] << 8) | low;
  }

  /**
   * Sets that. Returns the swarm, which has moved if the number has outgrown its byte; 0 if there
   * is no room for that, and then nothing has changed.
   */
  setDownloads(line: Line, swarm: SwarmAt, downloads: number): SwarmAt {
    const { bytes, words } = this.arena;
    let flags = bytes[swarm + SWARM_FLAGS];
    if (downloads > 0xff && (flags & FLAG_DOWNLOADS) === 0) {
      flags |= FLAG_DOWNLOADS;
      swarm = this.#reshape(line, swarm, 4, bytes[swarm + SWARM_CAPACITY_IPV4], flags);
      if (swarm === 0) return 0;
    }
    bytes[swarm + SWARM_DOWNLOADS_LOW] = downloads;
    if ((flags & FLAG_DOWNLOADS) !== 0) {
      words[(swarm + downloadsAt(flags)) >>> 2] = downloads >>> 8;
    }
    return swarm;
  }

  /** Offset of the word that points to the directory of a role; only if `isLarge`. */
  cell(swarm: SwarmAt, family: Family, role: Role): Cell {
    const flags = this.arena.bytes[swarm + SWARM_FLAGS];
    const before = family === 6 && (flags & FLAG_LARGE_IPV4) !== 0 ? DIRECTORY_PAIR_SIZE : 0;
    return swarm + directoriesAt(flags) + before + 4 * role;
  }

  // The peers of a family that lie in the swarm's own block.

  smallCount(swarm: SwarmAt, family: Family): number {
    return this.#hasRoomFor(swarm, family) ? this.arena.bytes[swarm + countAt(family)] : 0;
  }

  smallSeeders(swarm: SwarmAt, family: Family): number {
    return this.#hasRoomFor(swarm, family) ? this.arena.bytes[swarm + seedersAt(family)] : 0;
  }

  #capacity(swarm: SwarmAt, family: Family): number {
    return this.#hasRoomFor(swarm, family) ? this.arena.bytes[swarm + capacityAt(family)] : 0;
  }

  /** False if the block lacks even the fields of the family. */
  #hasRoomFor(swarm: SwarmAt, family: Family): boolean {
    return family === 4 || (this.arena.bytes[swarm + SWARM_FLAGS] & FLAG_IPV6) !== 0;
  }

  /** Where the peers of `family` begin, in halves of the arena. */
  peersAt(swarm: SwarmAt, family: Family): number {
    const { bytes } = this.arena;
    const peers = swarm + peersAt(bytes[swarm + SWARM_FLAGS]);
    const before = family === 6 ? bytes[swarm + SWARM_CAPACITY_IPV4] * PEER_SIZE_IPV4 : 0;
    return (peers + before) >>> 1;
  }

  /** Where the meta bytes of `family` begin. */
  metaAt(swarm: SwarmAt, family: Family): number {
    const { bytes } = this.arena;
    const ipv4 = bytes[swarm + SWARM_CAPACITY_IPV4];
    const ipv6 = this.#capacity(swarm, 6);
    const peers = swarm + peersAt(bytes[swarm + SWARM_FLAGS]);
    const meta = peers + ipv4 * PEER_SIZE_IPV4 + ipv6 * PEER_SIZE_IPV6;
    return family === 4 ? meta : meta + ipv4;
  }

  /** The swarm with room for one more peer of `family` in its block; 0 if there is none. */
  withRoom(line: Line, swarm: SwarmAt, family: Family): SwarmAt {
    const count = this.smallCount(swarm, family);
    if (count < this.#capacity(swarm, family)) return swarm;
    const capacity = Math.min(SMALL_PEERS_MAX, roomier(count));
    return this.#reshape(line, swarm, family, capacity, this.arena.bytes[swarm + SWARM_FLAGS]);
  }

  /** Adds a peer that is not there, and for which there is room. Returns its position. */
  insertSmall(
    swarm: SwarmAt,
    family: Family,
    role: Role,
    source: Uint16Array,
    at: number,
    meta: number,
  ): number {
    const { bytes, halves } = this.arena;
    const count = bytes[swarm + countAt(family)]++;
    let index = count;
    if (role === SEEDERS) {
      index = bytes[swarm + seedersAt(family)]++;
      this.#moveSmall(swarm, family, index, count);
    }
    const size = peerHalves(family);
    copyHalves(source, at, halves, this.peersAt(swarm, family) + index * size, size);
    bytes[this.metaAt(swarm, family) + index] = meta;
    return index;
  }

  /** Tells how many peers of a family lie in the block of a new swarm, seeders first. */
  setCounts(swarm: SwarmAt, family: Family, peers: number, seeders: number): void {
    const { bytes } = this.arena;
    bytes[swarm + countAt(family)] = peers;
    bytes[swarm + seedersAt(family)] = seeders;
  }

  /** Takes the peer at `index` out of the block. */
  removeSmall(swarm: SwarmAt, family: Family, index: number): void {
    const { bytes } = this.arena;
    const last = --bytes[swarm + countAt(family)];
    const seeders = bytes[swarm + seedersAt(family)];
    if (index >= seeders) {
      this.#moveSmall(swarm, family, last, index);
      return;
    }
    // The last seeder takes its place, and the last leecher the last seeder's.
    bytes[swarm + seedersAt(family)] = seeders - 1;
    this.#moveSmall(swarm, family, seeders - 1, index);
    this.#moveSmall(swarm, family, last, seeders - 1);
  }

  /** The peer at `index` changes its role; returns its new position. Its meta goes with it. */
  switchSmall(swarm: SwarmAt, family: Family, index: number): number {
    const { bytes } = this.arena;
    const seeders = bytes[swarm + seedersAt(family)];
    const becomesSeeder = index >= seeders;
    const place = becomesSeeder ? seeders : seeders - 1;
    bytes[swarm + seedersAt(family)] = becomesSeeder ? seeders + 1 : seeders - 1;
    this.#swapSmall(swarm, family, index, place);
    return place;
  }

  /** Takes out the peers of the block whose last announce is too long ago. */
  expireSmall(line: Line, swarm: SwarmAt, family: Family, tick: Tick, ticks: number): void {
    const { bytes } = this.arena;
    const meta = this.metaAt(swarm, family);
    const peers = this.peersAt(swarm, family);
    for (let index = this.smallCount(swarm, family) - 1; index >= 0; index--) {
      if (!isExpired(bytes[meta + index], tick, ticks)) continue;
      const role = this.roleOfSmall(swarm, family, index);
      this.#population.expired(line, swarm, family, role, peers + index * peerHalves(family));
      this.removeSmall(swarm, family, index);
    }
  }

  /** The role of the peer at `index` of the block. */
  roleOfSmall(swarm: SwarmAt, family: Family, index: number): Role {
    return index < this.smallSeeders(swarm, family) ? SEEDERS : LEECHERS;
  }

  #moveSmall(swarm: SwarmAt, family: Family, from: number, to: number): void {
    const { bytes, halves } = this.arena;
    movePeer(halves, this.peersAt(swarm, family), peerHalves(family), from, to);
    const meta = this.metaAt(swarm, family);
    bytes[meta + to] = bytes[meta + from];
  }

  #swapSmall(swarm: SwarmAt, family: Family, a: number, b: number): void {
    const { bytes, halves } = this.arena;
    swapPeers(halves, this.peersAt(swarm, family), peerHalves(family), a, b);
    const meta = this.metaAt(swarm, family);
    const byte = bytes[meta + a];
    bytes[meta + a] = bytes[meta + b];
    bytes[meta + b] = byte;
  }

  // From the block to directories and back.

  /**
   * Moves the peers of `family` from the block to directories. Returns the swarm's new offset, or 0
   * if there is no room, and then nothing has changed.
   */
  enlarge(line: Line, swarm: SwarmAt, family: Family): SwarmAt {
    const { arena } = this;
    const { bytes } = arena;
    const larger = copyShape(
      this.arena,
      line,
      swarm,
      family,
      0,
      bytes[swarm + SWARM_FLAGS] | flagLarge(family),
    );
    if (larger === 0) return 0;
    arena.words[this.cell(larger, family, SEEDERS) >>> 2] = 0;
    arena.words[this.cell(larger, family, LEECHERS) >>> 2] = 0;
    this.#copyOtherFamily(swarm, larger, family);
    if (!this.#moveToDirectories(line, swarm, larger, family)) {
      this.directories.release(line, this.cell(larger, family, SEEDERS));
      this.directories.release(line, this.cell(larger, family, LEECHERS));
      arena.release(line, larger);
      return 0;
    }
    return this.#replace(line, swarm, larger);
  }

  #moveToDirectories(line: Line, swarm: SwarmAt, larger: SwarmAt, family: Family): boolean {
    const { bytes, halves } = this.arena;
    const count = bytes[swarm + countAt(family)];
    const seeders = bytes[swarm + seedersAt(family)];
    const peers = this.peersAt(swarm, family);
    const meta = this.metaAt(swarm, family);
    for (let i = 0; i < count; i++) {
      const cell = this.cell(larger, family, i < seeders ? SEEDERS : LEECHERS);
      const at = peers + i * peerHalves(family);
      if (this.directories.insert(line, cell, family, halves, at, bytes[meta + i]) === 0)
        return false;
    }
    return true;
  }

  /** Brings the peers of `family` back into the block if they are few. Returns the swarm. */
  diminish(line: Line, swarm: SwarmAt, family: Family): SwarmAt {
    const { arena, directories } = this;
    const count = this.count(swarm, family, SEEDERS) + this.count(swarm, family, LEECHERS);
    if (count > SMALL_PEERS_AGAIN) return swarm;
    const flags = arena.bytes[swarm + SWARM_FLAGS] & ~flagLarge(family);
    const smaller = copyShape(this.arena, line, swarm, family, count, flags);
    if (smaller === 0) return swarm;
    this.#copyOtherFamily(swarm, smaller, family);
    for (const role of ROLES) {
      const cell = this.cell(swarm, family, role);
      this.#moveFromDirectory(cell, smaller, family, role);
      directories.release(line, cell);
    }
    return this.#replace(line, swarm, smaller);
  }

  #moveFromDirectory(cell: Cell, smaller: SwarmAt, family: Family, role: Role): void {
    const { directories } = this;
    const { bytes, halves } = this.arena;
    if (directories.count(cell) === 0) return;
    for (let i = 0; i < directories.bucketCount(cell); i++) {
      const bucket = directories.bucketAt(cell, i);
      if (bucket === 0) continue;
      const count = directories.peersIn(bucket);
      for (let index = 0; index < count; index++) {
        const meta = bytes[directories.metaAt(family, bucket, index)];
        const at = directories.peerAt(family, bucket, index);
        this.insertSmall(smaller, family, role, halves, at, meta);
      }
    }
  }

  /** Gives back the room of a block that has lost most of its peers. Returns the swarm's offset. */
  tighten(line: Line, swarm: SwarmAt, family: Family): SwarmAt {
    const count = this.smallCount(swarm, family);
    if (this.#capacity(swarm, family) <= count + 2 + (count >>> 1)) return swarm;
    return (
      this.#reshape(line, swarm, family, count, this.arena.bytes[swarm + SWARM_FLAGS]) || swarm
    );
  }

  /** The swarm in a block of another shape; 0 if there is no room for it. */
  #reshape(line: Line, swarm: SwarmAt, family: Family, capacity: number, flags: number): SwarmAt {
    const { bytes, halves } = this.arena;
    const shaped = copyShape(this.arena, line, swarm, family, capacity, flags);
    if (shaped === 0) return 0;
    const count = this.smallCount(swarm, family);
    if (count > 0) {
      bytes[shaped + countAt(family)] = count;
      bytes[shaped + seedersAt(family)] = bytes[swarm + seedersAt(family)];
      const from = this.peersAt(swarm, family);
      copyHalves(halves, from, halves, this.peersAt(shaped, family), count * peerHalves(family));
      const meta = this.metaAt(swarm, family);
      bytes.copyWithin(this.metaAt(shaped, family), meta, meta + count);
    }
    this.#copyOtherFamily(swarm, shaped, family);
    return this.#replace(line, swarm, shaped);
  }

  /** Copies what a copied shape still lacks: the other family's peers, and directories kept. */
  #copyOtherFamily(swarm: SwarmAt, copy: SwarmAt, family: Family): void {
    const { bytes, halves, words } = this.arena;
    for (const kept of FAMILIES) {
      if (!this.isLarge(swarm, kept) || !this.isLarge(copy, kept)) continue;
      for (const role of ROLES) {
        words[this.cell(copy, kept, role) >>> 2] = words[this.cell(swarm, kept, role) >>> 2];
      }
    }
    const other = family === 4 ? 6 : 4;
    const count = this.smallCount(swarm, other);
    if (count === 0) return;
    const from = this.peersAt(swarm, other);
    copyHalves(halves, from, halves, this.peersAt(copy, other), count * peerHalves(other));
    const meta = this.metaAt(swarm, other);
    bytes.copyWithin(this.metaAt(copy, other), meta, meta + count);
  }

  /** `copy` takes the place of `swarm`. */
  #replace(line: Line, swarm: SwarmAt, copy: SwarmAt): SwarmAt {
    this.table.repoint(line, swarm, copy);
    adoptDirectories(this.arena, copy);
    this.arena.release(line, swarm);
    return copy;
  }
}
