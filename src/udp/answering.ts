/**
 * Builds the parts with which one thread answers datagrams, from what all threads share.
 *
 * `UdpShared` can be posted to a worker. Each thread has its own batch memory and its own
 * `Tracker`; all threads share swarms, counters and the key of connection ids.
 */
import { Access, type AccessShared } from "../access/access.ts";
import { Outbox } from "../cluster/outbox.ts";
import { now } from "../host/clock.ts";
import { Limits, type LimitsShared } from "../limits/limits.ts";
import type { RulesShared } from "../limits/request-rules.ts";
import { Histogram } from "../counters/histograms.ts";
import { Counters } from "../counters/counters.ts";
import { Intervals, type IntervalSettings } from "../limits/intervals.ts";
import { Notes, type NotesShared } from "../notes/notes.ts";
import type { SwarmMemory } from "../swarm/memory.ts";
import type { Holdings } from "../swarm/holdings.ts";
import { Prefetch } from "../swarm/prefetch.ts";
import { Store } from "../swarm/store.ts";
import { Tracker } from "../swarm/tracker.ts";
import { ConnectionIds } from "./connection-ids.ts";
import { ADDRESS_SLOT, BATCH_SIZE, Datagrams, REQUEST_SLOT } from "./datagrams.ts";
import { infoHashAt, isAnnounce, isScrape, scrapeHashes } from "./packet.ts";
import { Journey, type UdpSettings } from "./journey.ts";

export interface UdpShared {
  memory: SwarmMemory;
  counters: SharedArrayBuffer;
  /** Key and lifetime of connection ids. */
  key: Uint8Array;
  connectionTtlSeconds: number;
  /**
   * Wall clock, in seconds since 1970, at the start of the process. Not corrected if that clock is
   * set later, since connection ids that clients have would become invalid.
   */
  startedSeconds: number;
  intervals: IntervalSettings;
  settings: UdpSettings;
  /** Access lists at the start of the thread; without them every client is served. */
  access?: AccessShared;
  /** Memory for the statistics' notes; without it nothing is noted. */
  notes?: NotesShared;
  /** Memory of the outbox; without it nothing is told to other trackers. */
  outbox?: SharedArrayBuffer;
  /** Limits at the start of the thread; without them nothing is limited. */
  limits?: LimitsShared;
  /** Memory for the histograms of durations; without it none are measured. */
  histograms?: SharedArrayBuffer;
}

/** New lists or rules between two batches; an omitted field stays as it is. */
export interface AnsweringUpdate {
  access?: AccessShared | undefined;
  rules?: RulesShared | undefined;
}

/** For datagrams answered one by one, one in this number is timed. */
const TIMED_EVERY = 16;

/** Info hashes of scrapes that are fetched ahead for a batch; a scrape alone may have 74. */
const SCRAPED_MAX = BATCH_SIZE;

/** The parts with which one thread answers datagrams. */
export class Answering {
  readonly datagrams = new Datagrams();
  readonly counters: Counters;
  readonly #access: Access;
  readonly #limits: Limits;
  readonly journey: Journey;
  readonly #startedSeconds: number;
  readonly #prefetch: Prefetch;
  readonly #holdings: Holdings;
  /** The requests as 16-bit halves, and the indexes in them of the info hashes of a batch. */
  readonly #halves: Uint16Array;
  readonly #infoHashAts = new Int32Array(BATCH_SIZE + SCRAPED_MAX);
  readonly #announceSlots = new Uint8Array(BATCH_SIZE);
  readonly #requestSeconds: Histogram | undefined;
  readonly #batchDatagrams: Histogram | undefined;
  #begunSeconds = 0;
  #untilTimed = TIMED_EVERY;

  /** `thread` is 0 for the event loop, 1 and up for workers. */
  constructor(shared: UdpShared, thread: number) {
    this.counters = new Counters(shared.counters, thread);
    this.#access = new Access(shared.access);
    this.#limits = new Limits(thread, shared.limits);
    this.#startedSeconds = shared.startedSeconds;
    if (shared.histograms !== undefined) {
      this.#requestSeconds = new Histogram(shared.histograms, thread, "udpRequestSeconds");
      this.#batchDatagrams = new Histogram(shared.histograms, thread, "batchDatagrams");
    }
    const store = new Store(shared.memory);
    const tracker = new Tracker(store, this.datagrams.replyMemory);
    this.#prefetch = new Prefetch(store, this.#infoHashAts.length);
    this.#holdings = store.population.holdings;
    this.#holdings.gather();
    this.#halves = new Uint16Array(this.datagrams.requests.buffer);
    this.journey = new Journey({
      datagrams: this.datagrams,
      tracker,
      ids: new ConnectionIds(shared.key, shared.connectionTtlSeconds),
      intervals: new Intervals(shared.intervals),
      counters: this.counters,
      settings: shared.settings,
      access: this.#access,
      notes: shared.notes && new Notes(shared.notes, thread),
      limits: this.#limits,
      outbox: shared.outbox && new Outbox(shared.outbox, thread, store.peerTicks),
    });
  }

  /** Uses these lists and rules, beginning with the next request. */
  take({ access, rules }: AnsweringUpdate): void {
    if (access !== undefined) this.#access.update(access);
    if (rules !== undefined) this.#limits.rules.update(rules);
  }

  /** Answers slots 0 to `count` - 1; reads the clock once. */
  answer(count: number): void {
    // Ids use the wall clock of the start, so they stay valid after a restart with the same key;
    // later changes of the wall clock do not matter.
    const seconds = now();
    const idSeconds = this.#startedSeconds + seconds;
    this.#begunSeconds = seconds;
    this.#fetchAhead(count);
    for (let slot = 0; slot < count; slot++) this.journey.answer(slot, seconds, idSeconds);
    this.#holdings.settle();
  }

  /** Has memory fetch what the requests of a batch will need, all of it at once. */
  #fetchAhead(count: number): void {
    const { requests, requestLengths, addresses, families } = this.datagrams;
    const ats = this.#infoHashAts;
    const slots = this.#announceSlots;
    let announces = 0;
    let scraped = 0;
    for (let slot = 0; slot < count; slot++) {
      const at = slot * REQUEST_SLOT;
      const length = requestLengths[slot];
      if (isAnnounce(requests, at, length)) {
        slots[announces] = slot;
        ats[scraped + announces++] = infoHashAt(at, 0) >>> 1;
      } else if (isScrape(requests, at, length)) {
        const hashes = Math.min(scrapeHashes(length), SCRAPED_MAX - scraped);
        for (let i = 0; i < hashes; i++) ats[announces + scraped++] = infoHashAt(at, i) >>> 1;
      }
    }
    this.#limits.rates.fetch(addresses, ADDRESS_SLOT, families, slots, announces);
    this.#prefetch.fetch(this.#halves, ats, announces + scraped);
  }

  /** Call after the replies of a batch are sent. Each of `count` requests took the same share. */
  finish(count: number): void {
    if (this.#requestSeconds === undefined) return;
    this.#requestSeconds.observe((now() - this.#begunSeconds) / count, count);
    this.#batchDatagrams!.observe(count);
  }

  /** Answers one slot. */
  answerOne(slot: number): void {
    const seconds = now();
    this.journey.answer(slot, seconds, this.#startedSeconds + seconds);
    this.#holdings.settle();
    this.#untilTimed -= 1;
    if (this.#untilTimed > 0) return;
    this.#untilTimed = TIMED_EVERY;
    this.#requestSeconds?.observe(now() - seconds);
  }
}
