/**
 * Membership: a peer joins a swarm, changes its role there, or leaves it.
 *
 * Joining is where ceilings and quotas are asked: pages kept for swarms with few peers, what the
 * peer's address and network hold (holdings.ts), and whether it may join a crowded swarm
 * (crowding.ts). So an announce and a peer that is put back are judged alike.
 *
 *   request ─► join ─► member: which block or bucket, at which index, and what it was before
 *
 * The request and the record live as long as their thread; the next call overwrites the record.
 * The caller has entered the shard. Allocates nothing, never throws.
 */
import { LEECHERS, metaOf, peerHalves, SEEDERS, type Role } from "./blocks.ts";
import { Crowding } from "./crowding.ts";
import {
  FEW_PEERS,
  PAGE_SIZE,
  PAGES_RESERVED,
  PAGES_RESERVED_RESTORING,
  pagesForFew,
  POOL_AVAILABLE,
} from "./memory.ts";
import { Ownership } from "./ownership.ts";
import { findPeer } from "./peers.ts";
import type { Random } from "./random.ts";
import {
  type AnnounceRequest,
  NOT_STORED_ADDRESS,
  NOT_STORED_CLAIM,
  NOT_STORED_MEMORY,
  NOT_STORED_NETWORK,
  NOT_STORED_SWARM,
} from "./requests.ts";
import type { Store } from "./store.ts";
import { SMALL_PEERS_MAX } from "./swarms.ts";
import type { BucketAt, Hash, Line, SwarmAt, Tick } from "./units.ts";

/** While memory is tight, swarms without peers that are dropped for each swarm that begins. */
const RECLAIMED_TIGHT = 2;

/** Where the peer of a request lies in its swarm, and what it was there before. */
export class Member {
  /** Its position in the swarm's block or in its bucket; -1 if it is not stored. */
  index = -1;
  /** The bucket of a large swarm; 0 if the peer lies in the swarm's block. */
  bucket: BucketAt = 0;
  /** Where its meta byte lies. */
  metaAt = 0;
  /** The role it is stored in: that of the request, unless there was no room to change it. */
  role: Role = LEECHERS;
  /** True if it was stored before, and if it was stored as a leecher. */
  wasKnown = false;
  wasLeecher = false;
  /** Why it is not stored: NOT_STORED_MEMORY or another. Only if `join` returned 0. */
  notStored = 0;

  /** As for a peer that is not stored. */
  clear(): void {
    this.index = -1;
    this.bucket = 0;
  }
}

export class Membership {
  readonly member = new Member();
  readonly #store: Store;
  readonly #request: AnnounceRequest;
  /** Undefined where every peer is at the address it comes from. */
  readonly #ownership: Ownership | undefined;
  readonly #crowding: Crowding;
  /** Pages that swarms leave to moving blocks, and those that swarms with many peers leave. */
  readonly #keptForMoves: number;
  readonly #keptForFew: number;

  /** For the peers that `request` names. */
  constructor(store: Store, request: AnnounceRequest, random: Random) {
    this.#store = store;
    this.#request = request;
    const { swarms, members, memory } = store;
    const { claims } = store.population;
    this.#ownership = claims && new Ownership(claims, members, request);
    this.#crowding = new Crowding(swarms, members, claims, random, request, memory);
    const { restoring = false } = memory.settings;
    const pages = memory.arena.byteLength / PAGE_SIZE;
    this.#keptForMoves = restoring ? PAGES_RESERVED_RESTORING : PAGES_RESERVED;
    this.#keptForFew = this.#keptForMoves + (restoring ? 0 : pagesForFew(pages));
  }

  /**
   * Stores the peer in `swarm`, or in a new one if that is 0, in the role of the request. A peer
   * that is new has the meta byte of `tick`. Returns the swarm, which may have moved; 0 if the peer
   * is not stored: see `joinAgain`.
   */
  join(line: Line, hash: Hash, swarm: SwarmAt, tick: Tick): SwarmAt {
    const { member } = this;
    const request = this.#request;
    const { swarms, population, arena, emptySwarms } = this.#store;
    const { family } = request;
    member.role = request.seeder ? SEEDERS : LEECHERS;
    member.wasLeecher = false;
    arena.keepBack = this.#pagesKept(swarm);
    if (!this.#isAdmitted(line, hash, swarm)) {
      member.notStored = NOT_STORED_CLAIM;
      return 0;
    }
    member.notStored = NOT_STORED_MEMORY;
    if (swarm === 0) {
      const { holdings } = population;
      if (!holdings.mayBegin(request.chargedHalves, 0, request.chargedFamily)) {
        member.notStored = NOT_STORED_ADDRESS;
        return 0;
      }
      if (!this.#mayStore(line)) return 0;
      if (holdings.tight) emptySwarms.drop(line, RECLAIMED_TIGHT);
      swarm = swarms.create(
        line,
        hash,
        request.infoHashHalves,
        family === 4 ? 1 : 0,
        family === 4 ? 0 : 1,
      );
      if (swarm === 0) return 0;
    }
    if (swarms.isLarge(swarm, family)) return this.#joinLarge(line, swarm, tick) ? swarm : 0;
    return this.#joinSmall(line, swarm, tick);
  }

  /**
   * Tries again after `join` has returned 0, if memory was full and room could be made. If this
   * returns 0 too, the peer is not stored: `member.notStored` says why. The swarm may have moved.
   */
  joinAgain(line: Line, hash: Hash, tick: Tick): SwarmAt {
    const store = this.#store;
    if (this.member.notStored !== NOT_STORED_MEMORY || !store.reclaim(line)) return 0;
    return this.join(line, hash, store.table.find(line, hash, this.#request.infoHashHalves), tick);
  }

  /** Peers that have made room for others so far, on the grounds of crowding.ts. */
  get displaced(): number {
    return this.#crowding.displaced;
  }

  /** Pages that are kept back from a swarm with this number of peers. */
  pagesKeptFrom(peers: number): number {
    return peers < FEW_PEERS ? this.#keptForMoves : this.#keptForFew;
  }

  /** Pages that are kept back from a swarm, or from a new one if that is 0. */
  #pagesKept(swarm: SwarmAt): number {
    const { arena, swarms } = this.#store;
    // With more free pages it does not matter how many are kept back: no peers are counted.
    const matters = arena.shards[POOL_AVAILABLE] < 2 * this.#keptForFew;
    return this.pagesKeptFrom(matters && swarm !== 0 ? swarms.peers(swarm) : 0);
  }

  /** False if the peer was stored by another address, to which it belongs. */
  #isAdmitted(line: Line, hash: Hash, swarm: SwarmAt): boolean {
    const ownership = this.#ownership;
    return ownership === undefined || swarm === 0 || ownership.admits(line, hash, swarm);
  }

  /** False if the peer's network holds too much of memory that is tight, or of the claims. */
  #mayStore(line: Line): boolean {
    const request = this.#request;
    const { holdings, claims } = this.#store.population;
    const { chargedHalves, chargedFamily } = request;
    if (holdings.tight && !holdings.mayStore(chargedHalves, 0, chargedFamily)) {
      this.member.notStored = NOT_STORED_NETWORK;
      return false;
    }
    if (!request.claimed || claims!.mayAdd(line, request)) return true;
    this.member.notStored = NOT_STORED_CLAIM;
    return false;
  }

  /** False if the peer, which is not stored, may not join the swarm; for `near` see Crowding. */
  #mayJoin(line: Line, swarm: SwarmAt, tick: Tick, near: number): boolean {
    if (!this.#mayStore(line)) return false;
    if (this.#crowding.makesRoom(line, swarm, tick, near)) return true;
    this.member.notStored = NOT_STORED_SWARM;
    return false;
  }

  #joinSmall(line: Line, swarm: SwarmAt, tick: Tick): SwarmAt {
    const { member } = this;
    const store = this.#store;
    const { swarms, arena, population } = store;
    const { family, seeder, peerHalves: peer } = this.#request;
    const role = seeder ? SEEDERS : LEECHERS;
    swarms.expireSmall(line, swarm, family, tick, store.peerLifetime);
    const size = peerHalves(family);
    const first = swarms.peersAt(swarm, family);
    let index = findPeer(arena.halves, first, 0, swarms.smallCount(swarm, family), size, peer, 0);
    member.wasKnown = index >= 0;
    if (index >= 0) {
      const was = swarms.roleOfSmall(swarm, family, index);
      member.wasLeecher = was === LEECHERS;
      if (was !== role) {
        index = swarms.switchSmall(swarm, family, index);
        population.switched(line, family, role);
      }
    } else {
      const near = swarms.smallCount(swarm, family);
      if (!this.#mayJoin(line, swarm, tick, near)) return 0;
      if (swarms.smallCount(swarm, family) === SMALL_PEERS_MAX) {
        const larger = swarms.enlarge(line, swarm, family);
        return larger !== 0 && this.#joinLarge(line, larger, tick) ? larger : 0;
      }
      swarm = swarms.withRoom(line, swarm, family);
      if (swarm === 0) return 0;
      index = swarms.insertSmall(swarm, family, role, peer, 0, metaOf(false, tick));
      population.came(line, role, this.#request);
    }
    member.index = index;
    member.bucket = 0;
    member.metaAt = swarms.metaAt(swarm, family) + index;
    return swarm;
  }

  #joinLarge(line: Line, swarm: SwarmAt, tick: Tick): boolean {
    const { member } = this;
    const { swarms, directories } = this.#store;
    const { family, seeder, peerHalves: peer } = this.#request;
    const cell = swarms.cell(swarm, family, seeder ? SEEDERS : LEECHERS);
    const found = directories.find(cell, family, peer, 0);
    member.wasKnown = found !== 0;
    member.wasLeecher = found !== 0 && !seeder;
    const bucket =
      found === 0 ? this.#joinDirectory(line, swarm, tick, directories.searched) : found;
    if (bucket === 0) return false;
    member.bucket = bucket;
    member.index = directories.index;
    member.metaAt = directories.metaAt(family, bucket, directories.index);
    return true;
  }

  /**
   * Adds the peer to the directory of its role, and takes it out of the other's. If there is no
   * room it stays where it is. Returns its bucket, 0 if it is in neither. `inHome` peers are in the
   * bucket it belongs to.
   */
  #joinDirectory(line: Line, swarm: SwarmAt, tick: Tick, inHome: number): BucketAt {
    const { member } = this;
    const { swarms, directories, arena, population } = this.#store;
    const { family, seeder, peerHalves: peer } = this.#request;
    const role = seeder ? SEEDERS : LEECHERS;
    const other = seeder ? LEECHERS : SEEDERS;
    const otherCell = swarms.cell(swarm, family, other);
    const was = directories.find(otherCell, family, peer, 0);
    const wasAt = directories.index;
    member.wasKnown = was !== 0;
    member.wasLeecher = was !== 0 && other === LEECHERS;
    const near = inHome + directories.searched;
    if (was === 0 && !this.#mayJoin(line, swarm, tick, near)) return 0;
    // A change of role takes a place in the other directory.
    if (was !== 0) this.#crowding.makesRoomInBucket(line, swarm, tick);
    const meta =
      was === 0 ? metaOf(false, tick) : arena.bytes[directories.metaAt(family, was, wasAt)];
    const cell = swarms.cell(swarm, family, role);
    const bucket = directories.insert(line, cell, family, peer, 0, meta);
    if (bucket === 0) {
      directories.index = wasAt;
      member.role = other;
      return was;
    }
    if (was === 0) {
      population.came(line, role, this.#request);
      return bucket;
    }
    directories.remove(line, otherCell, family, was, wasAt);
    population.switched(line, family, role);
    return bucket;
  }

  /** Takes the peer out of the swarm, which may be left without any: see `Store.settle`. */
  leave(line: Line, hash: Hash, swarm: SwarmAt): void {
    const { members } = this.#store;
    const { family, peerHalves: peer } = this.#request;
    if (!this.#isAdmitted(line, hash, swarm) || !members.find(swarm, family, peer, 0)) return;
    members.removeFound(line, swarm, family);
  }
}
