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
import { OwnPeers, type PeerHolder } from "./ws-swarms.ts";

/** What is done for a connection; see signaling.ts. */
export interface Engine {
  read(connection: WsConnection, bytes: Buffer): number;
  relay(connection: WsConnection, text: string): void;
  challenge(connection: WsConnection): void;
  expire(connection: WsConnection): void;
  stop(connection: WsConnection): void;
  closed(connection: WsConnection): void;
}

export class WsConnection implements Tunnel, PeerHolder {
  readonly line: Line;
  readonly address: Uint8Array;
  readonly family: Family;
  readonly number: number;
  /** The origin of its page, if origins are counted. */
  readonly origin: string;
  readonly peers = new OwnPeers();
  goesOn = false;
  /** True once a close is sent or received. */
  ended = false;
  /** The tick of its last whole frame. */
  heardAt: number;
  pinged = false;
  /** The tick of a challenge; -1 for none. */
  challengedAt = -1;
  /** The tick since which it is to be challenged and takes nothing of what was sent; or -1. */
  stalledAt = -1;
  /** The round of the engine in which it was read last. */
  round = -1;
  /** Wrong messages in a row. */
  wrongs = 0;
  /** The beginning of a message in fragments. */
  fragments: Buffer[] | undefined = undefined;
  readonly #engine: Engine;

  constructor(engine: Engine, line: Line, client: Client, number: number) {
    this.#engine = engine;
    this.line = line;
    this.address = client.address;
    this.family = client.family;
    this.origin = client.origin;
    this.number = number;
    this.heardAt = line.tick;
  }

  get place(): Place {
    return this.line.place;
  }

  get isFull(): boolean {
    return this.line.isFull;
  }

  relay(text: string): void {
    this.#engine.relay(this, text);
  }

  challenge(): void {
    this.#engine.challenge(this);
  }

  isBeside(other: PeerHolder): boolean {
    const { address, family } = other;
    if (family !== this.family) return false;
    const size = family === 4 ? 4 : 16;
    for (let i = 0; i < size; i++) if (address[i] !== this.address[i]) return false;
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

  closed(): void {
    this.#engine.closed(this);
  }
}

/** The client of a connection. */
export interface Client {
  readonly address: Uint8Array;
  readonly family: Family;
  readonly origin: string;
}
