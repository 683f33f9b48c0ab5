/**
 * Who gets in: as many connections as there may be, whoever they are; then a newcomer in the place
 * of one that must give way (see displacement.ts), or not at all.
 */
import type { Networks } from "../net/addresses.ts";
import type { Connection, ConnectionCounts, Connections } from "./connection.ts";
import { Displacement } from "./displacement.ts";
import { Neighbourhood } from "./neighbours.ts";

export interface AdmissionOptions {
  /** For each beyond so many, another one is closed or, without one, itself. */
  connectionsMax: number;
  /** From one IPv4 address or IPv6 /64, once there are so many; without it there is no limit. */
  connectionsPerAddressMax?: number;
  /** Networks for which that does not hold. */
  exempt?: Networks;
  /** Told of each connection that comes when there are `connectionsMax`. */
  full?: () => void;
}

export class Admission {
  readonly neighbourhood: Neighbourhood<Connection>;
  readonly displacement: Displacement;
  readonly #options: AdmissionOptions;
  readonly #connections: Connections;
  readonly #counts: ConnectionCounts;

  constructor(options: AdmissionOptions, connections: Connections, counts: ConnectionCounts) {
    this.neighbourhood = new Neighbourhood(options.exempt);
    this.displacement = new Displacement(connections, this.neighbourhood);
    this.#options = options;
    this.#connections = connections;
    this.#counts = counts;
  }

  /** False for one too many; else there is room for it now, at tick `now`, if need be by a cut. */
  admits(newcomer: Connection, now: number): boolean {
    const { connectionsMax, connectionsPerAddressMax = Infinity, full } = this.#options;
    if (this.#connections.count < connectionsMax) return true;
    full?.();
    const crowded = newcomer.neighbours.open >= connectionsPerAddressMax;
    const victim = this.displacement.victimFor(newcomer, now, crowded);
    if (victim === undefined && crowded) this.#counts.crowded += 1;
    else this.#counts.refused += 1;
    if (victim === undefined) return false;
    victim.closing = true;
    victim.socket.terminate();
    return true;
  }

  /** It is one of us now. */
  add(connection: Connection): void {
    const { neighbours } = connection;
    this.#connections.add(connection);
    this.neighbourhood.join(neighbours);
    neighbours.site.connections.append(connection.seat);
  }

  /** It has closed. */
  remove(connection: Connection): void {
    this.#connections.remove(connection);
    this.neighbourhood.leave(connection.neighbours);
    connection.seat.leave();
    connection.debt.leave();
  }
}
