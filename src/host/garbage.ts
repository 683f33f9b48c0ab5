/**
 * Garbage of this thread: starts collections early, so that garbage stays small.
 *
 * The engine collects when garbage reaches a share of the memory it knows, which includes the whole
 * reserve of the swarms, used or not. With a reserve of 1 GiB, 150 clients that pipelined requests
 * made the process 570 MiB bigger within 4 seconds, of which 40 MiB were in use; with 2560 MiB, 200
 * readings of a list of 200,000 hashes did the same, permanently.
 *
 * Code that makes much garbage notes its size here, and a collection follows:
 *
 *   each 64 MiB                   started, not awaited: takes 0.1 ms, the rest runs in parallel.
 *                                 10,000 honest requests a second cause one in 20 seconds
 *   again within a second         awaited: takes 5 to 9 ms, 40 with 400,000 live objects. One that
 *                                 is not awaited ends too late: a flood left 700 MiB, not 300
 *   each 128 MiB where most is    of young objects only, awaited: 1 ms; of all objects it freed no
 *   an export's, within a second  more. What most of it is decides, since the note that exceeds
 *                                 the limit is often one of HTTP: then it took 2 to 6 ms. Of a
 *                                 flood's garbage, which gets old, the process filled 260 MiB
 *   large, rare work is over,     awaited: the engine does not collect while the thread waits for
 *   and each 30 seconds           the system. Where most of it is given back by hand, as that of
 *                                 lists, it is only started: the pauses are 1 to 4 ms, not 9
 *   each 250 objects that         of young objects only, awaited: 2.5 ms. What lasts lies together
 *   last, amid garbage            then: 6,000 WebSockets took 1.6 KiB each instead of 2.5, which a
 *                                 full collection later does not mend, and 6.1 before it. Against
 *                                 each 1,000 it is 0.2 KiB less, and 4 µs more for an upgrade
 *   each 2,500 tiny pieces        of young objects only, awaited: the pongs of 19,500 idle
 *   that a socket receives        WebSockets left 6 MB for up to 30 s
 *   once, 30 seconds after the    awaited: code that only the start ran is free by then, 0.6 MB
 *   start
 *
 * (Bun 1.4.5, 2 cores, 2026-11. `Bun.gc(true)` would discard compiled code, and take 80 ms.)
 */
import { edenGC, fullGC } from "bun:jsc";

/**
 * Garbage of a piece of a Response in addition to its own bytes, with the request behind it. Pieces
 * after the first, those of a long answer, die young: each is garbage once it is sent.
 */
export const RESPONSE_GARBAGE_BYTES = 12 * 1024;

/** Garbage of the smallest piece that a socket receives; an announce is larger. */
export const PIECE_GARBAGE_BYTES = 256;

/** Bytes between two collections; and where most of them are of objects that die young. */
export const GARBAGE_BYTES_MAX = 64 * 1024 * 1024;
export const YOUNG_BYTES_MAX = 2 * GARBAGE_BYTES_MAX;

/** After a shorter time than this since the last collection, the next one is awaited. */
const PARALLEL_MILLISECONDS_MIN = 1000;

/** Less garbage than this is not worth a collection. */
const GARBAGE_BYTES_MIN = 1024 * 1024;

/** Objects that last between two collections of young ones. */
export const LASTING_MAX = 250;

/** Tiny pieces between two collections of young objects. */
export const TINY_MAX = 2500;

/** Collects; returns after the collection if `waits`, else at once. */
export type Collect = (waits: boolean) => void;

export class Garbage {
  /** Garbage noted since the start, in bytes. */
  noted = 0;
  readonly #collect: Collect;
  readonly #now: () => number;
  readonly #collectYoung: () => void;
  #lasting = 0;
  #tiny = 0;
  #collected = 0;
  /** Bytes noted since then of objects that die young. */
  #young = 0;
  /** What was noted when all objects were collected last, and awaited. */
  #settled = 0;
  #collectedAt = -Infinity;

  /** `now` tells milliseconds. */
  constructor(
    collect: Collect = collectAll,
    now = () => performance.now(),
    collectYoung: () => void = () => void edenGC(),
  ) {
    this.#collect = collect;
    this.#now = now;
    this.#collectYoung = collectYoung;
  }

  /**
   * Notes bytes that are or will soon be garbage; starts a collection when there are enough.
   * `dieYoung` tells of objects that nothing holds when the next collection comes.
   */
  note(bytes: number, dieYoung = false): void {
    this.noted += bytes;
    if (dieYoung) this.#young += bytes;
    const since = this.noted - this.#collected;
    if (since <= GARBAGE_BYTES_MAX) return;
    const isYoung = 2 * this.#young > since;
    if (isYoung && since <= YOUNG_BYTES_MAX) return;
    const now = this.#now();
    const isSoon = now - this.#collectedAt < PARALLEL_MILLISECONDS_MIN;
    this.#collectedAt = now;
    this.#collected = this.noted;
    this.#young = 0;
    if (isSoon && isYoung) this.#collectYoung();
    else this.#collect(isSoon);
  }

  /** Notes an object that lasts, made amid much garbage, such as an upgraded connection. */
  noteLasting(): void {
    this.#lasting += 1;
    if (this.#lasting < LASTING_MAX) return;
    this.#lasting = 0;
    this.#collectYoung();
  }

  /** Notes a received piece whose object takes far more memory than its bytes. */
  noteTiny(): void {
    this.#tiny += 1;
    if (this.#tiny < TINY_MAX) return;
    this.#tiny = 0;
    this.#collectYoung();
  }

  /**
   * Collects if there is enough garbage; call it after large, rare work. Unless it `waits`, the
   * collection is only started.
   */
  settle(waits = true): void {
    if (this.noted - this.#settled >= GARBAGE_BYTES_MIN) this.collect(waits);
  }

  /** Collects, however little was noted. */
  collect(waits = true): void {
    this.#settled = this.#collected = this.noted;
    this.#young = 0;
    this.#collect(waits);
  }
}

/**
 * Collects what the start of this thread left, and gives its memory back to the system: 0.8 MB of a
 * UDP worker, in 1.5 ms. An event loop gives memory back when it waits, but a thread that waits in
 * the C library never does. It discards compiled code, so call it before the first request.
 */
export function releaseStart(): void {
  Bun.gc(true);
}

function collectAll(waits: boolean): void {
  if (waits) fullGC();
  else Bun.gc(false);
}

/** The garbage of this thread: each thread has its own heap. */
export const garbage = new Garbage();
