/**
 * One HTTP connection: received bytes that are not answered, and answers that are not sent.
 *
 *   received ──► leftover ──► (server) ──► unsent ──► socket
 *                a request in pieces,      bytes for which the system's
 *                or waiting its turn       send buffer had no room
 *
 * Bun's sockets keep no bytes: those that a write does not take are kept here, and written again
 * when the socket drains. Holds state only; the server decides when to read, answer and close.
 */
import type { Family } from "../constants.ts";
import { type AddressOf, readAddress } from "../net/addresses.ts";
import type { Tunnel } from "../net/tunnel.ts";
import type { BodySkipper } from "./body.ts";
import { Link } from "./chain.ts";
import { Leftover } from "./leftover.ts";
import { type Neighbourhood, Neighbours } from "./neighbours.ts";

/** The part of Bun's socket that a connection uses. */
export interface ClientSocket {
  readonly remoteAddress: string;
  /** The descriptor; Bun has it, and its types lack it. */
  readonly fd?: number;
  /** Returns the number of bytes taken; negative if the socket is closed. */
  write(bytes: Uint8Array, from?: number, size?: number): number;
  pause(): unknown;
  resume(): unknown;
  shutdown(): unknown;
  end(): unknown;
  terminate(): unknown;
}

/** A socket with its connection; none while it opens, or if it was not accepted. */
export interface OwnedSocket extends ClientSocket {
  data: Connection;
}

/** The handlers that Bun calls, for all sockets of a listener. */
export interface SocketEvents {
  binaryType: "buffer";
  open(socket: OwnedSocket): void;
  handshake(socket: OwnedSocket, success: boolean, error: Error | null): void;
  data(socket: OwnedSocket, bytes: Buffer): void;
  drain(socket: OwnedSocket): void;
  end(socket: OwnedSocket): void;
  close(socket: OwnedSocket): void;
  error(socket: OwnedSocket, error: Error): void;
}

/** What a client has taken of the answers that wait for it; see displacement.ts. */
export class Taking {
  /** Its link in the chain of connections with unsent answers. */
  readonly link: Link<Connection>;
  /** Bytes taken since the tick of its last progress. */
  bytes = 0;
  progressedAt: number;

  constructor(connection: Connection, now: number) {
    this.link = new Link(connection);
    this.progressedAt = now;
  }
}

/** The empty leftover, which all connections without received bytes share; frozen. */
const NONE = new Leftover();
Object.freeze(NONE);

/** The address of an upgraded connection: its protocol has it, as a proxy may have named it. */
const NO_ADDRESS = new Uint8Array(16);

// Bits of `Connection`, which are independent of its stage and of each other.
const PARTIAL = 1;
const BUSY = 2;
const INPUT_ENDED = 4;
const PAUSED = 8;

/** Stages on the way to the end of a connection; see `Connection`. */
const OPEN = 0;
const CLOSING = 1;
const LINGERING = 2;
const SHUT = 3;
const GONE = 4;

/**
 * Its end comes in stages. Each implies those before it, and none is taken back:
 *
 *   open ──► closing     the last answer is decided: no further request is read
 *        ──► lingering   the client may still be sending: closing at once could lose the answer
 *        ──► shut        our side is shut: received bytes are thrown away
 *        ──► gone        the socket is closed
 *
 * An idle one takes 160 bytes: what only some need is made when they need it, and flags are bits.
 * With all of it in each connection one that was upgraded took 450.
 */
export class Connection {
  readonly socket: ClientSocket;
  /** Source address, 4 or 16 bytes; family 0 if the client was gone before it was read. */
  address: Uint8Array = new Uint8Array(16);
  readonly family: Family | 0;
  /** The place it comes from, and the other connections from there. */
  neighbours: Neighbours<Connection>;
  /** Its link in the chain of its site; undefined if it is in none, as one that is upgraded. */
  siteLink: Link<Connection> | undefined = undefined;
  /** From its first unsent answer on, until it is idle again. */
  taking: Taking | undefined = undefined;
  /** Its index in `Connections`. */
  index = 0;
  /** The last tick in its present state; after it the connection is closed. */
  deadline = 0;
  /** The tick since which it waits for its client, if it is `free`. */
  waitsSince = 0;
  /** Bytes of requests that are not answered. */
  leftover = NONE;
  /** Bytes of answers that the socket has not taken. */
  unsent: Buffer | undefined = undefined;
  /** The body that is being skipped. */
  body: BodySkipper | undefined = undefined;
  /** The protocol that has taken it over by an upgrade. */
  tunnel: Tunnel | undefined = undefined;
  /** Bytes that this protocol holds for it. */
  heldBeside = 0;
  #bits = PARTIAL;
  #stage = OPEN;
  /** Called when `unsent` is sent or the connection is gone. */
  #onSent: (() => void) | undefined = undefined;

  /** Without a neighbourhood it has no neighbours. */
  constructor(socket: ClientSocket, neighbourhood?: Neighbourhood<Connection>, of?: AddressOf) {
    this.socket = socket;
    // One system call. Once per request it would cost more than any other part of the answer.
    const family = socket.fd === undefined ? 0 : of?.(socket.fd, this.address);
    this.family = family || readAddress(socket.remoteAddress ?? "", this.address, 0);
    this.neighbours = neighbourhood?.of(this.address, this.family) ?? new Neighbours();
  }

  /** True while the rest of a request is awaited; a new connection awaits its first. */
  get partial(): boolean {
    return (this.#bits & PARTIAL) !== 0;
  }

  set partial(is: boolean) {
    this.#bits = is ? this.#bits | PARTIAL : this.#bits & ~PARTIAL;
  }

  /** True while a Response is made or sent, and while other connections have their turn. */
  get busy(): boolean {
    return (this.#bits & BUSY) !== 0;
  }

  set busy(is: boolean) {
    this.#bits = is ? this.#bits | BUSY : this.#bits & ~BUSY;
  }

  /** True after the client has shut its side. */
  get inputEnded(): boolean {
    return (this.#bits & INPUT_ENDED) !== 0;
  }

  noteInputEnded(): void {
    this.#bits |= INPUT_ENDED;
  }

  get closing(): boolean {
    return this.#stage >= CLOSING;
  }

  get lingering(): boolean {
    return this.#stage >= LINGERING;
  }

  get shut(): boolean {
    return this.#stage >= SHUT;
  }

  get gone(): boolean {
    return this.#stage === GONE;
  }

  close(): void {
    this.#advance(CLOSING);
  }

  linger(): void {
    this.#advance(LINGERING);
  }

  /** Sends FIN. */
  shutDown(): void {
    this.#advance(SHUT);
    this.socket.shutdown();
  }

  noteGone(): void {
    this.#advance(GONE);
  }

  #advance(stage: number): void {
    if (stage > this.#stage) this.#stage = stage;
  }

  /** True if the next request may be answered now. */
  get free(): boolean {
    return (this.#bits & BUSY) === 0 && this.#stage === OPEN && this.unsent === undefined;
  }

  /** True if no request and no answer is in progress. */
  get idle(): boolean {
    return this.free && this.leftover.size === 0 && this.body === undefined;
  }

  /** Bytes of memory for requests and answers. */
  get held(): number {
    return this.leftover.capacity + (this.unsent?.length ?? 0) + this.heldBeside;
  }

  /** Keeps received bytes. */
  keep(bytes: Buffer): void {
    if (this.leftover === NONE) this.leftover = new Leftover();
    this.leftover.add(bytes);
  }

  /** Another protocol takes the connection: drops what only HTTP requests need. */
  noteUpgraded(tunnel: Tunnel): void {
    this.tunnel = tunnel;
    this.address = NO_ADDRESS;
    this.partial = false;
    this.noteAllRead();
  }

  /** Drops the leftover if all received bytes are read. */
  noteAllRead(): void {
    if (this.leftover.size === 0) this.leftover = NONE;
  }

  /** Reads no more from the socket. */
  pause(): void {
    if ((this.#bits & PAUSED) !== 0 || this.gone) return;
    this.#bits |= PAUSED;
    this.socket.pause();
  }

  /** Reads from the socket again. */
  resume(): void {
    if ((this.#bits & PAUSED) === 0) return;
    this.#bits &= ~PAUSED;
    this.socket.resume();
  }

  /** Drops all held bytes before the connection is cut. */
  drop(): void {
    this.leftover = NONE;
    this.unsent = undefined;
    this.heldBeside = 0;
    this.close();
  }

  /** Waits for the client for `ticks` ticks from tick `now`. */
  wait(now: number, ticks: number): void {
    this.deadline = now + ticks;
    if (this.taking !== undefined) this.forgetTaking();
    // Among those that began to wait in the same tick the order does not matter.
    if (this.waitsSince === now) return;
    this.waitsSince = now;
    this.siteLink?.moveToEnd();
  }

  /** Call when it is idle or gone. */
  forgetTaking(): void {
    this.taking?.link.leave();
    this.taking = undefined;
  }

  /** Sends bytes `from` to `to`; keeps a copy of those not taken, and returns their number. */
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

  /** Writes the unsent bytes again; true if the socket took all. */
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

  /** Resolves when all is sent: true; or false if the connection is gone. */
  async sent(): Promise<boolean> {
    if (this.unsent !== undefined && !this.gone) {
      await new Promise<void>((resolve) => {
        this.#onSent = resolve;
      });
    }
    return !this.gone;
  }

  /** Resolves a pending `sent`. */
  wake(): void {
    this.#onSent?.();
    this.#onSent = undefined;
  }
}

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

/** All connections of a server: an array without gaps, in no order. */
export class Connections {
  readonly #all: Connection[] = [];

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
        if (connection.idle && isEnded(connection)) connection.socket.end();
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
}
