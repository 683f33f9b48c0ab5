/**
 * One HTTP connection: what of it has come and is not answered, and what is not yet sent.
 *
 *   received ──► leftover ──► (server) ──► unsent ──► socket
 *                a request in pieces,      what the system's send
 *                or waiting its turn       buffer did not take
 *
 * Bun's sockets keep nothing: what a write does not take is kept here and offered again when the
 * socket drains. Holds state only; when to read, answer and close is the server's business.
 */
import type { Family } from "../constants.ts";
import { readAddress } from "../net/addresses.ts";
import type { BodySkipper } from "./body.ts";
import { Link } from "./chain.ts";
import { Leftover } from "./leftover.ts";
import { type Neighbourhood, Neighbours } from "./neighbours.ts";

/** What a connection needs of its socket, which is one of Bun's. */
export interface ClientSocket {
  readonly remoteAddress: string;
  /** Returns the bytes it took, below 0 if it is closed. */
  write(bytes: Uint8Array, from?: number, size?: number): number;
  pause(): unknown;
  resume(): unknown;
  shutdown(): unknown;
  end(): unknown;
  terminate(): unknown;
}

/** A socket and its connection; it has none while it is being opened or if it was one too many. */
export interface OwnedSocket extends ClientSocket {
  data: Connection;
}

/** What Bun calls, for all sockets of a listener. */
export interface SocketEvents {
  binaryType: "buffer";
  open(socket: OwnedSocket): void;
  handshake(socket: OwnedSocket, success: boolean): void;
  data(socket: OwnedSocket, bytes: Buffer): void;
  drain(socket: OwnedSocket): void;
  end(socket: OwnedSocket): void;
  close(socket: OwnedSocket): void;
  error(socket: OwnedSocket, error: Error): void;
}

export class Connection {
  readonly socket: ClientSocket;
  /** Where it came from: 4 or 16 bytes, and which; 0 if the client was gone before we asked. */
  readonly address = new Uint8Array(16);
  readonly family: Family | 0;
  /** The place it came from, and who else did. */
  readonly neighbours: Neighbours<Connection>;
  /** Its link in the chain of its site. */
  readonly seat = new Link<Connection>(this);
  /** Its link in the chain of those whose answers wait: in it from then until it is idle again. */
  readonly debt = new Link<Connection>(this);
  /** Bytes of answers that its client has taken since the tick of its last progress. */
  takenBytes = 0;
  progressedAt = 0;
  /** Its index in `Connections`. */
  place = 0;
  /** How much its place held when that was last looked at (see held.ts), as a power of two. */
  level = 0;
  /** The last tick of the server's clock it may see as it is. */
  deadline = 0;
  /** The tick since which it waits for the client, if it is `free`. */
  waitsSince = 0;
  /** Bytes of requests that are not answered. */
  readonly leftover = new Leftover();
  /** Bytes of answers that the socket has not taken. */
  unsent: Buffer | undefined;
  /** The body that is being read past. */
  body: BodySkipper | undefined;
  /** True while a request has begun and not ended; a new connection owes us one. */
  partial = true;
  /** True while a Response is being made or sent, and while others have their turn. */
  answering = false;
  /** True once the last answer is decided: no further request is read. */
  closing = false;
  /** True if the client may be sending still, so that closing at once could cost it the answer. */
  lingers = false;
  /** True once our side is shut and what still comes is thrown away. */
  shut = false;
  /** True once the client has shut its side. */
  ended = false;
  gone = false;
  paused = false;
  /** Called when `unsent` is sent or the connection is gone. */
  #waiting: (() => void) | undefined;

  /** Without a neighbourhood it has no neighbours. */
  constructor(socket: ClientSocket, neighbourhood?: Neighbourhood<Connection>) {
    this.socket = socket;
    // One system call; with every request it would be the dearest part of the answer.
    this.family = readAddress(socket.remoteAddress ?? "", this.address, 0);
    this.neighbours = neighbourhood?.of(this.address, this.family) ?? new Neighbours();
  }

  /** True if the next request may be answered now. */
  get free(): boolean {
    return !this.answering && !this.closing && this.unsent === undefined && !this.gone;
  }

  /** True if nothing is under way. */
  get idle(): boolean {
    return this.free && this.leftover.size === 0 && this.body === undefined;
  }

  /** Bytes that what waits in it takes. */
  get held(): number {
    return this.leftover.capacity + (this.unsent?.length ?? 0);
  }

  /** Throws away what it holds: the connection is about to be cut. */
  drop(): void {
    this.leftover.clear();
    this.unsent = undefined;
    this.closing = true;
  }

  /** Waits for the client from tick `now` on, for so many ticks. */
  wait(now: number, ticks: number): void {
    this.waitsSince = now;
    this.deadline = now + ticks;
    this.seat.moveToEnd();
    this.debt.leave();
  }

  /** Sends bytes `from` to `to`; keeps a copy of what the socket does not take, of that size. */
  send(bytes: Uint8Array, from: number, to: number): number {
    let sent = 0;
    if (this.unsent === undefined) {
      sent = this.socket.write(bytes, from, to - from);
      if (sent === to - from) return 0;
    }
    if (sent < 0) return 0;
    const rest = Buffer.from(bytes.subarray(from + sent, to));
    this.unsent = this.unsent === undefined ? rest : Buffer.concat([this.unsent, rest]);
    return rest.length;
  }

  /** Offers the socket what it has not taken; true once it took all. */
  sendRest(): boolean {
    if (this.unsent === undefined) return true;
    const sent = this.socket.write(this.unsent);
    if (sent < this.unsent.length) {
      if (sent > 0) this.unsent = this.unsent.subarray(sent);
      return false;
    }
    this.unsent = undefined;
    this.wake();
    return true;
  }

  /** Resolves when all is sent: true, or false if nobody will get it. */
  async sent(): Promise<boolean> {
    if (this.unsent !== undefined && !this.gone) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return !this.gone;
  }

  /** Lets whoever waits for `sent` look again. */
  wake(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}

/** What became of connections; grows only. */
export class ConnectionCounts {
  accepted = 0;
  /** Came when there were as many as there may be, so that they or others were closed. */
  refused = 0;
  /** Closed because then their address had as many as one may have. */
  crowded = 0;
  /** Requests that were none. */
  malformed = 0;
  /** Connections that did not send or read in time; idle ones are not counted. */
  expired = 0;
  /** Connections closed because memory for what waits was short. */
  starved = 0;
}

/** All connections of a server: an array without gaps, in no order. */
export class Connections {
  readonly #all: Connection[] = [];

  get count(): number {
    return this.#all.length;
  }

  add(connection: Connection): void {
    connection.place = this.#all.length;
    this.#all.push(connection);
  }

  remove(connection: Connection): void {
    const last = this.#all.pop()!;
    if (last === connection) return;
    this.#all[connection.place] = last;
    last.place = connection.place;
  }

  /** Of so many beside each other, the one that has waited for its client longest, if one does. */
  longestWaiting(most: number): Connection | undefined {
    const all = this.#all;
    const from = Math.floor(Math.random() * all.length);
    let longest: Connection | undefined;
    for (let looks = 0; looks < Math.min(most, all.length); looks++) {
      const connection = all[(from + looks) % all.length];
      if (!connection.free) continue;
      if (connection.waitsSince < (longest?.waitsSince ?? Infinity)) longest = connection;
    }
    return longest;
  }

  /** Those for which `isMeant` is true. */
  filter(isMeant: (connection: Connection) => boolean): Connection[] {
    return this.#all.filter(isMeant);
  }

  /** Calls `visit` with each; the one visited may be removed meanwhile. */
  forEach(visit: (connection: Connection) => void): void {
    // From the end, because removing one puts the last one into its place.
    for (let i = this.#all.length - 1; i >= 0; i--) visit(this.#all[i]);
  }
}
