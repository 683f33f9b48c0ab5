/**
 * What waits in connections, requests and answers alike: bounded for all of them together.
 *
 * When there is too much, those go whose place (see neighbours.ts) holds most, until an eighth of
 * the room is free: who lets many answers wait pays for it, not who comes last. Places are weighed
 * by powers of two, so that looking for the heaviest is three walks over the connections, once in
 * 8 MiB of what arrives (65,000 connections: 2 ms).
 */
import type { Connection, Connections } from "./connection.ts";

/** What all connections may hold together. */
export const HELD_BYTES_MAX = 64 * 1024 * 1024;

/** What they may hold after some were cut. */
const HELD_BYTES_AFTER = HELD_BYTES_MAX - HELD_BYTES_MAX / 8;

/** With more nobody gives way: 150 clients who pipeline would cost 490 MiB instead of 290. */
const HELD_BYTES_LITTLE = HELD_BYTES_MAX / 4;

/** Powers of two up to more bytes than there are. */
const LEVELS = 32;

export class Held {
  readonly #connections: Connections;
  readonly #cut: (connection: Connection) => void;
  #bytes = 0;

  /** `cut` closes a connection for good; what it held has been thrown away by then. */
  constructor(connections: Connections, cut: (connection: Connection) => void) {
    this.#connections = connections;
    this.#cut = cut;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True if there is room for requests that wait while others have their turn. */
  get isLittle(): boolean {
    return this.#bytes < HELD_BYTES_LITTLE;
  }

  /** Notes that a connection holds so many bytes more, or less, which it already does. */
  note(connection: Connection, added: number): void {
    this.#bytes += added;
    connection.neighbours.heldBytes += added;
    if (added > 0 && this.#bytes > HELD_BYTES_MAX) this.#relieve();
  }

  /**
   * Notes that a connection will hold nothing any more. Not `-held`: a sum with minus zero in it is
   * no integer to the engine, and everything it had compiled for integers is compiled once more.
   */
  release(connection: Connection): void {
    this.note(connection, 0 - connection.held);
  }

  #relieve(): void {
    const lowest = this.#weigh(this.#bytes - HELD_BYTES_AFTER);
    this.#cutThose((level) => level > lowest);
    this.#cutThose((level) => level === lowest);
  }

  /** Notes the level of each; returns that down from which there are `bytes`. */
  #weigh(bytes: number): number {
    const sums = new Float64Array(LEVELS);
    this.#connections.forEach((connection) => {
      connection.level = levelOf(connection);
      sums[connection.level] += connection.held;
    });
    let level = LEVELS - 1;
    for (let sum = sums[level]; level > 0 && sum < bytes;) sum += sums[--level];
    return level;
  }

  /** Those on such a level, as noted: with each that is cut its neighbours become lighter. */
  #cutThose(isMeant: (level: number) => boolean): void {
    this.#connections.forEach((connection) => {
      if (this.#bytes <= HELD_BYTES_AFTER || !isMeant(connection.level)) return;
      if (connection.held === 0) return;
      this.release(connection);
      connection.drop();
      this.#cut(connection);
    });
  }
}

function levelOf({ neighbours }: Connection): number {
  return LEVELS - 1 - Math.clz32(neighbours.heldBytes);
}
