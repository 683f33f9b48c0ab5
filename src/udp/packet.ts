/**
 * BEP 15 packets: reads and writes the bytes of the UDP tracker protocol in place.
 *
 * Nothing here allocates, throws or keeps state. `at` is the start of the packet in its buffer. The
 * caller has checked its length. All integers are big-endian.
 *
 *   connect request, 16 bytes     announce request, 98 bytes or more    scrape request, 16 + 20n
 *
 *    0  8  0x41727101980           0   8  connection id                  0   8  connection id
 *    8  4  action 0                8   4  action 1                       8   4  action 2
 *   12  4  transaction id         12   4  transaction id                12   4  transaction id
 *                                 16  20  info hash                     16  20  info hash, n times
 *   connect reply, 16 bytes       36  20  peer id
 *                                 56   8  downloaded                    scrape reply, 8 + 12n
 *    0  4  action 0               64   8  left
 *    4  4  transaction id         72   8  uploaded                       0   4  action 2
 *    8  8  connection id          80   4  event                          4   4  transaction id
 *                                 84   4  ip                             8   4  seeders    ┐
 *   error reply, 8 + text         88   4  key                           12   4  downloads  │ n
 *                                 92   4  num_want                      16   4  leechers   ┘
 *    0  4  action 3               96   2  port
 *    4  4  transaction id         98   …  options, BEP 41
 *    8  …  text
 *                                 announce reply, 20 + 6n or 20 + 18n
 *
 *                                  0   4  action 1                      12   4  leechers
 *                                  4   4  transaction id                16   4  seeders
 *                                  8   4  interval                      20   …  peers, compact
 *
 * https://www.bittorrent.org/beps/bep_0015.html, https://www.bittorrent.org/beps/bep_0041.html
 */
import {
  EVENT_NONE,
  EVENT_PAUSED,
  INFO_HASH_SIZE,
  PEER_SIZE_IPV4,
  PEER_SIZE_IPV6,
  type Family,
} from "../constants.ts";
import { readU32, writeU32 } from "../net/words.ts";

export const ACTION_CONNECT = 0;
export const ACTION_ANNOUNCE = 1;
export const ACTION_SCRAPE = 2;
export const ACTION_ERROR = 3;

/** The two halves of the number at the start of a connect request. */
const CONNECT_MAGIC_HIGH = 0x00000417;
const CONNECT_MAGIC_LOW = 0x27101980;

export const REQUEST_SIZE_MIN = 16;
export const CONNECT_REPLY_SIZE = 16;
export const ANNOUNCE_REQUEST_SIZE_MIN = 98;
export const ANNOUNCE_REPLY_SIZE_MIN = 20;
const SCRAPE_REQUEST_SIZE_MIN = 16;
export const SCRAPE_REPLY_SIZE_MIN = 8;
export const SCRAPE_ENTRY_SIZE = 12;
const ERROR_REPLY_SIZE_MIN = 8;

const OFFSET_ACTION = 8;
const OFFSET_TRANSACTION_ID = 12;
const OFFSET_INFO_HASH = 16;
export const OFFSET_PEER_ID = 36;
const OFFSET_LEFT = 64;
const OFFSET_EVENT = 80;
const OFFSET_IP = 84;
const OFFSET_NUM_WANT = 92;
export const OFFSET_PORT = 96;

/**
 * Limit of a reply: every IPv6 link carries packets of 1280 bytes; headers take 48. [RFC 8200 5]
 */
export const REPLY_BYTES_MAX = 1232;
/**
 * What a reply is cut to where the way to an IPv4 client carries less: 84 peers, or 43 entries of a
 * scrape. Linux believes no router that wants less than 552 bytes; headers take 28.
 */
export const REPLY_BYTES_CUT = 524;

/** Peers that fit into a reply of `replyBytes`; the family decides the size of a peer. [BEP 15] */
export function peersFitting(replyBytes: number, family: Family): number {
  const size = family === 4 ? PEER_SIZE_IPV4 : PEER_SIZE_IPV6;
  return Math.floor((replyBytes - ANNOUNCE_REPLY_SIZE_MIN) / size);
}

export const readAction = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, at + OFFSET_ACTION);

/** True for a packet with the length and the action of an announce. */
export const isAnnounce = (bytes: Uint8Array, at: number, length: number): boolean =>
  length >= ANNOUNCE_REQUEST_SIZE_MIN && readAction(bytes, at) === ACTION_ANNOUNCE;

/** True for a packet with the length and the action of a scrape. */
export const isScrape = (bytes: Uint8Array, at: number, length: number): boolean =>
  length >= SCRAPE_REQUEST_SIZE_MIN && readAction(bytes, at) === ACTION_SCRAPE;

/** Offset of info hash number `index`: an announce has one, a scrape several. */
export const infoHashAt = (at: number, index: number): number =>
  at + OFFSET_INFO_HASH + index * INFO_HASH_SIZE;

/** True if the first eight bytes are the magic number of a connect request. */
export function hasConnectMagic(bytes: Uint8Array, at: number): boolean {
  return readU32(bytes, at) === CONNECT_MAGIC_HIGH && readU32(bytes, at + 4) === CONNECT_MAGIC_LOW;
}

/** Copies info hash number `index` to `out`. */
export function readInfoHash(bytes: Uint8Array, at: number, index: number, out: Uint8Array): void {
  const from = infoHashAt(at, index);
  for (let i = 0; i < INFO_HASH_SIZE; i++) out[i] = bytes[from + i];
}

/** Info hashes in a scrape request of `length` bytes; a trailing part of one does not count. */
export function scrapeHashes(length: number): number {
  return Math.floor((length - SCRAPE_REQUEST_SIZE_MIN) / INFO_HASH_SIZE);
}

/** True if all 64 bits of `left` are zero: the client is a seeder. */
export function isNothingLeft(bytes: Uint8Array, at: number): boolean {
  return readU32(bytes, at + OFFSET_LEFT) === 0 && readU32(bytes, at + OFFSET_LEFT + 4) === 0;
}

/** The event, EVENT_NONE to EVENT_PAUSED; an unknown event is EVENT_NONE. */
export function readEvent(bytes: Uint8Array, at: number): number {
  const event = readU32(bytes, at + OFFSET_EVENT);
  return event <= EVENT_PAUSED ? event : EVENT_NONE;
}

/** True if the client claims an IPv4 address. */
export const hasIp = (bytes: Uint8Array, at: number): boolean =>
  readU32(bytes, at + OFFSET_IP) !== 0;

/** Offset of the four bytes of the claimed address. */
export const ipAt = (at: number): number => at + OFFSET_IP;

/** Peers wanted; negative if the client leaves the number to the tracker. */
export const readNumWant = (bytes: Uint8Array, at: number): number =>
  readU32(bytes, at + OFFSET_NUM_WANT) | 0;

/** The port on which the client listens. */
export const readPort = (bytes: Uint8Array, at: number): number =>
  (bytes[at + OFFSET_PORT] << 8) | bytes[at + OFFSET_PORT + 1];

/** Writes the action and the transaction id, with which every reply begins. */
export function writeReplyHead(
  out: Uint8Array,
  outAt: number,
  action: number,
  bytes: Uint8Array,
  at: number,
): void {
  writeU32(out, outAt, action);
  for (let i = 0; i < 4; i++) out[outAt + 4 + i] = bytes[at + OFFSET_TRANSACTION_ID + i];
}

/** Writes the three numbers between the head of an announce reply and its peers. */
export function writeAnnounceNumbers(
  out: Uint8Array,
  outAt: number,
  interval: number,
  leechers: number,
  seeders: number,
): void {
  writeU32(out, outAt + 8, interval);
  writeU32(out, outAt + 12, leechers);
  writeU32(out, outAt + 16, seeders);
}

/** Writes entry number `index` of a scrape reply. */
export function writeScrapeEntry(
  out: Uint8Array,
  outAt: number,
  index: number,
  seeders: number,
  downloads: number,
  leechers: number,
): void {
  const at = outAt + SCRAPE_REPLY_SIZE_MIN + index * SCRAPE_ENTRY_SIZE;
  writeU32(out, at, seeders);
  writeU32(out, at + 4, downloads);
  writeU32(out, at + 8, leechers);
}

/** Writes a whole error reply with an ASCII text. Returns its length. */
export function writeError(
  out: Uint8Array,
  outAt: number,
  bytes: Uint8Array,
  at: number,
  text: Uint8Array,
): number {
  writeReplyHead(out, outAt, ACTION_ERROR, bytes, at);
  for (let i = 0; i < text.length; i++) out[outAt + ERROR_REPLY_SIZE_MIN + i] = text[i];
  return errorSize(text);
}

/** Bytes of the error packet with this text. */
export const errorSize = (text: Uint8Array): number => ERROR_REPLY_SIZE_MIN + text.length;

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_URL_DATA = 2;

/**
 * Reads the options of an announce of `length` bytes. Copies the URL data (path and query of the
 * announce URL, possibly in several options) to `out`, as far as it fits. Returns the number of
 * bytes copied. Reading stops at an option that overruns the packet; other options are skipped.
 * [BEP 41]
 */
export function readUrlData(
  bytes: Uint8Array,
  at: number,
  length: number,
  out: Uint8Array,
): number {
  let copied = 0;
  let option = at + ANNOUNCE_REQUEST_SIZE_MIN;
  const end = at + length;
  while (option < end && bytes[option] !== OPTION_END) {
    if (bytes[option] === OPTION_NOP) {
      option += 1;
      continue;
    }
    const data = option + 2;
    const next = data + (option + 1 < end ? bytes[option + 1] : end);
    if (next > end) break;
    if (bytes[option] === OPTION_URL_DATA) {
      for (let i = data; i < next && copied < out.length; i++) out[copied++] = bytes[i];
    }
    option = next;
  }
  return copied;
}
