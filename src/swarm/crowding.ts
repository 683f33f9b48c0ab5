/**
 * Crowding: no place may own a swarm. Asked before a peer that is not stored joins a swarm.
 *
 *   its address has `peersPerAddressMax` there    the oldest of them makes room
 *   the swarm, or the newcomer's bucket, is full  a peer of the network that holds most makes room,
 *                                                 if that holds more than the newcomer's own
 *
 * Claims (see claims.ts) give way before any of these, and never push a peer out: so no peer loses
 * its place because of what others claim.
 *
 * Which network holds most is judged by some peers of the block or bucket, not by all: an attacker
 * with a tenth of a list has three of the 32 that are compared. An ordinary newcomer costs
 * two comparisons of counts: no peer is looked at below the limit of an address.
 *
 * Addresses and networks are those of places.ts. The caller holds the lock of the shard.
 */
import { FAMILIES, type Family } from "../constants.ts";
import { META_TICK, peerHalves, ROLES, SWARM_INFO_HASH, type Role } from "./blocks.ts";
import type { Claims } from "./claims.ts";
import { BUCKET_PEERS_MAX } from "./directories.ts";
import { hashInfoHash } from "./keyed-hash.ts";
import type { Members } from "./members.ts";
import type { SwarmMemory } from "./memory.ts";
import { sameAddress, sameNetwork } from "./places.ts";
import type { Random } from "./random.ts";
import type { AnnounceRequest } from "./requests.ts";
import type { Swarms } from "./swarms.ts";
import type { BucketAt, Cell, Line, SwarmAt, Tick } from "./units.ts";

/** Peers of a list that are compared with each other: 500 comparisons, about a microsecond. */
const COMPARED = 32;
/** Buckets of a full swarm among which the fullest is searched for a network that holds much. */
const BUCKETS_COMPARED = 32;

/** Claims of a swarm that may give way: any, or those like the newcomer in this. */
const ANY = 0;
const OF_ITS_ADDRESS = 1;
const OF_ITS_BUCKET = 2;
/** A swarm's own block has its seeders and its leechers in one list. */
const ONE_LIST: readonly Role[] = [ROLES[0]];

export class Crowding {
  /** Peers that have made room so far; claims are not among them. */
  displaced = 0;
  readonly #swarms: Swarms;
  readonly #members: Members;
  readonly #claims: Claims | undefined;
  readonly #keys: Int32Array;
  readonly #random: Random;
  readonly #request: AnnounceRequest;
  readonly #peersPerSwarmMax: number;
  readonly #peersPerAddressMax: number;
  /** With fewer peers near the newcomer neither its address nor its bucket is at its limit. */
  readonly #nearMax: number;
  /** The part of the compared peers that `#mostHeld` found to be of one network. */
  #mostPart = 0;
  /** Which peers of a list are compared. */
  readonly #compared = new Int32Array(COMPARED);

  constructor(
    swarms: Swarms,
    members: Members,
    claims: Claims | undefined,
    random: Random,
    request: AnnounceRequest,
    { keys, settings }: SwarmMemory,
  ) {
    this.#swarms = swarms;
    this.#members = members;
    this.#claims = claims;
    this.#keys = keys;
    this.#random = random;
    this.#request = request;
    this.#peersPerSwarmMax = settings.peersPerSwarmMax ?? Infinity;
    this.#peersPerAddressMax = settings.peersPerAddressMax ?? Infinity;
    this.#nearMax = Math.min(this.#peersPerAddressMax, BUCKET_PEERS_MAX[4], BUCKET_PEERS_MAX[6]);
  }

  /**
   * True if the announcer, which is not stored, may join; a peer may have gone to make room. `near`
   * is the number of peers where those of its address are: in its block, or in its two buckets.
   */
  makesRoom(line: Line, swarm: SwarmAt, tick: Tick, near: number): boolean {
    if (near < this.#nearMax && this.#swarms.peers(swarm) < this.#peersPerSwarmMax) return true;
    return this.#makesRoomWhereCrowded(line, swarm, tick);
  }

  #makesRoomWhereCrowded(line: Line, swarm: SwarmAt, tick: Tick): boolean {
    const { family, claimed } = this.#request;
    const full = this.#swarms.peers(swarm) >= this.#peersPerSwarmMax;
    const large = this.#swarms.isLarge(swarm, family);
    // How many claims an address may have here has been asked before.
    if (claimed) return !full && (!large || this.makesRoomInBucket(line, swarm, tick));
    const thinned = large ? this.#thinLarge(line, swarm, tick) : this.#thinSmall(line, swarm, tick);
    if (!thinned && full) {
      const gone = this.#replaceClaim(line, swarm, ANY) || this.#replaceMostHeld(line, swarm, tick);
      if (!gone) return false;
    }
    return !large || this.makesRoomInBucket(line, swarm, tick);
  }

  /** True if a claim has gone; `which` says of which kind it must be. */
  #replaceClaim(line: Line, swarm: SwarmAt, which: number): boolean {
    const claims = this.#claims;
    if (claims === undefined || claims.count(line) === 0) return false;
    const { halves } = this.#swarms.arena;
    const hash = hashInfoHash(this.#keys, halves, (swarm + SWARM_INFO_HASH) >>> 1);
    for (let entry = claims.next(line, hash, 0); entry >= 0;) {
      const family = claims.peerFamily(entry);
      const members = this.#members;
      if (
        this.#isLikeNewcomer(claims, entry, which) &&
        members.find(swarm, family, claims.halves, claims.peerAt(entry)) &&
        (which !== OF_ITS_BUCKET || members.role === this.#role)
      ) {
        members.removeFound(line, swarm, family);
        return true;
      }
      entry = claims.next(line, hash, entry + 1);
    }
    return false;
  }

  #isLikeNewcomer(claims: Claims, entry: number, which: number): boolean {
    if (which === ANY) return true;
    const { family, peerHalves: peer } = this.#request;
    if (claims.peerFamily(entry) !== family) return false;
    const { halves } = claims;
    const at = claims.peerAt(entry);
    if (which === OF_ITS_ADDRESS) return sameAddress(halves, at, peer, 0, family);
    return sameNetwork(halves, at, peer, 0, family);
  }

  get #role(): Role {
    return this.#request.seeder ? ROLES[0] : ROLES[1];
  }

  // An address that has as many peers as it may.

  /** True if a peer of the announcer's address has gone. */
  #thinSmall(line: Line, swarm: SwarmAt, tick: Tick): boolean {
    const swarms = this.#swarms;
    const { family } = this.#request;
    const count = swarms.smallCount(swarm, family);
    if (count < this.#peersPerAddressMax) return false;
    const first = swarms.peersAt(swarm, family);
    if (this.#countNeighbours(first, count) < this.#peersPerAddressMax) return false;
    if (this.#replaceClaim(line, swarm, OF_ITS_ADDRESS)) return true;
    const oldest = this.#oldestNeighbour(first, swarms.metaAt(swarm, family), count, tick);
    this.#members.removeSmall(line, swarm, family, oldest);
    this.displaced += 1;
    return true;
  }

  /** The same; its seeders and its leechers lie in one bucket each. */
  #thinLarge(line: Line, swarm: SwarmAt, tick: Tick): boolean {
    const { directories } = this.#swarms;
    const { family } = this.#request;
    if (this.#countAtHome(swarm) < this.#peersPerAddressMax) return false;
    let from: Role = ROLES[0];
    let oldest = -1;
    let oldestAge = -1;
    for (const role of ROLES) {
      const bucket = this.#home(swarm, role);
      if (bucket === 0) continue;
      const first = directories.peerAt(family, bucket, 0);
      const meta = directories.metaAt(family, bucket, 0);
      const index = this.#oldestNeighbour(first, meta, directories.peersIn(bucket), tick);
      const age = index < 0 ? -1 : this.#age(meta + index, tick);
      if (age <= oldestAge) continue;
      from = role;
      oldest = index;
      oldestAge = age;
    }
    if (this.#replaceClaim(line, swarm, OF_ITS_ADDRESS)) return true;
    this.#members.removeLarge(line, swarm, family, from, this.#home(swarm, from), oldest);
    this.displaced += 1;
    return true;
  }

  /** Peers of the announcer's address in its two buckets; not counted where they are few. */
  #countAtHome(swarm: SwarmAt): number {
    const { directories } = this.#swarms;
    const { family } = this.#request;
    let peers = 0;
    for (const role of ROLES) peers += this.#peersAtHome(swarm, role);
    if (peers < this.#peersPerAddressMax) return 0;
    let neighbours = 0;
    for (const role of ROLES) {
      const bucket = this.#home(swarm, role);
      if (bucket === 0) continue;
      const first = directories.peerAt(family, bucket, 0);
      neighbours += this.#countNeighbours(first, directories.peersIn(bucket));
    }
    return neighbours;
  }

  #home(swarm: SwarmAt, role: Role): BucketAt {
    const { family, peerHalves: peer } = this.#request;
    return this.#swarms.directories.home(this.#swarms.cell(swarm, family, role), family, peer, 0);
  }

  #peersAtHome(swarm: SwarmAt, role: Role): number {
    const bucket = this.#home(swarm, role);
    return bucket === 0 ? 0 : this.#swarms.directories.peersIn(bucket);
  }

  /** Peers of the announcer's address among those side by side from `first`, in halves. */
  #countNeighbours(first: number, count: number): number {
    const { halves } = this.#swarms.arena;
    const { family, peerHalves: peer } = this.#request;
    const size = peerHalves(family);
    let neighbours = 0;
    for (let i = 0; i < count; i++) {
      if (sameAddress(halves, first + i * size, peer, 0, family)) neighbours += 1;
    }
    return neighbours;
  }

  /** Index of the neighbour that announced longest ago; -1 if no peer is of that address. */
  #oldestNeighbour(first: number, meta: number, count: number, tick: Tick): number {
    const { halves } = this.#swarms.arena;
    const { family, peerHalves: peer } = this.#request;
    const size = peerHalves(family);
    let oldest = -1;
    let oldestAge = -1;
    for (let i = 0; i < count; i++) {
      if (!sameAddress(halves, first + i * size, peer, 0, family)) continue;
      const age = this.#age(meta + i, tick);
      if (age <= oldestAge) continue;
      oldest = i;
      oldestAge = age;
    }
    return oldest;
  }

  #age(meta: number, tick: Tick): number {
    return (tick - this.#swarms.arena.bytes[meta]) & META_TICK;
  }

  // A swarm, or a bucket, that is full.

  /**
   * False if the bucket that the announcer would join, in the role it says, is full, and no peer of
   * it gives way. The swarm is large.
   */
  makesRoomInBucket(line: Line, swarm: SwarmAt, tick: Tick): boolean {
    if (!this.#isHomeFull(swarm)) return true;
    return !this.#request.claimed && this.#replaceAtHome(line, swarm, tick);
  }

  /** True if the bucket that the announcer would join is full. */
  #isHomeFull(swarm: SwarmAt): boolean {
    return this.#peersAtHome(swarm, this.#role) >= BUCKET_PEERS_MAX[this.#request.family];
  }

  /** True if a peer of this bucket has gone. */
  #replaceAtHome(line: Line, swarm: SwarmAt, tick: Tick): boolean {
    if (this.#replaceClaim(line, swarm, OF_ITS_BUCKET)) return true;
    const role = this.#role;
    const home = this.#home(swarm, role);
    return this.#replaceInBucket(line, swarm, this.#request.family, role, home, tick);
  }

  /**
   * True if a peer of the network that holds most has gone. Of each family a list is looked at; the
   * network with the largest part of what was compared gives way.
   */
  #replaceMostHeld(line: Line, swarm: SwarmAt, tick: Tick): boolean {
    let family: Family = 4;
    let bucket = 0;
    let role: Role = ROLES[0];
    let index = -1;
    let part = 0;
    for (const candidate of FAMILIES) {
      const large = this.#swarms.isLarge(swarm, candidate);
      for (const from of large ? ROLES : ONE_LIST) {
        const list = large ? this.#fullest(this.#swarms.cell(swarm, candidate, from)) : 0;
        const found = this.#mostHeldIn(swarm, candidate, list, tick);
        if (found < 0 || this.#mostPart <= part) continue;
        family = candidate;
        role = from;
        bucket = list;
        index = found;
        part = this.#mostPart;
      }
    }
    if (index < 0) return false;
    if (bucket === 0) this.#members.removeSmall(line, swarm, family, index);
    else this.#members.removeLarge(line, swarm, family, role, bucket, index);
    this.displaced += 1;
    return true;
  }

  /** As `#mostHeld`, of a bucket, or of the swarm's own block if that is 0. */
  #mostHeldIn(swarm: SwarmAt, family: Family, bucket: BucketAt, tick: Tick): number {
    const swarms = this.#swarms;
    if (bucket !== 0) {
      const { directories } = swarms;
      const first = directories.peerAt(family, bucket, 0);
      const meta = directories.metaAt(family, bucket, 0);
      return this.#mostHeld(family, first, meta, directories.peersIn(bucket), tick);
    }
    if (swarms.isLarge(swarm, family)) return -1;
    const count = swarms.smallCount(swarm, family);
    const first = swarms.peersAt(swarm, family);
    return this.#mostHeld(family, first, swarms.metaAt(swarm, family), count, tick);
  }

  /** The fullest of some neighbouring buckets; 0 if all of them are empty. */
  #fullest(cell: Cell): BucketAt {
    const { directories } = this.#swarms;
    if (directories.count(cell) === 0) return 0;
    const buckets = directories.bucketCount(cell);
    const start = this.#random.below(buckets);
    let fullest = 0;
    let most = 0;
    for (let i = 0; i < Math.min(buckets, BUCKETS_COMPARED); i++) {
      const bucket = directories.bucketAt(cell, (start + i) % buckets);
      const peers = bucket === 0 ? 0 : directories.peersIn(bucket);
      if (peers <= most) continue;
      fullest = bucket;
      most = peers;
    }
    return fullest;
  }

  #replaceInBucket(
    line: Line,
    swarm: SwarmAt,
    family: Family,
    role: Role,
    bucket: BucketAt,
    tick: Tick,
  ): boolean {
    const index = this.#mostHeldIn(swarm, family, bucket, tick);
    if (index < 0) return false;
    this.#members.removeLarge(line, swarm, family, role, bucket, index);
    this.displaced += 1;
    return true;
  }

  /**
   * Of the peers side by side from `first`: the oldest one that was compared of the network that
   * has most of those; -1 if it has but one, or no more than the announcer's own network.
   */
  #mostHeld(family: Family, first: number, meta: number, count: number, tick: Tick): number {
    const { halves } = this.#swarms.arena;
    const { family: ownFamily, peerHalves: peer } = this.#request;
    if (count === 0) return -1;
    const size = peerHalves(family);
    const places = this.#compared;
    const compared = Math.min(count, COMPARED);
    const start = this.#random.below(count);
    for (let i = 0; i < compared; i++) {
      places[i] = (start + Math.floor((i * count) / compared)) % count;
    }
    let most = 1;
    let found = -1;
    let own = 0;
    for (let i = 0; i < compared; i++) {
      const at = first + places[i] * size;
      if (family === ownFamily && sameNetwork(halves, at, peer, 0, family)) own += 1;
      let same = 0;
      let oldest = places[i];
      for (let j = 0; j < compared; j++) {
        const other = places[j];
        if (!sameNetwork(halves, at, halves, first + other * size, family)) continue;
        same += 1;
        if (this.#age(meta + other, tick) > this.#age(meta + oldest, tick)) oldest = other;
      }
      if (same <= most) continue;
      most = same;
      found = oldest;
    }
    this.#mostPart = most / compared;
    if (found < 0) return -1;
    const ofOwn =
      family === ownFamily && sameNetwork(halves, first + found * size, peer, 0, family);
    return ofOwn || most > own ? found : -1;
  }
}
