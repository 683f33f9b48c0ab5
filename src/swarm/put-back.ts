/**
 * Putting back: the records of a dump (records.ts) become swarms and peers of this store.
 *
 * The caller judges each peer by its lists and addresses; then the ceilings and quotas of an
 * announce apply (membership.ts). What an address may begin is asked of all peers of a record: who
 * began the swarm is not known, so it is enough if one of them may. Neither this nor the quotas of
 * newcomers are asked of a tracker's own swarms (`restoring`), which had been admitted. A peer's
 * age goes on: it is the age in the record and the ticks since then (ages.ts). Putting the same
 * back again changes nothing.
 *
 *   a peer that is not stored     is stored at its age, unless that is beyond its time
 *   one that is stored            the younger of both decides its role; within `roleTicks` a seeder
 *                                 wins; it has completed if either says so
 *   downloads                     the higher number; no download is counted for a peer
 *
 *   record ─► swarm unknown, no quota near?  yes ─► a block with its peers, or the first of them
 *                                            no     the others join as if they announced
 *
 * Chunks may come from anywhere: one that is not sound ends early, and breaks nothing. A shard is
 * locked for one small swarm, or one peer. Ages in records are those of `Dump`.
 */
import { Ages, type Dumped, EXPIRED } from "./ages.ts";
import { FAMILIES, INFO_HASH_SIZE, type Family } from "../constants.ts";
import {
  LEECHERS,
  META_COMPLETED,
  peerHalves,
  peerSize,
  ROLES,
  SEEDERS,
  type Role,
} from "./blocks.ts";
import { compact, WASTE_ANNOUNCE } from "./compact.ts";
import { hashInfoHash } from "./keyed-hash.ts";
import { Membership } from "./membership.ts";
import { copyHalves, findPeer } from "./peers.ts";
import { Prefetch } from "./prefetch.ts";
import { Random } from "./random.ts";
import { sameAddress } from "./places.ts";
import {
  ageOf,
  RECORD_MINUTES,
  RECORD_PEERS,
  recordCountAt,
  recordDownloads,
  recordEnd,
  recordPeers,
} from "./records.ts";
import { AnnounceRequest, isWithoutRoom, NOT_STORED_ADDRESS } from "./requests.ts";
import { PAGE_SIZE, POOL_AVAILABLE, TIGHT_SHARE } from "./memory.ts";
import type { Store } from "./store.ts";
import { SMALL_PEERS_MAX } from "./swarms.ts";
import { lineOf } from "./table.ts";
import type { Hash, Line, SwarmAt } from "./units.ts";

/** Says what may be stored at present. */
export interface Judge {
  /** Gets the ten halves of an info hash. */
  maySwarm(infoHash: Uint16Array): boolean;
  /** Gets where the address of a peer begins, in wire format, and its port. */
  mayPeer(bytes: Uint8Array, at: number, family: Family, port: number): boolean;
}

/** In place of a meta byte: the peer is not put back. */
const REFUSED = -2;
/** It is stored already, with the block of its swarm. */
const STORED = -3;

/** Records whose swarms are looked for in memory at the same time. */
const FETCHED = 32;

export class PutBack {
  /**
   * Swarms that were made, peers that are stored now (known ones too), and why the others are not:
   * too old, not admitted by the judge, left out or displaced where a swarm or an address has
   * many, no room. Apart from these, the download counters that found no room.
   */
  readonly counts = {
    ...{ swarms: 0, peers: 0, expired: 0, refused: 0, crowded: 0 },
    ...{ withoutRoom: 0, countersWithoutRoom: 0 },
  };
  /**
   * Swarms without peers that were passed over, because memory is tight and peers of later records
   * come first: open all chunks once more with `countersOnly`. Only of what is `restoring`.
   */
  passedOver = 0;
  countersOnly = false;
  /** If the ages differ by at most this number of ticks, the role of seeder is kept. */
  roleTicks = 0;
  /** Peers without room, and crowded ones, count as announces that are not stored. */
  notes = false;
  /** Where the next record begins in the chunk. */
  at = 0;
  readonly #store: Store;
  readonly #judge: Judge;
  readonly #request = new AnnounceRequest();
  readonly #membership: Membership;
  readonly #ages: Ages;
  #chunk: Uint8Array = new Uint8Array(0);
  #halves: Uint16Array = new Uint16Array(0);
  /** For each peer of the record its meta byte, EXPIRED or REFUSED. */
  #verdicts = new Int16Array(0);
  /** Peers of the record that may be put back, by family and role. */
  readonly #left = { 4: [0, 0], 6: [0, 0] };
  /** The next records whose swarms memory has fetched, and how many are still to come. */
  readonly #prefetch: Prefetch;
  readonly #fetchAts = new Int32Array(FETCHED);
  #fetched = 0;
  readonly #peersFirst: boolean;
  #nowSeconds = 0;

  constructor(
    store: Store,
    judge: Judge,
    seed: Int32Array = crypto.getRandomValues(new Int32Array(4)),
  ) {
    this.#store = store;
    this.#judge = judge;
    this.#ages = new Ages(store);
    this.#peersFirst = store.memory.settings.restoring === true;
    this.#prefetch = new Prefetch(store, FETCHED);
    this.#membership = new Membership(store, this.#request, new Random(seed));
  }

  /** Begins a chunk, which must begin at an even byte of its buffer. */
  open(chunk: Uint8Array, dumped: Dumped, nowSeconds: number): void {
    this.#chunk = chunk;
    this.#halves = new Uint16Array(chunk.buffer, chunk.byteOffset, chunk.length >>> 1);
    this.at = 0;
    this.#fetched = 0;
    this.#nowSeconds = nowSeconds;
    this.#ages.open(dumped, nowSeconds);
  }

  /**
   * Puts the next record back. False if no record follows: at the end `at` is the chunk's length;
   * elsewhere the chunk is not sound.
   */
  next(): boolean {
    const { at } = this;
    const halves = this.#halves;
    const end = recordEnd(halves, at, this.#chunk.length);
    if (end === 0) return false;
    if (this.#fetched === 0) this.#fetch();
    this.#fetched -= 1;
    this.at = end;
    const ipv4 = recordPeers(halves, at, 4);
    const ipv6 = recordPeers(halves, at, 6);
    copyHalves(halves, at >>> 1, this.#request.infoHashHalves, 0, INFO_HASH_SIZE / 2);
    const downloads = recordDownloads(halves, at);
    if (this.countersOnly && downloads === 0) return true;
    if (!this.#judge.maySwarm(this.#request.infoHashHalves)) {
      if (!this.countersOnly) this.counts.refused += ipv4 + ipv6;
      return true;
    }
    const left = this.countersOnly ? 0 : this.#judgePeers(at, ipv4, ipv6);
    const isNew = left > 0 && this.#putPeers(at, left);
    if (downloads > 0 && !isNew) this.#putDownloads(at, ipv4 + ipv6, left, downloads);
    return true;
  }

  /** Has memory fetch what the next records need, which took a fifth of the time. */
  #fetch(): void {
    const ats = this.#fetchAts;
    let { at } = this;
    let count = 0;
    for (let end = 1; count < ats.length && end !== 0; at = end) {
      end = recordEnd(this.#halves, at, this.#chunk.length);
      if (end !== 0) ats[count++] = at >>> 1;
    }
    this.#prefetch.fetch(this.#halves, ats, count);
    this.#fetched = count;
  }

  /** Finds out which peers of a record may be put back; returns how many. */
  #judgePeers(at: number, ipv4: number, ipv6: number): number {
    if (this.#verdicts.length < ipv4 + ipv6) this.#verdicts = new Int16Array(ipv4 + ipv6);
    const chunk = this.#chunk;
    const { metas } = this.#ages;
    const verdicts = this.#verdicts;
    const { counts } = this;
    let peer = (at + RECORD_PEERS) >>> 1;
    const meta = at + RECORD_PEERS + ipv4 * peerSize(4) + ipv6 * peerSize(6);
    let index = 0;
    let all = 0;
    for (const family of FAMILIES) {
      const size = peerHalves(family);
      for (const role of ROLES) {
        let left = 0;
        for (let i = this.#count(at, family, role); i > 0; i--, index++, peer += size) {
          let verdict = metas[chunk[meta + index]];
          if (verdict === EXPIRED) counts.expired += 1;
          else if (!this.#mayStore(peer, family)) {
            verdict = REFUSED;
            counts.refused += 1;
          } else left += 1;
          verdicts[index] = verdict;
        }
        this.#left[family][role] = left;
        all += left;
      }
    }
    return all;
  }

  #mayStore(peer: number, family: Family): boolean {
    const swapped = this.#halves[peer + peerHalves(family) - 1];
    const port = (swapped >>> 8) | ((swapped & 0xff) << 8);
    return port !== 0 && this.#judge.mayPeer(this.#chunk, 2 * peer, family, port);
  }

  /** Puts the peers back that are left. True if a block was made, with the downloads. */
  #putPeers(at: number, left: number): boolean {
    const store = this.#store;
    const { arena, table } = store;
    const { infoHashHalves } = this.#request;
    const hash = hashInfoHash(store.memory.keys, infoHashHalves, 0);
    const line = lineOf(hash);
    store.enter(line);
    compact(arena, table, line, WASTE_ANNOUNCE);
    const known = table.find(line, hash, infoHashHalves) !== 0;
    const beginner = known ? 0 : this.#beginnerOf(at);
    const easy = !known && beginner >= 0 && this.#isEasy(at);
    const taken = easy ? this.#putNewSwarm(line, hash, at) : 0;
    if (beginner < 0 && this.notes) store.noteNotStored(line, NOT_STORED_ADDRESS, left);
    store.leave(line);
    if (taken === left) return true;
    if (beginner < 0) {
      this.counts.crowded += left;
      return false;
    }
    // The peer that may begin the swarm comes first.
    this.#eachLeft(at, beginner, Infinity, (meta) => this.#putPeer(line, hash, meta));
    if (beginner > 0) this.#eachLeft(at, 0, beginner, (meta) => this.#putPeer(line, hash, meta));
    if (known || taken > 0) return taken > 0;
    store.enter(line);
    if (table.find(line, hash, infoHashHalves) !== 0) this.counts.swarms += 1;
    store.leave(line);
    return false;
  }

  /** Hands the meta byte of each peer that is left to `put`; the request has the rest. */
  #eachLeft(at: number, first: number, end: number, put: (meta: number) => void): void {
    const request = this.#request;
    let peer = (at + RECORD_PEERS) >>> 1;
    let index = 0;
    for (const family of FAMILIES) {
      const size = peerHalves(family);
      request.family = family;
      for (const role of ROLES) {
        request.seeder = role === SEEDERS;
        for (let i = this.#count(at, family, role); i > 0; i--, index++, peer += size) {
          if (index < first || index >= end || this.#verdicts[index] < 0) continue;
          copyHalves(this.#halves, peer, request.peerHalves, 0, size);
          put(this.#verdicts[index]);
        }
      }
    }
  }

  // A swarm that is not known.

  /** The first of the remaining peers whose address may begin a swarm; -1 if none may. */
  #beginnerOf(at: number): number {
    const { holdings } = this.#store.population;
    let peer = (at + RECORD_PEERS) >>> 1;
    let index = 0;
    for (const family of FAMILIES) {
      const count = recordPeers(this.#halves, at, family);
      for (let i = 0; i < count; i++, index++, peer += peerHalves(family)) {
        if (this.#verdicts[index] < 0) continue;
        if (holdings.mayBegin(this.#halves, peer, family)) return index;
      }
    }
    return -1;
  }

  /** True if no ceiling can be in the way of the peers that a block takes, and each is new. */
  #isEasy(at: number): boolean {
    const { memory, population } = this.#store;
    const { peersPerSwarmMax = Infinity, peersPerAddressMax = Infinity } = memory.settings;
    if (this.#leftOf(4) + this.#leftOf(6) > peersPerSwarmMax) return false;
    return !population.holdings.tight && !this.#hasNeighbours(at, peersPerAddressMax);
  }

  #leftOf(family: Family): number {
    return this.#left[family][SEEDERS] + this.#left[family][LEECHERS];
  }

  /** True if the first peers of a family have one twice, or more than `most` of an address. */
  #hasNeighbours(at: number, most: number): boolean {
    let first = (at + RECORD_PEERS) >>> 1;
    let index = 0;
    for (const family of FAMILIES) {
      const count = recordPeers(this.#halves, at, family);
      let taken = 0;
      for (let i = 0; i < count && taken < SMALL_PEERS_MAX; i++) {
        if (this.#verdicts[index + i] < 0) continue;
        // So many that were dropped are not worth a search.
        if (i > 2 * SMALL_PEERS_MAX || this.#hasBefore(first, i, family, most)) return true;
        taken += 1;
      }
      first += count * peerHalves(family);
      index += count;
    }
    return false;
  }

  /** True if the peer at `index` is there before, or more than `most` of its address are. */
  #hasBefore(first: number, index: number, family: Family, most: number): boolean {
    const halves = this.#halves;
    const size = peerHalves(family);
    const peer = first + index * size;
    if (findPeer(halves, first, 0, index, size, halves, peer) >= 0) return true;
    if (index < most) return false;
    let same = 1;
    for (let at = first; at < peer; at += size) {
      if (sameAddress(halves, at, halves, peer, family)) same += 1;
    }
    return same > most;
  }

  /**
   * Makes the swarm with its downloads and the first peers of each family, as many as a block
   * takes. Returns how many; 0 if there is no room, and then nothing has changed.
   */
  #putNewSwarm(line: Line, hash: Hash, at: number): number {
    const { arena, swarms, population } = this.#store;
    const ipv4 = Math.min(this.#leftOf(4), SMALL_PEERS_MAX);
    const ipv6 = Math.min(this.#leftOf(6), SMALL_PEERS_MAX);
    arena.keepBack = this.#membership.pagesKeptFrom(ipv4 + ipv6);
    const swarm = swarms.create(line, hash, this.#request.infoHashHalves, ipv4, ipv6);
    if (swarm === 0) return 0;
    let from = (at + RECORD_PEERS) >>> 1;
    let first = 0;
    for (const family of FAMILIES) {
      const size = peerHalves(family);
      const count = recordPeers(this.#halves, at, family);
      const room = family === 4 ? ipv4 : ipv6;
      const seeders = Math.min(room, this.#left[family][SEEDERS]);
      const peers = swarms.peersAt(swarm, family);
      const meta = swarms.metaAt(swarm, family);
      let done = 0;
      for (let i = 0; done < room; i++) {
        const verdict = this.#verdicts[first + i];
        if (verdict < 0) continue;
        const to = peers + done * size;
        copyHalves(this.#halves, from + i * size, arena.halves, to, size);
        arena.bytes[meta + done] = verdict;
        this.#verdicts[first + i] = STORED;
        done += 1;
      }
      if (done > 0) swarms.setCounts(swarm, family, done, seeders);
      population.put(line, family, seeders, done - seeders, peers);
      from += count * size;
      first += count;
    }
    this.counts.swarms += 1;
    this.counts.peers += ipv4 + ipv6;
    const downloads = recordDownloads(this.#halves, at);
    if (downloads > 0 && swarms.setDownloads(line, swarm, downloads) === 0) {
      this.counts.countersWithoutRoom += 1;
    }
    return ipv4 + ipv6;
  }

  // Any other swarm.

  #putPeer(line: Line, hash: Hash, meta: number): void {
    const store = this.#store;
    const { member, displaced } = this.#membership;
    store.enter(line);
    compact(store.arena, store.table, line, WASTE_ANNOUNCE);
    const swarm = store.table.find(line, hash, this.#request.infoHashHalves);
    const joined = this.#join(line, hash, swarm);
    if (joined !== 0) {
      store.population.setEmpty(line, joined, false);
      const kept = member.wasKnown ? this.#merge(line, hash, joined, meta) : meta;
      store.arena.bytes[member.metaAt] = kept;
      this.counts.peers += 1;
    } else {
      this.counts[isWithoutRoom(member.notStored) ? "withoutRoom" : "crowded"] += 1;
      if (this.notes) store.noteNotStored(line, member.notStored);
    }
    // Merging may join once more, in the other role.
    const gone = this.#membership.displaced - displaced;
    this.counts.peers -= gone;
    this.counts.crowded += gone;
    store.leave(line);
  }

  #join(line: Line, hash: Hash, swarm: SwarmAt): SwarmAt {
    const membership = this.#membership;
    membership.member.clear();
    const joined = membership.join(line, hash, swarm, this.#ages.tick);
    return joined === 0 ? membership.joinAgain(line, hash, this.#ages.tick) : joined;
  }

  /** The peer was stored, and has joined in the role of the request. Returns its meta byte. */
  #merge(line: Line, hash: Hash, swarm: SwarmAt, meta: number): number {
    const request = this.#request;
    const { member } = this.#membership;
    const stored = this.#store.arena.bytes[member.metaAt];
    const { tick } = this.#ages;
    const older = ageOf(stored, tick) - ageOf(meta, tick);
    const { seeder } = request;
    const wasSeeder = !member.wasLeecher;
    const either = Math.abs(older) <= this.roleTicks;
    const seeds = either ? seeder || wasSeeder : older < 0 ? wasSeeder : seeder;
    if (seeds !== seeder) {
      request.seeder = seeds;
      this.#join(line, hash, swarm);
      request.seeder = seeder;
    }
    return (older < 0 ? stored : meta) | ((stored | meta) & META_COMPLETED);
  }

  // Downloads.

  /**
   * Where no peer could be put back, the counter is that of a swarm without peers, unless its time
   * is over.
   */
  #putDownloads(at: number, peers: number, left: number, downloads: number): void {
    const { memory } = this.#store;
    const minutes = peers > 0 ? 0 : this.#halves[(at + RECORD_MINUTES) >>> 1];
    const seconds = minutes * 60 + this.#ages.elapsedSeconds;
    if (seconds > memory.settings.downloadsTimeout && left === 0) return;
    const { infoHashHalves } = this.#request;
    const waits = this.#peersFirst && !this.countersOnly && this.#isTight;
    if (waits && !this.#store.knows(infoHashHalves)) {
      this.passedOver += 1;
      return;
    }
    const since = this.#nowSeconds - seconds;
    if (!this.#store.raiseDownloads(infoHashHalves, downloads, since)) {
      this.counts.countersWithoutRoom += 1;
    }
  }

  /** True while a swarm without peers would take room that a peer of a later record needs. */
  get #isTight(): boolean {
    const { arena } = this.#store;
    return arena.shards[POOL_AVAILABLE] < (arena.bytes.length / PAGE_SIZE) * TIGHT_SHARE;
  }

  #count(at: number, family: Family, role: Role): number {
    return this.#halves[(at + recordCountAt(family, role)) >>> 1];
  }
}
