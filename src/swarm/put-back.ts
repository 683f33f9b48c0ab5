/**
 * Putting back: the records of a dump (records.ts) become swarms and peers of this store.
 *
 * The caller judges each peer by its lists and addresses; then the ceilings and quotas of an
 * announce apply (membership.ts). Its age goes on: it is the age in the record and the time
 * since then, rounded to a tick of this store. Putting the same back again changes nothing.
 *
 *   a peer that is not stored     is stored at its age, unless that is beyond its time
 *   one that is stored            the younger of both decides its role; at the same age a seeder
 *                                 wins; it has completed if either says so
 *   downloads                     the higher number; no download is counted for a peer
 *
 *   record ─► swarm unknown, few peers, no quota near?  yes ─► a block of exactly that size
 *                                                       no  ─► each peer joins as if it announced
 *
 * Chunks may come from anywhere: one that is not sound ends early, and breaks nothing. A shard is
 * locked for one small swarm, or one peer. Ages in records are those of `Dump`.
 */
import { FAMILIES, INFO_HASH_SIZE, type Family } from "../constants.ts";
import {
  DOWNLOADS_MAX,
  LEECHERS,
  META_COMPLETED,
  META_TICK,
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
import { Random } from "./random.ts";
import {
  ageOf,
  RECORD_DOWNLOADS,
  RECORD_MINUTES,
  RECORD_PEERS,
  recordCountAt,
  recordSize,
} from "./records.ts";
import { AnnounceRequest, NOT_STORED_MEMORY, NOT_STORED_NETWORK } from "./requests.ts";
import type { Store } from "./store.ts";
import { SMALL_PEERS_MAX } from "./swarms.ts";
import { lineOf } from "./table.ts";
import type { Hash, Line, SwarmAt, Tick } from "./units.ts";

/** Says what may be stored at present. Offsets count halves; a peer's address is in wire format. */
export interface Judge {
  maySwarm(halves: Uint16Array, at: number): boolean;
  mayPeer(halves: Uint16Array, at: number, family: Family): boolean;
}

/** When the records of a chunk were written. */
export interface Dumped {
  /** The tick it was, and how many seconds such a tick lasts. */
  tick: Tick;
  tickSeconds: number;
  /** Seconds since then. */
  elapsedSeconds: number;
}

/** In place of a meta byte: the peer is not put back. */
const EXPIRED = -1;
const REFUSED = -2;

export class PutBack {
  /** Swarms that were made, and peers that are stored now, known ones too. */
  readonly counts = { swarms: 0, peers: 0, expired: 0, refused: 0, crowded: 0, withoutRoom: 0 };
  /** Where the next record begins in the chunk. */
  at = 0;
  readonly #store: Store;
  readonly #judge: Judge;
  readonly #request = new AnnounceRequest();
  readonly #membership: Membership;
  /** Meta byte of this store for each meta byte of the chunk, or EXPIRED. */
  readonly #metas = new Int16Array(256);
  #chunk: Uint8Array = new Uint8Array(0);
  #halves: Uint16Array = new Uint16Array(0);
  /** For each peer of the record its meta byte, EXPIRED or REFUSED. */
  #verdicts = new Int16Array(0);
  /** Peers of the record that may be put back, by family and role. */
  readonly #left = { 4: [0, 0], 6: [0, 0] };
  #nowSeconds = 0;
  #tick: Tick = 0;
  #elapsedSeconds = 0;

  constructor(
    store: Store,
    judge: Judge,
    seed: Int32Array = crypto.getRandomValues(new Int32Array(4)),
  ) {
    this.#store = store;
    this.#judge = judge;
    this.#membership = new Membership(store, this.#request, new Random(seed));
  }

  /** Begins a chunk, which must begin at an even byte of its buffer. */
  open(chunk: Uint8Array, { tick, tickSeconds, elapsedSeconds }: Dumped, nowSeconds: number): void {
    const { peerTicks, peerLifetime } = this.#store;
    this.#chunk = chunk;
    this.#halves = new Uint16Array(chunk.buffer, chunk.byteOffset, chunk.length >>> 1);
    this.at = 0;
    this.#nowSeconds = nowSeconds;
    this.#tick = peerTicks.at(nowSeconds);
    // A clock that went back makes no peer younger.
    this.#elapsedSeconds = Math.max(0, elapsedSeconds);
    for (let meta = 0; meta < this.#metas.length; meta++) {
      const seconds = ageOf(meta, tick) * tickSeconds + this.#elapsedSeconds;
      // Rounded to the nearest tick, because up or down would add up each time two stores exchange.
      const age = Math.round(seconds / peerTicks.seconds);
      const own = (meta & META_COMPLETED) | ((this.#tick - age) & META_TICK);
      this.#metas[meta] = age > peerLifetime ? EXPIRED : own;
    }
  }

  /**
   * Puts the next record back. False if no record follows: at the end `at` is the chunk's length;
   * elsewhere the chunk is not sound.
   */
  next(): boolean {
    const { at } = this;
    const halves = this.#halves;
    if (at + RECORD_PEERS > this.#chunk.length) return false;
    const ipv4 = this.#count(at, 4, SEEDERS) + this.#count(at, 4, LEECHERS);
    const ipv6 = this.#count(at, 6, SEEDERS) + this.#count(at, 6, LEECHERS);
    const size = recordSize(ipv4, ipv6);
    const low = halves[(at + RECORD_DOWNLOADS) >>> 1];
    const downloads = halves[((at + RECORD_DOWNLOADS) >>> 1) + 1] * 0x10000 + low;
    if (at + size > this.#chunk.length || downloads > DOWNLOADS_MAX) return false;
    this.at = at + size;
    if (!this.#judge.maySwarm(halves, at >>> 1)) {
      this.counts.refused += ipv4 + ipv6;
      return true;
    }
    copyHalves(halves, at >>> 1, this.#request.infoHashHalves, 0, INFO_HASH_SIZE / 2);
    if (this.#judgePeers(at, ipv4, ipv6) > 0) this.#putPeers(at);
    if (downloads > 0) this.#putDownloads(at, ipv4 + ipv6, downloads);
    return true;
  }

  /** Finds out which peers of a record may be put back; returns how many. */
  #judgePeers(at: number, ipv4: number, ipv6: number): number {
    if (this.#verdicts.length < ipv4 + ipv6) this.#verdicts = new Int16Array(ipv4 + ipv6);
    const chunk = this.#chunk;
    const halves = this.#halves;
    const metas = this.#metas;
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
          else if (halves[peer + size - 1] === 0 || !this.#judge.mayPeer(halves, peer, family)) {
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

  #putPeers(at: number): void {
    const store = this.#store;
    const { arena, table } = store;
    const hash = hashInfoHash(store.memory.keys, this.#request.infoHashHalves, 0);
    const line = lineOf(hash);
    store.enter(line);
    compact(arena, table, line, WASTE_ANNOUNCE);
    const known = table.find(line, hash, this.#request.infoHashHalves) !== 0;
    const done = !known && this.#isEasy(at) && this.#putNewSwarm(line, hash, at);
    store.leave(line);
    if (done) return;
    this.#eachLeft(at, (meta) => this.#putPeer(line, hash, meta));
    store.enter(line);
    if (!known && table.find(line, hash, this.#request.infoHashHalves) !== 0) this.counts.swarms++;
    store.leave(line);
  }

  /** Hands the meta byte of each peer that is left to `put`; the request has the rest. */
  #eachLeft(at: number, put: (meta: number) => void): void {
    const request = this.#request;
    let peer = (at + RECORD_PEERS) >>> 1;
    let index = 0;
    for (const family of FAMILIES) {
      const size = peerHalves(family);
      request.family = family;
      for (const role of ROLES) {
        request.seeder = role === SEEDERS;
        for (let i = this.#count(at, family, role); i > 0; i--, index++, peer += size) {
          if (this.#verdicts[index] < 0) continue;
          copyHalves(this.#halves, peer, request.peerHalves, 0, size);
          put(this.#verdicts[index]);
        }
      }
    }
  }

  // A swarm that is not known.

  /** True if no ceiling or quota can be in the way, and no peer is there twice. */
  #isEasy(at: number): boolean {
    const { memory, population } = this.#store;
    const { peersPerSwarmMax = Infinity, peersPerAddressMax = Infinity } = memory.settings;
    const [ipv4, ipv6] = this.#leftByFamily();
    if (ipv4 > SMALL_PEERS_MAX || ipv6 > SMALL_PEERS_MAX) return false;
    if (ipv4 + ipv6 > Math.min(peersPerSwarmMax, peersPerAddressMax)) return false;
    return !population.holdings.tight && !this.#hasTwice(at);
  }

  #leftByFamily(): [ipv4: number, ipv6: number] {
    const left = this.#left;
    return [left[4][SEEDERS] + left[4][LEECHERS], left[6][SEEDERS] + left[6][LEECHERS]];
  }

  #hasTwice(at: number): boolean {
    let first = (at + RECORD_PEERS) >>> 1;
    for (const family of FAMILIES) {
      const size = peerHalves(family);
      const count = this.#count(at, family, SEEDERS) + this.#count(at, family, LEECHERS);
      // So many that were dropped are not worth a search.
      if (count > 2 * SMALL_PEERS_MAX) return true;
      for (let i = 1; i < count; i++) {
        const peer = first + i * size;
        if (findPeer(this.#halves, first, 0, i, size, this.#halves, peer) >= 0) return true;
      }
      first += count * size;
    }
    return false;
  }

  /** Makes the swarm with all of its peers. False if that cannot be: nothing has changed. */
  #putNewSwarm(line: Line, hash: Hash, at: number): boolean {
    const { arena, swarms, population } = this.#store;
    const [ipv4, ipv6] = this.#leftByFamily();
    if (!this.#mayBegin(at)) return false;
    arena.keepBack = this.#membership.pagesKeptFrom(ipv4 + ipv6);
    const swarm = swarms.create(line, hash, this.#request.infoHashHalves, ipv4, ipv6);
    if (swarm === 0) return false;
    let from = (at + RECORD_PEERS) >>> 1;
    let index = 0;
    for (const family of FAMILIES) {
      const size = peerHalves(family);
      const count = this.#count(at, family, SEEDERS) + this.#count(at, family, LEECHERS);
      if (count === 0) continue;
      const seeders = this.#left[family][SEEDERS];
      const peers = swarms.peersAt(swarm, family);
      const meta = swarms.metaAt(swarm, family);
      let done = 0;
      for (let i = 0; i < count; i++, index++, from += size) {
        if (this.#verdicts[index] < 0) continue;
        const to = peers + done * size;
        copyHalves(this.#halves, from, arena.halves, to, size);
        arena.bytes[meta + done] = this.#verdicts[index];
        population.put(line, family, done < seeders ? SEEDERS : LEECHERS, to);
        done += 1;
      }
      if (done > 0) swarms.setCounts(swarm, family, done, seeders);
    }
    this.counts.swarms += 1;
    this.counts.peers += ipv4 + ipv6;
    return true;
  }

  /** True if the address of the first peer that is left may begin one more swarm. */
  #mayBegin(at: number): boolean {
    const { holdings } = this.#store.population;
    let peer = (at + RECORD_PEERS) >>> 1;
    let index = 0;
    for (const family of FAMILIES) {
      const count = this.#count(at, family, SEEDERS) + this.#count(at, family, LEECHERS);
      for (let i = 0; i < count; i++, index++, peer += peerHalves(family)) {
        if (this.#verdicts[index] >= 0) return holdings.mayBegin(this.#halves, peer, family);
      }
    }
    return false;
  }

  // Any other swarm.

  #putPeer(line: Line, hash: Hash, meta: number): void {
    const store = this.#store;
    const request = this.#request;
    store.enter(line);
    compact(store.arena, store.table, line, WASTE_ANNOUNCE);
    const swarm = store.table.find(line, hash, request.infoHashHalves);
    const stored = swarm === 0 ? -1 : this.#metaOfStored(swarm);
    if (stored >= 0 && this.#ageOf(stored) < this.#ageOf(meta)) {
      this.#completeStored(swarm, meta);
      this.counts.peers += 1;
    } else this.#join(line, hash, swarm, meta, stored);
    store.leave(line);
  }

  /** Meta byte of the peer where it is stored already; -1 if it is not. */
  #metaOfStored(swarm: SwarmAt): number {
    const { arena, members } = this.#store;
    const { family, peerHalves: peer } = this.#request;
    if (!members.find(swarm, family, peer, 0)) return -1;
    return arena.bytes[members.metaAt(swarm, family)];
  }

  #completeStored(swarm: SwarmAt, meta: number): void {
    const { arena, members } = this.#store;
    arena.bytes[members.metaAt(swarm, this.#request.family)] |= meta & META_COMPLETED;
  }

  #join(line: Line, hash: Hash, swarm: SwarmAt, meta: number, stored: number): void {
    const { arena, members, population } = this.#store;
    const request = this.#request;
    const membership = this.#membership;
    const { member } = membership;
    const { seeder } = request;
    if (stored >= 0 && this.#ageOf(stored) === this.#ageOf(meta)) {
      request.seeder ||= members.role === SEEDERS;
    }
    member.clear();
    let joined = membership.join(line, hash, swarm, this.#tick);
    if (joined === 0) joined = membership.joinAgain(line, hash, this.#tick);
    request.seeder = seeder;
    if (joined === 0) {
      const full =
        member.notStored === NOT_STORED_MEMORY || member.notStored === NOT_STORED_NETWORK;
      if (full) this.counts.withoutRoom += 1;
      else this.counts.crowded += 1;
      return;
    }
    population.setEmpty(line, joined, false);
    arena.bytes[member.metaAt] = meta | (Math.max(0, stored) & META_COMPLETED);
    this.counts.peers += 1;
  }

  #ageOf(meta: number): number {
    return ageOf(meta, this.#tick);
  }

  // Downloads.

  /**
   * Where no peer could be put back, the counter is that of a swarm without peers, unless its time
   * is over.
   */
  #putDownloads(at: number, peers: number, downloads: number): void {
    const { memory } = this.#store;
    const minutes = peers > 0 ? 0 : this.#halves[(at + RECORD_MINUTES) >>> 1];
    const seconds = minutes * 60 + this.#elapsedSeconds;
    if (seconds > memory.settings.downloadsTimeout && this.#leftByFamily().every((n) => n === 0))
      return;
    const since = this.#nowSeconds - seconds;
    if (!this.#store.raiseDownloads(this.#request.infoHashHalves, downloads, since)) {
      this.counts.withoutRoom += 1;
    }
  }

  #count(at: number, family: Family, role: Role): number {
    return this.#halves[(at + recordCountAt(family, role)) >>> 1];
  }
}
