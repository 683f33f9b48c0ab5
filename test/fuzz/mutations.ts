/**
 * How one input becomes another that a reader may not expect.
 *
 * Mutation knows the structure: a packet is changed field by field with values at the edges of
 * their range, a query pair by pair with keys that mean something. Plain noise (bits, cuts,
 * inserted and repeated pieces) comes on top. One input gets one to four changes.
 */
import type { Random } from "./random.ts";

/** Fields of a BEP 15 request: offset and bytes. */
const FIELDS: readonly (readonly [number, number])[] = [
  [0, 8],
  [8, 4],
  [12, 4],
  [16, 20],
  [36, 20],
  [56, 8],
  [64, 8],
  [72, 8],
  [80, 4],
  [84, 4],
  [88, 4],
  [92, 4],
  [96, 2],
  [98, 2],
];

/** Lengths at which a reader of packets decides something. */
const LENGTHS = [0, 1, 8, 12, 15, 16, 17, 35, 36, 37, 56, 97, 98, 99, 100, 1495, 1496, 1497, 2048];

const CHANGES_MAX = 4;

/** Changes the first `length` bytes of `packet` in place; returns the new length. */
export function mutatePacket(random: Random, packet: Uint8Array, length: number): number {
  for (let change = random.below(CHANGES_MAX); change >= 0; change--) {
    const kind = random.below(8);
    if (kind < 4) mutateField(random, packet);
    else if (kind === 4) packet[random.below(Math.max(length, 1))]! ^= 1 << random.below(8);
    else if (kind === 5) length = resize(random, packet, length);
    else if (kind === 6) mutateOptions(random, packet, length);
    else length = Math.min(packet.length, length + random.below(64));
  }
  return length;
}

/** The edges of a number: all zeros, all ones, the smallest, one, the sign bit, anything. */
function mutateField(random: Random, packet: Uint8Array): void {
  const [at, size] = random.pick(FIELDS);
  const kind = random.below(7);
  if (kind === 6) return random.fill(packet, at, at + size);
  packet.fill(kind === 1 || kind === 4 ? 0xff : 0, at, at + size);
  if (kind === 2) packet[at + size - 1] = random.below(6);
  if (kind === 3) packet[at] = 0x80;
  if (kind === 4) packet[at] = 0x7f;
  if (kind === 5) packet[at + random.below(size)] = 1 << random.below(8);
}

function resize(random: Random, packet: Uint8Array, length: number): number {
  const longer = random.oneIn(2) ? random.pick(LENGTHS) : random.below(packet.length + 1);
  if (longer > length) random.fill(packet, length, Math.min(longer, length + 40));
  return Math.min(longer, packet.length);
}

/** Writes options with lengths that may lie. [BEP 41] */
function mutateOptions(random: Random, packet: Uint8Array, length: number): void {
  for (let at = 98; at < length;) {
    packet[at++] = random.pick([0, 1, 2, 2, 2, 3, 255]);
    if (at >= length) return;
    packet[at] = random.pick([0, 1, 5, 255, random.below(256)]);
    at += 1 + random.below(packet[at]! + 2);
  }
}

const KEYS = [
  "info_hash",
  "peer_id",
  "port",
  "left",
  "event",
  "numwant",
  "compact",
  "ip",
  "ipv4",
  "ipv6",
  "sha_ih",
  "amp;port",
  "inf%6f_hash",
  "",
];

const VALUES = [
  "",
  "0",
  "-1",
  "1e9",
  "0x10",
  "65535",
  "65536",
  "9".repeat(300),
  "18446744073709551616",
  "started",
  "stopped",
  "completed",
  "paused",
  "%",
  "%4",
  "%zz",
  "%00",
  "%ff".repeat(20),
  "%FF".repeat(21),
  "+".repeat(20),
  "A".repeat(19) + "%",
  "A".repeat(20),
  "::1",
  "[2001:db8::1]:6881",
  "203.0.113.9",
  "\u00ff".repeat(20),
  "\u20ac".repeat(20),
  "\ud800",
  "\0",
];

/** Characters on which readers of URLs decide something, and some on which they should not. */
const CHARACTERS = "&=?#/%+;:@[].- aA09zZ\0\x7f\u00ff\u0100\uffff";

/** A changed copy of a request target. */
export function mutateTarget(random: Random, target: string): string {
  for (let change = random.below(CHANGES_MAX); change >= 0; change--) {
    const kind = random.below(6);
    if (kind < 3) target = mutatePair(random, target);
    else target = mutateText(random, target, CHARACTERS);
  }
  return target;
}

function mutatePair(random: Random, target: string): string {
  const query = target.indexOf("?") + 1;
  const pairs = target.slice(query).split("&");
  const at = random.below(pairs.length);
  const pair = `${random.pick(KEYS)}=${random.pick(VALUES)}`;
  const kind = random.below(6);
  if (kind === 0) pairs.splice(at, 1);
  else if (kind === 1) pairs.splice(at, 0, pair);
  else if (kind === 2) pairs.push(pairs[at]!);
  else if (kind === 3) pairs[at] = `${pairs[at]!.split("=", 1)[0]}=${random.pick(VALUES)}`;
  else if (kind === 4) pairs[at] = pair;
  else pairs.reverse();
  return target.slice(0, query) + pairs.join("&");
}

/** A copy with one change that knows no structure; `characters` are those worth inserting. */
export function mutateText(random: Random, text: string, characters: string): string {
  const at = random.below(text.length + 1);
  const to = Math.min(text.length, at + random.below(12));
  const kind = random.below(6);
  if (kind === 0) return text.slice(0, at);
  if (kind === 1) return text.slice(0, at) + text.slice(to);
  if (kind === 2)
    return text.slice(0, to) + text.slice(at, to).repeat(random.below(4)) + text.slice(to);
  const inserted = characters[random.below(characters.length)]!;
  if (kind === 3) return text.slice(0, at) + inserted.repeat(1 + random.below(30)) + text.slice(at);
  if (kind === 4) return text.slice(0, at) + inserted + text.slice(at + 1);
  return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at);
}
