/**
 * Giving: another tracker asks for the peers it lacks, and gets them in chunks of a snapshot.
 *
 *   ask, begins ─► a dump of the announces of the last seconds, or of all
 *   each chunk  ─► costs one of the credits of the taker, which gives one back when it has applied
 *                  it: so neither the server between them nor our memory fills
 *   the end     ─► up to which numbers this tracker had the batches of each when the dump began
 *
 * Swarms are walked in slices, while they change; whatever is announced meanwhile is told as ever.
 * A peer that is sent twice changes nothing. A taker that is silent for five seconds is forgotten.
 * So that neither side is silent while few of many peers are young enough, a chunk is sent after a
 * second also if it is not full, and even without records: the taker gives its credit back.
 */
import { Dump } from "../swarm/dump.ts";
import type { Store } from "../swarm/store.ts";
import { chunkBytes, CHUNK_HEADER_BYTES } from "../snapshot/format.ts";
import { type Ask, CHUNK_BYTES_MAX, type Had, type State } from "./wire.ts";

/** Takers that are served at a time. Another asks again, or asks another. */
const TAKERS_MAX = 4;
const SILENT_SECONDS = 5;
/** After this time a chunk is sent as it is. */
const QUIET_SECONDS = 1;
/** A taker waits longer than this before it asks anew: what comes sooner is of no taker. */
const APART_SECONDS = 0.25;
/** Units of a dump in a slice: some 200 µs. */
const SLICE_UNITS = 2000;
/** Ages are whole ticks, and ticks of two trackers begin at different moments. */
const TICKS_MARGIN = 2;

interface Session {
  readonly taker: string;
  readonly session: number;
  readonly dump: Dump;
  readonly had: readonly Had[];
  credit: number;
  chunks: number;
  begunAt: number;
  sentAt: number;
  heardAt: number;
}

/** A message for a taker. */
export interface Gift {
  taker: string;
  state: State;
}

export class Giving {
  readonly counts = { sessions: 0, refused: 0, peers: 0 };
  readonly #store: Store;
  readonly #sessions: Session[] = [];

  constructor(store: Store) {
    this.#store = store;
  }

  /** True if a slice would do something. */
  get works(): boolean {
    return this.#sessions.some(({ credit }) => credit > 0);
  }

  /**
   * `taker` has asked. `had`: up to which numbers this tracker has all, its own included. It is
   * called only for a session that begins, since it takes 20 µs and asks may come without end.
   */
  asked(taker: string, ask: Ask, had: () => readonly Had[], now: number): void {
    const at = this.#sessions.findIndex((session) => session.taker === taker);
    const current = this.#sessions[at];
    if (!ask.begins) {
      if (current?.session !== ask.session) return; // It is over.
      current.credit += ask.credit;
      current.heardAt = now;
      return;
    }
    const isEarly = current !== undefined && now - current.begunAt < APART_SECONDS;
    const isFull = current === undefined && this.#sessions.length >= TAKERS_MAX;
    if (isEarly || isFull) {
      this.counts.refused += 1;
      return;
    }
    if (current !== undefined) this.#sessions.splice(at, 1);
    this.counts.sessions += 1;
    const { seconds } = this.#store.peerTicks;
    const ticks = Math.ceil(ask.sinceSeconds / seconds) + TICKS_MARGIN;
    const chunk = new Uint8Array(CHUNK_BYTES_MAX - CHUNK_HEADER_BYTES);
    this.#sessions.push({
      ...{ taker, session: ask.session, had: had(), credit: ask.credit, chunks: 0 },
      ...{ begunAt: now, sentAt: now, heardAt: now },
      dump: new Dump(this.#store, chunk, ticks),
    });
  }

  /** Forgets takers that have gone. */
  expire(now: number): void {
    for (let at = this.#sessions.length - 1; at >= 0; at--) {
      if (now - this.#sessions[at].heardAt > SILENT_SECONDS) this.#sessions.splice(at, 1);
    }
  }

  /** Works some 200 µs for one taker. Returns a message to send, or undefined. */
  slice(now: number): Gift | undefined {
    const session = this.#sessions.find(({ credit }) => credit > 0);
    if (session === undefined) return undefined;
    // The others have their turn.
    this.#sessions.push(...this.#sessions.splice(this.#sessions.indexOf(session), 1));
    const { dump } = session;
    const isQuiet = now - session.sentAt >= QUIET_SECONDS;
    if (!dump.done && !dump.isFull) {
      dump.slice(now, SLICE_UNITS);
      if (!dump.done && !dump.isFull && !isQuiet) return undefined;
    }
    if (dump.size > 0 || (isQuiet && !dump.done)) {
      session.sentAt = now;
      return { taker: session.taker, state: this.#takeChunk(session) };
    }
    if (!dump.done) {
      dump.clear();
      return undefined;
    }
    this.counts.peers += dump.peers;
    this.#sessions.splice(this.#sessions.indexOf(session), 1);
    return { taker: session.taker, state: this.#stateOf(session, undefined, session.had) };
  }

  #takeChunk(session: Session): State {
    const { dump } = session;
    const records = dump.chunk.subarray(0, dump.size);
    const chunk = new Uint8Array(dump.size === 0 ? 0 : CHUNK_HEADER_BYTES + dump.size);
    if (dump.size > 0) {
      chunk.set(chunkBytes(0, dump.tick, records));
      chunk.set(records, CHUNK_HEADER_BYTES);
    }
    dump.clear();
    session.credit -= 1;
    session.chunks += 1;
    return this.#stateOf(session, chunk, [], session.chunks - 1);
  }

  #stateOf(
    { session, chunks }: Session,
    chunk: Uint8Array | undefined,
    had: readonly Had[],
    number = chunks,
  ): State {
    const tickSeconds = this.#store.peerTicks.seconds;
    return { session, tickSeconds, number: number & 0xffff, chunk, had: [...had] };
  }
}
