/**
 * Draws a reply in which no network dominates, where an even draw would be dominated by one: each
 * network has its turn, however many peers it has stored.
 *
 *   small swarm   every n-th peer, so that those of one place, which came together, are thinned out
 *   large swarm   a few peers of each bucket in turn, of different networks: a network lies in one
 *   roles and families that are offered get equal parts
 *
 * If all of that is of one network, a peer of another one is put in, if there is one. So a reply
 * of two peers or more never consists of one network while others could be offered. Allocates
 * nothing, never fails; costs some microseconds.
 */
import { type Family, NUMWANT_CEILING } from "../constants.ts";
import { LEECHERS, peerHalves, ROLES, SEEDERS, type Role } from "./blocks.ts";
import { BUCKETS_MAX } from "./directories.ts";
import type { Member } from "./membership.ts";
import { networkBits, sameNetwork } from "./places.ts";
import type { Random } from "./random.ts";
import type { AnnounceRequest } from "./requests.ts";
import type { Swarms } from "./swarms.ts";
import type { BucketAt, SwarmAt } from "./units.ts";

/** Networks of which a bucket gives a peer in the first round; peers searched for them. */
const NETWORKS_OF_A_BUCKET = 4;
const COMPARED_OF_A_BUCKET = 64;

/** The reply as it is being drawn. */
export interface Drawing {
  /** The reply buffer in halves. */
  readonly out: Uint16Array;
  /** Peers of a family and role but for the announcer. */
  others(swarm: SwarmAt, family: Family, role: Role): number;
  /** True if the announcer is one of them. */
  hasSelf(family: Family, role: Role): boolean;
  /** Peers of a family that the reply has got so far. */
  peersOf(family: Family): number;
  /** Where peer `i` of a family begins in the reply buffer, in halves. */
  placeOf(family: Family, i: number): number;
  /** True if all peers of a family in the reply are of one network. */
  areOfOneNetwork(family: Family): boolean;
  /** Copies `count` peers side by side, the first at `from` in the arena's halves, to the reply. */
  copy(family: Family, from: number, count: number): void;
  /** Puts the peer at `from` in the arena's halves in the place of the family's last one. */
  replaceLast(family: Family, from: number): void;
}

export class Spread {
  readonly #swarms: Swarms;
  readonly #random: Random;
  readonly #request: AnnounceRequest;
  /** Where the announcer lies, to which it is not offered. */
  readonly #announcer: Member;
  readonly #drawing: Drawing;
  /** The places, in their buckets, of the peers of the first round, bucket by bucket. */
  readonly #chosen = new Int32Array(NUMWANT_CEILING);
  /** Where those of each bucket end. */
  readonly #chosenEnds = new Int32Array(BUCKETS_MAX + 1);
  /** The networks of those of one bucket. */
  readonly #networks = new Int32Array(NETWORKS_OF_A_BUCKET);

  constructor(
    swarms: Swarms,
    random: Random,
    request: AnnounceRequest,
    announcer: Member,
    drawing: Drawing,
  ) {
    this.#swarms = swarms;
    this.#random = random;
    this.#request = request;
    this.#announcer = announcer;
    this.#drawing = drawing;
  }

  /** Adds `wanted` peers; that many may be offered, `inOther` of them of the other family. */
  offer(swarm: SwarmAt, roles: number, wanted: number, inOther: number): void {
    const { family } = this.#request;
    const inOwn = this.#available(swarm, family, roles);
    const fromOwn = fairPart(wanted, inOwn, inOther);
    this.#offerFamily(swarm, family, roles, fromOwn);
    this.#offerFamily(swarm, family === 4 ? 6 : 4, roles, wanted - fromOwn);
  }

  #available(swarm: SwarmAt, family: Family, roles: number): number {
    let available = 0;
    for (const role of ROLES) {
      if ((roles & (1 << role)) !== 0) available += this.#drawing.others(swarm, family, role);
    }
    return available;
  }

  #offerFamily(swarm: SwarmAt, family: Family, roles: number, wanted: number): void {
    if (wanted === 0) return;
    if (!this.#swarms.isLarge(swarm, family)) {
      this.#offerSmall(swarm, family, roles, wanted);
      if (this.#drawing.areOfOneNetwork(family)) this.#mixSmall(swarm, family, roles);
      return;
    }
    const drawing = this.#drawing;
    const inSeeders = (roles & (1 << SEEDERS)) === 0 ? 0 : drawing.others(swarm, family, SEEDERS);
    const inLeechers =
      (roles & (1 << LEECHERS)) === 0 ? 0 : drawing.others(swarm, family, LEECHERS);
    const fromSeeders = fairPart(wanted, inSeeders, inLeechers);
    this.#offerDirectory(swarm, family, SEEDERS, fromSeeders);
    this.#offerDirectory(swarm, family, LEECHERS, wanted - fromSeeders);
    if (drawing.areOfOneNetwork(family)) this.#mixLarge(swarm, family, roles);
  }

  // A swarm whose peers lie in its own block: seeders first, the announcer perhaps among them.

  #from(swarm: SwarmAt, family: Family, roles: number): number {
    return (roles & (1 << SEEDERS)) !== 0 ? 0 : this.#swarms.smallSeeders(swarm, family);
  }

  #to(swarm: SwarmAt, family: Family, roles: number): number {
    const swarms = this.#swarms;
    return (roles & (1 << LEECHERS)) !== 0
      ? swarms.smallCount(swarm, family)
      : swarms.smallSeeders(swarm, family);
  }

  /** The announcer's place in a family's block; -1 if it is not there. */
  #self(family: Family): number {
    const drawing = this.#drawing;
    return drawing.hasSelf(family, SEEDERS) || drawing.hasSelf(family, LEECHERS)
      ? this.#announcer.index
      : -1;
  }

  /** Every n-th of the peers that may be offered, going round from one that is drawn. */
  #offerSmall(swarm: SwarmAt, family: Family, roles: number, wanted: number): void {
    const from = this.#from(swarm, family, roles);
    const to = this.#to(swarm, family, roles);
    const self = this.#self(family);
    const selfIsThere = self >= from && self < to;
    const others = to - from - (selfIsThere ? 1 : 0);
    const start = this.#random.below(others);
    const peers = this.#swarms.peersAt(swarm, family);
    for (let i = 0; i < wanted; i++) {
      let index = from + ((start + Math.floor((i * others) / wanted)) % others);
      if (selfIsThere && index >= self) index += 1;
      this.#drawing.copy(family, peers + index * peerHalves(family), 1);
    }
  }

  /** Puts a peer of another network in the place of the last one, if there is one. */
  #mixSmall(swarm: SwarmAt, family: Family, roles: number): void {
    const peers = this.#swarms.peersAt(swarm, family);
    const from = this.#from(swarm, family, roles);
    const to = this.#to(swarm, family, roles);
    this.#mixFrom(family, peers, from, to, this.#self(family));
  }

  /** The same, from a list that begins at `first`; false if all of it is of that network. */
  #mixFrom(family: Family, first: number, from: number, to: number, self: number): boolean {
    const drawing = this.#drawing;
    const { halves } = this.#swarms.arena;
    const last = drawing.placeOf(family, drawing.peersOf(family) - 1);
    for (let index = from; index < to; index++) {
      const at = first + index * peerHalves(family);
      if (index === self || sameNetwork(halves, at, drawing.out, last, family)) continue;
      drawing.replaceLast(family, at);
      return true;
    }
    return false;
  }

  // A swarm whose peers lie in directories.

  /**
   * Rounds through the buckets. In the first, each bucket gives a few peers of as many networks; in
   * the others, twice as many as in the one before of those that are left.
   */
  #offerDirectory(swarm: SwarmAt, family: Family, role: Role, wanted: number): void {
    if (wanted === 0) return;
    const { directories } = this.#swarms;
    const cell = this.#swarms.cell(swarm, family, role);
    const buckets = directories.bucketCount(cell);
    const start = this.#random.below(buckets);
    const place = this.#random.below(1 << 16);
    let visited = 0;
    this.#chosenEnds[0] = 0;
    for (let i = 0; i < buckets && wanted > 0; i++) {
      const bucket = directories.bucketAt(cell, (start + i) % buckets);
      if (bucket === 0) continue;
      wanted -= this.#offerNetworks(family, role, bucket, place, visited, wanted);
      visited += 1;
    }
    for (let done = 0, most = NETWORKS_OF_A_BUCKET; wanted > 0; done += most, most *= 2) {
      const before = wanted;
      visited = 0;
      for (let i = 0; i < buckets && wanted > 0; i++) {
        const bucket = directories.bucketAt(cell, (start + i) % buckets);
        if (bucket === 0) continue;
        wanted -= this.#offerRest(family, role, bucket, place, visited, done, most, wanted);
        visited += 1;
      }
      if (wanted === before) return;
    }
  }

  /** Offers peers of a bucket that are all of different networks, the first at `place`. */
  #offerNetworks(
    family: Family,
    role: Role,
    bucket: BucketAt,
    place: number,
    visited: number,
    wanted: number,
  ): number {
    const { directories, arena } = this.#swarms;
    const self = this.#selfIn(family, role, bucket);
    const others = directories.peersIn(bucket) - (self < 0 ? 0 : 1);
    const most = Math.min(NETWORKS_OF_A_BUCKET, wanted);
    const begin = this.#chosenEnds[visited];
    let end = begin;
    let following = others === 0 ? 0 : place % others;
    for (let i = 0; i < Math.min(others, COMPARED_OF_A_BUCKET) && end - begin < most; i++) {
      const circle = following;
      following = circle + 1 === others ? 0 : circle + 1;
      const index = self >= 0 && circle >= self ? circle + 1 : circle;
      const at = directories.peerAt(family, bucket, index);
      const network = networkBits(arena.halves, at, family);
      if (this.#isOfferedFrom(network, end - begin)) continue;
      this.#networks[end - begin] = network;
      this.#chosen[end++] = circle;
      this.#drawing.copy(family, at, 1);
    }
    this.#chosenEnds[visited + 1] = end;
    return end - begin;
  }

  /** True if one of the `count` peers of a bucket that are chosen is of this network. */
  #isOfferedFrom(network: number, count: number): boolean {
    for (let i = 0; i < count; i++) if (this.#networks[i] === network) return true;
    return false;
  }

  /** Offers `most` peers of a bucket, or `wanted`, that were not chosen, but for `done` of them. */
  #offerRest(
    family: Family,
    role: Role,
    bucket: BucketAt,
    place: number,
    visited: number,
    done: number,
    most: number,
    wanted: number,
  ): number {
    const { directories } = this.#swarms;
    const self = this.#selfIn(family, role, bucket);
    const others = directories.peersIn(bucket) - (self < 0 ? 0 : 1);
    const begin = this.#chosenEnds[visited];
    const end = this.#chosenEnds[visited + 1];
    let passed = 0;
    let offered = 0;
    let following = others === 0 ? 0 : place % others;
    for (let i = 0; i < others && offered < Math.min(most, wanted); i++) {
      const circle = following;
      following = circle + 1 === others ? 0 : circle + 1;
      if (this.#isChosen(circle, begin, end)) continue;
      passed += 1;
      if (passed <= done) continue;
      const index = self >= 0 && circle >= self ? circle + 1 : circle;
      this.#drawing.copy(family, directories.peerAt(family, bucket, index), 1);
      offered += 1;
    }
    return offered;
  }

  #isChosen(circle: number, begin: number, end: number): boolean {
    for (let k = begin; k < end; k++) if (this.#chosen[k] === circle) return true;
    return false;
  }

  /** The announcer's place in a bucket; -1 if it is not there. */
  #selfIn(family: Family, role: Role, bucket: BucketAt): number {
    const drawing = this.#drawing;
    return drawing.hasSelf(family, role) && this.#announcer.bucket === bucket
      ? this.#announcer.index
      : -1;
  }

  #mixLarge(swarm: SwarmAt, family: Family, roles: number): void {
    const { directories } = this.#swarms;
    for (const role of ROLES) {
      const cell = this.#swarms.cell(swarm, family, role);
      if ((roles & (1 << role)) === 0 || directories.count(cell) === 0) continue;
      const buckets = directories.bucketCount(cell);
      const from = this.#random.below(buckets);
      for (let i = 0; i < buckets; i++) {
        const bucket = directories.bucketAt(cell, (from + i) % buckets);
        if (bucket === 0) continue;
        const peers = directories.peerAt(family, bucket, 0);
        const count = directories.peersIn(bucket);
        if (this.#mixFrom(family, peers, 0, count, this.#selfIn(family, role, bucket))) return;
      }
    }
  }
}

/** Half of `wanted`, unless one of the two pools holds less than its half. */
function fairPart(wanted: number, inThis: number, inOther: number): number {
  const half = Math.ceil(wanted / 2);
  return Math.min(inThis, Math.max(half, wanted - inOther));
}
