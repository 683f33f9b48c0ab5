/**
 * Request bodies: skipped, because no request here uses one, up to a limit.
 *
 *   by length   as many bytes as the length says
 *   in chunks   size in hex [";" extension] CRLF, the bytes, CRLF, ..., "0" CRLF, trailers, CRLF
 *
 * A malformed body closes the connection: if two parsers disagree where a message ends, an attacker
 * can smuggle in a request. Only the rare connection with a body has this record. Never throws.
 *
 * https://www.rfc-editor.org/rfc/rfc9112#section-7.1
 */
import { HEX_VALUES } from "../net/hex.ts";

/** Limit of a body with its framing; a larger one closes the connection. */
export const BODY_BYTES_MAX = 64 * 1024;

export const BODY_DONE = 0;
/** All given bytes belong to the body, and it continues. */
export const BODY_GOES_ON = 1;
export const BODY_MALFORMED = 2;
export const BODY_TOO_LARGE = 3;

/** States: the part that the next byte belongs to. */
const IN_DATA = 0;
const IN_SIZE = 1;
const IN_EXTENSION = 2;
const AT_SIZE_LF = 3;
const AT_DATA_CR = 4;
const AT_DATA_LF = 5;
const AT_TRAILER = 6;
const IN_TRAILER = 7;
const AT_TRAILER_LF = 8;
const AT_END_LF = 9;
const AT_SEMICOLON = 10;

/** Limit of digits in a chunk's size; the largest chunk that is skipped has five. */
const SIZE_DIGITS_MAX = 16;

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const SEMICOLON = 59;
const DELETE = 127;

export class BodySkipper {
  /** End of the body, after `skip` returned BODY_DONE. */
  next = 0;
  readonly #chunked: boolean;
  #state: number;
  /** Bytes of the chunk, or of the whole body, that are still missing. */
  #left: number;
  #digits = 0;
  #seen = 0;

  /** `size` is the length of the body in bytes, or -1 for a chunked body. */
  constructor(size: number) {
    this.#chunked = size < 0;
    this.#state = this.#chunked ? IN_SIZE : IN_DATA;
    this.#left = Math.max(0, size);
  }

  /** Skips the part of the body that is in `bytes` from `from` on. */
  skip(bytes: Uint8Array, from: number): number {
    let at = from;
    while (at < bytes.length) {
      if (this.#state === IN_DATA) {
        const size = Math.min(this.#left, bytes.length - at);
        at += size;
        this.#seen += size;
        this.#left -= size;
        if (this.#left === 0) {
          if (!this.#chunked) return this.#finish(at);
          this.#state = AT_DATA_CR;
        }
      } else {
        const verdict = this.#step(bytes[at++]);
        if (verdict === BODY_DONE) return this.#finish(at);
        if (verdict !== BODY_GOES_ON) return verdict;
        this.#seen += 1;
      }
      if (this.#seen > BODY_BYTES_MAX) return BODY_TOO_LARGE;
    }
    return BODY_GOES_ON;
  }

  #finish(at: number): number {
    this.next = at;
    return BODY_DONE;
  }

  /** One byte of the framing. */
  #step(byte: number): number {
    switch (this.#state) {
      case IN_SIZE:
        return this.#readSize(byte);
      case AT_SEMICOLON:
        if (byte === SPACE || byte === TAB) return BODY_GOES_ON;
        return this.#expect(byte, SEMICOLON, IN_EXTENSION);
      case IN_EXTENSION:
        return this.#readText(byte, AT_SIZE_LF);
      case AT_SIZE_LF:
        return this.#expect(byte, LF, this.#left === 0 ? AT_TRAILER : IN_DATA);
      case AT_DATA_CR:
        return this.#expect(byte, CR, AT_DATA_LF);
      case AT_DATA_LF:
        this.#digits = 0;
        return this.#expect(byte, LF, IN_SIZE);
      case AT_TRAILER:
        if (byte === CR) return this.#expect(byte, CR, AT_END_LF);
        this.#state = IN_TRAILER;
        return this.#readText(byte, AT_TRAILER_LF);
      case IN_TRAILER:
        return this.#readText(byte, AT_TRAILER_LF);
      case AT_TRAILER_LF:
        return this.#expect(byte, LF, AT_TRAILER);
      default:
        return byte === LF ? BODY_DONE : BODY_MALFORMED;
    }
  }

  #readSize(byte: number): number {
    const digit = HEX_VALUES[byte];
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      this.#digits += 1;
      if (this.#digits > SIZE_DIGITS_MAX) return BODY_MALFORMED;
      return this.#left > BODY_BYTES_MAX ? BODY_TOO_LARGE : BODY_GOES_ON;
    }
    if (this.#digits === 0) return BODY_MALFORMED;
    if (byte === CR) return this.#expect(byte, CR, AT_SIZE_LF);
    // Blanks are allowed before an extension, but not without one. [RFC 9112 7.1.1]
    this.#state = AT_SEMICOLON;
    return byte === SPACE || byte === TAB ? BODY_GOES_ON : this.#step(byte);
  }

  #readText(byte: number, after: number): number {
    if (byte === CR) return this.#expect(byte, CR, after);
    const control = (byte < SPACE && byte !== TAB) || byte === DELETE;
    return control ? BODY_MALFORMED : BODY_GOES_ON;
  }

  #expect(byte: number, wanted: number, after: number): number {
    this.#state = after;
    return byte === wanted ? BODY_GOES_ON : BODY_MALFORMED;
  }
}
