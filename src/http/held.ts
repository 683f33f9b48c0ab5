/**
 * Limit of the bytes that all connections hold together: waiting requests and unsent answers.
 *
 * Above the limit, close the connections whose place (see neighbours.ts) holds most, not the newest
 * ones, until an eighth of the limit is free. Places are compared by powers of two, so finding the
 * heaviest takes three passes over the connections, once per 8 MiB received (65,000 connections:
 * 2 ms).
 */
import type { Connection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import type { Neighbours } from "./neighbours.ts";

/** Limit for all connections together. */
export const HELD_BYTES_MAX = 64 * 1024 * 1024;

/** This share of the limit is free once connections have been closed. */
const FREED_SHARE = 1 / 8;

/** Above this no connection waits its turn: 150 pipelining clients cost 290 instead of 490 MiB. */
const LITTLE_SHARE = 1 / 4;

/** Levels are powers of two; the highest is above any number of bytes. */
const LEVELS = 32;

export class Held {
  readonly #connections: Connections;
  readonly #cut: (connection: Connection) => void;
  readonly #bytesMax: number;
  readonly #bytesLittle: number;
  #bytes = 0;

  /** `cut` closes a connection, whose bytes have been dropped before. */
  constructor(
    connections: Connections,
    cut: (connection: Connection) => void,
    bytesMax = HELD_BYTES_MAX,
  ) {
    this.#connections = connections;
    this.#cut = cut;
    this.#bytesMax = bytesMax;
    this.#bytesLittle = bytesMax * LITTLE_SHARE;
  }

  /** Bytes held by all connections. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True if there is memory for requests that wait their turn. */
  get isLittle(): boolean {
    return this.#bytes < this.#bytesLittle;
  }

  /** Connections are closed until the rest holds no more than this. */
  get #bytesAfter(): number {
    return this.#bytesMax * (1 - FREED_SHARE);
  }

  /** Keeps received bytes until they are answered; may close connections that hold too much. */
  keep(connection: Connection, bytes: Buffer): void {
    const before = connection.held;
    connection.keep(bytes);
    this.note(connection, connection.held - before);
  }

  /** Drops the first `count` bytes that were kept. */
  drop(connection: Connection, count: number): void {
    const before = connection.held;
    connection.leftover.drop(count);
    this.note(connection, connection.held - before);
  }

  /** Call when a protocol on the connection holds `added` more bytes for it. */
  keepBeside(connection: Connection, added: number): void {
    connection.heldBeside += added;
    this.note(connection, added);
  }

  /** Call after a connection began to hold `added` more bytes; a negative number is fewer. */
  note(connection: Connection, added: number): void {
    this.#bytes += added;
    connection.neighbours.heldBytes += added;
    if (added > 0 && this.#bytes > this.#bytesMax) this.#relieve();
  }

  /**
   * Call before a connection drops all its bytes. Not `-held`: -0 is not an integer to the engine,
   * which would recompile all code that it had compiled for integers.
   */
  release(connection: Connection): void {
    this.note(connection, 0 - connection.held);
  }

  #relieve(): void {
    const lowest = this.#weigh(this.#bytes - this.#bytesAfter);
    this.#cutThose((level) => level > lowest);
    this.#cutThose((level) => level === lowest);
  }

  /** Sets the level of each place; returns the highest level from which upward `bytes` are held. */
  #weigh(bytes: number): number {
    const sums = new Float64Array(LEVELS);
    this.#connections.forEach((connection) => {
      const { neighbours } = connection;
      neighbours.level = levelOf(neighbours);
      sums[neighbours.level] += connection.held;
    });
    let level = LEVELS - 1;
    for (let sum = sums[level]; level > 0 && sum < bytes;) sum += sums[--level];
    return level;
  }

  /** Closes connections by the level set before, because each closing makes its place lighter. */
  #cutThose(isMeant: (level: number) => boolean): void {
    this.#connections.forEach((connection) => {
      if (this.#bytes <= this.#bytesAfter || !isMeant(connection.neighbours.level)) return;
      if (connection.held === 0) return;
      this.release(connection);
      connection.drop();
      this.#cut(connection);
    });
  }
}

function levelOf({ heldBytes }: Neighbours<Connection>): number {
  return LEVELS - 1 - Math.clz32(heldBytes);
}
