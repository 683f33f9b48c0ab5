/**
 * Drawing the peers of a reply.
 *
 * The first peer is drawn evenly from the circle of the others; the announcer itself is skipped. No
 * peer comes twice, and over many announces every peer comes equally often.
 *
 *   small swarm   [ seeders … | leechers … ]      evenly spaced ones: for a leecher of all,
 *                    ^   ^   ^   ^   ^            for a seeder of the leechers
 *   large swarm   a window of neighbours in each directory, in proportion to its peers, so that
 *                 copying is nearly all the work
 *
 * A reply that a few networks seem to dominate is discarded, and drawn again so that each network
 * has its turn: see spread.ts. To see that, eight peers of the reply are compared.
 *
 * Peers go to the reply buffer in wire format. Allocates nothing, never fails.
 */
import type { Family } from "../constants.ts";
import { LEECHERS, peerHalves, SEEDERS, type Role } from "./blocks.ts";
import type { Member } from "./membership.ts";
import { copyHalves } from "./peers.ts";
import { networkBits, sameNetwork } from "./places.ts";
import type { Random } from "./random.ts";
import type { AnnounceReply, AnnounceRequest } from "./requests.ts";
import { type Drawing, Spread } from "./spread.ts";
import type { Swarms } from "./swarms.ts";
import type { SwarmAt } from "./units.ts";

/** Which roles are offered: bits, one for each role. */
export const OFFER_SEEDERS = 1 << SEEDERS;
export const OFFER_LEECHERS = 1 << LEECHERS;
export const OFFER_ALL = OFFER_SEEDERS | OFFER_LEECHERS;

/** Peers of a reply that are compared with each other, to see whether few networks own it. */
const COMPARED = 8;
/** Bits of chance that place each of them in its part of the reply. */
const DRAW_BITS = 3;
const DRAW_MASK = (1 << DRAW_BITS) - 1;
/** Bits of COMPARED parts, each with its chance. */
const DRAWN_BITS = 6;

/** Eight networks fall into different cells in 94 of 100 replies. */
const NETWORK_CELLS = 512;
const NETWORK_CELL_SHIFT = 23;

/** Draws for an even start in a directory before any start is taken; 2 are enough on average. */
const DRAWS_MAX = 64;

export class Sample implements Drawing {
  readonly out: Uint16Array;
  readonly #swarms: Swarms;
  readonly #random: Random;
  readonly #request: AnnounceRequest;
  readonly #reply: AnnounceReply;
  readonly #self: Member;
  readonly #spread: Spread;
  /** Where the peers begin that are compared. */
  readonly #compared = new Int32Array(COMPARED);
  /** For cells of a hash of networks the reply, by number, in which one of them came last. */
  readonly #cameLast = new Int32Array(NETWORK_CELLS);
  #replyNumber = 0;

  /** `self` is where the announcer lies, to which it is not offered. */
  constructor(
    swarms: Swarms,
    random: Random,
    request: AnnounceRequest,
    reply: AnnounceReply,
    self: Member,
    out: Uint16Array,
  ) {
    this.#swarms = swarms;
    this.#random = random;
    this.#request = request;
    this.#reply = reply;
    this.#self = self;
    this.out = out;
    this.#spread = new Spread(swarms, random, request, self, this);
  }

  /** Adds up to `wanted` peers of the given roles to the reply; returns how many. */
  offer(swarm: SwarmAt, roles: number, wanted: number): number {
    const own = this.#request.family;
    const other = own === 4 ? 6 : 4;
    const inOwn = this.#available(swarm, own, roles);
    const inOther = this.#request.bothFamilies ? this.#available(swarm, other, roles) : 0;
    const { peersIpv4, peersIpv6 } = this.#reply;
    let fromOwn = inOwn;
    if (inOwn + inOther > wanted) {
      fromOwn = inOther === 0 ? wanted : this.#random.portion(wanted, inOwn, inOwn + inOther);
    }
    const fromOther = Math.min(inOther, wanted - fromOwn);
    if (fromOwn > 0) this.#offerFamily(swarm, own, roles, fromOwn, inOwn);
    if (fromOther > 0) this.#offerFamily(swarm, other, roles, fromOther, inOther);
    const offered = fromOwn + fromOther;
    if (offered > 0 && offered < inOwn + inOther && this.#isOwned()) {
      this.#reply.peersIpv4 = peersIpv4;
      this.#reply.peersIpv6 = peersIpv6;
      this.#spread.offer(swarm, roles, offered, inOther);
    }
    return offered;
  }

  /**
   * True if few networks seem to own the reply: of some peers, one drawn from each equal part of
   * it, two pairs are of the same network. In an honest swarm that is one reply in thousands.
   */
  #isOwned(): boolean {
    const { peersIpv4, peersIpv6 } = this.#reply;
    const family = peersIpv4 >= peersIpv6 ? 4 : 6;
    const count = this.peersOf(family);
    const compared = Math.min(count, COMPARED);
    const places = this.#compared;
    // One number for all of them: three bits say in which eighth of its part a peer lies.
    let chance = this.#random.below(2 ** 31);
    let mayBePairs = false;
    this.#replyNumber = (this.#replyNumber + 1) | 0;
    for (let i = 0; i < compared; i++, chance >>>= DRAW_BITS) {
      const drawn = (((i << DRAW_BITS) | (chance & DRAW_MASK)) * count) >>> DRAWN_BITS;
      places[i] = this.placeOf(family, compared < COMPARED ? i : drawn);
      const cell = networkBits(this.out, places[i], family) >>> NETWORK_CELL_SHIFT;
      if (this.#cameLast[cell] === this.#replyNumber) mayBePairs = true;
      this.#cameLast[cell] = this.#replyNumber;
    }
    if (!mayBePairs) return false;
    const pairs = this.#countPairs(family, compared);
    return pairs > 1 || (pairs === 1 && count === 2);
  }

  /** Pairs of the same network among the peers that are compared. */
  #countPairs(family: Family, compared: number): number {
    const places = this.#compared;
    let pairs = 0;
    for (let i = 1; i < compared; i++) {
      for (let j = 0; j < i; j++) {
        if (sameNetwork(this.out, places[i], this.out, places[j], family)) pairs += 1;
      }
    }
    return pairs;
  }

  /** Peers of a family that the reply has got so far. */
  peersOf(family: Family): number {
    return family === 4 ? this.#reply.peersIpv4 : this.#reply.peersIpv6;
  }

  /** Puts the peer at `from` in the arena's halves in the place of the family's last one. */
  replaceLast(family: Family, from: number): void {
    if (family === 4) this.#reply.peersIpv4 -= 1;
    else this.#reply.peersIpv6 -= 1;
    this.copy(family, from, 1);
  }

  /** Where peer `i` of a family begins in the halves of the reply buffer. */
  placeOf(family: Family, i: number): number {
    const { offsetIpv4, offsetIpv6 } = this.#request;
    return family === 4 ? (offsetIpv4 >>> 1) + 3 * i : (offsetIpv6 >>> 1) + 9 * i;
  }

  /** True if all peers of a family in the reply are of one network. */
  areOfOneNetwork(family: Family): boolean {
    const at = this.placeOf(family, 0);
    for (let i = 1; i < this.peersOf(family); i++) {
      if (!sameNetwork(this.out, at, this.out, this.placeOf(family, i), family)) return false;
    }
    return true;
  }

  /** Peers of a family that may be offered: all of these roles but the announcer. */
  #available(swarm: SwarmAt, family: Family, roles: number): number {
    let available = 0;
    if ((roles & OFFER_SEEDERS) !== 0) available += this.others(swarm, family, SEEDERS);
    if ((roles & OFFER_LEECHERS) !== 0) available += this.others(swarm, family, LEECHERS);
    return available;
  }

  /** Peers of a family and role but for the announcer. */
  others(swarm: SwarmAt, family: Family, role: Role): number {
    return this.#swarms.count(swarm, family, role) - (this.hasSelf(family, role) ? 1 : 0);
  }

  /** True if the announcer is one of them. */
  hasSelf(family: Family, role: Role): boolean {
    const self = this.#self;
    return self.index >= 0 && self.role === role && this.#request.family === family;
  }

  #offerFamily(swarm: SwarmAt, family: Family, roles: number, wanted: number, all: number): void {
    if (!this.#swarms.isLarge(swarm, family)) {
      this.#offerSmall(swarm, family, roles, wanted);
      return;
    }
    let fromSeeders = 0;
    if (roles === OFFER_SEEDERS) fromSeeders = wanted;
    else if (roles === OFFER_ALL) {
      fromSeeders = this.#random.portion(wanted, this.others(swarm, family, SEEDERS), all);
    }
    this.#offerDirectory(swarm, family, SEEDERS, fromSeeders);
    this.#offerDirectory(swarm, family, LEECHERS, wanted - fromSeeders);
  }

  /**
   * `wanted` peers of a swarm's own block, evenly spaced from one that is drawn: peers of one place
   * came together and lie together, and a window of neighbours would hold nothing else.
   */
  #offerSmall(swarm: SwarmAt, family: Family, roles: number, wanted: number): void {
    const swarms = this.#swarms;
    const seeders = swarms.smallSeeders(swarm, family);
    const from = (roles & OFFER_SEEDERS) !== 0 ? 0 : seeders;
    const to = (roles & OFFER_LEECHERS) !== 0 ? swarms.smallCount(swarm, family) : seeders;
    const hasSelf = this.hasSelf(family, SEEDERS) || this.hasSelf(family, LEECHERS);
    const own = this.#self.index;
    const self = hasSelf && own >= from && own < to ? own : to;
    const others = to - from - (self < to ? 1 : 0);
    const peers = swarms.peersAt(swarm, family);
    const size = peerHalves(family);
    if (wanted === others) {
      // All of them, in two runs: those before the announcer and those behind it.
      this.copy(family, peers + from * size, self - from);
      this.copy(family, peers + (self + 1) * size, others - (self - from));
      return;
    }
    const step = Math.floor(others / wanted);
    const rest = others - step * wanted;
    let place = this.#random.below(others);
    let owed = 0;
    for (let left = wanted; left > 0; left--) {
      const index = from + place;
      this.copy(family, peers + (index < self ? index : index + 1) * size, 1);
      place += step;
      owed += rest;
      if (owed >= wanted) {
        owed -= wanted;
        place += 1;
      }
      if (place >= others) place -= others;
    }
  }

  /** A window of `wanted` peers of a directory; there are at least that many others. */
  #offerDirectory(swarm: SwarmAt, family: Family, role: Role, wanted: number): void {
    if (wanted === 0) return;
    const { directories } = this.#swarms;
    const cell = this.#swarms.cell(swarm, family, role);
    const selfIndex = this.#self.index;
    const selfBucket = this.hasSelf(family, role) ? this.#self.bucket : 0;
    const buckets = directories.bucketCount(cell);
    const largest = directories.largest(cell);
    let i = 0;
    let index = 0;
    for (let draws = 0; draws < DRAWS_MAX; draws++) {
      // Even over all peers: any bucket, any place of the fullest one; again if no peer is there.
      i = this.#random.below(buckets);
      index = this.#random.below(largest);
      const bucket = directories.bucketAt(cell, i);
      if (bucket === 0 || index >= directories.peersIn(bucket)) continue;
      if (bucket !== selfBucket || index !== selfIndex) break;
    }
    for (let left = wanted; left > 0; index = 0) {
      const bucket = directories.bucketAt(cell, i);
      const count = bucket === 0 ? 0 : directories.peersIn(bucket);
      const self = bucket === selfBucket ? selfIndex : -1;
      while (index < count && left > 0) {
        const stop = index <= self ? self : count;
        const run = Math.min(left, stop - index);
        this.copy(family, directories.peerAt(family, bucket, index), run);
        left -= run;
        index = stop + (stop === self ? 1 : 0);
      }
      i = i + 1 === buckets ? 0 : i + 1;
    }
  }

  /** Copies `count` peers side by side, the first at `from` in the arena's halves, to the reply. */
  copy(family: Family, from: number, count: number): void {
    const { halves } = this.#swarms.arena;
    const reply = this.#reply;
    if (family === 4) {
      copyHalves(halves, from, this.out, this.placeOf(4, reply.peersIpv4), 3 * count);
      reply.peersIpv4 += count;
    } else {
      copyHalves(halves, from, this.out, this.placeOf(6, reply.peersIpv6), 9 * count);
      reply.peersIpv6 += count;
    }
  }
}
