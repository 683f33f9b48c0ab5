/**
 * Connections that were upgraded: passes their bytes, ticks and end on to another protocol (see
 * net/tunnel.ts).
 *
 *   upgrade ─► its place ─► 101 ─► receive ─► tunnel.read ─┬─ incomplete: kept, in `Held`
 *                                     ▲                    ├─ a turn is over: others have theirs
 *                                     └──── drained ◄──────┴─ unsent bytes: nothing more is read
 *
 * Such a connection keeps its place among all connections and in the bounds on memory. It is busy
 * for ever and in no chain of its site, so it never gives way to another that waits less. It leaves
 * when its protocol says so, or by unsent bytes without progress (see displacement.ts).
 */
import { garbage } from "../host/garbage.ts";
import type { Line, Place, Takeover, Tunnel } from "../net/tunnel.ts";
import type { Admission, ClientPlace } from "./admission.ts";
import type { Connection } from "./connection.ts";
import type { Held } from "./held.ts";

/** The socket is paused when more bytes wait in a connection. */
const WAITING_BYTES_MAX = 64 * 1024;

/**
 * Garbage for each byte that a tunnel receives: text, objects, and text again. Without it a load of
 * 40 MB a second made the process 1.8 GB bigger within 7 s; with it, it stayed at 133 MB.
 */
const GARBAGE_PER_BYTE = 8;

/**
 * Garbage for each piece, however small: the answers of 19,500 idle WebSockets to a ping leave 14
 * MB, which were too few bytes to be collected.
 */
const GARBAGE_PER_PIECE = 700;

/** Ticks without progress after which unsent bytes end a connection. */
const TICKS_SEND = 30;

/** What the server does for a connection. */
export interface TunnelServer {
  tick(): number;
  isStopping(): boolean;
  send(connection: Connection, bytes: Uint8Array, from: number, to: number): void;
  /** Notes bytes that its protocol keeps for it, more or fewer than before. */
  keepBeside(connection: Connection, bytes: number): void;
  /** Closes it, once what was sent is taken. */
  finish(connection: Connection): void;
}

/**
 * The connection as its protocol sees it. It has no function of its own: with two of them, which
 * also kept the answer to the upgrade, an idle WebSocket took 2.5 KiB instead of 1.6.
 */
class ConnectionLine implements Line {
  readonly #connection: Connection;
  readonly #tunnels: Tunnels;
  /** Its place, if it gives way to others until `last`. */
  #yields: ClientPlace | undefined;

  constructor(connection: Connection, tunnels: Tunnels, yields: ClientPlace | undefined) {
    this.#connection = connection;
    this.#tunnels = tunnels;
    this.#yields = yields;
  }

  get isFull(): boolean {
    return this.#connection.unsent !== undefined;
  }

  get tick(): number {
    return this.#tunnels.server.tick();
  }

  get place(): Place {
    return this.#connection.neighbours;
  }

  send(bytes: Uint8Array, from: number, to: number): void {
    this.#tunnels.server.send(this.#connection, bytes, from, to);
  }

  hold(bytes: number): void {
    this.#tunnels.server.keepBeside(this.#connection, bytes);
  }

  goOn(): void {
    const { tunnel } = this.#connection;
    if (tunnel !== undefined) this.#tunnels.goOn(this.#connection, tunnel);
  }

  last(): void {
    if (this.#yields === undefined || this.#connection.gone) return;
    this.#tunnels.settle(this.#connection, this.#yields);
    this.#yields = undefined;
  }

  wakeAfter(tick: number): void {
    if (!this.#connection.closing) this.#connection.deadline = tick;
  }

  end(): void {
    this.#connection.linger();
    this.#tunnels.server.finish(this.#connection);
  }

  cut(): void {
    this.#connection.close();
    this.#connection.socket.terminate();
  }
}

export class Tunnels {
  readonly #held: Held;
  readonly #admission: Admission;
  readonly server: TunnelServer;

  constructor(held: Held, admission: Admission, server: TunnelServer) {
    this.#held = held;
    this.#admission = admission;
    this.server = server;
  }

  /** Answers the upgrade; the connection belongs to the protocol from now on. */
  begin(connection: Connection, takeover: Takeover): void {
    const server = this.server;
    if (connection.gone) return;
    if (connection.closing) return server.finish(connection);
    const yields = takeover.yields ? takeover : undefined;
    if (yields === undefined) this.settle(connection, takeover);
    const tunnel = takeover.begin(new ConnectionLine(connection, this, yields));
    const { response, refusal } = takeover;
    const answer = tunnel === undefined ? refusal : response;
    if (answer.length > 0) server.send(connection, answer, 0, answer.length);
    if (tunnel === undefined) {
      connection.linger();
      server.finish(connection);
      return;
    }
    connection.noteUpgraded(tunnel);
    garbage.noteLasting();
    tunnel.expire();
    if (server.isStopping()) tunnel.stop();
    else this.goOn(connection, tunnel);
    if (connection.inputEnded) tunnel.inputEnded?.();
  }

  /** The connection never gives way from now on. */
  settle(connection: Connection, place: ClientPlace): void {
    this.#admission.settle(connection, place);
  }

  receive(connection: Connection, tunnel: Tunnel, bytes: Buffer): void {
    garbage.note(GARBAGE_PER_PIECE + GARBAGE_PER_BYTE * bytes.length);
    if (connection.leftover.size > 0 || connection.unsent !== undefined) {
      this.#held.keep(connection, bytes);
      if (!tunnel.goesOn) this.goOn(connection, tunnel);
      else if (connection.leftover.size > WAITING_BYTES_MAX) connection.pause();
      return;
    }
    const read = tunnel.read(bytes);
    // A copy: the received buffer may be far larger than the rest.
    if (read < bytes.length && !connection.closing) {
      this.#held.keep(connection, Buffer.from(bytes.subarray(read)));
    }
    this.#schedule(connection, tunnel);
  }

  /** Reads what waits, unless the client has to take something first. */
  goOn(connection: Connection, tunnel: Tunnel): void {
    const { leftover } = connection;
    if (connection.gone || connection.closing) return;
    if (connection.unsent === undefined && leftover.size > 0) {
      const read = tunnel.read(leftover.view());
      this.#held.drop(connection, connection.closing ? leftover.size : read);
      connection.noteAllRead();
    }
    this.#schedule(connection, tunnel);
  }

  #schedule(connection: Connection, tunnel: Tunnel): void {
    if (connection.closing || connection.gone) return;
    const waits = tunnel.goesOn || tunnel.isFull === true || connection.unsent !== undefined;
    if (waits && connection.leftover.size > WAITING_BYTES_MAX) connection.pause();
    if (!waits) connection.resume();
    if (!tunnel.goesOn || connection.unsent !== undefined) return;
    setImmediate(() => this.goOn(connection, tunnel));
  }

  /** The client has taken some bytes, or all of them. */
  drained(connection: Connection, tunnel: Tunnel, sent: number, all: boolean): void {
    if (connection.closing) {
      if (sent > 0) connection.deadline = this.server.tick() + TICKS_SEND;
      if (all) this.server.finish(connection);
      return;
    }
    if (sent > 0) tunnel.progressed();
    if (all) this.goOn(connection, tunnel);
  }
}
