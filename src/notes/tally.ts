/**
 * What the statistics page needs of every announce: the number of peers it wants, the time since
 * the last announce of the peer, and the networks that announce too early.
 *
 * Each thread owns one part of a shared buffer and is its only writer, as with the counters:
 *
 *   wanted   201 numbers   announces that wanted 0, 1, … 200 or more peers
 *   renewed   45 numbers   minutes since the last announce of the same peer: 0, 1, … 44 or more
 *   early    3 tables      networks of peers that announced too early: IPv4 by /28
 *                          and /24, IPv6 by /48
 *
 * An announce is too early if it comes before the `min interval` is over and has no event: the
 * client forces announces or ignores the interval. opentracker calls such clients woodpeckers. Ages
 * are known in ticks only (45 seconds with the default timeout). The first tick does not count,
 * because a client may announce over a second transport in it. Counting costs some ten nanoseconds
 * and allocates nothing.
 */
import { EVENT_NONE } from "../constants.ts";
import { readU32 } from "../net/words.ts";
import type { AnnounceReply, AnnounceRequest } from "../swarm/requests.ts";
import { Frequent, frequentBytes, type Frequency, byCount } from "./frequent.ts";

const WANTED_COLUMNS = 201;
const RENEWED_COLUMNS = 45;

/** 128 sets of eight networks in each table. */
const EARLY_SET_BITS = 7;
const EARLY_TABLES = 3;

const NUMBERS_BYTES = (WANTED_COLUMNS + RENEWED_COLUMNS) * Float64Array.BYTES_PER_ELEMENT;
/** Whole cache lines, so that no two threads write to the same one. */
const LINE_BYTES = 64;
const THREAD_BYTES =
  Math.ceil((NUMBERS_BYTES + EARLY_TABLES * frequentBytes(EARLY_SET_BITS)) / LINE_BYTES) *
  LINE_BYTES;

/** A thread halves its tables after this many early announces, so that old ones count less. */
const HALVE_AFTER = 2 ** 17;

/** Widths of the networks, in bits, by table. */
export const EARLY_WIDTHS = [28, 24, 48] as const;

/** The settings of a tally. */
export interface TallySettings {
  /** Length of a tick of peers' ages, in seconds. */
  tickSeconds: number;
  /** The `min interval` of replies, in seconds. */
  minimumSeconds: number;
}

/** Shared memory for the tallies of `threads` threads. */
export function tallyMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * THREAD_BYTES);
}

/** One thread's tally. */
export class Tally {
  readonly #wanted: Float64Array;
  readonly #renewed: Float64Array;
  readonly #early: Frequent[];
  readonly #ticksPerMinute: number;
  readonly #earlyTicks: number;
  #untilHalved = HALVE_AFTER;

  constructor(memory: SharedArrayBuffer, thread: number, settings: TallySettings) {
    const views = viewsOf(memory, thread);
    this.#wanted = views.wanted;
    this.#renewed = views.renewed;
    this.#early = views.early;
    this.#ticksPerMinute = 60 / settings.tickSeconds;
    this.#earlyTicks = settings.minimumSeconds / settings.tickSeconds;
  }

  /** Notes an announce that has been answered. */
  note(request: AnnounceRequest, reply: AnnounceReply): void {
    this.#wanted[Math.min(request.wanted, WANTED_COLUMNS - 1)] += 1;
    const ticks = reply.ticksSinceLast;
    if (ticks < 0) return;
    const minutes = Math.floor(ticks / this.#ticksPerMinute);
    this.#renewed[Math.min(minutes, RENEWED_COLUMNS - 1)] += 1;
    // Ages are exact to one tick; count only announces that are certainly early.
    if (ticks === 0 || ticks + 1 >= this.#earlyTicks || request.event !== EVENT_NONE) return;
    this.#noteEarly(request);
  }

  #noteEarly({ peer, family }: AnnounceRequest): void {
    if (--this.#untilHalved === 0) this.#halve();
    const high = readU32(peer, 0);
    if (family === 6) {
      this.#early[2].add(high, (readU32(peer, 4) & 0xffff0000) >>> 0, 1);
      return;
    }
    this.#early[0].add((high & 0xfffffff0) >>> 0, 0, 1);
    this.#early[1].add((high & 0xffffff00) >>> 0, 0, 1);
  }

  #halve(): void {
    this.#untilHalved = HALVE_AFTER;
    for (const table of this.#early) table.halve();
  }
}

/** Reads the tallies of all threads. */
export class Tallies {
  readonly #memory: SharedArrayBuffer;

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
  }

  /** Announces by the number of peers they wanted. */
  wanted(): number[] {
    return this.#sum(WANTED_COLUMNS, ({ wanted }) => wanted);
  }

  /** Announces of known peers by the minutes since their last one. */
  renewed(): number[] {
    return this.#sum(RENEWED_COLUMNS, ({ renewed }) => renewed);
  }

  /** The networks with the most early announces, from a table of EARLY_WIDTHS. */
  early(table: number, most: number): Frequency[] {
    const sums = new Map<string, Frequency>();
    for (const { early } of this.#threads()) {
      for (const { high, low, count } of early[table].top(early[table].entries)) {
        const key = `${high} ${low}`;
        const before = sums.get(key)?.count ?? 0;
        sums.set(key, { high, low, count: before + count });
      }
    }
    return [...sums.values()].sort(byCount).slice(0, most);
  }

  #sum(columns: number, of: (views: Views) => Float64Array): number[] {
    const sums = new Array<number>(columns).fill(0);
    for (const views of this.#threads()) {
      for (let column = 0; column < columns; column++) sums[column] += of(views)[column];
    }
    return sums;
  }

  #threads(): Views[] {
    const threads = this.#memory.byteLength / THREAD_BYTES;
    return Array.from({ length: threads }, (_, thread) => viewsOf(this.#memory, thread));
  }
}

interface Views {
  wanted: Float64Array;
  renewed: Float64Array;
  early: Frequent[];
}

/** Need not be secret: a flood of one set pushes out other offenders only. */
const TABLE_KEY = 0x9e3779b1;

function viewsOf(memory: SharedArrayBuffer, thread: number): Views {
  const from = thread * THREAD_BYTES;
  const early: Frequent[] = [];
  const size = frequentBytes(EARLY_SET_BITS);
  for (let table = 0; table < EARLY_TABLES; table++) {
    const words = new Uint32Array(memory, from + NUMBERS_BYTES + table * size, size / 4);
    early.push(new Frequent(words, EARLY_SET_BITS, TABLE_KEY));
  }
  return {
    wanted: new Float64Array(memory, from, WANTED_COLUMNS),
    renewed: new Float64Array(memory, from + 8 * WANTED_COLUMNS, RENEWED_COLUMNS),
    early,
  };
}
