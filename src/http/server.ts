/**
 * The HTTP/1.1 server: requests out of the bytes of connections, answers into them.
 *
 *   bytes ─► head read? ─► body small? ─► handler ─► answers of all requests ─► one write
 *              │ no: 400, 431, 505   │ no: 413
 *              └────────────┬────────┘
 *                     answered, then closed
 *
 * Bun's own server tells neither raw bytes nor connections, and takes twice the time (14.5 µs of
 * CPU per request on an open connection, 7.3 µs so; Bun 1.4.5, 2026-11). What it would do is here:
 *
 *   the head of a request   within 10 s of its first byte, or of the connection's first moment
 *   an idle connection      30 s
 *   one that does not read  30 s without progress; nothing more is answered meanwhile
 *   one too many            closed, or in the place of another (see admission.ts, displacement.ts)
 *   memory                  64 MiB for all that waits, in either direction (see held.ts)
 *
 * Short requests wait for the end of the turn (see gathered.ts). Those of a connection are answered
 * in order, 64 or one Response in a turn, so that others get theirs. Nothing a client does throws.
 */
import { HTTP_HEAD_BYTES_MAX } from "../constants.ts";
import { garbage, PIECE_GARBAGE_BYTES, RESPONSE_GARBAGE_BYTES } from "../host/garbage.ts";
import { Admission, type AdmissionOptions } from "./admission.ts";
import { BODY_BYTES_MAX, BODY_DONE, BODY_GOES_ON, BODY_TOO_LARGE, BodySkipper } from "./body.ts";
import { Connection, ConnectionCounts, Connections } from "./connection.ts";
import type { OwnedSocket, SocketEvents } from "./connection.ts";
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
import {
  RESPONSE_BROKEN,
  RESPONSE_ENDS_CONNECTION,
  type ResponseForm,
  sendResponse,
} from "./response.ts";

/** Deadlines are counted in ticks of a second. */
const TICKS_HEAD = 10;
const TICKS_IDLE = 30;
const TICKS_SEND = 30;
/** How long a client that is still sending has to read why it is not listened to. */
const TICKS_LINGER = 2;

/** Answers to pipelined requests are written once they are so long. */
const WRITE_BYTES = 64 * 1024;

/** A connection whose requests wait is not read from once so many bytes of them are here. */
const WAITING_BYTES_MAX = 64 * 1024;

/** Requests of one connection that are answered before others get their turn: about 1 ms. */
const REQUESTS_A_TURN = 64;

/** Of what waits for its turn, text is made of no more at first: one request may be all of it. */
const TURN_TEXT_BYTES = 1024;

const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

export interface HttpServerOptions extends AdmissionOptions {
  /** Told of what must not happen: the handler threw. */
  report?: (error: unknown) => void;
  /** Length of a tick; tests cannot wait for seconds. */
  tickMilliseconds?: number;
}

/** Its `socket` goes to as many `Bun.listen` as there are addresses. */
export class HttpServer {
  readonly counts = new ConnectionCounts();
  /** What Bun calls. */
  readonly socket: SocketEvents;
  readonly #handler: HttpHandler;
  readonly #options: HttpServerOptions;
  readonly #connections = new Connections();
  readonly #admission: Admission;
  readonly #held = new Held(this.#connections, (connection) => {
    this.counts.starved += 1;
    connection.socket.terminate();
  });
  readonly #gathered: Gathered;
  readonly #head = new RequestHead();
  readonly #out: Uint8Array;
  readonly #exchange: Exchange;
  readonly #timer: Timer;
  /** Where the answers in `#out` end. */
  #to = 0;
  #tick = 0;
  #stopping = false;
  readonly #stopped = Promise.withResolvers<void>();

  constructor(handler: HttpHandler, options: HttpServerOptions) {
    this.#handler = handler;
    this.#options = options;
    this.#gathered = new Gathered(handler.prefetch, (asked, text) => this.#goOn(asked, text));
    this.#admission = new Admission(options, this.#connections, this.counts);
    // Answers are written out between two requests, so the last one begins before WRITE_BYTES.
    const room = CONTINUE.length + SMALL_HEAD_BYTES_MAX + handler.bodyBytesMax;
    this.#out = new Uint8Array(new ArrayBuffer(WRITE_BYTES + room));
    const common = { head: this.#head, address: new Uint8Array(16), out: this.#out };
    this.#exchange = { ...common, family: 0, at: 0, status: 200, form: undefined };
    this.#timer = setInterval(() => this.#expire(), options.tickMilliseconds ?? 1000);
    this.#timer.unref();
    this.socket = {
      binaryType: "buffer",
      open: (socket) => this.#open(socket),
      // Without it TLS sockets open after the handshake, and who shakes no hands is not counted.
      handshake: (socket, success) => void (success || socket.terminate()),
      data: (socket, bytes) => this.#receive(socket.data, bytes),
      drain: (socket) => this.#drain(socket.data),
      end: (socket) => this.#end(socket.data),
      close: (socket) => this.#close(socket.data),
      error: (_socket, error) => this.#noteError(error),
    };
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#connections.count;
  }

  /**
   * Ends idle connections now and the others after their answers; resolves when none is left. The
   * caller has closed the listeners.
   */
  stop(): Promise<void> {
    this.#stopping = true;
    this.#connections.forEach((connection) => {
      if (connection.idle) connection.socket.end();
    });
    this.#noteStopped();
    return this.#stopped.promise;
  }

  /** Cuts all connections. */
  cut(): void {
    this.#connections.forEach((connection) => connection.socket.terminate());
  }

  /** What the system or TLS says of a connection, which ends then; or else a mistake of ours. */
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
    const connection = new Connection(socket, this.#admission.neighbourhood);
    if (this.#stopping || !this.#admission.admits(connection, this.#tick)) {
      socket.terminate();
      return;
    }
    this.counts.accepted += 1;
    connection.wait(this.#tick, TICKS_HEAD);
    this.#admission.add(connection);
    socket.data = connection;
  }

  #close(connection: Connection | undefined): void {
    // Without a connection it is one of those that were too many.
    if (connection === undefined || connection.gone) return;
    connection.gone = true;
    this.#held.release(connection);
    this.#admission.remove(connection);
    connection.wake();
    this.#noteStopped();
  }

  #end(connection: Connection | undefined): void {
    if (connection === undefined || connection.gone) return;
    connection.ended = true;
    // What was not worth a look before (see `mayComplete`) is judged now.
    if (connection.free && connection.leftover.size > 0) this.#serve(connection);
    else if (connection.shut || connection.free) connection.socket.end();
  }

  #receive(connection: Connection | undefined, bytes: Buffer): void {
    if (connection === undefined || connection.closing || connection.gone) return;
    garbage.note(Math.max(bytes.length, PIECE_GARBAGE_BYTES));
    const { leftover, free } = connection;
    const isFirst = leftover.size === 0;
    this.#keep(connection, bytes);
    if (!free) {
      if (leftover.size > WAITING_BYTES_MAX) this.#pause(connection);
    } else if (isFirst && bytes.length <= GATHERED_BYTES_MAX) {
      this.#gathered.add(connection);
    } else if (isFirst || mayComplete(leftover, bytes.length)) {
      this.#serve(connection);
    }
  }

  /** Keeps bytes until they are answered, if there is memory for it. */
  #keep(connection: Connection, bytes: Buffer): void {
    const before = connection.held;
    connection.leftover.add(bytes);
    this.#held.note(connection, connection.held - before);
  }

  /** The first `count` bytes that were kept are done with. */
  #release(connection: Connection, count: number): void {
    const before = connection.held;
    connection.leftover.drop(count);
    this.#held.note(connection, connection.held - before);
  }

  #pause(connection: Connection): void {
    if (connection.paused || connection.gone) return;
    connection.paused = true;
    connection.socket.pause();
  }

  /** Answers all requests that are whole; `text` is how they begin. */
  #serve(connection: Connection, text = ""): void {
    const bytes = connection.leftover.view();
    let at = 0;
    let heads = 0;
    const turn = this.#held.isLittle ? REQUESTS_A_TURN : Infinity;
    let textFrom = 0;
    this.#to = 0;
    while (at < bytes.length && connection.free && heads < turn) {
      if (connection.body !== undefined) {
        at = this.#skipBody(connection, connection.body, bytes, at);
        continue;
      }
      // No more text than a head may have, so that looking for its marks never looks far.
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
      connection.answering = true;
      setImmediate(() => this.#endTurn(connection));
    }
    if (connection.gone) return;
    if (connection.closing && at < bytes.length) connection.lingers = true;
    this.#release(connection, connection.closing ? bytes.length : at);
    if (!connection.free && bytes.length - at > WAITING_BYTES_MAX) this.#pause(connection);
    this.#settle(connection, heads > 0);
  }

  /** Returns where the body, or what there is of it, ends. */
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

  /** Answers the request in `#head`: into `#out`, or by and by. */
  #answer(connection: Connection): void {
    const head = this.#head;
    if (head.bodySize > BODY_BYTES_MAX) {
      this.#refuse(connection, REFUSAL_BODY);
      return;
    }
    if (head.bodySize !== 0) this.#expectBody(connection);
    const keep = head.keepAlive && !this.#stopping;
    const fate = !keep ? CONNECTION_CLOSE : head.version11 ? CONNECTION_OPEN : CONNECTION_KEPT;
    const exchange = this.#exchange;
    exchange.address = connection.address;
    exchange.family = connection.family;
    exchange.at = this.#to + smallHeadRoom(fate);
    exchange.status = 200;
    exchange.form = undefined;
    const withoutBody = head.hasMethod("HEAD");
    let answer: number | Response | Promise<Response>;
    try {
      answer = this.#handler.answer(exchange);
    } catch (error) {
      this.#options.report?.(error);
      this.#refuse(connection, REFUSAL_FAILURE);
      return;
    }
    if (!keep) connection.closing = true;
    if (typeof answer === "number") {
      const to = writeSmallHead(exchange, this.#to, answer, fate);
      this.#to = withoutBody ? to - answer : to;
      return;
    }
    this.#flush(connection);
    connection.answering = true;
    const form = { version11: head.version11, withoutBody, connection: fate };
    void this.#respond(connection, answer, form);
  }

  /** The answer does not wait for the body, whose bytes are read past when they come. */
  #expectBody(connection: Connection): void {
    const head = this.#head;
    connection.body = new BodySkipper(head.bodySize);
    if (!head.expectsContinue || !head.version11) return;
    this.#out.set(CONTINUE, this.#to);
    this.#to += CONTINUE.length;
  }

  /** The last answer of a connection that does not say what it should. */
  #refuse(connection: Connection, answer: Buffer): void {
    this.counts.malformed += 1;
    this.#flush(connection);
    this.#send(connection, answer, 0, answer.length);
    connection.closing = true;
    connection.lingers = true;
  }

  #flush(connection: Connection): void {
    if (this.#to > 0) this.#send(connection, this.#out, 0, this.#to);
    this.#to = 0;
  }

  #send(connection: Connection, bytes: Uint8Array, from: number, to: number): void {
    if (connection.gone) return;
    const kept = connection.send(bytes, from, to);
    if (kept > 0) this.#admission.displacement.owes(connection, this.#tick);
    garbage.note(kept);
    this.#held.note(connection, kept);
  }

  async #respond(
    connection: Connection,
    answer: Response | Promise<Response>,
    form: ResponseForm,
  ): Promise<void> {
    let outcome: number = RESPONSE_BROKEN;
    try {
      const send = (bytes: Uint8Array): Promise<boolean> => {
        garbage.note(bytes.length + RESPONSE_GARBAGE_BYTES);
        this.#send(connection, bytes, 0, bytes.length);
        connection.deadline = this.#tick + TICKS_SEND;
        return connection.sent();
      };
      const response = await answer;
      connection.deadline = Infinity;
      outcome = await sendResponse(response, { send }, form);
    } catch (error) {
      this.#options.report?.(error);
    }
    if (outcome === RESPONSE_ENDS_CONNECTION) connection.closing = true;
    if (outcome === RESPONSE_BROKEN && !connection.gone) connection.socket.terminate();
    // All promises are kept before the next event: without it one connection would be served alone.
    if (connection.leftover.size > 0) setImmediate(() => this.#endTurn(connection));
    else this.#endTurn(connection);
  }

  /** Others have had their turn, or nothing waits. */
  #endTurn(connection: Connection): void {
    connection.answering = false;
    connection.partial = false;
    this.#goOn(connection, connection.leftover.text(TURN_TEXT_BYTES));
  }

  #drain(connection: Connection | undefined): void {
    if (connection === undefined || connection.gone || connection.unsent === undefined) return;
    const before = connection.held;
    const all = connection.sendRest();
    const sent = before - connection.held;
    this.#held.note(connection, 0 - sent);
    if (sent > 0) connection.deadline = this.#tick + TICKS_SEND;
    this.#admission.displacement.took(connection, sent, this.#tick);
    if (all && !connection.answering) this.#endTurn(connection);
  }

  /** What waited for the answer before it gets its turn. */
  #goOn(connection: Connection, text = ""): void {
    if (connection.gone) return;
    if (connection.free && connection.leftover.size > 0) this.#serve(connection, text);
    else this.#settle(connection, true);
    if (!connection.gone && connection.paused && connection.free) {
      connection.paused = false;
      connection.socket.resume();
    }
  }

  /** What the connection waits for now, and how long it may. */
  #settle(connection: Connection, progress: boolean): void {
    if (connection.gone) return;
    const { partial } = connection;
    connection.partial = false;
    if (connection.unsent !== undefined) connection.deadline = this.#tick + TICKS_SEND;
    else if (connection.answering) connection.deadline = Infinity;
    else if (connection.closing || connection.ended) this.#finish(connection);
    else if (connection.idle && this.#stopping) connection.socket.end();
    else if (connection.idle) connection.wait(this.#tick, TICKS_IDLE);
    else {
      connection.partial = true;
      if (progress || !partial) connection.wait(this.#tick, TICKS_HEAD);
    }
  }

  /** Closes. Who may still be sending gets our end first: a reset would cost it the answer. */
  #finish(connection: Connection): void {
    const sending = connection.lingers || connection.body !== undefined;
    if (!sending || connection.ended) {
      connection.socket.end();
    } else if (!connection.shut) {
      connection.shut = true;
      connection.deadline = this.#tick + TICKS_LINGER;
      connection.socket.shutdown();
    }
  }

  #expire(): void {
    this.#tick += 1;
    this.#connections.forEach((connection) => {
      if (connection.deadline < this.#tick) this.#cut(connection);
    });
  }

  #cut(connection: Connection): void {
    if (connection.partial || connection.unsent !== undefined) this.counts.expired += 1;
    const gently = connection.unsent === undefined && !connection.closing;
    connection.closing = true;
    // Should it still be there after this, the next tick cuts it.
    if (gently) connection.socket.end();
    else connection.socket.terminate();
  }
}
