/**
 * All connections of a server, and what is counted of them.
 */
import { closeSocket } from "./closing.ts";
import type { Connection } from "./connection.ts";

/** Columns of the counters of a thread: a cache line, so that no two threads write to one. */
export const CONNECTION_COLUMNS = 8;

/** Counters of connections; they only grow. They may lie in memory that another thread reads. */
export class ConnectionCounts {
  readonly #columns: Float64Array;

  constructor(columns: Float64Array = new Float64Array(CONNECTION_COLUMNS)) {
    this.#columns = columns;
  }

  /** New connections that were accepted. */
  get accepted(): number {
    return this.#columns[0];
  }

  set accepted(count: number) {
    this.#columns[0] = count;
  }

  /** New connections at the limit, for which they or another were closed. */
  get refused(): number {
    return this.#columns[1];
  }

  set refused(count: number) {
    this.#columns[1] = count;
  }

  /** New connections closed at the limit because their address had reached its own. */
  get crowded(): number {
    return this.#columns[2];
  }

  set crowded(count: number) {
    this.#columns[2] = count;
  }

  /** Malformed requests. */
  get malformed(): number {
    return this.#columns[3];
  }

  set malformed(count: number) {
    this.#columns[3] = count;
  }

  /** Connections that did not send or read in time; idle ones are not counted. */
  get expired(): number {
    return this.#columns[4];
  }

  set expired(count: number) {
    this.#columns[4] = count;
  }

  /** Connections closed because all together held too many bytes. */
  get starved(): number {
    return this.#columns[5];
  }

  set starved(count: number) {
    this.#columns[5] = count;
  }
}

/**
 * A request may be on its way when the server stops. So a connection that was kept open is closed
 * after this time, and a new one after the other: 250 ms are a TLS handshake over a slow line. When
 * they were closed at once, up to 7 connections got no answer at 1,000 a second.
 */
const KEPT_MILLISECONDS = 20;
const NEW_MILLISECONDS = 250;

/**
 * A turn of a walk over all of them. To send a ping takes 6 µs, and those of 19,500 WebSockets that
 * began together are due in the same second.
 */
const TURN_MILLISECONDS = 1;
const VISITS_A_LOOK = 32;

/** All connections of a server: an array without gaps, in no order. */
export class Connections {
  readonly #all: Connection[] = [];
  /** Those before this index are not visited yet in the walk that is under way. */
  #unvisited = 0;

  get count(): number {
    return this.#all.length;
  }

  add(connection: Connection): void {
    connection.index = this.#all.length;
    this.#all.push(connection);
  }

  remove(connection: Connection): void {
    const last = this.#all.pop()!;
    if (last === connection) return;
    this.#all[connection.index] = last;
    last.index = connection.index;
  }

  /**
   * The longest waiting match among `most` connections, if there is one: evenly spaced from a
   * random position on, since those that opened together lie together.
   */
  longestWaiting(
    most: number,
    matches: (connection: Connection) => boolean,
  ): Connection | undefined {
    const all = this.#all;
    const from = Math.floor(Math.random() * all.length);
    const step = Math.max(1, Math.floor(all.length / most));
    let longest: Connection | undefined;
    for (let looks = 0; looks < Math.min(most, all.length); looks++) {
      const connection = all[(from + looks * step) % all.length];
      if (!matches(connection)) continue;
      if (connection.waitsSince < (longest?.waitsSince ?? Infinity)) longest = connection;
    }
    return longest;
  }

  /** Closes those that wait for a request, soon. */
  endIdle(): void {
    const end = (isEnded: (connection: Connection) => boolean) =>
      this.forEach((connection) => {
        if (connection.idle && isEnded(connection)) closeSocket(connection.socket);
      });
    setTimeout(() => end(({ partial }) => !partial), KEPT_MILLISECONDS);
    setTimeout(() => end(() => true), NEW_MILLISECONDS);
  }

  /** The connections that match. */
  filter(matches: (connection: Connection) => boolean): Connection[] {
    return this.#all.filter(matches);
  }

  /** Calls `visit` with each connection; `visit` may remove it. */
  forEach(visit: (connection: Connection) => void): void {
    // From the end, because removing one moves the last one to its index.
    for (let i = this.#all.length - 1; i >= 0; i--) visit(this.#all[i]);
  }
  /**
   * Calls `visit` with each in turns of the event loop, as many as fit in one; `visit` may remove
   * it. Those that come meanwhile may be left out, and all if a walk is under way.
   */
  walk(visit: (connection: Connection) => void): void {
    if (this.#unvisited > 0) return;
    this.#unvisited = this.#all.length;
    this.#walkOn(visit);
  }

  #walkOn(visit: (connection: Connection) => void): void {
    const until = performance.now() + TURN_MILLISECONDS;
    for (let visits = 1; this.#unvisited > 0; visits++) {
      // The last ones may be gone. From the end, as in `forEach`.
      this.#unvisited = Math.min(this.#unvisited, this.#all.length) - 1;
      if (this.#unvisited >= 0) visit(this.#all[this.#unvisited]);
      if (visits % VISITS_A_LOOK !== 0 || performance.now() < until) continue;
      setImmediate(() => this.#walkOn(visit));
      return;
    }
  }
}
