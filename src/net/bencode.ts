/**
 * Bencode: writes the bodies of HTTP replies into the caller's buffer. There is no decoder.
 *
 *   announce   d8:complete i?e 10:downloaded i?e 11:external ip 4:.... 10:incomplete i?e
 *              8:interval i?e 12:min interval i?e 5:peers ?:... [6:peers6 ?:...]
 *              [15:warning message ?:...] e
 *   with compact=0, peers is a list:  l d 2:ip ?:... 4:port i?e e ... e
 *   failure    d 14:failure reason ?:... [8:interval i?e 12:min interval i?e] [8:retry in ?:...] e
 *   scrape     d 5:files d 20:<info hash> d8:complete i?e 10:downloaded i?e 10:incomplete i?e e
 *              ... e 5:flags d 20:min_request_interval i?e ee
 *
 * Keys are in ascending order of their bytes, because strict decoders of clients require it. Each
 * writer returns the end of what it wrote. The caller provides a buffer that is long enough: see
 * `announceBytesMax` and `scrapeBytesMax`. Only the list form allocates.
 *
 * https://www.bittorrent.org/beps/bep_0003.html, 7 (peers6), 23 (compact), 24 (external ip),
 * 31 (retry in), 48 (scrape)
 */
import { INFO_HASH_SIZE, PEER_SIZE_IPV4, PEER_SIZE_IPV6, type Family } from "../constants.ts";
import { writeAddress } from "./addresses.ts";
import type { AnnounceReply, AnnounceRequest } from "../swarm/requests.ts";

const DICTIONARY = 100; // d
const END = 101; // e
const INTEGER = 105; // i
const LIST = 108; // l
const COLON = 58;
const ZERO = 48;

const COMPLETE = ascii("8:complete");
const DOWNLOADED = ascii("10:downloaded");
const EXTERNAL_IP = ascii("11:external ip");
const FAILURE_REASON = ascii("14:failure reason");
const FILES = ascii("5:files");
const FLAGS = ascii("5:flags");
const INCOMPLETE = ascii("10:incomplete");
const INTERVAL = ascii("8:interval");
const IP = ascii("2:ip");
const MIN_INTERVAL = ascii("12:min interval");
const MIN_REQUEST_INTERVAL = ascii("20:min_request_interval");
const PEERS = ascii("5:peers");
const PEERS6 = ascii("6:peers6");
const PORT = ascii("4:port");
const RETRY_IN = ascii("8:retry in");
const WARNING_MESSAGE = ascii("15:warning message");

/** Digits of the largest count; all counts are exact integers. */
const DIGITS_MAX = String(Number.MAX_SAFE_INTEGER).length;
const INTEGER_BYTES_MAX = DIGITS_MAX + 2;
/** An announce reply without its peers and warning: 9 keys and their values. */
const ANNOUNCE_BASE_BYTES_MAX = 512;
/** A listed peer: `d2:ip39:<39 characters>4:porti65535ee`. */
const LISTED_PEER_BYTES_MAX = 1 + 4 + 3 + 39 + 6 + 7 + 1;
/** A scraped swarm: its hash and a dictionary of three numbers. */
const SCRAPED_BYTES_MAX = 3 + INFO_HASH_SIZE + 2 + 10 + 13 + 12 + 3 * INTEGER_BYTES_MAX;
const SCRAPE_BASE_BYTES_MAX = 128;

/** Longest warning, in characters. */
export const WARNING_SIZE_MAX = 200;

/** The fields of an announce reply that the core does not give. Reused for every reply. */
export class AnnounceExtras {
  /** Address of the client in the first 4 or 16 bytes. */
  readonly externalIp: Uint8Array;
  family: Family = 4;
  intervalSeconds = 0;
  minIntervalSeconds = 0;
  /** False for the list form. */
  compact = true;
  /** ASCII, at most WARNING_SIZE_MAX characters; empty for none. */
  warning = "";

  constructor(externalIp: Uint8Array) {
    this.externalIp = externalIp;
  }
}

/** Size limit of an announce reply with `peers` peers, in either form. */
export function announceBytesMax(peers: number): number {
  return ANNOUNCE_BASE_BYTES_MAX + WARNING_SIZE_MAX + peers * LISTED_PEER_BYTES_MAX;
}

/** Size limit of a scrape reply with `swarms` swarms. */
export function scrapeBytesMax(swarms: number): number {
  return SCRAPE_BASE_BYTES_MAX + swarms * SCRAPED_BYTES_MAX;
}

/**
 * Writes the reply to an announce at `from`; returns its end.
 *
 * `request` has the offsets of the peers in `replies`. The key `peers` is always written, because
 * clients fail without it; `peers6` if the client or one of the peers has IPv6.
 */
export function writeAnnounce(
  out: Uint8Array,
  request: AnnounceRequest,
  reply: AnnounceReply,
  replies: Buffer,
  extras: AnnounceExtras,
  from = 0,
): number {
  out[from] = DICTIONARY;
  let at = writeInteger(out, writeBytes(out, from + 1, COMPLETE), reply.seeders);
  at = writeInteger(out, writeBytes(out, at, DOWNLOADED), reply.downloads);
  const addressSize = extras.family === 4 ? 4 : 16;
  at = writeBytes(out, at, EXTERNAL_IP);
  at = writeString(out, at, extras.externalIp, 0, addressSize);
  at = writeInteger(out, writeBytes(out, at, INCOMPLETE), reply.leechers);
  at = writeInteger(out, writeBytes(out, at, INTERVAL), extras.intervalSeconds);
  at = writeInteger(out, writeBytes(out, at, MIN_INTERVAL), extras.minIntervalSeconds);
  at = extras.compact
    ? writeCompactPeers(out, at, request, reply, replies, extras.family)
    : writeListedPeers(out, at, request, reply, replies);
  if (extras.warning !== "") {
    at = writeText(out, writeBytes(out, at, WARNING_MESSAGE), extras.warning);
  }
  out[at] = END;
  return at + 1;
}

function writeCompactPeers(
  out: Uint8Array,
  at: number,
  request: AnnounceRequest,
  reply: AnnounceReply,
  replies: Buffer,
  family: Family,
): number {
  const size = reply.peersIpv4 * PEER_SIZE_IPV4;
  at = writeBytes(out, at, PEERS);
  at = writePeers(out, at, replies, request.offsetIpv4, size);
  if (family === 4 && reply.peersIpv6 === 0) return at;
  const size6 = reply.peersIpv6 * PEER_SIZE_IPV6;
  at = writeBytes(out, at, PEERS6);
  return writePeers(out, at, replies, request.offsetIpv6, size6);
}

/** `copy` takes an eighth of the time of a loop over the bytes of 50 peers. */
function writePeers(
  out: Uint8Array,
  at: number,
  replies: Buffer,
  from: number,
  size: number,
): number {
  at = writeDecimal(out, at, size);
  out[at++] = COLON;
  replies.copy(out, at, from, from + size);
  return at + size;
}

/** Writes peers of both families in one list; the text of an address shows its family. */
function writeListedPeers(
  out: Uint8Array,
  at: number,
  request: AnnounceRequest,
  reply: AnnounceReply,
  replies: Buffer,
): number {
  at = writeBytes(out, at, PEERS);
  out[at++] = LIST;
  for (let i = 0; i < reply.peersIpv4; i++) {
    at = writeListedPeer(out, at, replies, request.offsetIpv4 + i * PEER_SIZE_IPV4, 4);
  }
  for (let i = 0; i < reply.peersIpv6; i++) {
    at = writeListedPeer(out, at, replies, request.offsetIpv6 + i * PEER_SIZE_IPV6, 6);
  }
  out[at] = END;
  return at + 1;
}

function writeListedPeer(
  out: Uint8Array,
  at: number,
  peer: Uint8Array,
  peerAt: number,
  family: Family,
): number {
  const portAt = peerAt + (family === 4 ? 4 : 16);
  out[at] = DICTIONARY;
  at = writeText(out, writeBytes(out, at + 1, IP), writeAddress(peer, peerAt, family));
  at = writeInteger(out, writeBytes(out, at, PORT), peer[portAt] * 256 + peer[portAt + 1]);
  out[at] = END;
  return at + 1;
}

/**
 * A whole failure body. `retryIn` is minutes or `never`, as the string of BEP 31; "" to leave it
 * out. Minutes are given as intervals too: libtorrent ignores `retry in`, and without an interval
 * it stays away for 30 minutes. Allocates, so most failure bodies are made once.
 */
export function failureBody(reason: string, retryIn: string): Uint8Array {
  const out = new Uint8Array(128 + reason.length + retryIn.length);
  out[0] = DICTIONARY;
  let at = writeText(out, writeBytes(out, 1, FAILURE_REASON), reason);
  const seconds = Number(retryIn) * 60;
  if (seconds > 0) {
    at = writeInteger(out, writeBytes(out, at, INTERVAL), seconds);
    at = writeInteger(out, writeBytes(out, at, MIN_INTERVAL), seconds);
  }
  if (retryIn !== "") at = writeText(out, writeBytes(out, at, RETRY_IN), retryIn);
  out[at] = END;
  return out.slice(0, at + 1);
}

/** Begins a scrape reply at `from`; `writeScraped` adds swarms, `writeScrapeEnd` ends it. */
export function writeScrapeStart(out: Uint8Array, from = 0): number {
  out[from] = DICTIONARY;
  const at = writeBytes(out, from + 1, FILES);
  out[at] = DICTIONARY;
  return at + 1;
}

/** Writes one swarm of a scrape reply. Hashes must be in ascending order without repeats. */
export function writeScraped(
  out: Uint8Array,
  at: number,
  hashes: Uint8Array,
  hashAt: number,
  reply: AnnounceReply,
): number {
  at = writeString(out, at, hashes, hashAt, INFO_HASH_SIZE);
  out[at] = DICTIONARY;
  at = writeInteger(out, writeBytes(out, at + 1, COMPLETE), reply.seeders);
  at = writeInteger(out, writeBytes(out, at, DOWNLOADED), reply.downloads);
  at = writeInteger(out, writeBytes(out, at, INCOMPLETE), reply.leechers);
  out[at] = END;
  return at + 1;
}

/** Ends a scrape reply; returns its end. */
export function writeScrapeEnd(
  out: Uint8Array,
  at: number,
  minRequestIntervalSeconds: number,
): number {
  out[at] = END;
  at = writeBytes(out, at + 1, FLAGS);
  out[at] = DICTIONARY;
  at = writeBytes(out, at + 1, MIN_REQUEST_INTERVAL);
  at = writeInteger(out, at, minRequestIntervalSeconds);
  out[at] = END;
  out[at + 1] = END;
  return at + 2;
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** For short strings: below about 30 bytes a loop is faster than a call into the engine. */
function writeBytes(out: Uint8Array, at: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) out[at + i] = bytes[i];
  return at + bytes.length;
}

/** `?:` and the bytes. */
function writeString(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number,
  size: number,
): number {
  at = writeDecimal(out, at, size);
  out[at++] = COLON;
  for (let i = 0; i < size; i++) out[at + i] = bytes[from + i];
  return at + size;
}

/** `?:` and the characters, which must be ASCII. */
function writeText(out: Uint8Array, at: number, text: string): number {
  at = writeDecimal(out, at, text.length);
  out[at++] = COLON;
  for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** `i?e` of a whole number, 0 or more. */
function writeInteger(out: Uint8Array, at: number, value: number): number {
  out[at] = INTEGER;
  at = writeDecimal(out, at + 1, value);
  out[at] = END;
  return at + 1;
}

function writeDecimal(out: Uint8Array, at: number, value: number): number {
  let end = at + 1;
  for (let limit = 10; value >= limit; limit *= 10) end++;
  for (let i = end - 1; i >= at; i--) {
    // Most numbers fit 31 bits: integer division of those takes half the time of `Math.floor`.
    const rest = value <= 0x7fffffff ? (value / 10) | 0 : Math.floor(value / 10);
    out[i] = ZERO + (value - 10 * rest);
    value = rest;
  }
  return end;
}
