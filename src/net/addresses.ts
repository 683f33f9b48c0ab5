/**
 * IP addresses: text to bytes and back, and which of them a peer may have.
 *
 * Bytes are in network order, 4 of them for IPv4 and 16 for IPv6. A v4-mapped IPv6 address is an
 * IPv4 address everywhere: reading `::ffff:192.0.2.1` gives family 4. Reading allocates nothing,
 * throws nothing and keeps no state.
 *
 * https://www.rfc-editor.org/rfc/rfc4291 (IPv6), https://www.rfc-editor.org/rfc/rfc5952 (its text)
 */
import type { Family } from "../constants.ts";
import { HEX_VALUES } from "./hex.ts";

const DOT = 46;
const COLON = 58;
const ZERO = 48;

/** 16-bit words of an IPv6 address. */
const WORDS = 8;

/** For addresses of which only the validity matters. */
const SCRATCH = new Uint8Array(16);

/**
 * Reads the address in `text` into `out` at `at`, where 16 bytes must be free.
 *
 * Returns the family, or 0 if the text is not an address (the content of `out` is then undefined).
 * A zone (`fe80::1%eth0`) is cut off. No brackets, no port, no octal.
 */
export function readAddress(text: string, out: Uint8Array, at: number): Family | 0 {
  return readSlice(text, 0, text.length, out, at);
}

/** Like `readAddress`; also reads `192.0.2.1:80`, `[2001:db8::1]` and `[2001:db8::1]:80`. */
export function readEndpoint(text: string, out: Uint8Array, at: number): Family | 0 {
  if (text.startsWith("[")) {
    const end = text.indexOf("]");
    if (end < 0 || (end + 1 < text.length && !isPortSuffix(text, end + 1))) return 0;
    return readIpv6(text, 1, end, out, at);
  }
  const colon = text.indexOf(":");
  const hasPort = colon > 0 && colon === text.lastIndexOf(":") && isPortSuffix(text, colon);
  return readSlice(text, 0, hasPort ? colon : text.length, out, at);
}

/** True for an IPv4 address in four decimal numbers. */
export function isIPv4(text: string): boolean {
  return !text.includes(":") && readAddress(text, SCRATCH, 0) === 4;
}

/** True for an IPv6 address without brackets, perhaps with a zone. */
export function isIPv6(text: string): boolean {
  return text.includes(":") && readAddress(text, SCRATCH, 0) !== 0;
}

function isPortSuffix(text: string, from: number): boolean {
  if (text.charCodeAt(from) !== COLON) return false;
  for (let i = from + 1; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return false;
  }
  return true;
}

function readSlice(
  text: string,
  from: number,
  end: number,
  out: Uint8Array,
  at: number,
): Family | 0 {
  // The first separator, after at most four digits, gives the family.
  for (let i = from; i < end && i < from + 5; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) return readIpv4(text, from, end, out, at) ? 4 : 0;
    if (code === COLON) return readIpv6(text, from, end, out, at);
  }
  return 0;
}

/** Four decimal numbers. Leading zeros are refused, because some programs read them as octal. */
function readIpv4(text: string, from: number, end: number, out: Uint8Array, at: number): boolean {
  let part = 0;
  let value = -1;
  for (let i = from; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (value < 0 || part === 3) return false;
      out[at + part++] = value;
      value = -1;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9 || value === 0) return false;
    value = value < 0 ? digit : value * 10 + digit;
    if (value > 255) return false;
  }
  if (part !== 3 || value < 0) return false;
  out[at + 3] = value;
  return true;
}

function readIpv6(
  text: string,
  from: number,
  end: number,
  out: Uint8Array,
  at: number,
): Family | 0 {
  const zone = text.indexOf("%", from);
  const stop = zone >= 0 && zone < end ? zone : end;
  let words = 0;
  let gap = -1;
  let i = from;
  if (text.startsWith("::", from)) {
    gap = 0;
    i += 2;
  }
  while (i < stop) {
    if (words === WORDS) return 0;
    const start = i;
    let value = 0;
    for (let digit = HEX_VALUES[text.charCodeAt(i)]; digit >= 0 && i < stop;) {
      value = value * 16 + digit;
      digit = HEX_VALUES[text.charCodeAt(++i)];
    }
    if (i < stop && text.charCodeAt(i) === DOT) {
      if (words > WORDS - 2 || !readIpv4(text, start, stop, out, at + 2 * words)) return 0;
      words += 2;
      break;
    }
    if (i === start || i - start > 4) return 0;
    out[at + 2 * words] = value >> 8;
    out[at + 2 * words + 1] = value & 0xff;
    words++;
    if (i === stop) break;
    if (text.charCodeAt(i++) !== COLON || i === stop) return 0;
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return 0;
      gap = words;
      i++;
    }
  }
  return spread(words, gap, out, at) ? unmapped(out, at) : 0;
}

/** Moves the words behind `::` to the end and fills the gap; false if there are too few or many. */
function spread(words: number, gap: number, out: Uint8Array, at: number): boolean {
  if (gap < 0) return words === WORDS;
  if (words === WORDS) return false;
  const tail = at + 16 - 2 * (words - gap);
  out.copyWithin(tail, at + 2 * gap, at + 2 * words);
  out.fill(0, at + 2 * gap, tail);
  return true;
}

/** Writes the address of a connection's client to the first 4 or 16 bytes; 0 if it has none. */
export type AddressOf = (fd: number, out: Uint8Array) => Family | 0;

/** 4 for a v4-mapped address, whose last four bytes move to the front; else 6. */
export function unmapped(out: Uint8Array, at: number): Family {
  if (!isMapped(out, at)) return 6;
  out.copyWithin(at, at + 12, at + 16);
  return 4;
}

function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = at; i < at + 10; i++) if (bytes[i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

/** The address as text; IPv6 in the canonical form of RFC 5952. Never fails. */
export function writeAddress(bytes: Uint8Array, at: number, family: Family): string {
  if (family === 4) return dotted(bytes, at);
  if (isMapped(bytes, at)) return "::ffff:" + dotted(bytes, at + 12);
  const { start, length } = longestZeros(bytes, at);
  let text = "";
  for (let word = 0; word < WORDS; word++) {
    if (length > 1 && word === start) {
      text += "::";
      word += length - 1;
      continue;
    }
    if (word > 0 && !text.endsWith(":")) text += ":";
    text += ((bytes[at + 2 * word] << 8) | bytes[at + 2 * word + 1]).toString(16);
  }
  return text;
}

function dotted(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** The first of the longest runs of zero words, the only run that RFC 5952 shortens. */
function longestZeros(bytes: Uint8Array, at: number): { start: number; length: number } {
  let start = 0;
  let length = 0;
  let run = 0;
  for (let word = 0; word < WORDS; word++) {
    run = bytes[at + 2 * word] === 0 && bytes[at + 2 * word + 1] === 0 ? run + 1 : 0;
    if (run <= length) continue;
    length = run;
    start = word - run + 1;
  }
  return { start, length };
}

/**
 * True for an address that is never a valid source, so no peer may have it: "this network"
 * (0.0.0.0/8), `::`, multicast, the reserved 240.0.0.0/4 and broadcast.
 * [RFC 1122 3.2.1.3, RFC 1112 4, RFC 4291 2.7]
 */
export function isUnusableSource(bytes: Uint8Array, at: number, family: Family): boolean {
  const first = bytes[at];
  if (family === 6) return first === 0xff || isAll(bytes, at, at + 16, 0);
  return first === 0 || first >= 224;
}

function isAll(bytes: Uint8Array, from: number, to: number, value: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i] !== value) return false;
  return true;
}

/**
 * True for an address that is not unique in the Internet: loopback, private networks, carrier NAT,
 * link-local and unique local addresses. [RFC 1918, RFC 6598, RFC 3927, RFC 4193]
 */
export function isPrivate(bytes: Uint8Array, at: number, family: Family): boolean {
  const first = bytes[at];
  const second = bytes[at + 1];
  if (family === 4) return isPrivateIpv4(first, second);
  if ((first & 0xfe) === 0xfc || isLinkLocalIpv6(bytes, at)) return true;
  return bytes[at + 15] === 1 && isAll(bytes, at, at + 15, 0);
}

/** True for ::ffff:0:0/96, an IPv4 address in disguise: as a peer it is another than itself. */
export function isMappedIpv4(bytes: Uint8Array, at: number): boolean {
  return isAll(bytes, at, at + 10, 0) && isAll(bytes, at + 10, at + 12, 0xff);
}

/** True for fe80::/10, which is of no use without its zone. [RFC 4291 2.5.6, RFC 4007 6] */
export function isLinkLocalIpv6(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xfe && (bytes[at + 1] & 0xc0) === 0x80;
}

function isPrivateIpv4(first: number, second: number): boolean {
  if (first === 10 || first === 127) return true;
  if (first === 172) return (second & 0xf0) === 16;
  if (first === 192) return second === 168;
  if (first === 169) return second === 254;
  return first === 100 && (second & 0xc0) === 64;
}

/**
 * True for an address outside the public Internet: private addresses, those for documentation and
 * benchmarks, tunnels (6to4, Teredo) to such IPv4 addresses, and all of IPv6 that is not global
 * unicast: NAT64, discard, site-local, unassigned.
 * [RFC 6890, RFC 5737, RFC 2544, RFC 3849, RFC 9637, RFC 3056, RFC 4380, RFC 7343]
 */
export function isNotPublic(bytes: Uint8Array, at: number, family: Family): boolean {
  if (family === 4) return isNotPublicIpv4(bytes[at], bytes[at + 1], bytes[at + 2]);
  // Only 2000::/3 is assigned as global unicast.
  if ((bytes[at] & 0xe0) !== 0x20) return true;
  const prefix = (bytes[at] << 8) | bytes[at + 1];
  const next = (bytes[at + 2] << 8) | bytes[at + 3];
  if (prefix === 0x2002) return isNotPublicIpv4(bytes[at + 2], bytes[at + 3], bytes[at + 4]);
  if (prefix === 0x3fff) return next < 0x1000;
  if (prefix !== 0x2001) return false;
  // Teredo inverts all bits of the client's address.
  const tunnel = isNotPublicIpv4(bytes[at + 12] ^ 255, bytes[at + 13] ^ 255, bytes[at + 14] ^ 255);
  // The first /23 is reserved for protocols, of which only Teredo has clients.
  return next === 0x0db8 || (next === 0 ? tunnel : next < 0x0200);
}

/** The same for the first three bytes of an IPv4 address; true for unusable sources, too. */
function isNotPublicIpv4(first: number, second: number, third: number): boolean {
  if (first === 0 || first >= 224 || isPrivateIpv4(first, second)) return true;
  if (first === 192) {
    // Protocol assignments, documentation, and the former 6to4 relays.
    return second === 0 ? third === 0 || third === 2 : second === 88 && third === 99;
  }
  if (first === 198) return (second & 0xfe) === 18 || (second === 51 && third === 100);
  return first === 203 && second === 0 && third === 113;
}

/**
 * Reads a CIDR network or a single address: writes its first address to `first` and its last one to
 * `last`, both of 16 bytes. Returns the family, or 0 for any other text (both are then undefined).
 */
export function readNetwork(text: string, first: Uint8Array, last: Uint8Array): Family | 0 {
  const slash = text.indexOf("/");
  const address = slash < 0 ? text : text.slice(0, slash);
  const family = readAddress(address, first, 0);
  if (family === 0) return 0;
  const bits = family === 4 ? 32 : 128;
  // The prefix of a v4-mapped network counts from the start of the 16-byte form.
  const mapped = family === 4 && address.includes(":") ? 96 : 0;
  const digits = slash < 0 ? String(bits + mapped) : text.slice(slash + 1);
  const prefix = /^\d{1,3}$/.test(digits) ? Number(digits) - mapped : -1;
  if (prefix < 0 || prefix > bits) return 0;
  for (let i = 0; i < bits / 8; i++) {
    const host = 0xff >> Math.min(8, Math.max(0, prefix - 8 * i));
    last[i] = first[i] | host;
    first[i] &= ~host;
  }
  return family;
}

/**
 * A set of a few networks, such as those of trusted proxies; for long lists see NetworkList. (The
 * BlockList of node:net would bring 7 MB of a module that nothing else of the start needs.)
 */
export class Networks {
  /** True if the set is empty, so that callers can skip the lookup. */
  readonly empty: boolean;
  readonly #ranges: { family: Family; first: Uint8Array; last: Uint8Array }[] = [];

  /** `readNetwork` must accept each entry; throws an Error that names one it refuses. */
  constructor(entries: readonly string[]) {
    this.empty = entries.length === 0;
    for (const entry of entries) {
      const [first, last] = [new Uint8Array(16), new Uint8Array(16)];
      const family = readNetwork(entry, first, last);
      if (family === 0) throw new Error(`"${entry}" is not a network`);
      this.#ranges.push({ family, first, last });
    }
  }

  /** True if the address in `bytes` at `at` lies in one of the networks. */
  containsBytes(bytes: Uint8Array, at: number, family: Family): boolean {
    for (const range of this.#ranges) {
      if (range.family !== family) continue;
      if (compare(bytes, at, range.first, family) < 0) continue;
      if (compare(bytes, at, range.last, family) <= 0) return true;
    }
    return false;
  }
}

/** Negative, 0 or positive: the address at `bytes[at]` is below `other`, the same or above it. */
function compare(bytes: Uint8Array, at: number, other: Uint8Array, family: Family): number {
  const size = family === 4 ? 4 : 16;
  let i = 0;
  while (i < size - 1 && bytes[at + i] === other[i]) i++;
  return bytes[at + i] - other[i];
}
