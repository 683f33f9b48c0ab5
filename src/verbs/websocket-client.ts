/**
 * The WebSocket client of `selftest`: one connection to any server, which may send any bytes.
 *
 *   bytes ─► status 101 and its fields ─► frames ─► messages: JSON objects, kept in order
 *
 * The WebSocket of Bun is not used: it takes the proxy that the environment names, connects
 * to any address of a name, and limits no message. Here an answer has
 * `timeout` milliseconds, a connection five times that; it takes 1 MiB and 1,000 frames. What is
 * wrong ends the connection, and all that waits rejects with a sentence.
 *
 * https://www.rfc-editor.org/rfc/rfc6455
 */
import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";

import { ANSWER_HEAD_BYTES_MAX } from "./http-answer.ts";
import { connectTo } from "./http-client.ts";
import { explainNetwork } from "./network-problems.ts";
import { excerpt } from "./printable.ts";

/** Where to connect, and as what. */
export interface WebSocketQuestion {
  address: string;
  port: number;
  /** For wss: the name in the certificate. */
  tls: { name: string } | undefined;
  /** The value of the Host field. */
  host: string;
  /** Path and query. */
  target: string;
  /** Milliseconds for each answer. */
  timeout: number;
}

/** A JSON object that the server sent. */
export type Heard = Record<string, unknown>;

const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const STATUS_LINE = /^HTTP\/1\.1 ([1-5]\d\d)(?: |$)/;

/** libtorrent takes no longer message. */
const MESSAGE_BYTES_MAX = 128 * 1024;
const RECEIVED_BYTES_MAX = 1024 * 1024;
const FRAMES_MAX = 1000;
/** Messages have three levels; to write one with thousands as text would overflow the stack. */
const LEVELS_MAX = 32;
/** Timeouts after which the connection ends, whatever it does. */
const TIMEOUTS_MAX = 5;

const FIN = 0x80;
const RSV = 0x70;
const MASKED = 0x80;
const CONTINUATION = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const CONTROL_BYTES_MAX = 125;

export class WebSocketClient {
  /** What was received and not taken by `hear`. */
  readonly heard: Heard[] = [];
  readonly #question: WebSocketQuestion;
  readonly #socket: Socket;
  readonly #key = randomBytes(16).toString("base64");
  readonly #timer: ReturnType<typeof setTimeout>;
  #bytes: Buffer = Buffer.alloc(0);
  #received = 0;
  #frames = 0;
  #fragments: Buffer[] = [];
  #open = false;
  #pongs = 0;
  /** Why the connection ended. */
  #ended: string | undefined;
  /** Looks for what is waited for. */
  #look = () => {};

  constructor(question: WebSocketQuestion) {
    const { timeout, tls } = question;
    this.#question = question;
    const socket = connectTo(question);
    this.#socket = socket;
    const most = TIMEOUTS_MAX * timeout;
    this.#timer = setTimeout(() => this.#end(`it is not done in ${most / 1000} s`), most);
    socket.on(tls === undefined ? "connect" : "secureConnect", () => this.#ask());
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
    socket.on("error", (error) => this.#end(explainNetwork(error)));
    socket.on("close", () => {
      const silence = Object.assign(new Error(), { code: "ECONNRESET" });
      this.#end(this.#open ? "the connection was closed without a word" : explainNetwork(silence));
    });
  }

  /** Resolves once the server has accepted the handshake. */
  async opened(): Promise<void> {
    await this.#until(() => this.#open || undefined, "no answer");
  }

  send(message: object): void {
    this.sendText(JSON.stringify(message));
  }

  /** Sends any text as a message: in binary frames, in several pieces, or both, if asked. */
  sendText(text: string, { binary = false, pieces = 1 } = {}): void {
    const bytes = Buffer.from(text);
    const size = Math.ceil(bytes.length / pieces);
    for (let at = 0; at < bytes.length; at += size) {
      const opcode = at > 0 ? CONTINUATION : binary ? BINARY : TEXT;
      this.#write(opcode, bytes.subarray(at, at + size), at + size >= bytes.length);
    }
  }

  /** Sends a ping, and resolves when it is answered. */
  async ping(): Promise<void> {
    const before = this.#pongs;
    this.#write(PING, Buffer.alloc(0));
    await this.#until(() => this.#pongs > before || undefined, "a ping is not answered");
  }

  /** Resolves to the first message that is wanted. Rejects with `silence` if none comes. */
  hear(wanted: (message: Heard) => boolean, silence: string): Promise<Heard> {
    return this.#until(() => {
      const at = this.heard.findIndex(wanted);
      return at < 0 ? undefined : this.heard.splice(at, 1)[0];
    }, silence);
  }

  close(): void {
    if (this.#open && this.#ended === undefined) this.#write(CLOSE, Buffer.from([0x03, 0xe8]));
    this.#end("it is closed", this.#open);
  }

  async #until<T>(find: () => T | undefined, silence: string): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const { timeout } = this.#question;
    const late = () => reject(new Error(`${silence} in ${timeout / 1000} s`));
    const timer = setTimeout(late, timeout);
    this.#look = () => {
      const found = find();
      if (found !== undefined) resolve(found);
      else if (this.#ended !== undefined) reject(new Error(this.#ended));
    };
    this.#look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#look = () => {};
    }
  }

  /**
   * Ends the connection for the first reason that is given: after the last bytes if `inPeace`, else
   * at once, since a hostile server may never take them.
   */
  #end(sentence: string, inPeace = false): void {
    if (this.#ended !== undefined) return;
    this.#ended = sentence;
    clearTimeout(this.#timer);
    this.#bytes = Buffer.alloc(0);
    this.#fragments = [];
    if (inPeace) this.#socket.destroySoon();
    else this.#socket.destroy();
    this.#look();
  }

  #ask(): void {
    const { target, host } = this.#question;
    this.#socket.write(
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${this.#key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
  }

  #receive(bytes: Buffer): void {
    if (this.#ended !== undefined) return;
    this.#received += bytes.length;
    if (this.#received > RECEIVED_BYTES_MAX) return this.#end("it sends too much");
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    if (!this.#open) this.#readHead();
    while (this.#open && this.#ended === undefined && this.#readFrame());
    this.#look();
  }

  #readHead(): void {
    const end = this.#bytes.indexOf("\r\n\r\n");
    if (end < 0) {
      if (this.#bytes.length > ANSWER_HEAD_BYTES_MAX) this.#end("the answer is too long");
      return;
    }
    const [first, ...lines] = this.#bytes.toString("latin1", 0, end).split("\r\n");
    const body = this.#bytes.subarray(end + 4);
    const status = STATUS_LINE.exec(first)?.[1];
    if (status === undefined) return this.#end("the answer is not HTTP/1.1");
    if (status !== "101") return this.#end(refusalOf(status, body.toString("utf8")));
    const wrong = wrongWithFields(lines, this.#key);
    if (wrong !== undefined) return this.#end(wrong);
    this.#bytes = body;
    this.#open = true;
  }

  /** Reads one frame; false if it is not complete. */
  #readFrame(): boolean {
    const bytes = this.#bytes;
    if (bytes.length < 2) return false;
    const [first, second] = bytes;
    const opcode = first & 0x0f;
    let length = second & 0x7f;
    let at = 2;
    const wide = length === 126 ? 2 : length === 127 ? 8 : 0;
    if (bytes.length < at + wide) return false;
    if (wide > 0) {
      length = Number(BigInt(`0x${bytes.toString("hex", at, at + wide)}`));
      at += wide;
    }
    const wrong = wrongWithFrame(first, second, length);
    if (wrong !== undefined) {
      this.#end(wrong);
      return false;
    }
    if (bytes.length < at + length) return false;
    const payload = bytes.subarray(at, at + length);
    this.#bytes = bytes.subarray(at + length);
    this.#take(opcode, (first & FIN) !== 0, payload);
    return true;
  }

  #take(opcode: number, isLast: boolean, payload: Buffer): void {
    this.#frames += 1;
    if (this.#frames > FRAMES_MAX) this.#end("it sends too many frames");
    else if (opcode === PONG) this.#pongs += 1;
    else if (opcode === PING) this.#write(PONG, payload);
    else if (opcode === CLOSE) this.#end(closeOf(payload));
    else if ((opcode === CONTINUATION) !== this.#fragments.length > 0) {
      this.#end("a frame continues no message, or begins one within another");
    } else {
      this.#fragments.push(payload);
      const size = this.#fragments.reduce((sum, { length }) => sum + length, 0);
      if (size > MESSAGE_BYTES_MAX) return this.#end("a message is too long");
      if (!isLast) return;
      const whole = Buffer.concat(this.#fragments);
      this.#fragments = [];
      this.#takeMessage(whole);
    }
  }

  #takeMessage(bytes: Buffer): void {
    let message: unknown;
    try {
      message = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch {
      return this.#end("a message is not JSON");
    }
    if (typeof message !== "object" || message === null || Array.isArray(message)) {
      return this.#end("a message is not a JSON object");
    }
    if (isDeeper(message, LEVELS_MAX)) return this.#end("a message is nested too deeply");
    this.heard.push(message as Heard);
  }

  #write(opcode: number, payload: Buffer, isLast = true): void {
    if (this.#ended !== undefined) return;
    const { length } = payload;
    const wide = length >= 126;
    const head = Buffer.from([(isLast ? FIN : 0) | opcode, MASKED | (wide ? 126 : length)]);
    const size = Buffer.alloc(wide ? 2 : 0);
    if (wide) size.writeUInt16BE(length);
    const key = randomBytes(4);
    this.#socket.write(Buffer.concat([head, size, key, payload.map((b, i) => b ^ key[i % 4])]));
  }
}

/** True if a value of JSON has more levels than that. */
function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((each) => isDeeper(each, levels - 1));
}

/** What is wrong with the first bytes of a frame of a server. */
function wrongWithFrame(first: number, second: number, length: number): string | undefined {
  const opcode = first & 0x0f;
  if ((first & RSV) !== 0) return "a frame uses an extension that was not offered";
  if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) {
    return `a frame has the unknown opcode ${opcode}`;
  }
  if ((second & MASKED) !== 0) return "a frame is masked, which only those of clients are";
  if (opcode >= CLOSE && ((first & FIN) === 0 || length > CONTROL_BYTES_MAX)) {
    return "a control frame is in fragments, or too long";
  }
  return length > MESSAGE_BYTES_MAX ? "a frame is too long" : undefined;
}

/** What is wrong with the fields of a status 101. */
function wrongWithFields(lines: string[], key: string): string | undefined {
  const fields = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const get = (name: string) => fields.get(name) ?? "";
  const accept = createHash("sha1").update(`${key}${ACCEPT_SUFFIX}`).digest("base64");
  if (get("upgrade").toLowerCase() !== "websocket") return "the answer upgrades to something else";
  if (!/(^|[ ,])upgrade($|[ ,])/i.test(get("connection"))) return "the answer is no upgrade";
  if (get("sec-websocket-accept") !== accept) return "Sec-WebSocket-Accept does not fit the key";
  if (get("sec-websocket-extensions") !== "") return "it uses an extension that was not offered";
  if (get("sec-websocket-protocol") !== "") return "it uses a protocol that was not offered";
  return undefined;
}

/** The refusal, with the first line of its body as far as it came, if that is a sentence. */
function refusalOf(status: string, body: string): string {
  const line = body.split("\n", 1)[0].trim();
  const isSentence = /^[a-z].* /i.test(line);
  const said = isSentence ? excerpt(line) : "is that a tracker for browsers, and its path?";
  return `the status is ${status}, not 101: ${said}`;
}

function closeOf(payload: Buffer): string {
  if (payload.length < 2) return "the connection was closed without a code";
  const reason = excerpt(payload.toString("utf8", 2));
  return `the connection was closed with code ${payload.readUInt16BE(0)}${reason && `: ${reason}`}`;
}
