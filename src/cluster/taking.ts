/**
 * Taking: this tracker lacks something, and asks another for it, one at a time.
 *
 *   ledger: something is missing ─► ask, begins ─► chunk 0, 1, 2 … ─► end ─► ledger: it is mended
 *                                       ▲             │ put back: judged as announces are
 *                                       └── credit ───┘
 *
 * Chunks are numbered, because the server between us may lose one. A number that is ahead, a chunk
 * that is not sound, or five seconds without one end the pull, and another tracker is asked. One
 * without records says only that the giver still looks for some. Pulls begin ten seconds apart on
 * the average, and four of them at once: what three trackers told while their server was gone takes
 * two, and waiting between these made it 11 to 13 s until all were equal. One that failed counts as
 * well, unless our link was lost: a giver may send what is not sound as often as it likes. Each
 * begins after some random delay, for all that lost the same server lack the same.
 *
 * After its start a tracker asks one that has caught up for all peers; with a snapshot, it asks
 * for what it has lacked since (ledger.ts). If no such tracker is heard for three seconds, the
 * others have just started too, or it is alone: then it asks those that have something that it
 * lacks. If no tracker has, it counts as caught up.
 *
 * Chunks wait in a queue, which has room for the credits: sixteen chunks put back in one turn kept
 * announces for 67 ms.
 *
 * Ages: where the clocks of both agree, the tick of a peer is taken over as it is, so that no
 * exchange makes a peer younger or older; else a peer is a tick older here, never younger. Clocks
 * that agree may still differ by two ticks. So a peer that became a seeder where we did not hear of
 * it may look older than the leecher that we have: within two ticks a seeder wins.
 */
import { CHUNK_HEADER_BYTES, crcOf, readChunkHeader } from "../snapshot/format.ts";
import type { Judge } from "../swarm/put-back.ts";
import { PutBack } from "../swarm/put-back.ts";
import type { Dumped } from "../swarm/ages.ts";
import type { Store } from "../swarm/store.ts";
import { CLOCK_TICKS } from "./clocks.ts";
import type { Ledger, Need } from "./ledger.ts";
import type { Ask, State } from "./wire.ts";

/** Chunks that a giver may send at first. */
const CREDIT = 16;
/** Bytes of records that are put back in a slice: some 200 µs, but for a piece of a large swarm. */
const SLICE_BYTES = 4096;
const SILENT_SECONDS = 5;
/** After this time each client has announced again, and was told: nothing is left to wait for. */
const PULL_SECONDS_MAX = 1800;
const APART_SECONDS = 10;
const PULLS_AT_ONCE = 4;
const DELAY_SECONDS_MIN = 0.05;
const DELAY_SECONDS_MAX = 0.25;
/** After this time without a tracker that has caught up, this one stops waiting for it. */
const ALONE_SECONDS = 3;
/** If two announces differ by at most this number of ticks, the role of seeder is kept. */
const ROLE_TICKS = 2;
/** A giver that failed is not asked again for this long, if there is another. */
const AVOID_SECONDS = 30;

interface Pull {
  readonly giver: string;
  readonly session: number;
  readonly sinceSeconds: number;
  readonly begun: number;
  readonly peersBefore: number;
  chunks: number;
  heardAt: number;
}

/** How a pull ended: with the peers that it brought, and those that found no room here. */
export interface Pulled {
  outcome: "done" | "failed";
  peers: number;
  withoutRoom: number;
  seconds: number;
}

export interface TakingParts {
  store: Store;
  ledger: Ledger;
  /** What may be stored at present. */
  judge: () => Judge;
  /** From 0 to 1. */
  random: () => number;
  send: (giver: string, ask: Ask) => void;
  /** Called when a pull has ended. */
  ended: (pulled: Pulled) => void;
}

export class Taking {
  readonly counts = { done: 0, failed: 0, peers: 0 };
  /** Peers of pulls that our lists refused. */
  refused = 0;
  readonly #parts: TakingParts;
  readonly #avoid = new Map<string, number>();
  /** Chunks that have come, and the end. */
  readonly #waiting: State[] = [];
  #putBack: PutBack | undefined;
  /** Bytes of the chunk that is being put back; 0 between two chunks. */
  #opened = 0;
  #pull: Pull | undefined;
  #session = 0;
  /** When the next pull may begin; NaN until something is missing. */
  #next = NaN;
  /** Pulls that may begin now: one more each ten seconds. */
  #room = PULLS_AT_ONCE;
  #roomAt = 0;
  /** Since when no tracker that has caught up is there. */
  #aloneSince = NaN;

  constructor(parts: TakingParts) {
    this.#parts = parts;
  }

  /** True while a pull runs. */
  get pulls(): boolean {
    return this.#pull !== undefined;
  }

  /** Call some ten times a second, while the link is up. */
  tick(now: number): void {
    const pull = this.#pull;
    if (pull !== undefined) {
      const isOver = now - pull.begun > PULL_SECONDS_MAX;
      if (isOver || now - pull.heardAt > SILENT_SECONDS) this.#end(pull, "failed", now);
      return;
    }
    if (now < this.#next) return;
    const need = this.#need(now);
    if (need === undefined) {
      this.#next = NaN;
      return;
    }
    if (Number.isNaN(this.#next)) {
      const span = DELAY_SECONDS_MAX - DELAY_SECONDS_MIN;
      const delayed = now + DELAY_SECONDS_MIN + span * this.#parts.random();
      const more = (now - this.#roomAt) / APART_SECONDS;
      this.#room = Math.min(PULLS_AT_ONCE, this.#room + more);
      this.#roomAt = now;
      this.#next = Math.max(delayed, now + (1 - this.#room) * APART_SECONDS);
    }
    if (now >= this.#next) this.#begin(need, now);
  }

  /** The link was lost: a pull that runs has failed. */
  cutOff(now: number): void {
    if (this.#pull !== undefined) {
      this.#end(this.#pull, "failed", now);
      this.#room += 1;
    }
    this.#aloneSince = NaN;
  }

  /** A chunk, or the end, has come from `giver`. */
  state(giver: string, state: State, now: number): void {
    const pull = this.#pull;
    if (pull === undefined || pull.giver !== giver || pull.session !== state.session) return;
    const behind = (pull.chunks - state.number) & 0xffff;
    if (state.chunk !== undefined && behind !== 0 && behind < 0x8000) return; // It came before.
    if (behind !== 0 || this.#waiting.length > CREDIT) return this.#end(pull, "failed", now);
    pull.heardAt = now;
    if (state.chunk !== undefined) pull.chunks += 1;
    // A copy: the message is the link's, a Buffer that begins at any byte.
    this.#waiting.push({ ...state, chunk: state.chunk && new Uint8Array(state.chunk) });
  }

  /** True if a slice would do something. */
  get works(): boolean {
    return this.#waiting.length > 0;
  }

  /** Puts some of what has come back, for some 200 µs. */
  slice(now: number): void {
    const pull = this.#pull;
    const state = this.#waiting[0];
    if (pull === undefined || state === undefined) return;
    pull.heardAt = now;
    if (state.chunk === undefined) {
      this.#parts.ledger.pulled(pull.giver, state.had, pull, now);
      return this.#end(pull, "done", now);
    }
    if (state.chunk.length > 0) {
      if (this.#opened === 0 && !this.#open(state.chunk, state.tickSeconds, now)) {
        return this.#end(pull, "failed", now);
      }
      const putBack = this.#putBack!;
      if (this.#putBackSome(putBack)) return;
      if (putBack.at !== this.#opened) return this.#end(pull, "failed", now);
      this.#opened = 0;
    }
    this.#waiting.shift();
    const credit = { session: pull.session, begins: false, sinceSeconds: 0, credit: 1 };
    this.#parts.send(pull.giver, credit);
  }

  #need(now: number): Need | undefined {
    const { ledger } = this.#parts;
    const avoid = this.#avoided(now);
    const need = ledger.need(now, avoid);
    if (!ledger.behind || (!ledger.lacksAll && need !== undefined)) return need;
    const giver = ledger.lacksAll ? ledger.giverOfAll(now, avoid) : undefined;
    if (giver !== undefined) {
      this.#aloneSince = NaN;
      return { giver, sinceSeconds: Infinity };
    }
    if (Number.isNaN(this.#aloneSince)) this.#aloneSince = now;
    if (now - this.#aloneSince < ALONE_SECONDS) return undefined;
    if (need === undefined) ledger.behind = false;
    return need && { ...need, sinceSeconds: Infinity };
  }

  #avoided(now: number): ReadonlySet<string> {
    for (const [giver, until] of this.#avoid) if (now >= until) this.#avoid.delete(giver);
    return new Set(this.#avoid.keys());
  }

  #begin({ giver, sinceSeconds }: Need, now: number): void {
    const { store, judge, send } = this.#parts;
    this.#session = (this.#session + 1) & 0xffff;
    this.#next = NaN;
    this.#room -= 1;
    const putBack = new PutBack(store, judge());
    putBack.roleTicks = ROLE_TICKS;
    putBack.notes = true;
    this.#putBack = putBack;
    this.#pull = {
      ...{ giver, session: this.#session, sinceSeconds, begun: now },
      ...{ peersBefore: this.counts.peers, chunks: 0, heardAt: now },
    };
    send(giver, { session: this.#session, begins: true, sinceSeconds, credit: CREDIT });
  }

  #end(pull: Pull, outcome: Pulled["outcome"], now: number): void {
    const { withoutRoom } = this.#putBack!.counts;
    this.#pull = undefined;
    this.#putBack = undefined;
    this.#waiting.length = this.#opened = 0;
    this.counts[outcome] += 1;
    if (outcome === "failed") this.#avoid.set(pull.giver, now + AVOID_SECONDS);
    const peers = this.counts.peers - pull.peersBefore;
    this.#parts.ended({ outcome, peers, withoutRoom, seconds: now - pull.begun });
  }

  /** Begins a chunk. False if it is not sound. */
  #open(chunk: Uint8Array, tickSeconds: number, now: number): boolean {
    if (chunk.length < CHUNK_HEADER_BYTES || tickSeconds === 0) return false;
    const header = chunk.subarray(0, CHUNK_HEADER_BYTES);
    const records = chunk.subarray(CHUNK_HEADER_BYTES);
    const head = readChunkHeader(header);
    if (head === undefined || !("bytes" in head) || head.bytes !== records.length) return false;
    if (head.crc !== crcOf(header, records)) return false;
    this.#putBack!.open(records, this.#dumped(head.tick, tickSeconds, now), now);
    this.#opened = records.length;
    return true;
  }

  /** False at the end of the chunk, or where it is not sound. */
  #putBackSome(putBack: PutBack): boolean {
    const { peers, refused } = putBack.counts;
    const end = putBack.at + SLICE_BYTES;
    let more = true;
    while (more && putBack.at < end) more = putBack.next();
    this.counts.peers += putBack.counts.peers - peers;
    this.refused += putBack.counts.refused - refused;
    return more;
  }

  /** How the ages of a chunk are to be read. */
  #dumped(tick: number, tickSeconds: number, now: number): Dumped {
    const { peerTicks } = this.#parts.store;
    const ahead = peerTicks.between(peerTicks.at(now), tick);
    const behind = peerTicks.between(tick, peerTicks.at(now));
    const agree = tickSeconds === peerTicks.seconds && Math.min(ahead, behind) <= CLOCK_TICKS;
    if (!agree) return { tick, tickSeconds, elapsedSeconds: tickSeconds };
    const ticksSince = ahead < behind ? -ahead : behind;
    return { tick, tickSeconds, elapsedSeconds: 0, ticksSince };
  }
}
