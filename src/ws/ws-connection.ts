/**
 * One WebSocket connection: its peers, what is received of a message in fragments, when it was
 * heard, and what it waits for. It holds state only; signaling.ts decides.
 *
 *   heard ──(PING seconds of silence)──► pinged ──(as long again)──► closed
 *         ──(another address claims its peer id)──► challenged ──(10 s)──► closed
 *                                               └─► stalled ──(30 s)──► closed
 *
 * A client that takes what was sent lives, but what it sends is not read before it has taken all:
 * it is challenged only then. Until then it must take some of it within 30 s: it would hold its
 * peer id for two pings otherwise, although its connection is dead.
 */
import type { Family } from "../constants.ts";
import type { Line, Place, Tunnel } from "../net/tunnel.ts";
import type { Fragments } from "./fragments.ts";
import type { PeerHolder } from "./ws-swarms.ts";

/** What is done for a connection; see signaling.ts. */
export interface Engine {
  read(connection: WsConnection, bytes: Buffer): number;
  relay(connection: WsConnection, before: string, bytes: Uint8Array, after: string): void;
  challenge(connection: WsConnection): void;
  expire(connection: WsConnection): void;
  stop(connection: WsConnection): void;
  starved(): void;
  closed(connection: WsConnection): void;
}

/** What few connections have. */
class Unusual {
  challengedAt = -1;
  stalledAt = -1;
  wrongs = 0;
  fragments: Fragments | undefined = undefined;
}

/** It takes 112 bytes: of an IPv4 address a number is kept, since 4 bytes in an array take 64. */
export class WsConnection implements Tunnel, PeerHolder {
  readonly line: Line;
  readonly number: number;
  /** The origin of its page, if origins are counted. */
  readonly origin: string;
  peers: PeerHolder["peers"] = undefined;
  goesOn = false;
  /** True once a close is sent or received. */
  ended = false;
  /** The tick of its last whole frame. */
  heardAt: number;
  pinged = false;
  /** The round of the engine in which it was read last. */
  round = -1;
  /** IPv4 as a number, IPv6 as 16 bytes. */
  readonly #address: number | Uint8Array;
  #unusual: Unusual | undefined = undefined;
  readonly #engine: Engine;

  constructor(engine: Engine, line: Line, client: Client, number: number) {
    const { address, family } = client;
    this.#engine = engine;
    this.line = line;
    this.#address = family === 4 ? readNumber(address) : address.slice(0, 16);
    this.origin = client.origin;
    this.number = number;
    this.heardAt = line.tick;
  }

  get family(): Family {
    return typeof this.#address === "number" ? 4 : 6;
  }

  writeAddress(bytes: Uint8Array): void {
    const address = this.#address;
    if (typeof address !== "number") bytes.set(address);
    else for (let i = 0; i < 4; i++) bytes[i] = address >>> (24 - 8 * i);
  }

  /** The tick of a challenge; -1 for none. */
  get challengedAt(): number {
    return this.#unusual?.challengedAt ?? -1;
  }

  set challengedAt(tick: number) {
    if (tick >= 0 || this.#unusual !== undefined) this.#makeUnusual().challengedAt = tick;
  }

  /** The tick since which it is to be challenged and takes nothing of what was sent; or -1. */
  get stalledAt(): number {
    return this.#unusual?.stalledAt ?? -1;
  }

  set stalledAt(tick: number) {
    if (tick >= 0 || this.#unusual !== undefined) this.#makeUnusual().stalledAt = tick;
  }

  /** Wrong messages in a row. */
  get wrongs(): number {
    return this.#unusual?.wrongs ?? 0;
  }

  set wrongs(count: number) {
    if (count > 0 || this.#unusual !== undefined) this.#makeUnusual().wrongs = count;
  }

  /** The beginning of a message in fragments. */
  get fragments(): Fragments | undefined {
    return this.#unusual?.fragments;
  }

  set fragments(fragments: Fragments | undefined) {
    this.#makeUnusual().fragments = fragments;
  }

  #makeUnusual(): Unusual {
    return (this.#unusual ??= new Unusual());
  }

  get place(): Place {
    return this.line.place;
  }

  get isFull(): boolean {
    return this.line.isFull;
  }

  relay(before: string, bytes: Uint8Array, after: string): void {
    this.#engine.relay(this, before, bytes, after);
  }

  challenge(): void {
    this.#engine.challenge(this);
  }

  isBeside(other: PeerHolder): boolean {
    if (other.family !== this.family) return false;
    other.writeAddress(OTHER);
    this.writeAddress(OWN);
    const size = this.family === 4 ? 4 : 16;
    for (let i = 0; i < size; i++) if (OTHER[i] !== OWN[i]) return false;
    return true;
  }

  // What the server calls.

  read(bytes: Buffer): number {
    return this.#engine.read(this, bytes);
  }

  /** A client that takes what was sent lives. */
  progressed(): void {
    this.heardAt = this.line.tick;
    this.pinged = false;
    if (this.challengedAt >= 0) this.challengedAt = this.line.tick;
    else if (this.stalledAt >= 0) {
      this.stalledAt = this.line.tick;
      this.challenge();
    }
  }

  expire(): void {
    this.#engine.expire(this);
  }

  stop(): void {
    this.#engine.stop(this);
  }

  starved(): void {
    this.#engine.starved();
  }

  closed(): void {
    this.#engine.closed(this);
  }
}

const OWN = new Uint8Array(16);
const OTHER = new Uint8Array(16);

/** The number of the first 4 bytes. */
function readNumber(bytes: Uint8Array): number {
  return (bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3];
}

/** The client of a connection; its address, in the first 4 or 16 bytes, is copied. */
export interface Client {
  readonly address: Uint8Array;
  readonly family: Family;
  readonly origin: string;
}
