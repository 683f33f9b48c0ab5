/**
 * The HTTP/1.1 server: reads requests from the bytes of connections and writes answers.
 *
 *   receive ─► keep ─┬─ short ──► gathered ── end of the turn ─► resume ─► serve
 *                    ├─ long, or may complete a head ────────────────────► serve
 *                    └─ busy connection, or incomplete head: waits for more, or for resume
 *   serve, for each request: skip the last body ─► read the head (400, 413, 431, 505) ─► handler
 *          small answers: one write ─► settle: set the deadline, or close
 *          64 requests: others have their turn ─► resume     a Response: respond ─► resume
 *          an upgrade: the connection belongs to another protocol (see tunnels.ts)
 *   drain ─► write the rest ─► resume
 *
 * Bun's own server shows neither raw bytes nor connections, and takes twice the time (14.5 instead
 * of 7.3 µs of CPU per request on an open connection; Bun 1.4.5, 2026-11). The limits here:
 *
 *   head of a request    10 s from its first byte, or from the start of the connection
 *   idle connection      30 s
 *   unsent answers       30 s without progress; no further request is answered meanwhile
 *   connections          see admission.ts and displacement.ts
 *   memory               64 MiB for all that waits, in both directions (see held.ts)
 *
 * A connection's requests are answered in order. No input of a client throws.
 */
import { HTTP_HEAD_BYTES_MAX } from "../constants.ts";
import { garbage, PIECE_GARBAGE_BYTES, RESPONSE_GARBAGE_BYTES } from "../host/garbage.ts";
import { Admission } from "./admission.ts";
import { BODY_BYTES_MAX, BODY_DONE, BODY_GOES_ON, BODY_TOO_LARGE, BodySkipper } from "./body.ts";
import { closeSocket } from "./closing.ts";
import { Connection, type OwnedSocket, type SocketEvents } from "./connection.ts";
import { ConnectionCounts, Connections } from "./connections.ts";
import {
  CONNECTION_CLOSE,
  CONNECTION_KEPT,
  CONNECTION_OPEN,
  type Exchange,
  type HttpHandler,
  SMALL_HEAD_BYTES_MAX,
  smallHeadRoom,
  writeSmallHead,
} from "./exchange.ts";
import { Gathered, GATHERED_BYTES_MAX } from "./gathered.ts";
import { HEAD_INCOMPLETE, HEAD_OK, mayComplete, RequestHead } from "../net/head.ts";
import { Held } from "./held.ts";
import { REFUSAL_BODY, REFUSAL_FAILURE, REFUSAL_MALFORMED, REFUSALS_HEAD } from "./refusals.ts";
import { type LongAnswer, respond } from "./responding.ts";
import type { ResponseForm } from "./response.ts";
import type { Takeover } from "../net/tunnel.ts";
import type { HttpServerOptions } from "./server-options.ts";
import { Tunnels } from "./tunnels.ts";

/** Deadlines are counted in ticks of a second. */
const TICKS_HEAD = 10;
const TICKS_IDLE = 30;
const TICKS_SEND = 30;
/** Time for a client that is still sending to read its refusal. */
const TICKS_LINGER = 2;

/** Answers to pipelined requests are written when they reach this size. */
const WRITE_BYTES = 64 * 1024;

/** The socket is paused when more bytes of requests wait in a connection. */
const WAITING_BYTES_MAX = 64 * 1024;

/** Limit of requests of one connection in a turn: about 1 ms. */
const REQUESTS_A_TURN = 64;

/** Bytes of waiting requests that become text at first: often they are one request. */
const TURN_TEXT_BYTES = 1024;

const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

/** One server for all addresses: each `Bun.listen` gets its `socket`. */
export class HttpServer {
  readonly counts: ConnectionCounts;
  /** The handlers that Bun calls. */
  readonly socket: SocketEvents;
  readonly #handler: HttpHandler;
  readonly #options: HttpServerOptions;
  readonly #connections = new Connections();
  readonly #admission: Admission;
  readonly #held: Held;
  readonly #gathered: Gathered;
  readonly #head = new RequestHead();
  readonly #out: Uint8Array;
  readonly #exchange: Exchange;
  readonly #tunnels: Tunnels;
  readonly #timer: Timer;
  /** End of the answers in `#out`. */
  #to = 0;
  #tick = 0;
  /** Follows when the bytes of the request for it are dropped. */
  #takeover: Takeover | undefined;
  #stopping = false;
  readonly #stopped = Promise.withResolvers<void>();

  constructor(handler: HttpHandler, options: HttpServerOptions) {
    this.#handler = handler;
    this.#options = options;
    this.counts = options.counts ?? new ConnectionCounts();
    const starve = (connection: Connection): void => {
      this.counts.starved += 1;
      connection.tunnel?.starved?.();
      connection.socket.terminate();
    };
    this.#held = new Held(this.#connections, starve, options.heldBytesMax);
    this.#gathered = new Gathered(handler.prefetch, (connection, text) =>
      this.#resume(connection, text),
    );
    this.#admission = new Admission(options, this.#connections, this.counts);
    // Answers are written between two requests, so the last one begins before WRITE_BYTES.
    const room = CONTINUE.length + SMALL_HEAD_BYTES_MAX + handler.bodyBytesMax;
    this.#out = new Uint8Array(new ArrayBuffer(WRITE_BYTES + room));
    const common = { head: this.#head, address: new Uint8Array(16), out: this.#out };
    this.#exchange = { ...common, family: 0, at: 0, status: 200, form: undefined };
    this.#tunnels = this.#makeTunnels();
    this.#timer = setInterval(() => this.#expire(), options.tickMilliseconds ?? 1000);
    this.#timer.unref();
    this.socket = {
      binaryType: "buffer",
      open: (socket) => this.#open(socket),
      // Without it TLS sockets open after the handshake, and those without one are not counted.
      handshake: (socket, success, error) => void (success || this.#endHandshake(socket, error)),
      data: (socket, bytes) => this.#receive(socket.data, bytes),
      drain: (socket) => this.#drain(socket.data),
      end: (socket) => this.#end(socket.data),
      close: (socket) => this.#close(socket.data),
      error: (_socket, error) => this.#noteError(error),
    };
  }

  #makeTunnels(): Tunnels {
    return new Tunnels(this.#held, this.#admission, {
      tick: () => this.#tick,
      isStopping: () => this.#stopping,
      send: (connection, bytes, from, to) => this.#send(connection, bytes, from, to),
      keepBeside: (connection, bytes) => this.#held.keepBeside(connection, bytes),
      finish: (connection) => {
        connection.busy = false;
        this.#settle(connection, true);
      },
    });
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#connections.count;
  }

  /**
   * Closes idle connections soon and others after their answers; resolves when all are closed. The
   * caller has closed the listeners.
   */
  stop(): Promise<void> {
    this.#stopping = true;
    this.#connections.endIdle();
    this.#connections.forEach(({ tunnel, closing }) => closing || tunnel?.stop());
    this.#noteStopped();
    return this.#stopped.promise;
  }

  /** Cuts all connections. */
  cut(): void {
    this.#connections.forEach((connection) => connection.socket.terminate());
  }

  /** An error of the system or of TLS, which closes the connection; any other error is a bug. */
  #noteError(error: Error & { errno?: number }): void {
    if (error.errno === undefined) this.#options.report?.(error);
    else this.counts.malformed += 1;
  }

  #noteStopped(): void {
    if (!this.#stopping || this.#connections.count > 0) return;
    clearInterval(this.#timer);
    this.#stopped.resolve();
  }

  #open(socket: OwnedSocket): void {
    const { neighbourhood } = this.#admission;
    const connection = new Connection(socket, neighbourhood, this.#options.addressOf);
    const isClosed = this.#stopping && !this.#options.passedOn;
    const isTaken = !isClosed && this.#admission.admits(connection, this.#tick);
    if (!isTaken) return void socket.terminate();
    this.counts.accepted += 1;
    connection.wait(this.#tick, TICKS_HEAD);
    this.#admission.add(connection);
    socket.data = connection;
  }

  #close(connection: Connection | undefined): void {
    // A socket without a connection was not accepted.
    if (connection === undefined || connection.gone) return;
    connection.noteGone();
    this.#held.release(connection);
    connection.tunnel?.closed();
    this.#admission.remove(connection);
    connection.wake();
    this.#noteStopped();
  }

  #end(connection: Connection | undefined): void {
    if (connection === undefined || connection.gone) return;
    connection.noteInputEnded();
    // Bytes that could not complete a head (see `mayComplete`) are read now.
    if (connection.free && connection.leftover.size > 0) this.#serve(connection);
    else if (connection.tunnel !== undefined) this.#tunnels.inputEnded(connection);
    else if (connection.shut || connection.free) closeSocket(connection.socket);
  }

  /** A failed handshake ends the connection. What was sent beneath TLS survives `end` alone. */
  #endHandshake(socket: OwnedSocket, error: Error | null): void {
    if (this.#options.answerPlain?.(socket.fd, error) === true) socket.end();
    else socket.terminate();
  }

  #receive(connection: Connection | undefined, bytes: Buffer): void {
    if (connection === undefined || connection.closing || connection.gone) return;
    const { tunnel } = connection;
    if (tunnel !== undefined) return this.#tunnels.receive(connection, tunnel, bytes);
    garbage.note(Math.max(bytes.length, PIECE_GARBAGE_BYTES));
    const isFirst = connection.leftover.size === 0;
    this.#held.keep(connection, bytes);
    const { leftover, free } = connection;
    if (!free) {
      if (leftover.size > WAITING_BYTES_MAX) connection.pause();
    } else if (isFirst && bytes.length <= GATHERED_BYTES_MAX) {
      this.#gathered.add(connection);
    } else if (isFirst || mayComplete(leftover, bytes.length)) {
      this.#serve(connection);
    }
  }

  /** Answers all complete requests; `text` is the beginning of the kept bytes. */
  #serve(connection: Connection, text = ""): void {
    const bytes = connection.leftover.view();
    let at = 0;
    let heads = 0;
    const turn = this.#held.isLittle ? REQUESTS_A_TURN : Infinity;
    let textFrom = 0;
    this.#to = 0;
    this.#takeover = undefined;
    while (at < bytes.length && connection.free && heads < turn) {
      if (connection.body !== undefined) {
        at = this.#skipBody(connection, connection.body, bytes, at);
        continue;
      }
      // Not more text than a head may have, so a search in it stays short.
      if (at >= textFrom + text.length) {
        textFrom = at;
        text = bytes.toString("latin1", at, Math.min(at + HTTP_HEAD_BYTES_MAX, bytes.length));
      }
      const end = textFrom + text.length;
      const verdict = this.#head.read(text, at - textFrom);
      if (verdict === HEAD_OK) {
        heads += 1;
        at = textFrom + this.#head.end;
        this.#answer(connection);
        if (this.#to >= WRITE_BYTES) this.#flush(connection);
      } else if (verdict !== HEAD_INCOMPLETE) {
        this.#refuse(connection, REFUSALS_HEAD[verdict]);
      } else if (end < bytes.length && end - at < HTTP_HEAD_BYTES_MAX) {
        text = "";
        textFrom = at;
      } else break;
    }
    this.#flush(connection);
    if (at < bytes.length && connection.free && heads === turn) {
      connection.busy = true;
      setImmediate(() => this.#takeTurn(connection));
    }
    if (connection.gone) return;
    if (connection.closing && at < bytes.length) connection.linger();
    this.#held.drop(connection, connection.closing ? bytes.length : at);
    if (!connection.free && bytes.length - at > WAITING_BYTES_MAX) connection.pause();
    this.#settle(connection, heads > 0);
    if (this.#takeover !== undefined) this.#tunnels.begin(connection, this.#takeover);
  }

  /** Returns the end of the body, or of the received part of it. */
  #skipBody(connection: Connection, body: BodySkipper, bytes: Buffer, at: number): number {
    const verdict = body.skip(bytes, at);
    if (verdict === BODY_GOES_ON) return bytes.length;
    if (verdict === BODY_DONE) {
      connection.body = undefined;
      return body.next;
    }
    this.#refuse(connection, verdict === BODY_TOO_LARGE ? REFUSAL_BODY : REFUSAL_MALFORMED);
    return bytes.length;
  }

  /** Answers the request in `#head`: writes a small answer to `#out`, starts to send a Response. */
  #answer(connection: Connection): void {
    const head = this.#head;
    if (head.bodySize > BODY_BYTES_MAX) return this.#refuse(connection, REFUSAL_BODY);
    if (head.bodySize !== 0) this.#expectBody(connection);
    // A client whose WebSocket is refused asks nothing more, and its connection would take room.
    const isLast = head.wantsWebSocket || this.#options.passedOn === true;
    const keep = head.keepAlive && !this.#stopping && !isLast;
    const after = !keep ? CONNECTION_CLOSE : head.version11 ? CONNECTION_OPEN : CONNECTION_KEPT;
    const exchange = this.#exchange;
    exchange.address = connection.address;
    exchange.family = connection.family;
    exchange.at = this.#to + smallHeadRoom(after);
    exchange.status = 200;
    exchange.form = undefined;
    const withoutBody = head.hasMethod("HEAD");
    let answer: number | LongAnswer | Takeover;
    try {
      answer = this.#handler.answer(exchange);
    } catch (error) {
      this.#options.report?.(error);
      this.#refuse(connection, REFUSAL_FAILURE);
      return;
    }
    // What follows an upgrade is no further request; a promise may be one.
    const isUpgrade = typeof answer === "object" && "begin" in answer;
    const mayGoOn = isUpgrade || (isLast && answer instanceof Promise);
    if (!keep && !mayGoOn) connection.close();
    if (typeof answer === "number") {
      const to = writeSmallHead(exchange, this.#to, answer, after);
      return void (this.#to = withoutBody ? to - answer : to);
    }
    this.#flush(connection);
    connection.busy = true;
    if ("begin" in answer) return void (this.#takeover = answer);
    const form = { version11: head.version11, withoutBody, connection: after };
    void this.#respond(connection, answer, form);
  }

  /** The answer does not wait for the body, whose bytes are skipped when they arrive. */
  #expectBody(connection: Connection): void {
    const head = this.#head;
    connection.body = new BodySkipper(head.bodySize);
    if (!head.expectsContinue || !head.version11) return;
    this.#out.set(CONTINUE, this.#to);
    this.#to += CONTINUE.length;
  }

  /** Sends the last answer of a connection: its request is malformed, or the handler threw. */
  #refuse(connection: Connection, answer: Buffer): void {
    this.counts.malformed += 1;
    this.#handler.noteRefusal?.(answer);
    this.#flush(connection);
    this.#send(connection, answer, 0, answer.length);
    connection.linger();
  }

  #flush(connection: Connection): void {
    if (this.#to > 0) this.#send(connection, this.#out, 0, this.#to);
    this.#to = 0;
  }

  #send(connection: Connection, bytes: Uint8Array, from: number, to: number): void {
    if (connection.gone) return;
    const kept = connection.write(bytes, from, to);
    if (kept > 0) this.#admission.displacement.noteUnsent(connection, this.#tick);
    garbage.note(kept);
    this.#held.note(connection, kept);
  }

  async #respond(connection: Connection, answer: LongAnswer, form: ResponseForm): Promise<void> {
    let pieces = 0;
    const send = (bytes: Uint8Array): Promise<boolean> => {
      garbage.note(bytes.length + RESPONSE_GARBAGE_BYTES, pieces++ > 0);
      this.#send(connection, bytes, 0, bytes.length);
      connection.deadline = this.#tick + TICKS_SEND;
      return connection.sent();
    };
    const { report } = this.#options;
    const takeover = await respond(connection, answer, form, { send, report });
    if (takeover !== undefined) return this.#tunnels.begin(connection, takeover);
    if (form.connection === CONNECTION_CLOSE) connection.close();
    // Microtasks run before I/O: without setImmediate one connection would starve the others.
    if (connection.leftover.size > 0) setImmediate(() => this.#takeTurn(connection));
    else this.#takeTurn(connection);
  }

  /** The answer is sent, or others have had their turn: the connection goes on. */
  #takeTurn(connection: Connection): void {
    connection.busy = false;
    connection.partial = false;
    this.#resume(connection, connection.leftover.text(TURN_TEXT_BYTES));
  }

  #drain(connection: Connection | undefined): void {
    if (connection === undefined || connection.gone || connection.unsent === undefined) return;
    const before = connection.held;
    const all = connection.sendRest();
    const sent = before - connection.held;
    this.#held.note(connection, 0 - sent);
    const { tunnel } = connection;
    if (sent > 0 && tunnel === undefined) connection.deadline = this.#tick + TICKS_SEND;
    this.#admission.displacement.noteTaken(connection, sent, this.#tick);
    if (tunnel !== undefined) this.#tunnels.drained(connection, tunnel, sent, all);
    else if (all && !connection.busy) this.#takeTurn(connection);
  }

  /** Serves waiting requests, if the connection is free for them. */
  #resume(connection: Connection, text = ""): void {
    if (connection.gone) return;
    if (connection.free && connection.leftover.size > 0) this.#serve(connection, text);
    else this.#settle(connection, true);
    if (!connection.gone && connection.free) connection.resume();
  }

  /** Sets the deadline for whatever the connection waits for next, or closes it. */
  #settle(connection: Connection, progress: boolean): void {
    if (connection.gone) return;
    const { partial } = connection;
    connection.partial = false;
    if (connection.unsent !== undefined) connection.deadline = this.#tick + TICKS_SEND;
    else if (connection.busy) connection.deadline = Infinity;
    else if (connection.closing || connection.inputEnded) this.#finish(connection);
    else if (connection.idle && this.#stopping) closeSocket(connection.socket);
    else if (connection.idle) connection.wait(this.#tick, TICKS_IDLE);
    else {
      connection.partial = true;
      if (progress || !partial) connection.wait(this.#tick, TICKS_HEAD);
    }
  }

  /** Closes. If the client may be sending, sends FIN first: a reset could discard the answer. */
  #finish(connection: Connection): void {
    const sending = connection.lingering || connection.body !== undefined;
    if (!sending || connection.inputEnded) {
      closeSocket(connection.socket);
    } else if (!connection.shut) {
      connection.deadline = this.#tick + TICKS_LINGER;
      connection.shutDown();
    }
  }

  #expire(): void {
    this.#tick += 1;
    this.#connections.walk((connection) => {
      if (connection.deadline >= this.#tick) return;
      if (connection.closing || connection.tunnel === undefined) this.#cut(connection);
      else connection.tunnel.expire();
    });
  }

  #cut(connection: Connection): void {
    if (connection.partial || connection.unsent !== undefined) this.counts.expired += 1;
    const gently = connection.unsent === undefined && !connection.closing;
    connection.close();
    // The next tick terminates it if it is still open.
    if (gently) closeSocket(connection.socket);
    else connection.socket.terminate();
  }
}
