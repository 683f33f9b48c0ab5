/**
 * Garbage: what this thread has left behind, collected before there is much of it.
 *
 * The engine collects once garbage is a share of all memory it knows of, and it knows of the whole
 * reserve of the swarms, used or not. With 1 GiB of that, 150 clients that pipelined requests made
 * the process 570 MiB bigger within 4 seconds, of which 40 MiB were in use; with 2560 MiB, 200
 * readings of a list of 200,000 hashes did the same, and it stayed so.
 *
 * So all that leaves much behind notes it here, and a collection follows:
 *
 *   each 64 MiB                   asked for: 0.1 ms, the rest beside the work. Honest requests are
 *                                 short: 10,000 a second make one in 20 seconds
 *   again within a second         waited for: 5 to 9 ms, 40 with 400,000 objects alive. Asked for,
 *                                 it comes too late: a flood left 700 MiB where 300 are left so
 *   something rare is over        waited for: what was asked for is not done while the thread waits
 *                                 for the system, and each reading of a list left 6 MiB
 *
 * (Bun 1.4.5, 2 cores, 2026-11. `Bun.gc(true)` would throw away compiled code, and take 80 ms.)
 */
import { fullGC } from "bun:jsc";

/** What a piece of a Response leaves beside itself, the text of what waits behind it included. */
export const RESPONSE_GARBAGE_BYTES = 12 * 1024;

/** What the smallest piece that a socket hands over leaves; an announce is larger than that. */
export const PIECE_GARBAGE_BYTES = 256;

/** Bytes between two collections. */
export const GARBAGE_BYTES_MAX = 64 * 1024 * 1024;

/** Where the last one is less long ago, asking for one is not enough. */
const ASKED_MILLISECONDS_MIN = 1000;

/** Less than this is not worth a collection. */
const GARBAGE_BYTES_MIN = 1024 * 1024;

/** Collects; `waits` says whether that is over on return. */
export type Collect = (waits: boolean) => void;

export class Garbage {
  /** Everything that was noted since the start. */
  noted = 0;
  readonly #collect: Collect;
  readonly #now: () => number;
  #collected = 0;
  #collectedAt = -Infinity;

  /** `now` tells milliseconds. */
  constructor(collect: Collect = collectAll, now = () => performance.now()) {
    this.#collect = collect;
    this.#now = now;
  }

  /** Notes that so many bytes are, or soon will be, garbage; has it collected when it is time. */
  note(bytes: number): void {
    this.noted += bytes;
    if (this.noted - this.#collected <= GARBAGE_BYTES_MAX) return;
    const now = this.#now();
    const waits = now - this.#collectedAt < ASKED_MILLISECONDS_MIN;
    this.#collectedAt = now;
    this.#begin(waits);
  }

  /** Collects what there is, if it is worth it: something large and rare is over. */
  settle(): void {
    if (this.noted - this.#collected >= GARBAGE_BYTES_MIN) this.#begin(true);
  }

  #begin(waits: boolean): void {
    this.#collected = this.noted;
    this.#collect(waits);
  }
}

function collectAll(waits: boolean): void {
  if (waits) fullGC();
  else Bun.gc(false);
}

/** That of this thread: each has a heap of its own. */
export const garbage = new Garbage();
