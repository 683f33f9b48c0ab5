/**
 * A core to ask, and short ways to ask it. Keys and seeds are fixed: what fails once fails again.
 *
 * Info hashes and peers are numbers here. Peer n has port 1000 + n mod 7 and an address that n
 * makes: 10.x.y.z, so that neighbours are of different networks, or 20xx:xxxx:xx:: of the /48 of
 * its own. A reply can be read back and every byte of it is checked.
 */
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_PAUSED,
  EVENT_STARTED,
  EVENT_STOPPED,
} from "../../src/constants.ts";
import { HASH_KEY_WORDS, hashInfoHash } from "../../src/swarm/keyed-hash.ts";
import {
  reserveSwarmMemory,
  SHARD_COUNT,
  type SwarmMemory,
  type SwarmSettings,
} from "../../src/swarm/memory.ts";
import type { Sweep } from "../../src/swarm/sweep.ts";
import { lineOf } from "../../src/swarm/table.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { keyOf, type TwinAnnounce } from "./twin.ts";

const EVENTS = {
  none: EVENT_NONE,
  completed: EVENT_COMPLETED,
  started: EVENT_STARTED,
  stopped: EVENT_STOPPED,
  paused: EVENT_PAUSED,
};
const OFFSET_IPV6 = 8192;
export const PEER_TIMEOUT = 600;
export const DOWNLOADS_TIMEOUT = 3600;
export const MIB = 2 ** 20;

/** Words that look random and are the same every time. */
export function fixedKeys(seed = 1): Int32Array {
  let state = seed;
  return new Int32Array(HASH_KEY_WORDS).map(() => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return Math.imul(state ^ (state >>> 13), 0x297a2d39) | 1;
  });
}

export function makeMemory(
  memoryMax = 64 * MIB,
  threads = false,
  limits: Partial<SwarmSettings> = {},
): SwarmMemory {
  const settings = { peerTimeout: PEER_TIMEOUT, downloadsTimeout: DOWNLOADS_TIMEOUT };
  return reserveSwarmMemory({ memoryMax, threads, ...settings, ...limits }, fixedKeys());
}

export function makeTracker(
  memoryMax = 64 * MIB,
  threads = false,
): { tracker: Tracker; store: Store; memory: SwarmMemory } {
  const memory = makeMemory(memoryMax, threads);
  const tracker = trackerOver(memory);
  return { tracker, store: tracker.store, memory };
}

export function trackerOver(memory: SwarmMemory, seed = 1): Tracker {
  return new Tracker(new Store(memory), new ArrayBuffer(65536), new Int32Array([seed, 2, 3, 4]));
}

export function setInfoHash(tracker: Tracker, infoHash: number): void {
  tracker.request.infoHash.fill(0x5a);
  const { buffer, byteOffset } = tracker.request.infoHash;
  new DataView(buffer, byteOffset).setUint32(16, infoHash);
}

/** Numbers of 24 bits, spread over all of them, and back. */
const spread = (n: number): number => Math.imul(n, 0x9e3779) & 0xffffff;
const SPREAD_BACK = (() => {
  let inverse = 1;
  for (let i = 0; i < 5; i++) inverse = Math.imul(inverse, 2 - Math.imul(0x9e3779, inverse));
  return inverse & 0xffffff;
})();
const unspread = (n: number): number => Math.imul(n, SPREAD_BACK) & 0xffffff;

/** The number of the IPv4 peer that begins at a byte. */
export function peerNumberAt(bytes: Uint8Array, at: number): number {
  return unspread((bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]);
}

/** The address of peer number `peer`. */
function writeAddress(bytes: Uint8Array, family: 4 | 6, peer: number): DataView {
  bytes.fill(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (family === 4) view.setUint32(0, 0x0a000000 + spread(peer));
  else {
    bytes[0] = 0x20;
    view.setUint32(1, peer);
  }
  return view;
}

/** Peer number `peer`: its number is its address, its port is 1000 and more. */
export function setPeer(tracker: Tracker, family: 4 | 6, peer: number, port0 = false): void {
  const view = writeAddress(tracker.request.peer, family, peer);
  view.setUint16(family === 4 ? 4 : 16, port0 ? 0 : 1000 + (peer % 7));
  tracker.request.family = family;
  tracker.request.claimed = false;
}

/** Tells that the request, whose peer is set, comes from the address of another peer. */
export function setSource(tracker: Tracker, family: 4 | 6, peer: number): void {
  const bytes = new Uint8Array(16);
  writeAddress(bytes, family, peer);
  tracker.request.comesFrom(bytes, 0, family);
}

export const plain: TwinAnnounce = {
  infoHash: 1,
  family: 4,
  peer: 1,
  port0: false,
  seeder: false,
  event: "started",
  wanted: 50,
  bothFamilies: true,
};

/** Announces `plain` with these changes; returns the keys of the peers offered. */
export function announce(tracker: Tracker, changes: Partial<TwinAnnounce>, now = 0): string[] {
  const a = { ...plain, ...changes };
  const { request } = tracker;
  setInfoHash(tracker, a.infoHash);
  setPeer(tracker, a.family, a.peer, a.port0);
  if (a.from !== undefined) setSource(tracker, a.from.family, a.from.peer);
  request.seeder = a.seeder;
  request.event = EVENTS[a.event];
  request.wanted = a.wanted;
  request.bothFamilies = a.bothFamilies;
  request.offsetIpv4 = 0;
  request.offsetIpv6 = OFFSET_IPV6;
  tracker.announce(now);
  return offered(tracker);
}

/** An announce by address, for tests of what places may have. */
export interface PlacedAnnounce {
  infoHash?: number;
  /** 4 or 16 bytes of address; those that are missing at the end are 0. */
  address: number[];
  family?: 4 | 6;
  /** The address it comes from, if that is another one. */
  from?: number[];
  port?: number;
  seeder?: boolean;
  event?: TwinAnnounce["event"];
  wanted?: number;
  bothFamilies?: boolean;
  now?: number;
}

/** Announces; returns the peers offered as "a.b.c.d:port" or "[xxxx…]:port". */
export function announceFrom(tracker: Tracker, announced: PlacedAnnounce): string[] {
  const { address, family = 4, port = 1000, event = "none" } = announced;
  const { request, reply } = tracker;
  setInfoHash(tracker, announced.infoHash ?? 1);
  request.peer.fill(0);
  request.peer.set(address);
  const portAt = family === 4 ? 4 : 16;
  request.peer[portAt] = port >>> 8;
  request.peer[portAt + 1] = port & 0xff;
  request.family = family;
  const { from = address } = announced;
  const source = new Uint8Array(16);
  source.set(from);
  request.comesFrom(source, 0, from === address ? family : from.length === 4 ? 4 : 6);
  request.seeder = announced.seeder ?? false;
  request.event = EVENTS[event];
  request.wanted = announced.wanted ?? 0;
  request.bothFamilies = announced.bothFamilies ?? false;
  request.offsetIpv4 = 0;
  request.offsetIpv6 = OFFSET_IPV6;
  tracker.announce(announced.now ?? 0);
  const { replies } = tracker;
  const told: string[] = [];
  for (let i = 0; i < reply.peersIpv4; i++) {
    const [a, b, c, d, high, low] = replies.subarray(i * 6, i * 6 + 6);
    told.push(`${a}.${b}.${c}.${d}:${high * 256 + low}`);
  }
  for (let i = 0; i < reply.peersIpv6; i++) {
    const bytes = replies.subarray(OFFSET_IPV6 + i * 18, OFFSET_IPV6 + i * 18 + 18);
    told.push(`[${bytes.subarray(0, 16).toHex()}]:${bytes[16] * 256 + bytes[17]}`);
  }
  return told;
}

/** A peer comes as a leecher and completes the download; returns the peers offered at the end. */
export function complete(tracker: Tracker, changes: Partial<TwinAnnounce>, now = 0): string[] {
  announce(tracker, { ...changes, seeder: false, event: "none" }, now);
  return announce(tracker, { ...changes, seeder: true, event: "completed" }, now);
}

/** Keys of the peers in the reply buffer; one with a wrong port or prefix is named as such. */
export function offered(tracker: Tracker): string[] {
  const view = new DataView(tracker.replies.buffer);
  const keys: string[] = [];
  for (let i = 0; i < tracker.reply.peersIpv4; i++) {
    const peer = peerNumberAt(tracker.replies, i * 6);
    keys.push(keyOf(4, peer) + odd(view.getUint16(i * 6 + 4), peer));
  }
  for (let i = 0; i < tracker.reply.peersIpv6; i++) {
    const at = OFFSET_IPV6 + i * 18;
    const peer = view.getUint32(at + 1);
    const prefixed =
      view.getUint8(at) === 0x20 &&
      view.getUint32(at + 5) === 0 &&
      view.getUint32(at + 9) === 0 &&
      view.getUint32(at + 12) === 0;
    keys.push(keyOf(6, peer) + (prefixed ? odd(view.getUint16(at + 16), peer) : " elsewhere"));
  }
  return keys;
}

const odd = (port: number, peer: number): string =>
  port === 1000 + (peer % 7) ? "" : ` with port ${port}`;

/** Seeders, leechers and downloads of the last reply. */
export function countsOf(tracker: Tracker): [number, number, number] {
  const { seeders, leechers, downloads } = tracker.reply;
  return [seeders, leechers, downloads];
}

export function scrape(tracker: Tracker, infoHash: number): [number, number, number] {
  setInfoHash(tracker, infoHash);
  tracker.scrape();
  return countsOf(tracker);
}

export function sweepRound(sweep: Sweep, now: number, units = 100): void {
  const end = sweep.shardsDone + SHARD_COUNT;
  while (sweep.shardsDone < end) sweep.slice(now, units);
}

/** Numbers of `count` info hashes that all lie in the shard of number 0's. */
export function infoHashesOfOneShard(tracker: Tracker, count: number): number[] {
  const found: number[] = [];
  let line = -1;
  for (let infoHash = 0; found.length < count; infoHash++) {
    const hash = hashOf(tracker, infoHash);
    if (line < 0) line = lineOf(hash);
    if (lineOf(hash) === line) found.push(infoHash);
  }
  return found;
}

/** The keyed hash of an info hash, under the fixed keys. */
export function hashOf(tracker: Tracker, infoHash: number): number {
  setInfoHash(tracker, infoHash);
  return hashInfoHash(fixedKeys(), tracker.request.infoHashHalves, 0);
}
