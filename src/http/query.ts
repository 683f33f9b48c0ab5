/**
 * Queries of announces and scrapes, read from the URL character by character.
 *
 *   /announce?info_hash=%7E%99%03Q...&peer_id=M5-0-9--...&port=23004&left=0&event=started&compact=1
 *             └──key──┘ └──value──┘
 *
 * Nothing here allocates or throws, for any URL: each reading gives a verdict and fills a record
 * that is reused. Keys and values are percent-decoded, with hex in any case. A raw `+` in an info
 * hash or peer id is a space, because every client escapes a real plus and form encoders write a
 * space as `+`. Unknown keys are skipped. The last value of a repeated key counts, but an announce
 * must not repeat the info hash. `&amp;` is read as `&`, because tracker URLs are copied from web
 * pages, and a second question mark before the only info hash likewise.
 *
 * https://www.bittorrent.org/beps/bep_0003.html, https://www.bittorrent.org/beps/bep_0048.html
 */
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_PAUSED,
  EVENT_STARTED,
  EVENT_STOPPED,
  INFO_HASH_SIZE,
  PEER_ID_SIZE,
  PORT_MAX,
} from "../constants.ts";
import { HEX_VALUES } from "../net/hex.ts";
import {
  VERDICT_INFO_HASH_ESCAPE,
  VERDICT_INFO_HASH_HIDDEN,
  VERDICT_INFO_HASH_LONG,
  VERDICT_INFO_HASH_MISSING,
  VERDICT_INFO_HASH_REPEATED,
  VERDICT_INFO_HASH_SIZE,
  VERDICT_OK,
  VERDICT_PEER_ID,
  VERDICT_PORT,
  VERDICT_PORT_MISSING,
} from "../gates/verdicts.ts";

const SPACE = 32;
const PERCENT = 37;
const PLUS = 43;
const ZERO = 48;
const EQUALS = 61;
const LOWER_A = 97;
const LOWER_C = 99;
const LOWER_E = 101;
const LOWER_I = 105;
const LOWER_L = 108;
const LOWER_N = 110;
const LOWER_P = 112;
const LOWER_S = 115;

/** Larger numbers are cut to this: above every number of the protocol, and an exact integer. */
const DECIMAL_CEILING = 2 ** 40;

/** Limit of a value read as text; an IPv6 address in brackets with a port is shorter. */
const TEXT_SIZE_MAX = 64;

/** The whole hash of version 2, of which trackers get the first 20 bytes. [BEP 52] */
const SHA256_SIZE = 32;

/** The text before an info hash. */
const INFO_HASH_KEY = "info_hash=";

/** Buffer for a hash while others move. */
const SCRATCH = new Uint8Array(2 * PEER_ID_SIZE);

/** The query of an announce. One per thread, filled by `read`. */
export class AnnounceQuery {
  /** The 20 bytes of the info hash. */
  readonly infoHash: Uint8Array;
  /** The peer id, 20 bytes, if `hasPeerId`. */
  readonly peerId = new Uint8Array(2 * PEER_ID_SIZE);
  hasPeerId = false;
  port = 0;
  /** True if `left` is zero. Any other number, and a malformed one, is a leecher. */
  seeder = false;
  /** One of the EVENT_ constants; EVENT_NONE for an unknown event. */
  event = EVENT_NONE;
  /** Peers wanted, without an upper limit; -1 if the client does not say. */
  wanted = -1;
  /** False only for `compact=0`. [BEP 23] */
  compact = true;
  /** Ranges of the values of `ip`, `ipv4` and `ipv6` in the URL; empty if missing. */
  ipFrom = 0;
  ipTo = 0;
  ipv4From = 0;
  ipv4To = 0;
  ipv6From = 0;
  ipv6To = 0;

  #hashes = 0;
  #hasPort = false;
  #verdict = VERDICT_OK;

  /** `infoHash` receives the hash, 20 bytes. */
  constructor(infoHash: Uint8Array) {
    this.infoHash = infoHash;
  }

  /** Reads the query from `from` to `to`. Returns VERDICT_OK or the first reason against it. */
  read(url: string, from: number, to = url.length): number {
    this.#reset();
    const end = queryEnd(url, from, to);
    this.#readPairs(url, from, end);
    if (this.#hashes === 0) this.#readPairs(url, misplacedInfoHash(url, from, end), end);
    if (this.#verdict !== VERDICT_OK) return this.#verdict;
    if (this.#hashes === 0) return VERDICT_INFO_HASH_MISSING;
    return this.#hasPort ? VERDICT_OK : VERDICT_PORT_MISSING;
  }

  /** Reads pairs up to the first that is wrong. */
  #readPairs(url: string, from: number, end: number): void {
    for (let at = from; at < end && this.#verdict === VERDICT_OK;) {
      const next = pairEnd(url, at, end);
      const key = skipEntity(url, at, next);
      const equals = keyEnd(url, key, next);
      this.#readPair(url, key, equals, Math.min(equals + 1, next), next);
      at = next + 1;
    }
  }

  #reset(): void {
    this.hasPeerId = false;
    this.port = 0;
    this.seeder = false;
    this.event = EVENT_NONE;
    this.wanted = -1;
    this.compact = true;
    this.ipFrom = this.ipTo = 0;
    this.ipv4From = this.ipv4To = 0;
    this.ipv6From = this.ipv6To = 0;
    this.#hashes = 0;
    this.#hasPort = false;
    this.#verdict = VERDICT_OK;
  }

  /** Compares by the first byte, which leaves one or two keys: most clients send a dozen keys. */
  #readPair(url: string, key: number, keyTo: number, from: number, to: number): void {
    if (key === keyTo) return;
    switch (byteAt(url, key, keyTo)) {
      case LOWER_I:
        if (isText(url, key, keyTo, "info_hash")) this.#readInfoHash(url, from, to);
        else this.#noteAddress(url, key, keyTo, from, to);
        return;
      case LOWER_P:
        if (isText(url, key, keyTo, "peer_id")) this.#readPeerId(url, from, to);
        else if (isText(url, key, keyTo, "port")) this.#readPort(url, from, to);
        return;
      case LOWER_L:
        if (isText(url, key, keyTo, "left")) this.seeder = readDecimal(url, from, to) === 0;
        return;
      case LOWER_E:
        if (isText(url, key, keyTo, "event")) this.event = readEvent(url, from, to);
        return;
      case LOWER_N:
        if (isText(url, key, keyTo, "numwant")) this.wanted = readDecimal(url, from, to);
        return;
      case LOWER_C:
        if (isText(url, key, keyTo, "compact")) this.compact = !isText(url, from, to, "0");
        return;
      case LOWER_S:
        if (isText(url, key, keyTo, "sha_ih")) this.#verdict = VERDICT_INFO_HASH_HIDDEN;
    }
  }

  #readInfoHash(url: string, from: number, to: number): void {
    this.#verdict = readInfoHash(url, from, to, this.infoHash, 0);
    if (++this.#hashes > 1) this.#verdict = VERDICT_INFO_HASH_REPEATED;
  }

  #readPeerId(url: string, from: number, to: number): void {
    this.hasPeerId = decode(url, from, to, this.peerId, 0) === PEER_ID_SIZE;
    if (!this.hasPeerId) this.#verdict = VERDICT_PEER_ID;
  }

  #readPort(url: string, from: number, to: number): void {
    this.#hasPort = true;
    this.port = readDecimal(url, from, to);
    if (this.port < 0 || this.port > PORT_MAX) this.#verdict = VERDICT_PORT;
  }

  #noteAddress(url: string, key: number, keyTo: number, from: number, to: number): void {
    if (isText(url, key, keyTo, "ip")) {
      this.ipFrom = from;
      this.ipTo = to;
    } else if (isText(url, key, keyTo, "ipv4")) {
      this.ipv4From = from;
      this.ipv4To = to;
    } else if (isText(url, key, keyTo, "ipv6")) {
      this.ipv6From = from;
      this.ipv6To = to;
    }
  }
}

/** The query of a scrape: a set of info hashes. One per thread, filled by `read`. */
export class ScrapeQuery {
  /** The hashes, 20 bytes each, in ascending order and without repeats. */
  readonly hashes: Uint8Array;
  /** Number of hashes. */
  count = 0;
  readonly #max: number;

  /** `max` is the limit of different hashes; further hashes are ignored. */
  constructor(max: number) {
    this.#max = max;
    // One hash more than `max`: a hash is decoded at the end before its position is known.
    this.hashes = new Uint8Array((max + 1) * INFO_HASH_SIZE);
  }

  /** Reads the query from `from` to `to`. Returns VERDICT_OK or the first reason against it. */
  read(url: string, from: number, to = url.length): number {
    this.count = 0;
    const end = queryEnd(url, from, to);
    const verdict = this.#readPairs(url, from, end);
    if (verdict !== VERDICT_INFO_HASH_MISSING) return verdict;
    return this.#readPairs(url, misplacedInfoHash(url, from, end), end);
  }

  #readPairs(url: string, from: number, end: number): number {
    for (let at = from; at < end && this.count < this.#max;) {
      const next = pairEnd(url, at, end);
      const key = skipEntity(url, at, next);
      const equals = keyEnd(url, key, next);
      if (isText(url, key, equals, "info_hash")) {
        const last = this.count * INFO_HASH_SIZE;
        const verdict = readInfoHash(url, Math.min(equals + 1, next), next, this.hashes, last);
        if (verdict !== VERDICT_OK) return verdict;
        this.#insertLast();
      }
      at = next + 1;
    }
    return this.count === 0 ? VERDICT_INFO_HASH_MISSING : VERDICT_OK;
  }

  /** Moves the last hash to its position in the order; drops it if it is a repeat. */
  #insertLast(): void {
    const last = this.count * INFO_HASH_SIZE;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = compareHashes(this.hashes, middle * INFO_HASH_SIZE, last);
      if (order === 0) return;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    this.count++;
    const place = low * INFO_HASH_SIZE;
    if (place === last) return;
    for (let i = 0; i < INFO_HASH_SIZE; i++) SCRATCH[i] = this.hashes[last + i];
    this.hashes.copyWithin(place + INFO_HASH_SIZE, place, last);
    for (let i = 0; i < INFO_HASH_SIZE; i++) this.hashes[place + i] = SCRATCH[i];
  }
}

function compareHashes(bytes: Uint8Array, left: number, right: number): number {
  for (let i = 0; i < INFO_HASH_SIZE; i++) {
    const difference = bytes[left + i] - bytes[right + i];
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A fragment must not be sent in a request; if it is, it ends the query. [RFC 9110 7.1] */
function queryEnd(url: string, from: number, to: number): number {
  const at = url.indexOf("#", from);
  return at < 0 || at > to ? to : at;
}

/**
 * Where an info hash begins behind a second question mark; `end` without one. Some clients
 * write `?info_hash=` behind an announce URL that has a query of its own, such as a key.
 */
function misplacedInfoHash(url: string, from: number, end: number): number {
  const at = url.slice(from, end).indexOf(`?${INFO_HASH_KEY}`);
  return at < 0 ? end : from + at + 1;
}

function pairEnd(url: string, from: number, end: number): number {
  const at = url.indexOf("&", from);
  return at < 0 || at > end ? end : at;
}

function keyEnd(url: string, from: number, end: number): number {
  let at = from;
  while (at < end && url.charCodeAt(at) !== EQUALS) at++;
  return at;
}

function skipEntity(url: string, from: number, end: number): number {
  if (url.charCodeAt(from) !== LOWER_A || from + 4 > end) return from;
  return url.startsWith("amp;", from) ? from + 4 : from;
}

function readInfoHash(url: string, from: number, to: number, out: Uint8Array, at: number): number {
  const size = decode(url, from, to, out, at);
  if (size < 0) return VERDICT_INFO_HASH_ESCAPE;
  if (size === INFO_HASH_SIZE) return VERDICT_OK;
  return size === SHA256_SIZE ? VERDICT_INFO_HASH_LONG : VERDICT_INFO_HASH_SIZE;
}

/**
 * Writes 20 bytes of the first `info_hash=` anywhere in a request to `out` at `at`; false without
 * one. A guess for the prefetch, which runs before requests are parsed. The query decodes the hash
 * again, and only its result counts: this takes 0.1 µs, less than the prefetch saves.
 */
export function peekInfoHash(text: string, out: Uint8Array, at: number): boolean {
  const key = text.indexOf(INFO_HASH_KEY);
  if (key < 0) return false;
  const from = key + INFO_HASH_KEY.length;
  const to = Math.min(from + 3 * INFO_HASH_SIZE, text.length);
  return decode(text, from, pairEnd(text, from, to), out, at) >= INFO_HASH_SIZE;
}

/**
 * Percent-decodes a value into `out` at `at`; writes at most 20 bytes. Returns the size of the
 * value, or -1 if it has a broken escape or a character above 0xff.
 */
function decode(url: string, from: number, to: number, out: Uint8Array, at: number): number {
  let size = 0;
  for (let i = from; i < to; size++) {
    let byte = url.charCodeAt(i);
    if (byte === PERCENT) {
      byte = escapedAt(url, i, to);
      i += 3;
    } else {
      if (byte === PLUS) byte = SPACE;
      i += 1;
    }
    if (byte < 0 || byte > 0xff) return -1;
    if (size < INFO_HASH_SIZE) out[at + size] = byte;
  }
  return size;
}

/**
 * The value from `from` to `to` as text, percent-decoded; "" if it is malformed, or longer than an
 * address can be. Allocates; for the rare values that are text.
 */
export function valueText(url: string, from: number, to: number): string {
  let text = "";
  for (let at = from; at < to && text.length <= TEXT_SIZE_MAX;) {
    const byte = byteAt(url, at, to);
    if (byte < 0) return "";
    text += String.fromCharCode(byte);
    at += url.charCodeAt(at) === PERCENT ? 3 : 1;
  }
  return text.length <= TEXT_SIZE_MAX ? text : "";
}

/** The byte at `at`, escaped (three characters) or raw (one); negative if malformed. */
export function byteAt(url: string, at: number, to: number): number {
  const code = url.charCodeAt(at);
  if (code === PERCENT) return escapedAt(url, at, to);
  return code <= 0xff ? code : -1;
}

/** The byte whose escape begins at `at`; negative if it is malformed or ends behind `to`. */
function escapedAt(url: string, at: number, to: number): number {
  if (at + 2 >= to) return -1;
  return (HEX_VALUES[url.charCodeAt(at + 1)] << 4) | HEX_VALUES[url.charCodeAt(at + 2)];
}

/**
 * A decimal number of any length, exact up to 2^40; larger numbers become 2^40. Returns -1 for an
 * empty value and for anything that is not digits only.
 */
function readDecimal(url: string, from: number, to: number): number {
  if (from === to) return -1;
  let value = 0;
  for (let at = from; at < to;) {
    const digit = byteAt(url, at, to) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = Math.min(value * 10 + digit, DECIMAL_CEILING);
    at += url.charCodeAt(at) === PERCENT ? 3 : 1;
  }
  return value;
}

function readEvent(url: string, from: number, to: number): number {
  if (isText(url, from, to, "started")) return EVENT_STARTED;
  if (isText(url, from, to, "stopped")) return EVENT_STOPPED;
  if (isText(url, from, to, "completed")) return EVENT_COMPLETED;
  if (isText(url, from, to, "paused")) return EVENT_PAUSED;
  return EVENT_NONE;
}

/**
 * True if the characters from `from` to `to`, percent-decoded, equal `text`, which is ASCII without
 * a percent sign.
 */
export function isText(url: string, from: number, to: number, text: string): boolean {
  // Equal lengths: an escape would make the value shorter than `text`.
  if (to - from === text.length) return url.startsWith(text, from);
  if (to - from < text.length) return false;
  let size = 0;
  for (let at = from; at < to; size++) {
    if (size === text.length || byteAt(url, at, to) !== text.charCodeAt(size)) return false;
    at += url.charCodeAt(at) === PERCENT ? 3 : 1;
  }
  return size === text.length;
}
