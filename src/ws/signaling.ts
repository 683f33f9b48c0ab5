/**
 * The engine of WebSocket connections: turns, replies, pings, deadlines, closing.
 *
 *   bytes ─► frame ─┬─ text, whole, UTF-8 ─► message ─► announce, answer or scrape ─► reply
 *                   ├─ fragment: kept
 *                   ├─ ping: the last one of a turn is answered
 *                   └─ close, or a wrong frame: a close is sent, then the end
 *
 * A turn of a connection is 16 messages or 64 KiB; then others have theirs. In a turn of the
 * event loop all of them together are read 128 KiB, or for 2 ms, and others come next. Without a
 * limit one connection with JSON of 64 KiB made HTTP wait 335 ms; without time 16 with tiny frames.
 *
 * The replies of a turn are one write, what is passed on to another is, too (relays.ts). A wrong
 * message is answered and leaves the connection open, because to lose it costs the users of a
 * client up to 5 minutes; only 16 in a row, or a wrong frame, end it. Nothing that a client sends
 * throws.
 */
import { isUtf8 } from "node:buffer";
import { COUNT, type Counters } from "../counters/counters.ts";
import type { Histogram } from "../counters/histograms.ts";
import { VERDICT_OK } from "../gates/verdicts.ts";
import type { Line } from "../net/tunnel.ts";
import {
  CLOSE_BUG,
  CLOSE_GOING_AWAY,
  CLOSE_MALFORMED,
  CLOSE_POLICY,
  CLOSE_PROTOCOL,
  CLOSE_TOO_LARGE,
  closeCode,
  CONTROL_BYTES_MAX,
  Frame,
  FRAME_INCOMPLETE,
  FRAME_TOO_LONG,
  FRAME_WRONG,
  FrameWriter,
  OPCODE_BINARY,
  OPCODE_CLOSE,
  OPCODE_CONTINUATION,
  OPCODE_PING,
  OPCODE_PONG,
  OPCODE_TEXT,
} from "./frames.ts";
import { Fragments } from "./fragments.ts";
import { Relays } from "./relays.ts";
import { reasonOf, WsCloses } from "./ws-closes.ts";
import type { Offers } from "./offers.ts";
import { failureText, type WsAnnounces } from "./ws-announce.ts";
import { type Client, type Engine, WsConnection } from "./ws-connection.ts";
import { KIND_ANNOUNCE, KIND_ANSWER, Message } from "./ws-messages.ts";
import { eachPeerOf, type Peer, peerOf, type Swarms } from "./ws-swarms.ts";

/** Limits of a turn: 64 KiB can be 16 announces, or 10,000 pings. */
const MESSAGES_A_TURN = 16;
const FRAMES_A_TURN = 256;
const BYTES_A_TURN = 64 * 1024;

/** What is read of all connections in one turn of the event loop, in bytes and in time. */
const BYTES_A_LOOP = 2 * BYTES_A_TURN;
const MILLISECONDS_A_LOOP = 2;

/** One message in this number is timed. */
const TIMED_EVERY = 16;

/** Wrong messages in a row that end a connection. */
const WRONG_MAX = 16;

/** A challenged connection has this many ticks to show that it lives. */
const TICKS_CHALLENGE = 10;

/** One with unsent bytes has this many ticks to take some: as long as HTTP gives it. */
const TICKS_STALLED = 30;

const NOTHING = new Uint8Array(0);

export interface SignalingParts {
  announces: WsAnnounces;
  offers: Offers;
  swarms: Swarms;
  counters: Counters;
  now: () => number;
  settings: { pingSeconds: number; offersMax: number; scrapeMax: number };
  /** Reports a bug. */
  report: (error: unknown) => void;
  /** Observes how long messages take, with what they pass on. */
  messageSeconds?: Pick<Histogram, "observe"> | undefined;
  // For tests: what calls back in the next turn of the event loop, and what tells milliseconds.
  soon?: (call: () => void) => void;
  clock?: () => number;
}

export class Signaling implements Engine {
  readonly closes = new WsCloses();
  /** Called when a connection has closed. */
  onClosed: (connection: WsConnection) => void = () => {};
  /** Open connections. */
  connections = 0;
  readonly #parts: SignalingParts;
  readonly #row: Float64Array;
  readonly #frame = new Frame();
  readonly #message = new Message();
  /** Replies of the turn at hand. */
  readonly #own = new FrameWriter();
  /** Frames for another connection, or one that belongs to no turn. */
  readonly #single = new FrameWriter();
  /** The payload of the last ping of this turn, and its size; -1 without one. */
  readonly #ping = Buffer.alloc(CONTROL_BYTES_MAX);
  #pingSize = -1;
  readonly #relays: Relays<WsConnection>;
  #lastNumber = 0;
  /** Bytes that may still be read in this turn of the event loop, and until when. */
  #left = BYTES_A_LOOP;
  #overAt = 0;
  readonly #clock: () => number;
  #isCounting = false;
  /** Messages since one was timed. */
  #untimed = 0;
  readonly #soon: (call: () => void) => void;
  // Made once: thousands of connections are looked at in the same second, when nothing collects.
  readonly #removePeer = (peer: Peer): void => this.#parts.swarms.remove(peer);
  readonly #forgetOldPeer = (peer: Peer, nowSeconds: number): void => {
    if (peer.expires < nowSeconds) this.#parts.swarms.remove(peer);
    else this.#parts.offers.forgetOld(peer, nowSeconds);
  };
  /** Each connection is read once a round, while there is more than a turn can take. */
  #round = 0;
  #isCrowded = false;
  /** True if a connection was not read that has not been read in this round. */
  #hasPutOff = false;

  constructor(parts: SignalingParts) {
    this.#parts = parts;
    this.#row = parts.counters.row;
    this.#soon = parts.soon ?? setImmediate;
    this.#clock = parts.clock ?? (() => performance.now());
    this.#relays = new Relays(this.#single, this.#soon, (to) => this.#send(to, this.#single));
  }

  /** A new connection. */
  open(line: Line, client: Client): WsConnection {
    this.connections += 1;
    this.#lastNumber = (this.#lastNumber + 1) | 0;
    return new WsConnection(this, line, client, this.#lastNumber);
  }

  read(connection: WsConnection, bytes: Buffer): number {
    let at = 0;
    if (!this.#mayRead(connection)) {
      connection.goesOn = true;
      return 0;
    }
    this.#pingSize = -1;
    try {
      at = this.#takeTurn(connection, bytes);
    } catch (error) {
      this.#parts.report(error);
      this.#row[COUNT["websocket:bug"]] += 1;
      this.#close(connection, CLOSE_BUG);
    }
    if (connection.ended) return bytes.length;
    if (this.#pingSize >= 0) {
      this.#own.control(OPCODE_PONG, this.#ping.subarray(0, this.#pingSize));
    }
    this.#flush(connection);
    return at;
  }

  /** False if others have their turn first. */
  #mayRead(connection: WsConnection): boolean {
    if (!this.#isCounting) {
      this.#isCounting = true;
      this.#overAt = this.#clock() + MILLISECONDS_A_LOOP;
      this.#soon(() => this.#beginTurn());
    }
    const wasRead = connection.round === this.#round;
    const isOver = this.#left <= 0 || this.#clock() > this.#overAt;
    if (!isOver && !(wasRead && this.#isCrowded)) {
      connection.round = this.#round;
      return true;
    }
    if (!wasRead) this.#hasPutOff = true;
    return false;
  }

  /** A new turn of the event loop; a new round too, once all connections were read. */
  #beginTurn(): void {
    this.#isCounting = false;
    this.#left = BYTES_A_LOOP;
    this.#isCrowded = this.#hasPutOff;
    if (!this.#hasPutOff) this.#round += 1;
    this.#hasPutOff = false;
  }

  /** Reads complete frames; returns the end of the last. */
  #takeTurn(connection: WsConnection, bytes: Buffer): number {
    const frame = this.#frame;
    let at = 0;
    let messages = 0;
    connection.goesOn = false;
    for (let frames = 0; at < bytes.length && !connection.ended; frames++) {
      const isOver = messages === MESSAGES_A_TURN || frames === FRAMES_A_TURN;
      if (isOver || at >= BYTES_A_TURN || this.#left <= 0) {
        connection.goesOn = true;
        break;
      }
      const verdict = frame.read(bytes, at);
      if (verdict === FRAME_INCOMPLETE) break;
      if (verdict === FRAME_WRONG) this.#close(connection, CLOSE_PROTOCOL);
      else if (verdict === FRAME_TOO_LONG) this.#close(connection, CLOSE_TOO_LARGE);
      else {
        this.#row[COUNT.websocketReceivedBytes] += frame.payloadTo - at;
        this.#left -= frame.payloadTo - at;
        at = frame.payloadTo;
        connection.heardAt = connection.line.tick;
        connection.pinged = false;
        connection.challengedAt = -1;
        if (this.#take(connection, bytes)) messages += 1;
      }
      if (this.#own.isFull) this.#flush(connection);
      // The rest is read when the client has taken this.
      if (connection.isFull) break;
    }
    return at;
  }

  /** Takes the frame; true if it completes a message. */
  #take(connection: WsConnection, bytes: Buffer): boolean {
    const frame = this.#frame;
    switch (frame.opcode) {
      case OPCODE_TEXT:
      case OPCODE_BINARY:
        if (connection.fragments !== undefined) this.#close(connection, CLOSE_PROTOCOL);
        else if (frame.isLast) this.#timeText(connection, frame.payload(bytes));
        else this.#join(connection, (connection.fragments = new Fragments()), bytes);
        return frame.isLast;
      case OPCODE_CONTINUATION:
        if (connection.fragments === undefined) this.#close(connection, CLOSE_PROTOCOL);
        else this.#join(connection, connection.fragments, bytes);
        return frame.isLast;
      case OPCODE_PING:
        frame.payloadInto(bytes, this.#ping, 0);
        this.#pingSize = frame.payloadTo - frame.payloadFrom;
        return false;
      case OPCODE_CLOSE:
        this.#answerClose(connection, closeCode(frame.payload(bytes), isUtf8));
        return false;
      default:
        return false;
    }
  }

  /** Adds a fragment to those before; the last one completes a message. */
  #join(connection: WsConnection, fragments: Fragments, bytes: Buffer): void {
    const before = fragments.capacity;
    if (!fragments.add(this.#frame, bytes)) return this.#close(connection, CLOSE_TOO_LARGE);
    if (!this.#frame.isLast) {
      if (fragments.capacity > before) connection.line.hold(fragments.capacity - before);
      return;
    }
    connection.fragments = undefined;
    connection.line.hold(0 - before);
    this.#timeText(connection, fragments.joined);
  }

  #timeText(connection: WsConnection, payload: Buffer): void {
    this.#untimed = (this.#untimed + 1) % TIMED_EVERY;
    const begun = this.#untimed === 0 ? performance.now() : 0;
    this.#takeText(connection, payload);
    if (begun > 0) this.#parts.messageSeconds?.observe((performance.now() - begun) / 1000);
  }

  /** A binary frame is taken as text: libtorrent leaves the type to its library. */
  #takeText(connection: WsConnection, payload: Buffer): void {
    if (!isUtf8(payload)) return this.#close(connection, CLOSE_MALFORMED);
    const message = this.#message;
    const wrong = message.read(payload, this.#parts.settings.offersMax);
    if (wrong === "") {
      this.#answer(connection, message);
      return;
    }
    connection.wrongs += 1;
    // Wrong messages are judged by their rate too, and get no reply above it.
    const { announces, now } = this.#parts;
    if (announces.judgeRate(connection, now()) === VERDICT_OK) {
      this.#row[COUNT["websocket:message"]] += 1;
      this.#own.text(failureText(message, wrong));
    }
    if (connection.wrongs === WRONG_MAX) this.#close(connection, CLOSE_POLICY);
  }

  #answer(connection: WsConnection, message: Message): void {
    const { announces, now } = this.#parts;
    const nowSeconds = now();
    const verdict = announces.judge(connection, message, nowSeconds);
    if (verdict === VERDICT_OK) connection.wrongs = 0;
    if (verdict !== VERDICT_OK) {
      // The client can do nothing about an answer that is refused: it prints each failure.
      const text = message.kind === KIND_ANSWER ? "" : announces.failure(message, verdict);
      if (text !== "") this.#own.text(text);
    } else if (message.kind === KIND_ANNOUNCE) {
      this.#row[COUNT.websocketOffersSkipped] += message.skippedOffers;
      const text = announces.answer(connection, message, nowSeconds);
      if (text !== "") this.#own.text(text);
      announces.passOffers(nowSeconds);
    } else if (message.kind === KIND_ANSWER) {
      this.#passAnswer(connection, message, nowSeconds);
    } else {
      this.#own.text(this.#scrape(connection, message));
    }
  }

  /** Only our peer may answer, and only what it was offered. Nothing is said about any other. */
  #passAnswer(connection: WsConnection, message: Message, nowSeconds: number): void {
    const isIpv4 = connection.family === 4;
    this.#row[isIpv4 ? COUNT.websocketAnswersIpv4 : COUNT.websocketAnswersIpv6] += 1;
    const peer = peerOf(connection, message.infoHash);
    const passed = peer !== undefined && this.#parts.offers.answer(peer, message, nowSeconds);
    this.#row[COUNT[passed ? "websocketAnswersPassed" : "websocket:unexpected_answer"]] += 1;
  }

  #scrape({ family }: WsConnection, { infoHashes }: Message): string {
    const { announces, settings } = this.#parts;
    this.#row[family === 4 ? COUNT.websocketScrapesIpv4 : COUNT.websocketScrapesIpv6] += 1;
    const files: Record<string, unknown> = Object.create(null);
    for (const infoHash of infoHashes.slice(0, settings.scrapeMax)) {
      files[infoHash] = announces.scrape(infoHash);
    }
    return JSON.stringify({ action: "scrape", files });
  }

  #flush(connection: WsConnection): void {
    if (this.#own.to > 0) this.#send(connection, this.#own);
  }

  /** Sends the frames; to send may call for others to be written. */
  #send({ line }: WsConnection, frames: FrameWriter): void {
    const { bytes, to } = frames;
    frames.to = 0;
    this.#row[COUNT.websocketSentBytes] += to;
    line.send(bytes, 0, to);
  }

  relay(connection: WsConnection, before: string, bytes: Uint8Array, after: string): void {
    this.#relays.add(connection, before, bytes, after);
  }

  #pingIt(connection: WsConnection): void {
    if (connection.isFull) return;
    this.#single.control(OPCODE_PING, NOTHING);
    this.#send(connection, this.#single);
  }

  challenge(connection: WsConnection): void {
    if (connection.challengedAt >= 0 || connection.ended) return;
    const { tick } = connection.line;
    if (connection.isFull) {
      if (connection.stalledAt < 0) connection.stalledAt = tick;
    } else {
      connection.stalledAt = -1;
      connection.challengedAt = tick;
      this.#pingIt(connection);
    }
    this.#wake(connection);
  }

  #wake({ line, heardAt, pinged, challengedAt, stalledAt }: WsConnection): void {
    let next = heardAt + (pinged ? 2 : 1) * this.#parts.settings.pingSeconds;
    if (challengedAt >= 0) next = Math.min(next, challengedAt + TICKS_CHALLENGE);
    if (stalledAt >= 0) next = Math.min(next, stalledAt + TICKS_STALLED);
    line.wakeAfter(next);
  }

  /** Looks for silence, and for peers and offers whose time is over: there is no other sweep. */
  expire(connection: WsConnection): void {
    const { line } = connection;
    const { pingSeconds } = this.#parts.settings;
    this.#forgetOld(connection);
    if (connection.challengedAt >= 0 && connection.isFull) {
      connection.challengedAt = -1;
      connection.stalledAt = line.tick;
    }
    const { heardAt, challengedAt, stalledAt } = connection;
    const silent = line.tick - heardAt;
    const failed = challengedAt >= 0 && line.tick - challengedAt > TICKS_CHALLENGE;
    const stalled = stalledAt >= 0 && line.tick - stalledAt > TICKS_STALLED;
    if (failed || stalled || silent > 2 * pingSeconds) {
      this.closes.silent += 1;
      this.#leave(connection);
      line.cut();
      return;
    }
    if (silent >= pingSeconds && !connection.pinged) {
      connection.pinged = true;
      this.#pingIt(connection);
    }
    this.#wake(connection);
  }

  #forgetOld(connection: WsConnection): void {
    const nowSeconds = this.#parts.now();
    eachPeerOf(connection, this.#forgetOldPeer, nowSeconds);
    this.#parts.offers.forgetLeft(connection, nowSeconds);
  }

  stop(connection: WsConnection): void {
    this.#close(connection, CLOSE_GOING_AWAY);
  }

  starved(): void {
    this.closes.starved += 1;
  }

  closed(connection: WsConnection): void {
    this.#leave(connection);
    this.connections -= 1;
    this.onClosed(connection);
  }

  #answerClose(connection: WsConnection, code: number): void {
    if (code === CLOSE_PROTOCOL || code === CLOSE_MALFORMED) return this.#close(connection, code);
    this.#end(connection, code);
  }

  /** Sends a close for this reason, after the replies of the turn. */
  #close(connection: WsConnection, code: number): void {
    if (connection.ended) return;
    this.closes[reasonOf(code)] += 1;
    this.#end(connection, code);
  }

  #end(connection: WsConnection, code: number): void {
    this.#leave(connection);
    this.#own.close(code);
    this.#flush(connection);
    connection.line.end();
  }

  /** All its peers go; nothing is sent to it any more. */
  #leave(connection: WsConnection): void {
    connection.ended = true;
    connection.goesOn = false;
    eachPeerOf(connection, this.#removePeer);
  }
}
