/**
 * Who gets in: how many connections there may be, of one place and of all.
 *
 *   one too many of a place   closed at once (what a place is: see neighbours.ts)
 *   one too many of all       in the place of one that waited for 2 ticks or more, else closed
 *
 * A place is asked first, so that who has enough drives out nobody.
 */
import type { Networks } from "../ops/addresses.ts";
import type { Connection, ConnectionCounts, Connections } from "./connection.ts";
import { Neighbourhood } from "./neighbours.ts";

/** Nobody is cut for a new one who has waited less, or a flood would drive out all others. */
const TICKS_SPARED = 2;

export interface AdmissionOptions {
  /** For each beyond so many, one that waits is closed or, without one, itself. */
  connectionsMax: number;
  /** From one IPv4 address or IPv6 /64; without it there is no limit. */
  connectionsPerAddressMax?: number;
  /** Networks for which that does not hold. */
  exempt?: Networks;
  /** Told of each connection that comes when there are `connectionsMax`. */
  full?: () => void;
}

export class Admission {
  readonly neighbourhood: Neighbourhood;
  readonly #options: AdmissionOptions;
  readonly #connections: Connections;
  readonly #counts: ConnectionCounts;

  constructor(options: AdmissionOptions, connections: Connections, counts: ConnectionCounts) {
    this.neighbourhood = new Neighbourhood(options.exempt);
    this.#options = options;
    this.#connections = connections;
    this.#counts = counts;
  }

  /** False for one too many; else there is room for it now, at tick `now`, if need be by a cut. */
  admits({ neighbours }: Connection, now: number): boolean {
    const { connectionsMax, connectionsPerAddressMax = Infinity, full } = this.#options;
    if (neighbours.open >= connectionsPerAddressMax) {
      this.#counts.crowded += 1;
      return false;
    }
    if (this.#connections.count < connectionsMax) return true;
    this.#counts.refused += 1;
    full?.();
    return this.#makeRoom(now);
  }

  /** Cuts one that waits, if there is one: who holds connections must not keep others out. */
  #makeRoom(now: number): boolean {
    const connection = this.#connections.longestWaiting();
    if (connection === undefined || connection.waitsSince > now - TICKS_SPARED) return false;
    connection.closing = true;
    connection.socket.terminate();
    return true;
  }

  /** It is one of us now. */
  add(connection: Connection): void {
    this.#connections.add(connection);
    this.neighbourhood.join(connection.neighbours);
  }

  /** It has closed. */
  remove(connection: Connection): void {
    this.#connections.remove(connection);
    this.neighbourhood.leave(connection.neighbours);
  }
}
