/**
 * Request heads: checks and parses the request line and the fields of HTTP/1.1 in place.
 *
 *   GET /announce?info_hash=... HTTP/1.1␍␊      method SP target SP version
 *   Host: tracker.example:6969␍␊                name ":" value, at most 100 of them
 *   Connection: close␍␊
 *   ␍␊                                          the end, at most 16 KiB from the start
 *
 * Everything that two parsers could understand differently is refused: a bare CR, a bare LF and
 * other control bytes, a folded line, a space before the colon, two lengths, a length beside a
 * transfer coding, no host, two hosts, a malformed host. Empty lines before the request and bytes
 * from 0x80 on in a target are accepted. [RFC 9112 2.2, 3.2, 5, 6, 11.2]
 *
 * Nothing here throws. The record keeps only offsets into the given text. A verdict depends only on
 * the bytes read so far, so a head in pieces gets the same verdict as a head in one piece.
 *
 * https://www.rfc-editor.org/rfc/rfc9112
 */
import { HTTP_HEAD_BYTES_MAX } from "../constants.ts";

export const HEAD_OK = 0;
/** Valid so far, but the end is missing. */
export const HEAD_INCOMPLETE = 1;
export const HEAD_MALFORMED = 2;
export const HEAD_VERSION = 3;
export const HEAD_TOO_LARGE = 4;
/** The Host field, which HTTP/1.1 requires, is missing. [RFC 9112 3.2] */
export const HEAD_WITHOUT_HOST = 5;

/** Limit of fields; clients send about 6, browsers 20. */
const FIELDS_MAX = 100;

/** Limit of empty lines before a request: old clients send one after a body. [RFC 9112 2.2] */
const EMPTY_LINES_MAX = 4;

/** Limit of characters in a method; the longest registered method has 17. */
const METHOD_SIZE_MAX = 32;

/** Digits of a length that a number always holds exactly. */
const LENGTH_DIGITS_MAX = 15;

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COMMA = 44;
const SLASH = 47;
const ZERO = 48;
const COLON = 58;
const QUESTION = 63;
const DELETE = 127;

/** 1 for the characters of methods and field names. [RFC 9110 5.6.2] */
const TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789") TOKEN[char.charCodeAt(0)] = 1;
for (let code = 65; code <= 90; code++) TOKEN[code] = TOKEN[code | 0x20] = 1;

/**
 * 1 for the characters of a host with its port, and for bytes from 0x80 on, because some clients
 * send names without encoding them. [RFC 3986 3.2.2]
 */
const HOST = new Uint8Array(256).fill(1, 128);
for (const char of "!$%&'()*+,-.0123456789:;=[]_~") HOST[char.charCodeAt(0)] = 1;
for (let code = 65; code <= 90; code++) HOST[code] = HOST[code | 0x20] = 1;

/**
 * Ends a target: the space behind it, or a control byte, which is malformed. For a long query this
 * search takes an eighth of the time of a loop over the characters.
 */
const TARGET_END = /[\0-\x20\x7f]/g;

/** The head that was read last. Callers keep no offset of it beyond the next `read`. */
export class RequestHead {
  /** The text that the offsets point into: latin1, one character for each byte. */
  text = "";
  methodFrom = 0;
  methodTo = 0;
  targetFrom = 0;
  targetTo = 0;
  /** Start of the path in the target: behind scheme and host, if the target has them. */
  pathFrom = 0;
  hostFrom = 0;
  hostTo = 0;
  /** Start of the first field, and end of the whole head. */
  fieldsFrom = 0;
  end = 0;
  /** False for HTTP/1.0. */
  version11 = true;
  /** True if version and `Connection` field ask to keep the connection open. */
  keepAlive = true;
  /** Bytes of the body; -1 for a chunked body. */
  bodySize = 0;
  expectsContinue = false;
  /** True if `Upgrade` and `Connection` ask for a WebSocket. [RFC 6455 4.1] */
  wantsWebSocket = false;

  #limit = 0;
  #next = 0;
  #hosts = 0;
  #wantsClose = false;
  #wantsOpen = false;
  #wantsUpgrade = false;
  #namesWebSocket = false;
  #length = -1;
  #chunked = false;

  /**
   * Reads the head that begins at `from`, or behind a few empty lines there. Returns HEAD_OK with
   * all fields set, HEAD_INCOMPLETE, or the reason to refuse it; `end` is then undefined.
   */
  read(text: string, from: number): number {
    this.text = text;
    this.#limit = Math.min(text.length, from + HTTP_HEAD_BYTES_MAX);
    this.#hosts = 0;
    this.#wantsClose = this.#wantsOpen = this.#chunked = this.expectsContinue = false;
    this.wantsWebSocket = this.#wantsUpgrade = this.#namesWebSocket = false;
    this.#length = -1;
    let verdict = this.#skipEmptyLines(from);
    if (verdict === HEAD_OK) verdict = this.#readRequestLine(this.#next);
    if (verdict === HEAD_OK) verdict = this.#readFields(this.#next);
    if (verdict === HEAD_OK) verdict = this.#conclude();
    // An incomplete head that has reached the size limit can only become too large.
    const full = verdict === HEAD_INCOMPLETE && text.length - from >= HTTP_HEAD_BYTES_MAX;
    return full ? HEAD_TOO_LARGE : verdict;
  }

  /** True if the method is exactly `method`. */
  hasMethod(method: string): boolean {
    if (this.methodTo - this.methodFrom !== method.length) return false;
    return this.text.startsWith(method, this.methodFrom);
  }

  /**
   * The value of a field, "" if it is missing; repeated fields become one list. `name` is lower
   * case.
   */
  get(name: string): string {
    let value = "";
    for (let at = this.fieldsFrom; at < this.end;) {
      const lineEnd = this.text.indexOf("\n", at);
      const nameTo = at + name.length;
      if (this.text.charCodeAt(nameTo) === COLON && isSame(this.text, at, nameTo, name)) {
        // `trim` removes all blanks that are allowed here, and the CR.
        const more = this.text.slice(nameTo + 1, lineEnd).trim();
        value = value === "" ? more : `${value}, ${more}`;
      }
      at = lineEnd + 1;
    }
    return value;
  }

  /** The head as a Request. Allocates a lot; never throws. */
  toRequest(): Request {
    const headers = new Headers();
    for (let at = this.fieldsFrom; ;) {
      const lineEnd = this.text.indexOf("\n", at);
      const colon = this.text.indexOf(":", at);
      if (lineEnd + 1 >= this.end || colon < 0 || colon > lineEnd) break;
      headers.append(this.text.slice(at, colon), this.text.slice(colon + 1, lineEnd).trim());
      at = lineEnd + 1;
    }
    const host = this.text.slice(this.hostFrom, this.hostTo);
    const path = this.text.slice(this.pathFrom, this.targetTo);
    const method = this.text.slice(this.methodFrom, this.methodTo);
    const written = `http://${host}${path}`;
    const url = host !== "" && URL.canParse(written) ? written : `http://localhost${path}`;
    return new Request(url, { method, headers });
  }

  #skipEmptyLines(from: number): number {
    let at = from;
    for (let lines = 0; lines <= EMPTY_LINES_MAX; lines++) {
      const ends = this.#endsLine(at);
      if (ends < 0) return HEAD_INCOMPLETE;
      if (ends === 0) {
        this.#next = at;
        return HEAD_OK;
      }
      at += 2;
    }
    return HEAD_MALFORMED;
  }

  /** 1 if CR LF is at `at`, 0 if not, -1 if more bytes are needed to decide. */
  #endsLine(at: number): number {
    if (at >= this.#limit) return -1;
    if (this.text.charCodeAt(at) !== CR) return 0;
    if (at + 1 >= this.#limit) return -1;
    return this.text.charCodeAt(at + 1) === LF ? 1 : 0;
  }

  #readRequestLine(from: number): number {
    const { text } = this;
    // The method is checked before its line is complete, so other protocols are refused at once.
    const limit = Math.min(this.#limit, from + METHOD_SIZE_MAX + 1);
    let at = from;
    while (at < limit && TOKEN[text.charCodeAt(at)] === 1) at++;
    if (at === limit) return at > from + METHOD_SIZE_MAX ? HEAD_MALFORMED : HEAD_INCOMPLETE;
    if (at === from || text.charCodeAt(at) !== SPACE) return HEAD_MALFORMED;
    this.methodFrom = from;
    this.methodTo = at;
    const lineEnd = text.indexOf("\n", at);
    if (lineEnd < 0 || lineEnd >= this.#limit) return HEAD_INCOMPLETE;
    this.#next = this.fieldsFrom = lineEnd + 1;
    const to = lineEnd - 1;
    if (text.charCodeAt(to) !== CR) return HEAD_MALFORMED;
    this.targetFrom = at + 1;
    // It always matches, because the line ends with CR.
    TARGET_END.lastIndex = this.targetFrom;
    TARGET_END.test(text);
    at = TARGET_END.lastIndex - 1;
    this.targetTo = at;
    if (at === to || text.charCodeAt(at) !== SPACE) return HEAD_MALFORMED;
    const verdict = this.#readTarget();
    return verdict === HEAD_OK ? this.#readVersion(at + 1, to) : verdict;
  }

  /**
   * A path, a URL with scheme and host, or `*` for OPTIONS. [RFC 9112 3.2] A query alone is read as
   * one of `/`: libtorrent sent it in 2020 for an announce URL without a path.
   */
  #readTarget(): number {
    const { text, targetFrom, targetTo } = this;
    this.pathFrom = targetFrom;
    if (targetFrom === targetTo) return HEAD_MALFORMED;
    const first = text.charCodeAt(targetFrom);
    if (first === SLASH || first === QUESTION) return HEAD_OK;
    for (const scheme of ["http://", "https://"]) {
      const host = targetFrom + scheme.length;
      if (host < targetTo && isSame(text, targetFrom, host, scheme)) {
        this.pathFrom = hostEnd(text, host, targetTo);
        return this.pathFrom === host ? HEAD_MALFORMED : HEAD_OK;
      }
    }
    const asterisk = targetTo === targetFrom + 1 && text[targetFrom] === "*";
    return asterisk && this.hasMethod("OPTIONS") ? HEAD_OK : HEAD_MALFORMED;
  }

  /** A minor version above 1 is read as HTTP/1.1. [RFC 9110 2.5] */
  #readVersion(from: number, to: number): number {
    const { text } = this;
    if (to - from !== 8 || !text.startsWith("HTTP/", from)) return HEAD_MALFORMED;
    const major = text.charCodeAt(from + 5) - ZERO;
    const minor = text.charCodeAt(from + 7) - ZERO;
    if (text[from + 6] !== "." || !isDigit(major) || !isDigit(minor)) return HEAD_MALFORMED;
    this.version11 = minor > 0;
    return major === 1 ? HEAD_OK : HEAD_VERSION;
  }

  #readFields(from: number): number {
    let at = from;
    for (let count = 0; count <= FIELDS_MAX; count++) {
      const ends = this.#endsLine(at);
      if (ends < 0) return HEAD_INCOMPLETE;
      if (ends > 0) {
        this.end = at + 2;
        return HEAD_OK;
      }
      const lineEnd = this.text.indexOf("\n", at);
      if (lineEnd < 0 || lineEnd >= this.#limit) return HEAD_INCOMPLETE;
      if (this.text.charCodeAt(lineEnd - 1) !== CR) return HEAD_MALFORMED;
      if (!this.#readField(at, lineEnd - 1)) return HEAD_MALFORMED;
      at = lineEnd + 1;
    }
    return HEAD_TOO_LARGE;
  }

  /** Reads the field from `from` to `to`; false if it is malformed or contradicts another. */
  #readField(from: number, to: number): boolean {
    const { text } = this;
    let at = from;
    while (at < to && TOKEN[text.charCodeAt(at)] === 1) at++;
    if (at === from || at === to || text.charCodeAt(at) !== COLON) return false;
    const nameTo = at;
    for (at++; at < to; at++) {
      const code = text.charCodeAt(at);
      if ((code < SPACE && code !== TAB) || code === DELETE) return false;
    }
    const valueFrom = skipBlanks(text, nameTo + 1, to);
    return this.#note(from, nameTo, valueFrom, trimBlanks(text, valueFrom, to));
  }

  /** Keeps the fields that decide where the message ends and what follows. Compares by length. */
  #note(from: number, nameTo: number, valueFrom: number, to: number): boolean {
    const { text } = this;
    switch (nameTo - from) {
      case 4:
        return !isSame(text, from, nameTo, "host") || this.#noteHost(valueFrom, to);
      case 6:
        if (isSame(text, from, nameTo, "expect")) {
          this.expectsContinue = listHas(text, valueFrom, to, "100-continue");
        }
        return true;
      case 7:
        if (isSame(text, from, nameTo, "upgrade")) {
          this.#namesWebSocket ||= listHas(text, valueFrom, to, "websocket");
        }
        return true;
      case 10:
        if (isSame(text, from, nameTo, "connection")) {
          this.#wantsClose ||= listHas(text, valueFrom, to, "close");
          this.#wantsOpen ||= listHas(text, valueFrom, to, "keep-alive");
          this.#wantsUpgrade ||= listHas(text, valueFrom, to, "upgrade");
        }
        return true;
      case 14:
        return !isSame(text, from, nameTo, "content-length") || this.#noteLength(valueFrom, to);
      case 17:
        return !isSame(text, from, nameTo, "transfer-encoding") || this.#noteCoding(valueFrom, to);
      default:
        return true;
    }
  }

  #noteHost(from: number, to: number): boolean {
    this.hostFrom = from;
    this.hostTo = to;
    this.#hosts += 1;
    for (let at = from; at < to; at++) {
      if (HOST[this.text.charCodeAt(at)] === 0) return false;
    }
    return this.#hosts === 1;
  }

  /** A repeated length must be the same number. [RFC 9112 6.3] */
  #noteLength(from: number, to: number): boolean {
    if (from === to || to - from > LENGTH_DIGITS_MAX) return false;
    let length = 0;
    for (let at = from; at < to; at++) {
      const digit = this.text.charCodeAt(at) - ZERO;
      if (!isDigit(digit)) return false;
      length = length * 10 + digit;
    }
    if (this.#length >= 0 && this.#length !== length) return false;
    this.#length = length;
    return true;
  }

  #noteCoding(from: number, to: number): boolean {
    if (this.#chunked || !isSame(this.text, from, to, "chunked")) return false;
    this.#chunked = true;
    return true;
  }

  /** Checks that need all fields. */
  #conclude(): number {
    if (this.#chunked && (this.#length >= 0 || !this.version11)) return HEAD_MALFORMED;
    if (this.#hosts === 0) {
      if (this.version11) return HEAD_WITHOUT_HOST;
      this.hostFrom = this.hostTo = this.end;
    }
    this.bodySize = this.#chunked ? -1 : Math.max(0, this.#length);
    this.wantsWebSocket = this.#wantsUpgrade && this.#namesWebSocket;
    this.keepAlive = !this.#wantsClose && (this.version11 || this.#wantsOpen);
    return HEAD_OK;
  }
}

/** Bytes `from` to `to` - 1 of a buffer. */
export interface Stretch {
  readonly buffer: Buffer;
  readonly from: number;
  readonly to: number;
}

/**
 * False if the last `added` bytes cannot complete the head that the bytes before them begin: they
 * end no empty line and no malformed line, and the size limit is not reached. Without this check a
 * client that sends byte by byte, or field by field, makes the server parse all of it again each
 * time. A malformed field may be found only when the head is complete.
 */
export function mayComplete({ buffer, from, to }: Stretch, added: number): boolean {
  const size = to - from;
  if (size - added <= 2 * METHOD_SIZE_MAX || size >= HTTP_HEAD_BYTES_MAX) return true;
  for (let at = to - added; ; at += 1) {
    at = buffer.indexOf(LF, at);
    if (at < from || at >= to) return false;
    if (buffer[at - 1] !== CR || buffer[at - 2] === LF) return true;
  }
}

function isDigit(digit: number): boolean {
  return digit >= 0 && digit <= 9;
}

/** End of the host that begins at `from`: before the path or, without a path, the query. */
function hostEnd(text: string, from: number, to: number): number {
  let at = from;
  for (; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code === SLASH || code === QUESTION) break;
  }
  return at;
}

function skipBlanks(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && isBlank(text.charCodeAt(at))) at++;
  return at;
}

function trimBlanks(text: string, from: number, to: number): number {
  let end = to;
  while (end > from && isBlank(text.charCodeAt(end - 1))) end--;
  return end;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** True if the characters are `word`, ignoring case; `word` is lower case. */
function isSame(text: string, from: number, to: number, word: string): boolean {
  if (to - from !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    const code = text.charCodeAt(from + i);
    const lower = code >= 65 && code <= 90 ? code | 0x20 : code;
    if (lower !== word.charCodeAt(i)) return false;
  }
  return true;
}

/** True if `word` is an item of the comma-separated list. */
function listHas(text: string, from: number, to: number, word: string): boolean {
  for (let at = from; at < to;) {
    let itemEnd = at;
    while (itemEnd < to && text.charCodeAt(itemEnd) !== COMMA) itemEnd++;
    const item = skipBlanks(text, at, itemEnd);
    if (isSame(text, item, trimBlanks(text, item, itemEnd), word)) return true;
    at = itemEnd + 1;
  }
  return false;
}
