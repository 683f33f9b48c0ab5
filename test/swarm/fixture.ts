/**
 * A core to ask, and short ways to ask it. Keys and seeds are fixed: what fails once fails again.
 *
 * Info hashes and peers are numbers here. Peer n has address 10.0.0.0 + n or 2000:: + n and port
 * 1000 + n mod 7, so a reply can be read back and every byte of it is checked.
 */
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_PAUSED,
  EVENT_STARTED,
  EVENT_STOPPED,
} from "../../src/constants.ts";
import { HASH_KEY_WORDS, hashInfoHash } from "../../src/swarm/keyed-hash.ts";
import { reserveSwarmMemory, SHARD_COUNT, type SwarmMemory } from "../../src/swarm/memory.ts";
import type { Sweep } from "../../src/swarm/sweep.ts";
import { lineOf } from "../../src/swarm/table.ts";
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

export function makeMemory(memoryMax = 64 * MIB, threads = false): SwarmMemory {
  return reserveSwarmMemory(
    { memoryMax, peerTimeout: PEER_TIMEOUT, downloadsTimeout: DOWNLOADS_TIMEOUT, threads },
    fixedKeys(),
  );
}

export function makeTracker(
  memoryMax = 64 * MIB,
  threads = false,
): { tracker: Tracker; memory: SwarmMemory } {
  const memory = makeMemory(memoryMax, threads);
  return { tracker: trackerOver(memory), memory };
}

export function trackerOver(memory: SwarmMemory, seed = 1): Tracker {
  return new Tracker(memory, new ArrayBuffer(65536), new Int32Array([seed, 2, 3, 4]));
}

export function setInfoHash(tracker: Tracker, infoHash: number): void {
  tracker.request.infoHash.fill(0x5a);
  const { buffer, byteOffset } = tracker.request.infoHash;
  new DataView(buffer, byteOffset).setUint32(16, infoHash);
}

/** Peer number `peer`: its number is its address, its port is 1000 and more. */
export function setPeer(tracker: Tracker, family: 4 | 6, peer: number, port0 = false): void {
  const bytes = tracker.request.peer;
  bytes.fill(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(family === 4 ? 0 : 12, family === 4 ? 0x0a000000 + peer : peer);
  if (family === 6) bytes[0] = 0x20;
  view.setUint16(family === 4 ? 4 : 16, port0 ? 0 : 1000 + (peer % 7));
  tracker.request.family = family;
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
  request.seeder = a.seeder;
  request.event = EVENTS[a.event];
  request.wanted = a.wanted;
  request.bothFamilies = a.bothFamilies;
  request.offsetIpv4 = 0;
  request.offsetIpv6 = OFFSET_IPV6;
  tracker.announce(now);
  return offered(tracker);
}

/** Keys of the peers in the reply buffer; one with a wrong port or prefix is named as such. */
export function offered(tracker: Tracker): string[] {
  const view = new DataView(tracker.replies.buffer);
  const keys: string[] = [];
  for (let i = 0; i < tracker.reply.peersIpv4; i++) {
    const peer = view.getUint32(i * 6) - 0x0a000000;
    keys.push(keyOf(4, peer) + odd(view.getUint16(i * 6 + 4), peer));
  }
  for (let i = 0; i < tracker.reply.peersIpv6; i++) {
    const at = OFFSET_IPV6 + i * 18;
    const peer = view.getUint32(at + 12);
    const prefixed =
      view.getUint32(at) === 0x20000000 &&
      view.getUint32(at + 4) === 0 &&
      view.getUint32(at + 8) === 0;
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
