/**
 * Admission of new connections. Below the limit every connection is accepted. At the limit a new
 * one replaces another (see displacement.ts) or is refused.
 *
 * Threads that answer HTTP share the limit by a counter that is exact: a connection takes its place
 * before it is accepted. The one that gives way is always one of the same thread.
 */
import type { Family } from "../constants.ts";
import type { Networks } from "../net/addresses.ts";
import { Link } from "./chain.ts";
import type { Connection } from "./connection.ts";
import type { ConnectionCounts, Connections } from "./connections.ts";
import { Displacement } from "./displacement.ts";
import { Neighbourhood } from "./neighbours.ts";

export interface AdmissionOptions {
  /** Limit of connections. Beyond it a new one replaces another, or is closed itself. */
  connectionsMax: number;
  /** Limit for one IPv4 address or IPv6 /64, applied at the limit above; omitted for none. */
  connectionsPerAddressMax?: number;
  /** Networks without the limit per address. */
  exempt?: Networks;
  /** Ticks for which a connection that waits for its client is spared; TICKS_SPARED if absent. */
  sparedTicks?: number;
  /** Called for each connection that arrives at the limit. */
  full?: () => void;
  /** Open connections of all threads, which share the limit; without it this thread is alone. */
  open?: Int32Array | undefined;
}

/** The address of a client: the first 4 or 16 bytes. */
export interface ClientPlace {
  readonly address: Uint8Array;
  readonly family: Family;
}

export class Admission {
  readonly neighbourhood: Neighbourhood<Connection>;
  readonly displacement: Displacement;
  readonly #options: AdmissionOptions;
  readonly #connections: Connections;
  readonly #counts: ConnectionCounts;

  constructor(options: AdmissionOptions, connections: Connections, counts: ConnectionCounts) {
    this.neighbourhood = new Neighbourhood(options.exempt);
    this.displacement = new Displacement(connections, this.neighbourhood, options.sparedTicks);
    this.#options = options;
    this.#connections = connections;
    this.#counts = counts;
  }

  /** True if the connection is accepted; closes another one for it if necessary. */
  admits(newcomer: Connection, now: number): boolean {
    const { connectionsMax, connectionsPerAddressMax = Infinity, full } = this.#options;
    if (this.#hasRoom(connectionsMax)) return true;
    full?.();
    const crowded = newcomer.neighbours.open >= connectionsPerAddressMax;
    const victim = this.displacement.victimFor(newcomer, now, crowded);
    if (victim === undefined && crowded) this.#counts.crowded += 1;
    else this.#counts.refused += 1;
    if (victim === undefined) return false;
    victim.close();
    victim.socket.terminate();
    this.#count(1);
    return true;
  }

  /** True if another connection may open. With several threads it has its place at once. */
  #hasRoom(connectionsMax: number): boolean {
    const { open } = this.#options;
    if (open === undefined) return this.#connections.count < connectionsMax;
    if (Atomics.add(open, 0, 1) < connectionsMax) return true;
    this.#count(-1);
    return false;
  }

  #count(added: number): void {
    const { open } = this.#options;
    if (open !== undefined) Atomics.add(open, 0, added);
  }

  /** Call when an accepted connection is open. */
  add(connection: Connection): void {
    const { neighbours } = connection;
    this.#connections.add(connection);
    this.neighbourhood.join(neighbours);
    connection.siteLink = new Link(connection);
    neighbours.site.connections.append(connection.siteLink);
  }

  /**
   * Call when it is upgraded: moves it out of the chain of its site, for it never gives way to
   * another that waits less, and to the place of its client, if a proxy may have named one.
   */
  settle(connection: Connection, client?: ClientPlace): void {
    connection.siteLink?.leave();
    connection.siteLink = undefined;
    if (client !== undefined) this.#move(connection, client);
    this.neighbourhood.noteLasting(connection.neighbours);
  }

  #move(connection: Connection, { address, family }: ClientPlace): void {
    const { neighbourhood } = this;
    const place = neighbourhood.of(address, family);
    const before = connection.neighbours;
    if (place.key === before.key) return;
    before.heldBytes -= connection.held;
    neighbourhood.leave(before);
    connection.neighbours = place;
    place.heldBytes += connection.held;
    neighbourhood.join(place);
  }

  /** Call when it has closed. */
  remove(connection: Connection): void {
    this.#connections.remove(connection);
    this.#count(-1);
    // One that is settled has left its chain.
    const lasted = connection.siteLink === undefined;
    this.neighbourhood.leave(connection.neighbours, lasted);
    connection.siteLink?.leave();
    connection.forgetTaking();
  }
}
