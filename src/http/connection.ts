/**
 * One HTTP connection: received bytes that are not answered, and answers that are not sent.
 *
 *   received ──► leftover ──► (server) ──► unsent ──► socket
 *                a request in pieces,      bytes for which the system's
 *                or waiting its turn       send buffer had no room
 *
 * Bun's sockets keep no bytes: those that a write does not take are kept here, and written again
 * when the socket drains. Holds state only; the server decides when to read, answer and close.
 *
 * To a protocol that has taken it over it is the `Line` (see net/tunnel.ts), of which the server
 * does what is no state. An object for that took 64 bytes of each WebSocket.
 */
import type { Family } from "../constants.ts";
import { type AddressOf, readAddress } from "../net/addresses.ts";
import type { Line, Tunnel } from "../net/tunnel.ts";
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
  /** Closes the descriptor, and sends nothing; Bun has it, and its types lack it. */
  close?(): unknown;
  /** Null without TLS. */
  getTLSVersion?(): string | null;
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

/** What the server does for a connection that a protocol has taken over; see tunnels.ts. */
export interface LineServer {
  tick(): number;
  send(connection: Connection, bytes: Uint8Array, from: number, to: number): void;
  /** Notes bytes that its protocol keeps for it, more or fewer than before. */
  keepBeside(connection: Connection, bytes: number): void;
  goOn(connection: Connection): void;
  /** The connection never gives way from now on. */
  settle(connection: Connection): void;
  /** Closes it, once what was sent is taken. */
  finish(connection: Connection): void;
}

/** What few connections have at a time. */
class Unusual {
  taking: Taking | undefined = undefined;
  unsent: Buffer | undefined = undefined;
  body: BodySkipper | undefined = undefined;
  heldBeside = 0;
  onSent: (() => void) | undefined = undefined;
}

// Bits of `Connection`, which are independent of its stage and of each other.
const PARTIAL = 1;
const BUSY = 2;
const INPUT_ENDED = 4;
const PAUSED = 8;

/** Stages on the way to the end of a connection; see `Connection`. */
const STAGE = 0xf0;
const CLOSING = 0x10;
const LINGERING = 0x20;
const SHUT = 0x30;
const GONE = 0x40;

/** The family stands above bits and stage. */
const FAMILY_SHIFT = 8;

/**
 * Its end comes in stages. Each implies those before it, and none is taken back:
 *
 *   open ──► closing     the last answer is decided: no further request is read
 *        ──► lingering   the client may still be sending: closing at once could lose the answer
 *        ──► shut        our side is shut: received bytes are thrown away
 *        ──► gone        the socket is closed
 *
 * An idle one takes 112 bytes, which are 12 fields: what only some need is made when they need it,
 * and small numbers share a field. With all of it in each connection one that was upgraded took
 * 450.
 */
export class Connection implements Line {
  readonly socket: ClientSocket;
  /** Source address, 4 or 16 bytes; family 0 if the client was gone before it was read. */
  address: Uint8Array = new Uint8Array(16);
  /** The place it comes from, and the other connections from there. */
  neighbours: Neighbours<Connection>;
  /** Its link in the chain of its site; undefined if it is in none, as one that is upgraded. */
  siteLink: Link<Connection> | undefined = undefined;
  /** Its index in `Connections`. */
  index = 0;
  /** The last tick in its present state; after it the connection is closed. */
  deadline = 0;
  /** The tick since which it waits for its client, if it is `free`. */
  waitsSince = 0;
  /** Bytes of requests that are not answered. */
  leftover = NONE;
  /** The protocol that has taken it over by an upgrade. */
  tunnel: Tunnel | undefined = undefined;
  /** What does the work of its line. */
  lines: LineServer | undefined = undefined;
  /** Bits, stage and family. */
  #state = PARTIAL;
  #unusual: Unusual | undefined = undefined;

  /** Without a neighbourhood it has no neighbours. */
  constructor(socket: ClientSocket, neighbourhood?: Neighbourhood<Connection>, of?: AddressOf) {
    this.socket = socket;
    // One system call. Once per request it would cost more than any other part of the answer.
    const known = socket.fd === undefined ? 0 : of?.(socket.fd, this.address);
    const family = known || readAddress(socket.remoteAddress ?? "", this.address, 0);
    this.#state |= family << FAMILY_SHIFT;
    this.neighbours = neighbourhood?.of(this.address, family) ?? new Neighbours();
  }

  get family(): Family | 0 {
    return (this.#state >> FAMILY_SHIFT) as Family | 0;
  }

  /** True while the rest of a request is awaited; a new connection awaits its first. */
  get partial(): boolean {
    return (this.#state & PARTIAL) !== 0;
  }

  set partial(is: boolean) {
    this.#state = is ? this.#state | PARTIAL : this.#state & ~PARTIAL;
  }

  /** True while a Response is made or sent, and while other connections have their turn. */
  get busy(): boolean {
    return (this.#state & BUSY) !== 0;
  }

  set busy(is: boolean) {
    this.#state = is ? this.#state | BUSY : this.#state & ~BUSY;
  }

  /** True after the client has shut its side. */
  get inputEnded(): boolean {
    return (this.#state & INPUT_ENDED) !== 0;
  }

  noteInputEnded(): void {
    this.#state |= INPUT_ENDED;
  }

  get closing(): boolean {
    return (this.#state & STAGE) >= CLOSING;
  }

  get lingering(): boolean {
    return (this.#state & STAGE) >= LINGERING;
  }

  get shut(): boolean {
    return (this.#state & STAGE) >= SHUT;
  }

  get gone(): boolean {
    return (this.#state & STAGE) === GONE;
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
    const state = this.#state;
    if (stage > (state & STAGE)) this.#state = (state & ~STAGE) | stage;
  }

  /** From its first unsent answer on, until it is idle again. */
  get taking(): Taking | undefined {
    return this.#unusual?.taking;
  }

  set taking(taking: Taking | undefined) {
    this.#makeUnusual().taking = taking;
    this.#dropUnusual();
  }

  /** Bytes of answers that the socket has not taken. */
  get unsent(): Buffer | undefined {
    return this.#unusual?.unsent;
  }

  set unsent(bytes: Buffer | undefined) {
    this.#makeUnusual().unsent = bytes;
    this.#dropUnusual();
  }

  /** The body that is being skipped. */
  get body(): BodySkipper | undefined {
    return this.#unusual?.body;
  }

  set body(body: BodySkipper | undefined) {
    this.#makeUnusual().body = body;
    this.#dropUnusual();
  }

  /** Bytes that the protocol which has taken it over holds for it. */
  get heldBeside(): number {
    return this.#unusual?.heldBeside ?? 0;
  }

  set heldBeside(bytes: number) {
    this.#makeUnusual().heldBeside = bytes;
    this.#dropUnusual();
  }

  #makeUnusual(): Unusual {
    return (this.#unusual ??= new Unusual());
  }

  #dropUnusual(): void {
    const { taking, unsent, body, heldBeside, onSent } = this.#unusual!;
    if ((taking ?? unsent ?? body ?? onSent) === undefined && heldBeside === 0) {
      this.#unusual = undefined;
    }
  }

  /** True if the next request may be answered now. */
  get free(): boolean {
    return (this.#state & (BUSY | STAGE)) === 0 && this.unsent === undefined;
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
    if ((this.#state & PAUSED) !== 0 || this.gone) return;
    this.#state |= PAUSED;
    this.socket.pause();
  }

  /** Reads from the socket again. */
  resume(): void {
    if ((this.#state & PAUSED) === 0) return;
    this.#state &= ~PAUSED;
    this.socket.resume();
  }

  /** Drops all held bytes before the connection is cut. */
  drop(): void {
    this.leftover = NONE;
    if (this.unsent !== undefined) this.unsent = undefined;
    if (this.heldBeside !== 0) this.heldBeside = 0;
    this.close();
  }

  /** Waits for the client for `ticks` ticks from tick `now`. */
  wait(now: number, ticks: number): void {
    this.deadline = now + ticks;
    this.forgetTaking();
    // Among those that began to wait in the same tick the order does not matter.
    if (this.waitsSince === now) return;
    this.waitsSince = now;
    this.siteLink?.moveToEnd();
  }

  /** Call when it is idle or gone. */
  forgetTaking(): void {
    const { taking } = this;
    if (taking === undefined) return;
    taking.link.leave();
    this.taking = undefined;
  }

  /** Writes bytes `from` to `to`; keeps a copy of those not taken, and returns their number. */
  write(bytes: Uint8Array, from: number, to: number): number {
    const { unsent } = this;
    let sent = 0;
    if (unsent === undefined) {
      sent = this.socket.write(bytes, from, to - from);
      if (sent === to - from) return 0;
    }
    if (sent < 0) return 0;
    const rest = Buffer.from(bytes.subarray(from + sent, to));
    this.unsent = unsent === undefined ? rest : Buffer.concat([unsent, rest]);
    return rest.length;
  }

  /** Writes the unsent bytes again; true if the socket took all. */
  sendRest(): boolean {
    const { unsent } = this;
    if (unsent === undefined) return true;
    const sent = this.socket.write(unsent);
    if (sent < unsent.length) {
      if (sent > 0) this.unsent = unsent.subarray(sent);
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
        this.#makeUnusual().onSent = resolve;
      });
    }
    return !this.gone;
  }

  /** Resolves a pending `sent`. */
  wake(): void {
    const onSent = this.#unusual?.onSent;
    if (onSent === undefined) return;
    this.#unusual!.onSent = undefined;
    this.#dropUnusual();
    onSent();
  }

  // What the protocol calls that has taken it over.

  get isFull(): boolean {
    return this.unsent !== undefined;
  }

  get tick(): number {
    return this.lines!.tick();
  }

  get place(): Neighbours<Connection> {
    return this.neighbours;
  }

  send(bytes: Uint8Array, from: number, to: number): void {
    this.lines!.send(this, bytes, from, to);
  }

  hold(bytes: number): void {
    this.lines!.keepBeside(this, bytes);
  }

  goOn(): void {
    this.lines!.goOn(this);
  }

  last(): void {
    if (this.siteLink !== undefined && !this.gone) this.lines!.settle(this);
  }

  wakeAfter(tick: number): void {
    if (!this.closing) this.deadline = tick;
  }

  end(): void {
    this.linger();
    this.lines!.finish(this);
  }

  cut(): void {
    this.close();
    this.socket.terminate();
  }
}
