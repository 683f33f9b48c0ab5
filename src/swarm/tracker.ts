/**
 * The rules of a tracker: what an announce changes and what it is answered.
 * [BEP 3, 7, 15, 21, 23, 48]
 *
 * One `Tracker` belongs to one thread and lends it a request and a reply record; the store knows
 * where peers lie. An announce takes effect first and is answered from what is then
 * stored, so counts include the announcer. It takes one lock, that of its shard, for about a
 * microsecond. Time is an argument: seconds on a clock that never goes back.
 *
 *   find the swarm ─► join or leave ─► count a download ─► counts ─► peers
 *                     membership.ts    completions.ts                sample.ts
 *
 * Nothing here allocates, throws or waits. When memory is at its ceiling peers are answered but not
 * stored; `reply.stored` tells.
 */
import { EVENT_COMPLETED, EVENT_PAUSED, EVENT_STARTED, EVENT_STOPPED } from "../constants.ts";
import type { Arena } from "./arena.ts";
import {
  DOWNLOADS_MAX,
  FLAG_EMPTY,
  META_COMPLETED,
  META_TICK,
  metaOf,
  peerHalves,
  SEEDERS,
  SWARM_FLAGS,
} from "./blocks.ts";
import { compact, WASTE_ANNOUNCE } from "./compact.ts";
import { Completions } from "./completions.ts";
import { hashInfoHash, hashPeer } from "./keyed-hash.ts";
import { type Member, Membership } from "./membership.ts";
import { TOTAL_DOWNLOADS, totalsOf } from "./memory.ts";
import { Random } from "./random.ts";
import { AnnounceReply, AnnounceRequest } from "./requests.ts";
import { OFFER_ALL, OFFER_LEECHERS, OFFER_SEEDERS, Sample } from "./sample.ts";
import type { Store } from "./store.ts";
import type { Swarms } from "./swarms.ts";
import { lineOf, type Table } from "./table.ts";
import type { Hash, Line, SwarmAt, Tick } from "./units.ts";

export class Tracker {
  readonly request = new AnnounceRequest();
  readonly reply = new AnnounceReply();
  /** Where the peers of a reply are written, at the offsets the request names. */
  readonly replies: Uint8Array;
  readonly store: Store;

  readonly #arena: Arena;
  readonly #table: Table;
  readonly #swarms: Swarms;
  readonly #keys: Int32Array;
  readonly #membership: Membership;
  /** Where the announcer lies. */
  readonly #member: Member;
  readonly #sample: Sample;
  readonly #completions: Completions;

  /** `replies` is the buffer of this thread's replies; `seed` makes the drawing repeatable. */
  constructor(
    store: Store,
    replies: ArrayBuffer,
    seed: Int32Array = crypto.getRandomValues(new Int32Array(4)),
  ) {
    const { request, reply } = this;
    const random = new Random(seed);
    this.replies = new Uint8Array(replies);
    this.store = store;
    this.#arena = store.arena;
    this.#table = store.table;
    this.#swarms = store.swarms;
    this.#keys = store.memory.keys;
    this.#membership = new Membership(store, request, random);
    this.#member = this.#membership.member;
    const out = new Uint16Array(replies);
    this.#sample = new Sample(store.swarms, random, request, reply, this.#member, out);
    this.#completions = new Completions(store.memory);
  }

  /** Takes the announce in `request` and answers it in `reply` and the reply buffer. */
  announce(nowSeconds: number): void {
    const { request, store } = this;
    const hash = hashInfoHash(this.#keys, request.infoHashHalves, 0);
    const line = lineOf(hash);
    const tick = store.peerTicks.at(nowSeconds);
    this.reply.clear();
    this.#member.clear();
    store.enter(line);
    compact(this.#arena, this.#table, line, WASTE_ANNOUNCE);
    let swarm = this.#table.find(line, hash, request.infoHashHalves);
    if (request.event === EVENT_STOPPED) {
      if (swarm !== 0) {
        this.#membership.leave(line, hash, swarm);
        swarm = store.settle(line, hash, swarm, nowSeconds);
      }
    } else {
      swarm = this.#remember(line, hash, swarm, tick);
    }
    if (swarm !== 0) {
      this.#count(swarm);
      if (request.event !== EVENT_STOPPED && request.wanted > 0) this.#offer(swarm);
    }
    store.leave(line);
  }

  /** Answers for the info hash in `request`: its counts, or zeros if the swarm is not known. */
  scrape(): void {
    const { request, store } = this;
    const hash = hashInfoHash(this.#keys, request.infoHashHalves, 0);
    const line = lineOf(hash);
    this.reply.clear();
    store.enter(line);
    const swarm = this.#table.find(line, hash, request.infoHashHalves);
    if (swarm !== 0) this.#count(swarm);
    store.leave(line);
  }

  /**
   * Counts the download of a client that is no peer here, for the info hash and the peer in
   * `request`; once for each peer. It is shown for as long as any other. True if it counted now.
   */
  countDownload(nowSeconds: number): boolean {
    const { infoHashHalves, peerHalves: halves, family } = this.request;
    const hash = hashInfoHash(this.#keys, infoHashHalves, 0);
    const peerHash = hashPeer(this.#keys, halves, 0, peerHalves(family));
    if (!this.#completions.note(hash, peerHash)) return false;
    this.store.addDownload(infoHashHalves, nowSeconds);
    return true;
  }

  #count(swarm: SwarmAt): void {
    const { reply } = this;
    const swarms = this.#swarms;
    reply.seeders = swarms.seeders(swarm);
    reply.leechers = swarms.peers(swarm) - reply.seeders;
    reply.downloads = swarms.downloads(swarm);
  }

  /**
   * A seeder, or a partial seed, is offered leechers. Only when it starts is the room that is left
   * filled with seeders: a client that has only a magnet link may say that nothing is left.
   */
  #offer(swarm: SwarmAt): void {
    const { request } = this;
    const sample = this.#sample;
    if (!request.seeder && request.event !== EVENT_PAUSED) {
      sample.offer(swarm, OFFER_ALL, request.wanted);
      return;
    }
    const offered = sample.offer(swarm, OFFER_LEECHERS, request.wanted);
    if (request.event !== EVENT_STARTED || offered === request.wanted) return;
    sample.offer(swarm, OFFER_SEEDERS, request.wanted - offered);
  }

  /** Stores or refreshes the announcer. Returns the swarm, 0 if there is none. */
  #remember(line: Line, hash: Hash, swarm: SwarmAt, tick: Tick): SwarmAt {
    const { request, reply } = this;
    const member = this.#member;
    const arena = this.#arena;
    if (request.peerHalves[peerHalves(request.family) - 1] === 0) return swarm; // Port 0.
    let stored = this.#membership.join(line, hash, swarm, tick);
    if (stored === 0) stored = this.#membership.joinAgain(line, hash, tick);
    if (stored === 0) {
      this.#noteNotStored(line);
      // The swarm, if there is one, may have moved in the attempt.
      return this.#table.find(line, hash, request.infoHashHalves);
    }
    reply.stored = true;
    if ((arena.bytes[stored + SWARM_FLAGS] & FLAG_EMPTY) !== 0) {
      this.store.population.setEmpty(line, stored, false);
    }
    const meta = arena.bytes[member.metaAt];
    const last = meta & META_TICK;
    if (member.wasKnown) {
      reply.ticksSinceLast = this.store.peerTicks.between(last, tick);
      reply.roleChanged = member.wasLeecher === (member.role === SEEDERS);
    }
    const early = member.wasKnown && reply.ticksSinceLast < request.earlyTicks;
    const completes =
      request.event === EVENT_COMPLETED && member.wasLeecher && (meta & META_COMPLETED) === 0;
    if (completes) stored = this.#countDownload(line, hash, stored);
    const completed = completes || (meta & META_COMPLETED) !== 0;
    arena.bytes[member.metaAt] = metaOf(completed, early ? last : tick);
    return stored;
  }

  #noteNotStored(line: Line): void {
    const { notStored } = this.#member;
    this.reply.notStored = notStored;
    this.store.noteNotStored(line, notStored);
  }

  /** One download more, unless it is counted or there is no room. The swarm may move. */
  #countDownload(line: Line, hash: Hash, swarm: SwarmAt): SwarmAt {
    const member = this.#member;
    const swarms = this.#swarms;
    const { family, chargedHalves, chargedFamily } = this.request;
    const peerHash = hashPeer(this.#keys, chargedHalves, 0, peerHalves(chargedFamily));
    if (!this.#completions.note(hash, peerHash)) return swarm;
    this.#arena.totals[totalsOf(line) + TOTAL_DOWNLOADS] += 1;
    const downloads = swarms.downloads(swarm);
    if (downloads === DOWNLOADS_MAX) return swarm;
    const counted = swarms.setDownloads(line, swarm, downloads + 1);
    if (counted === 0 || counted === swarm) return swarm;
    if (member.bucket === 0) member.metaAt = swarms.metaAt(counted, family) + member.index;
    return counted;
  }
}
