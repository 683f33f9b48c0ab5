/**
 * Parses one HTTP/1.1 answer from an unknown server, in bounded memory and time. [RFC 9112]
 *
 *   HTTP/1.1 200 OK␍␊                    status line and fields: at most 16 KiB, lines end in CR LF
 *   Content-Length: 2␍␊                  a length, or chunks, or a body until the connection closes
 *   ␍␊
 *   ok                                   at most `bodyBytesMax`, however it is framed
 *
 *   fields and body lie in one buffer; the data of chunks are moved together in place:
 *
 *   | head | body so far | framing that was read | not read yet |
 *   0      bodyFrom      bodyTo                  at             size
 *
 * Each byte is stored once and read a fixed number of times, and a length must be within the bound,
 * so no answer costs more memory or time than its bytes. Ambiguous answers (two lengths, a length
 * and chunks, another coding) are refused. No method throws or waits: the caller sets the timeout.
 */

/** The answer of a server. */
export interface HttpAnswer {
  status: number;
  /** By lower-case name; of a repeated field, the last value. */
  fields: ReadonlyMap<string, string>;
  body: Uint8Array;
}

/** The status line and all fields. Trackers send 200 bytes, web servers 2 KiB. */
export const ANSWER_HEAD_BYTES_MAX = 16 * 1024;
/** The line before a chunk, with its extensions, which are rare. */
const CHUNK_LINE_BYTES_MAX = 256;
const BUFFER_BYTES_MIN = 4096;

const VERSION = "HTTP/1.";
const STATUS_LINE = /^HTTP\/1\.[01] ([2-5]\d\d)(?: |$)/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const LENGTH = /^\d{1,15}$/;
const CHUNK_LINE = /^([0-9A-Fa-f]{1,8})[ \t]*(?:;|$)/;

const END_OF_HEAD = "\r\n\r\n";
const END_OF_LINE = "\r\n";

const NOT_HTTP = "the answer is not HTTP";
const ENDLESS = "the answer is too long";

/** How the end of a body is known. */
type Framing = "chunks" | "close" | number;

/** Parses one answer, piece by piece. */
export class AnswerReader {
  readonly #bodyBytesMax: number;
  #bytes = Buffer.allocUnsafeSlow(BUFFER_BYTES_MIN);
  #size = 0;
  #at = 0;
  #bodyFrom = 0;
  #bodyTo = 0;
  #status = 0;
  #fields = new Map<string, string>();
  /** Undefined until the head has been read. */
  #framing: Framing | undefined;

  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** The size of its buffer. */
  get bufferBytes(): number {
    return this.#bytes.length;
  }

  /** Takes bytes. Returns the complete answer, a sentence if it is wrong, or else undefined. */
  take(bytes: Uint8Array): HttpAnswer | string | undefined {
    if (this.#size + bytes.length > ANSWER_HEAD_BYTES_MAX + this.#bodyBytesMax) return ENDLESS;
    this.#append(bytes);
    if (this.#framing === undefined) {
      const wrong = this.#readHead();
      if (wrong !== undefined || this.#framing === undefined) return wrong;
    }
    if (this.#framing === "chunks") return this.#readChunks();
    if (this.#framing === "close") {
      return this.#size - this.#bodyFrom > this.#bodyBytesMax ? ENDLESS : undefined;
    }
    const to = this.#bodyFrom + this.#framing;
    return this.#size < to ? undefined : this.#answer(to);
  }

  /** The connection was closed. Returns the answer or a sentence; undefined if no byte came. */
  end(): HttpAnswer | string | undefined {
    if (this.#size === 0) return undefined;
    if (this.#framing === undefined) return NOT_HTTP;
    return this.#framing === "close" ? this.#answer(this.#size) : "the answer is cut short";
  }

  #append(bytes: Uint8Array): void {
    const size = this.#size + bytes.length;
    if (size > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#bytes.length));
      this.#bytes.copy(larger, 0, 0, this.#size);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#size);
    this.#size = size;
  }

  /** The position of a text in the bytes from `from` to `to`, -1 if it is not there. */
  #find(text: string, from: number, to: number): number {
    const at = this.#bytes.subarray(from, Math.min(this.#size, to)).indexOf(text, 0, "latin1");
    return at < 0 ? -1 : from + at;
  }

  #readHead(): string | undefined {
    const start = this.#bytes.toString("latin1", 0, Math.min(this.#size, VERSION.length));
    if (!VERSION.startsWith(start)) return NOT_HTTP;
    // Continue behind the last piece, less the bytes that may begin the end of the head.
    const end = this.#find(END_OF_HEAD, this.#at, this.#size);
    this.#at = Math.max(0, this.#size - END_OF_HEAD.length + 1);
    if (end < 0) return this.#size > ANSWER_HEAD_BYTES_MAX ? ENDLESS : undefined;
    if (end > ANSWER_HEAD_BYTES_MAX) return ENDLESS;
    const [statusLine = "", ...lines] = this.#bytes.toString("latin1", 0, end).split(END_OF_LINE);
    const status = STATUS_LINE.exec(statusLine)?.[1];
    if (status === undefined) return NOT_HTTP;
    this.#status = Number(status);
    this.#at = this.#bodyFrom = this.#bodyTo = end + END_OF_HEAD.length;
    return this.#readFields(lines);
  }

  #readFields(lines: readonly string[]): string | undefined {
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, Math.max(0, colon)).toLowerCase();
      if (!FIELD_NAME.test(name)) return NOT_HTTP;
      const framing = name === "content-length" || name === "transfer-encoding";
      if (framing && this.#fields.has(name)) return `the answer has two fields ${name}`;
      this.#fields.set(name, line.slice(colon + 1).trim());
    }
    return this.#readFraming();
  }

  #readFraming(): string | undefined {
    const length = this.#fields.get("content-length");
    const coding = this.#fields.get("transfer-encoding");
    if (coding !== undefined) {
      if (length !== undefined) return "the answer has a length and chunks";
      if (coding.toLowerCase() !== "chunked") return "the answer has an unknown transfer coding";
      this.#framing = "chunks";
      return undefined;
    }
    if (this.#status === 204 || this.#status === 304) this.#framing = 0;
    else if (length === undefined) this.#framing = "close";
    else if (!LENGTH.test(length)) return "the answer has a length that is not a number";
    else if (Number(length) > this.#bodyBytesMax) return ENDLESS;
    else this.#framing = Number(length);
    return undefined;
  }

  #readChunks(): HttpAnswer | string | undefined {
    for (;;) {
      const end = this.#find(END_OF_LINE, this.#at, this.#at + CHUNK_LINE_BYTES_MAX);
      if (end < 0 && this.#size - this.#at < CHUNK_LINE_BYTES_MAX) return undefined;
      const line = this.#bytes.toString("latin1", this.#at, Math.max(this.#at, end));
      const digits = CHUNK_LINE.exec(line)?.[1];
      if (digits === undefined) return "a chunk of the answer has no size";
      const size = parseInt(digits, 16);
      if (size === 0) return this.#answer(this.#bodyTo);
      if (this.#bodyTo - this.#bodyFrom + size > this.#bodyBytesMax) return ENDLESS;
      const from = end + END_OF_LINE.length;
      const next = from + size + END_OF_LINE.length;
      if (this.#size < next) return undefined;
      if (this.#find(END_OF_LINE, from + size, next) < 0) {
        return "a chunk of the answer is longer than its size";
      }
      this.#bytes.copyWithin(this.#bodyTo, from, from + size);
      this.#bodyTo += size;
      this.#at = next;
    }
  }

  #answer(bodyTo: number): HttpAnswer {
    const body = this.#bytes.subarray(this.#bodyFrom, bodyTo);
    return { status: this.#status, fields: this.#fields, body };
  }
}
