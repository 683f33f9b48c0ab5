/**
 * The rules of a tracker: what an announce changes and what it is told. [BEP 3, 7, 15, 21, 23, 48]
 *
 * One `Tracker` belongs to one thread and lends it a request and a reply record; all trackers of a
 * process share the same swarms. An announce takes effect first and is answered from what is then
 * stored, so counts include the announcer. It takes one lock, that of its shard, for about a
 * microsecond. Time is an argument: seconds on a clock that never goes back.
 *
 * Nothing here allocates, throws or waits. When memory is at its ceiling peers are answered but not
 * stored; `reply.stored` tells.
 */
import { EVENT_COMPLETED, EVENT_PAUSED, EVENT_STARTED, EVENT_STOPPED } from "../constants.ts";
import { Arena } from "./arena.ts";
import {
  DOWNLOADS_MAX,
  FLAG_EMPTY,
  LEECHERS,
  META_COMPLETED,
  META_TICK,
  metaOf,
  peerHalves,
  SEEDERS,
  SWARM_EMPTY_SINCE,
  SWARM_FLAGS,
  type Role,
} from "./blocks.ts";
import { compact, WASTE_ANNOUNCE, WASTE_FULL } from "./compact.ts";
import { Completions } from "./completions.ts";
import { Crowding } from "./crowding.ts";
import { Directories } from "./directories.ts";
import { EmptySwarms } from "./empty-swarms.ts";
import { hashInfoHash, hashPeer } from "./keyed-hash.ts";
import { lock, unlock } from "./locks.ts";
import { Members } from "./members.ts";
import {
  FEW_PEERS,
  PAGE_SIZE,
  PAGES_RESERVED,
  pagesForFew,
  peerTicksOf,
  POOL_PEER_LIFETIME,
  POOL_SHORT,
  SHARD_LOCK,
  TOTAL_DOWNLOADS,
  TOTAL_NOT_STORED,
  totalsOf,
  type SwarmMemory,
} from "./memory.ts";
import { Ownership } from "./ownership.ts";
import { findPeer } from "./peers.ts";
import { Population } from "./population.ts";
import { Random } from "./random.ts";
import {
  AnnounceReply,
  AnnounceRequest,
  NOT_STORED_ADDRESS,
  NOT_STORED_CLAIM,
  NOT_STORED_MEMORY,
  NOT_STORED_NETWORK,
  NOT_STORED_SWARM,
} from "./requests.ts";
import { OFFER_ALL, OFFER_LEECHERS, OFFER_SEEDERS, Sample } from "./sample.ts";
import { SMALL_PEERS_MAX, Swarms } from "./swarms.ts";
import { lineOf, Table } from "./table.ts";
import { Ticks } from "./ticks.ts";

/** Swarms without peers that go at once when memory is full: with their peers, some 8 KiB. */
const RECLAIMED = 256;
/** While memory is tight, so many of them go for each swarm that begins. */
const RECLAIMED_TIGHT = 2;

export class Tracker {
  readonly request = new AnnounceRequest();
  readonly reply = new AnnounceReply();
  /** Where the peers of a reply are written, at the offsets the request names. */
  readonly replies: Uint8Array;

  readonly memory: SwarmMemory;
  readonly arena: Arena;
  readonly table: Table;
  readonly swarms: Swarms;
  readonly directories: Directories;
  readonly peerTicks: Ticks;
  readonly emptyTicks: Ticks;
  readonly population: Population;
  readonly emptySwarms: EmptySwarms;
  readonly #keys: Int32Array;
  readonly #threads: boolean;
  readonly #sample: Sample;
  readonly #members: Members;
  /** Undefined where every peer is at the address it comes from. */
  readonly #ownership: Ownership | undefined;
  readonly #crowding: Crowding;
  readonly #completions: Completions;
  /** Pages that swarms with many peers leave to those with few. */
  readonly #keptForFew: number;
  /** Where `#place` left the announcer: its swarm, bucket (0 in a small swarm) and meta byte. */
  #bucket = 0;
  #index = -1;
  #metaAt = 0;
  /** The role it is stored in: the one it says, unless there was no room to change it. */
  #role: Role = LEECHERS;
  /** True if it was stored before, and if that was as a leecher. */
  #known = false;
  #leeched = false;

  /** `replies` is the buffer of this thread's replies; `seed` makes the drawing repeatable. */
  constructor(
    memory: SwarmMemory,
    replies: ArrayBuffer,
    seed: Int32Array = crypto.getRandomValues(new Int32Array(4)),
  ) {
    const { settings } = memory;
    this.replies = new Uint8Array(replies);
    this.memory = memory;
    this.arena = new Arena(memory);
    this.table = new Table(memory, this.arena);
    this.population = new Population(memory, this.arena);
    this.directories = new Directories(this.arena, memory.keys, this.population);
    this.swarms = new Swarms(this.arena, this.table, this.directories, this.population);
    this.emptySwarms = new EmptySwarms(memory, this.arena, this.swarms, this.population);
    this.peerTicks = peerTicksOf(settings);
    this.emptyTicks = new Ticks(settings.downloadsTimeout, 0xff);
    this.#keys = memory.keys;
    this.#threads = settings.threads;
    const random = new Random(seed);
    const { swarms, population, request } = this;
    const { claims } = population;
    this.#members = new Members(swarms, population);
    if (claims !== undefined) this.#ownership = new Ownership(claims, this.#members, request);
    this.#crowding = new Crowding(swarms, this.#members, claims, random, request, memory);
    this.#completions = new Completions(memory);
    const pages = this.arena.bytes.length / PAGE_SIZE;
    this.#keptForFew = PAGES_RESERVED + pagesForFew(pages);
    const out = new Uint16Array(replies);
    this.#sample = new Sample(this.swarms, random, this.request, this.reply, out);
  }

  /** Takes the announce in `request` and answers it in `reply` and the reply buffer. */
  announce(nowSeconds: number): void {
    const { request } = this;
    const hash = hashInfoHash(this.#keys, request.infoHashHalves, 0);
    const line = lineOf(hash);
    const tick = this.peerTicks.at(nowSeconds);
    this.reply.clear();
    this.#index = -1;
    this.#bucket = 0;
    this.enter(line);
    compact(this.arena, this.table, line, WASTE_ANNOUNCE);
    let swarm = this.table.find(line, hash, request.infoHashHalves);
    if (request.event === EVENT_STOPPED) {
      swarm = this.#forget(line, hash, swarm, nowSeconds);
    } else {
      swarm = this.#remember(line, hash, swarm, tick);
    }
    if (swarm !== 0) {
      this.#count(swarm);
      if (request.event !== EVENT_STOPPED && request.wanted > 0) this.#offer(swarm);
    }
    this.leave(line);
  }

  /** Answers for the info hash in `request`: its counts, or zeros if the swarm is not known. */
  scrape(): void {
    const hash = hashInfoHash(this.#keys, this.request.infoHashHalves, 0);
    const line = lineOf(hash);
    this.reply.clear();
    this.enter(line);
    const swarm = this.table.find(line, hash, this.request.infoHashHalves);
    if (swarm !== 0) this.#count(swarm);
    this.leave(line);
  }

  /** Forgets the swarm of the info hash in `request`. Returns false if it was not known. */
  evict(): boolean {
    const hash = hashInfoHash(this.#keys, this.request.infoHashHalves, 0);
    const line = lineOf(hash);
    this.enter(line);
    const swarm = this.table.find(line, hash, this.request.infoHashHalves);
    if (swarm !== 0) this.swarms.remove(line, hash, swarm);
    this.leave(line);
    return swarm !== 0;
  }

  /** Age in ticks up to which peers are kept at this time. */
  get peerLifetime(): number {
    return this.arena.shards[POOL_PEER_LIFETIME];
  }

  /** Takes the lock of a shard, if there is anybody else. */
  enter(line: number): void {
    if (this.#threads) lock(this.arena.shards, line + SHARD_LOCK);
  }

  /** Gives it back. */
  leave(line: number): void {
    if (this.#threads) unlock(this.arena.shards, line + SHARD_LOCK);
  }

  #count(swarm: number): void {
    const { reply, swarms } = this;
    reply.seeders = swarms.count(swarm, 4, SEEDERS) + swarms.count(swarm, 6, SEEDERS);
    reply.leechers = swarms.count(swarm, 4, LEECHERS) + swarms.count(swarm, 6, LEECHERS);
    reply.downloads = swarms.downloads(swarm);
  }

  /**
   * A seeder, or a partial seed, is offered leechers. Only when it starts is the room that is left
   * filled with seeders: a client that has only a magnet link may say that nothing is left.
   */
  #offer(swarm: number): void {
    const { request } = this;
    const sample = this.#sample;
    sample.selfIndex = this.#index;
    sample.selfBucket = this.#bucket;
    sample.selfRole = this.#role;
    if (!request.seeder && request.event !== EVENT_PAUSED) {
      sample.offer(swarm, OFFER_ALL, request.wanted);
      return;
    }
    const offered = sample.offer(swarm, OFFER_LEECHERS, request.wanted);
    if (request.event !== EVENT_STARTED || offered === request.wanted) return;
    sample.offer(swarm, OFFER_SEEDERS, request.wanted - offered);
  }

  // Storing.

  /** Stores or refreshes the announcer. Returns the swarm, 0 if there is none. */
  #remember(line: number, hash: number, swarm: number, tick: number): number {
    const { request, reply, arena } = this;
    if (request.peerHalves[peerHalves(request.family) - 1] === 0) return swarm; // Port 0.
    let stored = 0;
    if (!this.#isAdmitted(line, hash, swarm)) reply.notStored = NOT_STORED_CLAIM;
    else stored = this.#store(line, hash, swarm, tick);
    if (stored === 0 && reply.notStored === NOT_STORED_MEMORY && this.#reclaim(line)) {
      swarm = this.table.find(line, hash, request.infoHashHalves);
      stored = this.#store(line, hash, swarm, tick);
    }
    if (stored === 0) {
      // There was no room; the swarm, if there is one, may have been moved in the attempt.
      const { notStored } = reply;
      arena.totals[totalsOf(line) + TOTAL_NOT_STORED + notStored - 1] += 1;
      if (notStored === NOT_STORED_MEMORY || notStored === NOT_STORED_NETWORK) {
        arena.shards[POOL_SHORT] = 1;
      }
      return this.table.find(line, hash, request.infoHashHalves);
    }
    reply.stored = true;
    reply.notStored = 0;
    if ((arena.bytes[stored + SWARM_FLAGS] & FLAG_EMPTY) !== 0) {
      this.population.setEmpty(line, stored, false);
    }
    const meta = arena.bytes[this.#metaAt];
    const last = meta & META_TICK;
    if (this.#known) reply.ticksSinceLast = this.peerTicks.between(last, tick);
    const early = this.#known && reply.ticksSinceLast < request.earlyTicks;
    const completes =
      request.event === EVENT_COMPLETED && this.#leeched && (meta & META_COMPLETED) === 0;
    if (completes) stored = this.#countDownload(line, hash, stored);
    const completed = completes || (meta & META_COMPLETED) !== 0;
    arena.bytes[this.#metaAt] = metaOf(completed, early ? last : tick);
    return stored;
  }

  /** One download more, unless it is counted or there is no room. The swarm may move. */
  #countDownload(line: number, hash: number, swarm: number): number {
    const { swarms, arena } = this;
    const { family, chargedHalves, chargedFamily } = this.request;
    const peerHash = hashPeer(this.#keys, chargedHalves, 0, peerHalves(chargedFamily));
    if (!this.#completions.note(hash, peerHash)) return swarm;
    arena.totals[totalsOf(line) + TOTAL_DOWNLOADS] += 1;
    const downloads = swarms.downloads(swarm);
    if (downloads === DOWNLOADS_MAX) return swarm;
    const counted = swarms.setDownloads(line, swarm, downloads + 1);
    if (counted === 0 || counted === swarm) return swarm;
    if (this.#bucket === 0) this.#metaAt = swarms.metaAt(counted, family) + this.#index;
    return counted;
  }

  /** Returns the swarm in which the announcer is stored now, or 0: `reply.notStored` says why. */
  #store(line: number, hash: number, swarm: number, tick: number): number {
    const { request, reply, swarms, population } = this;
    const { family } = request;
    this.#role = request.seeder ? SEEDERS : LEECHERS;
    this.#leeched = false;
    const few = swarm === 0 || swarms.peers(swarm) < FEW_PEERS;
    this.arena.keepBack = few ? PAGES_RESERVED : this.#keptForFew;
    reply.notStored = NOT_STORED_MEMORY;
    if (swarm === 0) {
      const { holdings } = population;
      if (!holdings.mayBegin(request.chargedHalves, 0, request.chargedFamily)) {
        reply.notStored = NOT_STORED_ADDRESS;
        return 0;
      }
      if (!this.#mayStore(line)) return 0;
      if (holdings.tight) this.emptySwarms.drop(line, RECLAIMED_TIGHT);
      swarm = swarms.create(line, hash, request.infoHashHalves, family);
      if (swarm === 0) return 0;
    }
    if (swarms.isLarge(swarm, family)) {
      return this.#storeLarge(line, swarm, tick) ? swarm : 0;
    }
    return this.#storeSmall(line, swarm, tick);
  }

  /** False if the peer was stored by another address, to which it belongs. */
  #isAdmitted(line: number, hash: number, swarm: number): boolean {
    return (
      this.#ownership === undefined || swarm === 0 || this.#ownership.admits(line, hash, swarm)
    );
  }

  /** False if the announcer's network holds too much of memory that is tight, or of the claims. */
  #mayStore(line: number): boolean {
    const { request, reply } = this;
    const { holdings, claims } = this.population;
    const { chargedHalves, chargedFamily } = request;
    if (holdings.tight && !holdings.mayStore(chargedHalves, 0, chargedFamily)) {
      reply.notStored = NOT_STORED_NETWORK;
      return false;
    }
    if (!request.claimed || claims!.mayAdd(line, request)) return true;
    reply.notStored = NOT_STORED_CLAIM;
    return false;
  }

  /** False if the announcer, which is not stored, may not join the swarm. */
  #mayJoin(line: number, swarm: number, tick: number): boolean {
    if (!this.#mayStore(line)) return false;
    if (this.#crowding.makesRoom(line, swarm, tick)) return true;
    this.reply.notStored = NOT_STORED_SWARM;
    return false;
  }

  #storeSmall(line: number, swarm: number, tick: number): number {
    const { request, swarms, arena, population } = this;
    const { family, peerHalves: peer } = request;
    const role = request.seeder ? SEEDERS : LEECHERS;
    swarms.expireSmall(line, swarm, family, tick, this.peerLifetime);
    const size = peerHalves(family);
    const first = swarms.peersAt(swarm, family);
    let index = findPeer(arena.halves, first, 0, swarms.smallCount(swarm, family), size, peer, 0);
    this.#known = index >= 0;
    if (this.#known) {
      const was = swarms.roleOfSmall(swarm, family, index);
      this.#leeched = was === LEECHERS;
      if (was !== role) {
        index = swarms.switchSmall(swarm, family, index);
        population.switched(line, family, role);
      }
    } else {
      if (!this.#mayJoin(line, swarm, tick)) return 0;
      if (swarms.smallCount(swarm, family) === SMALL_PEERS_MAX) {
        const larger = swarms.enlarge(line, swarm, family);
        return larger !== 0 && this.#storeLarge(line, larger, tick) ? larger : 0;
      }
      swarm = swarms.withRoom(line, swarm, family);
      if (swarm === 0) return 0;
      index = swarms.insertSmall(swarm, family, role, peer, 0, metaOf(false, tick));
      population.came(line, role, request);
    }
    this.#index = index;
    this.#metaAt = swarms.metaAt(swarm, family) + index;
    return swarm;
  }

  #storeLarge(line: number, swarm: number, tick: number): boolean {
    const { request, swarms, directories } = this;
    const { family, peerHalves: peer } = request;
    const cell = swarms.cell(swarm, family, request.seeder ? SEEDERS : LEECHERS);
    const bucket = directories.find(cell, family, peer, 0);
    this.#known = bucket !== 0;
    this.#leeched = this.#known && !request.seeder;
    this.#bucket = bucket === 0 ? this.#joinLarge(line, swarm, tick) : bucket;
    if (this.#bucket === 0) return false;
    this.#index = directories.index;
    this.#metaAt = directories.metaAt(family, this.#bucket, directories.index);
    return true;
  }

  /**
   * Adds the announcer to the directory of its role, and takes it out of the other's. If there is
   * no room it stays where it is. Returns its bucket, 0 if it is in neither.
   */
  #joinLarge(line: number, swarm: number, tick: number): number {
    const { request, swarms, directories, arena, population } = this;
    const { family, peerHalves: peer } = request;
    const role = request.seeder ? SEEDERS : LEECHERS;
    const other = request.seeder ? LEECHERS : SEEDERS;
    const otherCell = swarms.cell(swarm, family, other);
    const was = directories.find(otherCell, family, peer, 0);
    const wasAt = directories.index;
    this.#known = was !== 0;
    this.#leeched = this.#known && other === LEECHERS;
    if (!this.#known && !this.#mayJoin(line, swarm, tick)) return 0;
    const meta =
      was === 0 ? metaOf(false, tick) : arena.bytes[directories.metaAt(family, was, wasAt)];
    const cell = swarms.cell(swarm, family, role);
    const bucket = directories.insert(line, cell, family, peer, 0, meta);
    if (bucket === 0) {
      directories.index = wasAt;
      this.#role = other;
      return was;
    }
    if (was === 0) {
      population.came(line, role, request);
      return bucket;
    }
    directories.remove(line, otherCell, family, was, wasAt);
    population.switched(line, family, role);
    return bucket;
  }

  // Forgetting.

  /** Removes the announcer. Returns the swarm, 0 if it is gone with it. */
  #forget(line: number, hash: number, swarm: number, nowSeconds: number): number {
    if (swarm === 0) return 0;
    const { family, peerHalves: peer } = this.request;
    if (this.#isAdmitted(line, hash, swarm) && this.#members.find(swarm, family, peer, 0)) {
      this.#members.removeFound(line, swarm, family);
    }
    return this.settle(line, hash, swarm, nowSeconds);
  }

  /**
   * A swarm that may have lost its last peer: without a download it goes, with one it stays until
   * its time is over. Returns the swarm, 0 if it is gone. The lock of its shard is held.
   */
  settle(line: number, hash: number, swarm: number, nowSeconds: number): number {
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

  /** Makes room in memory that is full. False if there is nothing that gives way. */
  #reclaim(line: number): boolean {
    const dropped = this.emptySwarms.drop(line, RECLAIMED);
    return compact(this.arena, this.table, line, WASTE_FULL) || dropped > 0;
  }
}
