/**
 * A campaign against the start: whole snapshots at one or both names, with right checksums, and
 * hostile times, factors, notes, totals and records. An input is one record.
 *
 * The tracker starts whatever they hold, its core is whole, its intervals stay in their bounds, and
 * so does what it says of other trackers.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keptBytes, readKept } from "../../src/cluster/kept.ts";
import { Ledger } from "../../src/cluster/ledger.ts";
import { KNOWN_MAX } from "../../src/cluster/wire.ts";
import { Load, stretchMemory } from "../../src/limits/load.ts";
import { chunkBytes, endBytes, headerBytes } from "../../src/snapshot/format.ts";
import { besideOf, type Restored, Snapshots } from "../../src/snapshot/snapshots.ts";
import { recordPeers } from "../../src/swarm/records.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import {
  announce,
  makeMemory,
  MIB,
  PEER_TIMEOUT,
  sweepRound,
  trackerOver,
} from "../swarm/fixture.ts";
import { brokenInvariants } from "../swarm/invariants.ts";
import { must } from "./oracle.ts";
import type { Random } from "./random.ts";
import type { Campaign } from "./readers.ts";

const LONGER_MAX = 4;
const LOAD = { targetRate: 100, interval: 1800, intervalMax: LONGER_MAX * 1800, jitterPercent: 10 };
const WALL = 1_800_000_000;
const TIMES = [0, 1, 127, WALL - 2000, WALL - 10, WALL, WALL + 5, 2 ** 31, 2 ** 32 - 1];
const PEERS_MAX = 6;
const RECORDS_MAX = 20;
const CHUNKS_MAX = 3;

const number = (random: Random): number =>
  random.oneIn(3) ? random.word() >>> 0 : random.pick(TIMES);

/** Numbers of the header are in thousandths. */
const factor = (random: Random): number => (random.oneIn(2) ? 1 : number(random) / 1000);

export function recordOf(random: Random): Uint8Array {
  const counts = [0, 0, 0, 0];
  for (let peers = random.below(PEERS_MAX); peers > 0; peers--) counts[random.below(4)]! += 1;
  const size = 34 + 7 * (counts[0]! + counts[1]!) + 19 * (counts[2]! + counts[3]!);
  const bytes = new Uint8Array(size + (size % 2));
  random.fill(bytes, 0, bytes.length);
  // Mostly of few swarms, so that records meet.
  if (!random.oneIn(8)) bytes.fill(0, 1, 20);
  const view = new DataView(bytes.buffer);
  view.setUint32(20, random.oneIn(20) ? number(random) : random.below(9), true);
  for (const [at, count] of counts.entries()) view.setUint16(24 + 2 * at, count, true);
  return bytes;
}

/** Notes for a header: a ledger of anything, mostly whole. */
function notesOf(random: Random): Uint8Array | undefined {
  if (random.oneIn(3)) return undefined;
  const bytes = new Uint8Array(4 + 28 * random.below(KNOWN_MAX + 4));
  random.fill(bytes, 0, bytes.length);
  if (!random.oneIn(4)) bytes[1] = (bytes.length - 4) / 28;
  return random.oneIn(8) ? bytes.subarray(random.below(5)) : bytes;
}

/** Takes the ledger of a snapshot over, as a start does, and says it to others and to a file. */
function takeOver({ notes, begunAt }: Restored, now: number): void {
  const kept = notes === undefined ? undefined : readKept(notes);
  if (kept === undefined) return;
  const ledger = new Ledger("f".repeat(16));
  ledger.restore(kept.origins, begunAt, now);
  ledger.need(now);
  must(ledger.had(now, PEER_TIMEOUT).length <= KNOWN_MAX, "too many origins are named");
  const origins = ledger.keep(now, PEER_TIMEOUT);
  must(readKept(keptBytes({ ...kept, origins })) !== undefined, "the ledger cannot be kept");
}

/** Writes a snapshot; returns its records. */
function writeFile(random: Random, path: string): number {
  const begunSeconds = random.pick(TIMES);
  const tickSeconds = number(random) || 1;
  const header = { begunSeconds, tickSeconds, stretch: factor(random), kept: factor(random) };
  const parts: Uint8Array[] = [headerBytes(header, notesOf(random))];
  let [count, peers] = [0, 0];
  for (let chunks = random.below(CHUNKS_MAX + 1); chunks > 0; chunks--) {
    const records = Array.from({ length: 1 + random.below(RECORDS_MAX) }, () => recordOf(random));
    const bytes = new Uint8Array(Buffer.concat(records));
    parts.push(chunkBytes(random.oneIn(2) ? 0 : number(random), random.below(128), bytes), bytes);
    count += records.length;
    for (const record of records) {
      const halves = new Uint16Array(record.buffer);
      peers += recordPeers(halves, 0, 4) + recordPeers(halves, 0, 6);
    }
  }
  parts.push(random.oneIn(20) ? endBytes(number(random), number(random)) : endBytes(count, peers));
  writeFileSync(path, Buffer.concat(parts), { mode: 0o600 });
  return count;
}

/** A start with these files; throws with what is broken after it. */
function start(random: Random, path: string): void {
  const tracker = trackerOver(
    makeMemory(4 * MIB, random.oneIn(2), { peerTimeoutMax: LONGER_MAX * PEER_TIMEOUT }),
  );
  const load = new Load(LOAD, stretchMemory());
  const lines: string[] = [];
  const tell = (message: string): void => void lines.push(message);
  const log = { info: tell, debug: tell, warn: tell };
  const wall = (): number => WALL;
  const needs = { path, intervalSeconds: 0, store: tracker.store, load, log, wall };
  const snapshots = new Snapshots(needs);
  snapshots.restore({ maySwarm: () => true, mayPeer: () => !random.oneIn(20) });
  must(lines.length > 0, "nothing is told");
  const now = performance.now() / 1000;
  must((snapshots.figures.keptSeconds ?? now) <= now, "kept in the future");
  if (snapshots.restored !== undefined) takeOver(snapshots.restored, now);
  for (const value of [load.stretch, load.kept]) {
    must(value >= 1 && value <= LONGER_MAX, `intervals ${value} times as long`);
  }
  for (let peer = 0; peer < 4; peer++) announce(tracker, { infoHash: 0, peer }, now);
  sweepRound(new Sweep(tracker.store), now, 1000);
  const broken = brokenInvariants(tracker);
  must(broken.length === 0, broken.slice(0, 3).join("; "));
}

export function snapshotsCampaign(): Campaign {
  return {
    name: "snapshots with right checksums, a start with each",
    run(random, count) {
      const folder = mkdtempSync(join(tmpdir(), "fuzz-snapshots-"));
      const path = join(folder, "swarms");
      try {
        for (let done = 0; done < count;) {
          done += writeFile(random, path);
          if (random.oneIn(2)) done += writeFile(random, besideOf(path));
          start(random, path);
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  };
}
