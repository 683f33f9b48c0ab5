/**
 * Garbage of what was received: collected before there is much of it.
 *
 * The engine collects once garbage is a share of all memory it knows of, and it knows of the whole
 * reserve of the swarms, used or not. With 1 GiB of that, 150 clients that pipelined requests made
 * the process 570 MiB bigger within 4 seconds, of which 40 MiB were in use.
 *
 * So a collection is asked for, but not waited for. Waiting would stop everybody for 8 to 16 ms
 * each time, 3 % of all time where clients pipeline 200 MiB a second; asking takes 0.1 ms (0.05 %
 * of the time), the stalls that are left are no longer than without, and the process has 219 MiB
 * at most instead of 182 (Bun 1.4.5, 2,000 connections, 2 cores, 2026-11). Honest requests are
 * short: 10,000 a second make one collection in 20 seconds.
 */
import { HTTP_HEAD_BYTES_MAX } from "../constants.ts";

/** What a piece of a Response leaves beside itself, the text of what waits behind it included. */
export const RESPONSE_GARBAGE_BYTES = HTTP_HEAD_BYTES_MAX + 8 * 1024;

/** Bytes received between two collections. */
export const GARBAGE_BYTES_MAX = 64 * 1024 * 1024;

export class Garbage {
  readonly #collect: () => void;
  #bytes = 0;

  constructor(collect: () => void = () => Bun.gc(false)) {
    this.#collect = collect;
  }

  /** Notes bytes that were received, and asks for a collection when it is time. */
  note(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= GARBAGE_BYTES_MAX) return;
    this.#bytes = 0;
    this.#collect();
  }
}
