/**
 * What is passed on to other connections in one turn of the event loop: all of it for one receiver
 * is one write, at the end of the turn.
 *
 *   offers and answers read in this turn ─► frames, one behind the other; receiver ─► which of them
 *   the turn is over, or 256 KiB are there ─► for each receiver: its frames ─► one write
 *
 * Half of the time of a cycle of offers and answers is spent in `write`, 5 to 6 µs each. Answers to
 * one client come from as many connections, often in the same turn.
 */
import { FrameWriter } from "./frames.ts";

/** More than is read in a turn of the event loop. */
const BYTES_MAX = 256 * 1024;

/** A connection that is passed something. */
export interface Receiver {
  /** True once nothing may be sent to it any more. */
  readonly ended: boolean;
}

export class Relays<Connection extends Receiver> {
  readonly #frames = new FrameWriter(BYTES_MAX);
  /** Where the frames for each begin and end. */
  readonly #places = new Map<Connection, number[]>();
  readonly #out: FrameWriter;
  readonly #soon: (call: () => void) => void;
  readonly #send: (connection: Connection) => void;
  readonly #sendAll = (): void => {
    try {
      this.#places.forEach((places, connection) => this.#sendTo(connection, places));
    } finally {
      this.#places.clear();
      this.#frames.to = 0;
    }
  };

  /** `soon` calls back when the turn is over; `send` sends what is in `out`, and empties it. */
  constructor(
    out: FrameWriter,
    soon: (call: () => void) => void,
    send: (connection: Connection) => void,
  ) {
    this.#out = out;
    this.#soon = soon;
    this.#send = send;
  }

  /** Passes a text on that begins and ends as told, with these bytes between. */
  add(connection: Connection, before: string, bytes: Uint8Array, after: string): void {
    const frames = this.#frames;
    const from = frames.to;
    frames.around(before, bytes, after);
    const places = this.#places.get(connection);
    if (places !== undefined) places.push(from, frames.to);
    else {
      this.#places.set(connection, [from, frames.to]);
      if (this.#places.size === 1) this.#soon(this.#sendAll);
    }
    if (frames.isFull) this.#sendAll();
  }

  /** To send may close other connections that hold too much: nothing is sent to those. */
  #sendTo(connection: Connection, places: number[]): void {
    for (let i = 0; i < places.length; i += 2) {
      if (connection.ended) return;
      this.#out.add(this.#frames, places[i], places[i + 1]);
      if (this.#out.isFull) this.#send(connection);
    }
    if (this.#out.to > 0) this.#send(connection);
  }
}
