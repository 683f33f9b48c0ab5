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
import type { Takeover, Tunnel } from "../net/tunnel.ts";
import type { Admission } from "./admission.ts";
import type { Connection, LineServer } from "./connection.ts";
import { Endings } from "./endings.ts";
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

/** A frame without payload, such as most pongs, has 6 bytes. */
const TINY_BYTES_MAX = 16;

/** Ticks without progress after which unsent bytes end a connection. */
const TICKS_SEND = 30;

/** What the server does. */
export interface TunnelServer extends Pick<LineServer, "tick" | "send" | "keepBeside" | "finish"> {
  isStopping(): boolean;
}

export class Tunnels {
  readonly #held: Held;
  readonly #admission: Admission;
  readonly #server: TunnelServer;
  readonly #lines: LineServer;
  readonly #endings = new Endings();

  constructor(held: Held, admission: Admission, server: TunnelServer) {
    this.#held = held;
    this.#admission = admission;
    this.#server = server;
    this.#lines = {
      ...server,
      goOn: (connection) => this.goOn(connection),
      settle: (connection) => admission.settle(connection),
    };
  }

  /** Answers the upgrade; the connection belongs to the protocol from now on. */
  begin(connection: Connection, takeover: Takeover): void {
    const server = this.#server;
    if (connection.gone) return;
    if (connection.closing) return server.finish(connection);
    if (this.#handOver(connection, takeover)) return;
    if (!takeover.yields) this.#admission.settle(connection, takeover);
    connection.lines = this.#lines;
    const tunnel = takeover.begin(connection);
    const { response, refusal } = takeover;
    const answer = tunnel === undefined ? refusal : response;
    if (answer.length > 0) server.send(connection, answer, 0, answer.length);
    if (tunnel === undefined) {
      // At once: all of the request is read, and those that linger would take the room of others.
      connection.close();
      server.finish(connection);
      return;
    }
    connection.noteUpgraded(tunnel);
    garbage.noteLasting();
    tunnel.expire();
    if (server.isStopping()) tunnel.stop();
    else this.goOn(connection);
    if (connection.inputEnded) tunnel.inputEnded?.();
  }

  /** Gives the connection to another thread, if it may leave and has no unsent answers. */
  #handOver({ socket, leftover, unsent }: Connection, takeover: Takeover): boolean {
    const { fd } = socket;
    if (takeover.handOver === undefined || fd === undefined || unsent !== undefined) return false;
    if (socket.close === undefined || socket.getTLSVersion?.() !== null) return false;
    if (!takeover.handOver(fd, leftover.view())) return false;
    socket.close();
    return true;
  }

  /** The client has shut its side. */
  inputEnded(connection: Connection): void {
    const { tunnel } = connection;
    if (tunnel?.inputEnded !== undefined) tunnel.inputEnded();
    else this.#endings.add(connection);
  }

  receive(connection: Connection, tunnel: Tunnel, bytes: Buffer): void {
    garbage.note(GARBAGE_PER_PIECE + GARBAGE_PER_BYTE * bytes.length);
    if (bytes.length <= TINY_BYTES_MAX) garbage.noteTiny();
    if (connection.leftover.size > 0 || connection.unsent !== undefined) {
      this.#held.keep(connection, bytes);
      if (!tunnel.goesOn) this.goOn(connection);
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
  goOn(connection: Connection): void {
    const { leftover, tunnel } = connection;
    if (tunnel === undefined || connection.gone || connection.closing) return;
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
    setImmediate(() => this.goOn(connection));
  }

  /** The client has taken some bytes, or all of them. */
  drained(connection: Connection, tunnel: Tunnel, sent: number, all: boolean): void {
    if (connection.closing) {
      if (sent > 0) connection.deadline = this.#server.tick() + TICKS_SEND;
      if (all) this.#server.finish(connection);
      return;
    }
    if (sent > 0) tunnel.progressed();
    if (all) this.goOn(connection);
  }
}
