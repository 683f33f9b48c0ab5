/**
 * The store: all swarms and their peers, as one thread reaches them.
 *
 *   table        info hash ─► swarm                              table.ts
 *   swarms       blocks of swarms, and the peers in them         swarms.ts, shape.ts
 *   directories  the peers of large swarms                       directories.ts
 *   members      one peer of a swarm, found and taken out        members.ts
 *   emptySwarms  swarms that keep a download counter only        empty-swarms.ts
 *   population   counts of peers, what addresses hold, claims    population.ts, holdings.ts,
 *                                                                claims.ts
 *   arena        the pages in which all blocks lie               arena.ts, compact.ts
 *
 * It knows where bytes lie and how old they are, but not what an announce means: the rules are in
 * tracker.ts and membership.ts. The stores of all threads are views of the same memory. A thread
 * enters a shard before it reads or changes anything in it, and keeps no offset after it has left.
 * Time is an argument: seconds on a clock that never goes back.
 */
import { Arena } from "./arena.ts";
import { DOWNLOADS_MAX, FLAG_EMPTY, SWARM_EMPTY_SINCE, SWARM_FLAGS } from "./blocks.ts";
import { compact, WASTE_ANNOUNCE, WASTE_FULL } from "./compact.ts";
import { Directories } from "./directories.ts";
import { EmptySwarms } from "./empty-swarms.ts";
import { hashInfoHash } from "./keyed-hash.ts";
import { lock, unlock } from "./locks.ts";
import {
  emptyTicksOf,
  PAGES_RESERVED,
  PAGES_RESERVED_RESTORING,
  peerTicksOf,
  POOL_PEER_LIFETIME,
  POOL_SHORT,
  SHARD_LOCK,
  TOTAL_DOWNLOADS,
  TOTAL_NOT_STORED,
  totalsOf,
  type SwarmMemory,
} from "./memory.ts";
import { Members } from "./members.ts";
import { Population } from "./population.ts";
import { isWithoutRoom } from "./requests.ts";
import { Swarms } from "./swarms.ts";
import { lineOf, Table } from "./table.ts";
import type { Ticks } from "./ticks.ts";
import type { Hash, Line, SwarmAt } from "./units.ts";

/** Swarms without peers that are dropped at once when memory is full: 8 KiB with their peers. */
const RECLAIMED = 256;

export class Store {
  readonly memory: SwarmMemory;
  readonly arena: Arena;
  readonly table: Table;
  readonly swarms: Swarms;
  readonly directories: Directories;
  readonly population: Population;
  readonly members: Members;
  readonly emptySwarms: EmptySwarms;
  readonly peerTicks: Ticks;
  readonly emptyTicks: Ticks;
  readonly #threads: boolean;
  readonly #pagesReserved: number;

  constructor(memory: SwarmMemory) {
    const { settings } = memory;
    this.memory = memory;
    this.arena = new Arena(memory);
    this.table = new Table(memory, this.arena);
    this.population = new Population(memory, this.arena);
    this.directories = new Directories(this.arena, memory.keys, this.population);
    this.swarms = new Swarms(this.arena, this.table, this.directories, this.population);
    this.members = new Members(this.swarms, this.population);
    this.emptySwarms = new EmptySwarms(memory, this.arena, this.swarms, this.population);
    this.peerTicks = peerTicksOf(settings);
    this.emptyTicks = emptyTicksOf(settings);
    this.#threads = settings.threads;
    const { restoring = false } = settings;
    this.#pagesReserved = restoring ? PAGES_RESERVED_RESTORING : PAGES_RESERVED;
  }

  /** Takes the lock of a shard, if there are other threads. */
  enter(line: Line): void {
    if (this.#threads) lock(this.arena.shards, line + SHARD_LOCK);
  }

  /** Gives the lock back. */
  leave(line: Line): void {
    if (this.#threads) unlock(this.arena.shards, line + SHARD_LOCK);
  }

  /** Age in ticks up to which peers are kept at present. */
  get peerLifetime(): number {
    return this.arena.shards[POOL_PEER_LIFETIME];
  }

  // Verbs that enter the shard themselves. `infoHash` is ten halves.

  /** Removes a swarm and its peers. Returns false if it is not known. */
  evict(infoHash: Uint16Array): boolean {
    const hash = hashInfoHash(this.memory.keys, infoHash, 0);
    const line = lineOf(hash);
    this.enter(line);
    const swarm = this.table.find(line, hash, infoHash);
    if (swarm !== 0) this.swarms.remove(line, hash, swarm);
    this.leave(line);
    return swarm !== 0;
  }

  /** True if a swarm is stored. */
  knows(infoHash: Uint16Array): boolean {
    const hash = hashInfoHash(this.memory.keys, infoHash, 0);
    const line = lineOf(hash);
    this.enter(line);
    const known = this.table.find(line, hash, infoHash) !== 0;
    this.leave(line);
    return known;
  }

  /**
   * Raises the download counter of a swarm to at least `downloads`. A swarm that is not known is
   * made, without peers, and is kept like any other without peers. Doing it again changes nothing.
   * Returns false if there is no room.
   */
  raiseDownloads(infoHash: Uint16Array, downloads: number, nowSeconds: number): boolean {
    return this.#setDownloads(infoHash, downloads, 0, nowSeconds);
  }

  /** Adds a download likewise. */
  addDownload(infoHash: Uint16Array, nowSeconds: number): boolean {
    return this.#setDownloads(infoHash, 1, 1, nowSeconds);
  }

  /** Sets the counter to `least`, or to `more` than it is, whichever is higher. */
  #setDownloads(infoHash: Uint16Array, least: number, more: number, nowSeconds: number): boolean {
    const hash = hashInfoHash(this.memory.keys, infoHash, 0);
    const line = lineOf(hash);
    this.arena.keepBack = this.#pagesReserved;
    this.enter(line);
    // A counter that outgrows its byte leaves a block behind.
    compact(this.arena, this.table, line, WASTE_ANNOUNCE);
    let swarm = this.table.find(line, hash, infoHash);
    if (swarm === 0 && least > 0) {
      swarm = this.emptySwarms.create(line, hash, infoHash, this.emptyTicks.at(nowSeconds));
    }
    if (swarm !== 0) {
      const before = this.swarms.downloads(swarm);
      const downloads = Math.min(Math.max(least, before + more), DOWNLOADS_MAX);
      if (downloads > before) swarm = this.swarms.setDownloads(line, swarm, downloads);
      if (swarm !== 0 && more > 0) this.arena.totals[totalsOf(line) + TOTAL_DOWNLOADS] += more;
    }
    this.leave(line);
    return swarm !== 0 || least === 0;
  }

  // Verbs for a caller that has entered the shard.

  /** Counts peers that are not stored, for this reason, and remembers a lack of memory. */
  noteNotStored(line: Line, reason: number, peers = 1): void {
    const { totals, shards } = this.arena;
    totals[totalsOf(line) + TOTAL_NOT_STORED + reason - 1] += peers;
    if (isWithoutRoom(reason)) shards[POOL_SHORT] = 1;
  }

  /**
   * Decides about a swarm that may have lost its last peer: without a download it is removed, with
   * one it stays until its time is over. Returns the swarm, 0 if it is gone.
   */
  settle(line: Line, hash: Hash, swarm: SwarmAt, nowSeconds: number): SwarmAt {
    const { arena, swarms } = this;
    if (swarms.peers(swarm) > 0) return swarm;
    const tick = this.emptyTicks.at(nowSeconds);
    if ((arena.bytes[swarm + SWARM_FLAGS] & FLAG_EMPTY) === 0) {
      if (swarms.downloads(swarm) > 0) return this.emptySwarms.keep(line, hash, swarm, tick);
    } else {
      const since = this.emptyTicks.between(arena.bytes[swarm + SWARM_EMPTY_SINCE], tick);
      if (since <= this.emptyTicks.lifetime) return swarm;
    }
    swarms.remove(line, hash, swarm);
    return 0;
  }

  /** Makes room in memory that is full; offsets change. False if nothing could be dropped. */
  reclaim(line: Line): boolean {
    const dropped = this.emptySwarms.drop(line, RECLAIMED);
    return compact(this.arena, this.table, line, WASTE_FULL) || dropped > 0;
  }
}
