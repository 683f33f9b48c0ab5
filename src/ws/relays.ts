/**
 * What is passed on to other connections in one turn of the event loop: all of it for one receiver
 * is one write, at the end of the turn.
 *
 *   offers and answers read in this turn ─► receiver ─► its texts
 *   the turn is over ─► for each receiver: frames ─► one write
 *
 * Half of the time of a cycle of offers and answers is spent in `write`, 5 to 6 µs each. Answers to
 * one client come from as many connections, often in the same turn. What waits is bounded by what
 * is read in a turn.
 */
import type { FrameWriter } from "./frames.ts";

/** A connection that is passed something. */
export interface Receiver {
  /** True once nothing may be sent to it any more. */
  readonly ended: boolean;
}

export class Relays<Connection extends Receiver> {
  readonly #texts = new Map<Connection, string[]>();
  readonly #frames: FrameWriter;
  readonly #soon: (call: () => void) => void;
  readonly #send: (connection: Connection) => void;
  readonly #sendAll = (): void => {
    try {
      this.#texts.forEach((texts, connection) => this.#sendTo(connection, texts));
    } finally {
      this.#texts.clear();
    }
  };

  /** `soon` calls back when the turn is over; `send` sends what is in `frames`, and empties it. */
  constructor(
    frames: FrameWriter,
    soon: (call: () => void) => void,
    send: (connection: Connection) => void,
  ) {
    this.#frames = frames;
    this.#soon = soon;
    this.#send = send;
  }

  /** Passes the text on, before the next turn. */
  add(connection: Connection, text: string): void {
    const texts = this.#texts.get(connection);
    if (texts !== undefined) {
      texts.push(text);
      return;
    }
    this.#texts.set(connection, [text]);
    if (this.#texts.size === 1) this.#soon(this.#sendAll);
  }

  /** To send may close other connections that hold too much: nothing is sent to those. */
  #sendTo(connection: Connection, texts: string[]): void {
    for (const text of texts) {
      if (connection.ended) return;
      this.#frames.text(text);
      if (this.#frames.isFull) this.#send(connection);
    }
    if (this.#frames.to > 0) this.#send(connection);
  }
}
