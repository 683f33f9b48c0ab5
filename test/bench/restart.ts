/**
 * How long a restart takes, and what a snapshot costs: `make restart`.
 *
 * The claim it defends: a tracker with ten million peers ends in a second, answers a second and a
 * half after it was started again, and has every peer; while it writes, it takes hardly more
 * memory; and a kill at any moment of the writing leaves a whole file.
 *
 *   bun test/bench/restart.ts
 *   bun test/bench/restart.ts --rounds 1 --kills 5
 *
 * The swarms are made in a file (snapshot-file.ts), with which the binary is started. `start` runs
 * from the start of the process to its first answer, `end` from SIGTERM to its exit, so it includes
 * one look at the disk. The processor time of the event loop tells what is the tracker's on a
 * machine that others use. What the event loop does while it writes is measured by `make stalls`.
 * A full run writes test/bench/results/restart.txt.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, startTracker, type Tracker } from "../e2e/harness.ts";
import { SnapshotReader } from "../../src/snapshot/reader.ts";
import { readOptions } from "./options.ts";
import { forgetPeak, mainThreadSeconds, peakBytes, residentBytes } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";
import { makeSnapshotFile } from "./snapshot-file.ts";

const options = readOptions({ rounds: 5, kills: 50, scale: 1 });

const MIB = 2 ** 20;
const SNAPSHOTS_WATCHED = 4;
/** Longer than any writing takes: a kill comes at any moment of it. */
const KILL_MILLISECONDS_MAX = 120;

interface Case {
  name: string;
  swarms: number;
  peers: number;
  /** What each may take at most; seconds, bytes. */
  bars: { start: number; end: number; bytesPerPeer: number };
}

const CASES: Case[] = [
  {
    name: "1 M peers in 632,000 swarms",
    swarms: 632_000,
    peers: 1_000_000,
    bars: { start: 0.8, end: 0.5, bytesPerPeer: Infinity },
  },
  {
    name: "10 M peers in 1 M swarms",
    swarms: 1_000_000,
    peers: 10_000_000,
    bars: { start: 1.5, end: 1, bytesPerPeer: 11 },
  },
];
const EXTRA_MIB_MAX = 16;

const HEADING = ["", "bar", "reached", "median", "worst"];

function start(file: string, adminPort: number, env: Record<string, string>): Promise<Tracker> {
  return startTracker({
    address: "127.0.0.1",
    env: {
      TRACKER_SNAPSHOT_FILE: file,
      TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
      TRACKER_MEMORY_MAX: "1GiB",
      TRACKER_PEERS_PER_SWARM_MAX: "10000000",
      ...env,
    },
  });
}

async function metric(adminPort: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${name} `))
      ?.split(" ")[1],
  );
}

/** The best, the median and the worst of some times, against their bar. */
function row(name: string, bar: string, values: number[], unit: string, digits = 2): string[] {
  const shown = [Math.min(...values), median(values), Math.max(...values)];
  return [name, bar, ...shown.map((value) => `${value.toFixed(digits)}${unit}`)];
}

/** Starts and ends the tracker again and again; every peer must be there each time. */
async function measureRestarts(file: string, { swarms, peers, bars }: Case): Promise<string[][]> {
  const starts: number[] = [];
  const cpu: number[] = [];
  const ends: number[] = [];
  let bytes = 0;
  let expected = NaN;
  for (let round = 0; round < options.rounds; round++) {
    const adminPort = freePort();
    const tracker = await start(file, adminPort, { TRACKER_SNAPSHOT_INTERVAL: "0" });
    starts.push(tracker.readyMilliseconds / 1000);
    cpu.push(mainThreadSeconds(tracker.pid));
    const restored = await metric(adminPort, "tracker_restored_peers");
    if (Number.isNaN(expected)) expected = restored;
    if (restored !== expected || restored < 0.999 * peers) {
      throw new Error(`${restored} of ${peers} peers were restored`);
    }
    const begun = performance.now();
    await tracker.stop();
    ends.push((performance.now() - begun) / 1000);
    bytes = Bun.file(file).size;
    console.error(`${swarms} swarms: start ${starts.at(-1)}, end ${ends.at(-1)}`);
  }
  const perPeer = bytes / expected;
  const bytesBar = Number.isFinite(bars.bytesPerPeer) ? String(bars.bytesPerPeer) : "-";
  return [
    row("start to the first answer", `${bars.start} s`, starts, " s"),
    row("processor time of the event loop by then", "-", cpu, " s"),
    row("SIGTERM to the exit", `${bars.end} s`, ends, " s"),
    row("bytes of the file for each peer", bytesBar, [perPeer], ""),
  ];
}

/** The memory that the process takes in addition while it writes, in mebibytes. */
async function measureMemory(file: string): Promise<string[]> {
  const adminPort = freePort();
  await using tracker = await start(file, adminPort, { TRACKER_SNAPSHOT_INTERVAL: "1s" });
  await Bun.sleep(300);
  const before = residentBytes(tracker.pid);
  forgetPeak(tracker.pid);
  const written = 'tracker_snapshots_total{result="written"}';
  while ((await metric(adminPort, written)) < SNAPSHOTS_WATCHED) await Bun.sleep(200);
  const more = (peakBytes(tracker.pid) - before) / MIB;
  return row("peak memory while it is written", `+${EXTRA_MIB_MAX} MiB`, [more], " MiB", 1);
}

/** Kills the tracker at random moments of its writing; the file must be whole each time. */
async function measureKills(file: string): Promise<string[]> {
  let whole = 0;
  let drafts = 0;
  for (let kill = 0; kill < options.kills; kill++) {
    await rm(`${file}.new`, { force: true });
    const tracker = await start(file, freePort(), { TRACKER_SNAPSHOT_INTERVAL: "1s" });
    while (!existsSync(`${file}.new`)) await Bun.sleep(1);
    await Bun.sleep(Math.random() * KILL_MILLISECONDS_MAX);
    tracker.signal("SIGKILL");
    await tracker.exited();
    if (existsSync(`${file}.new`)) drafts += 1;
    const reader = SnapshotReader.open(file)!;
    reader.verify();
    reader.close();
    whole += 1;
  }
  const reached = `${whole} of ${options.kills}`;
  const note = `${drafts} in the middle`;
  return ["the file is whole after kill -9", "each time", reached, note, ""];
}

async function measureCase(one: Case, folder: string): Promise<string[]> {
  const file = join(folder, "swarms");
  const swarms = Math.round(one.swarms * options.scale);
  const peers = Math.round(one.peers * options.scale);
  await makeSnapshotFile(file, { swarms, peers });
  const rows = [HEADING, ...(await measureRestarts(file, { ...one, swarms, peers }))];
  rows.push(await measureMemory(file));
  if (one === CASES[0]) rows.push(await measureKills(file));
  return [one.name, ...showTable(rows)];
}

const folder = await mkdtemp(join(tmpdir(), "buntracker-restart-"));
const tables: string[][] = [];
try {
  for (const one of CASES) tables.push(await measureCase(one, folder));
} finally {
  await rm(folder, { recursive: true });
}
const text = [...machineLines(), ...tables.flatMap((table) => ["", ...table])].join("\n");
console.log(text);
if (options.scale === 1) await writeResults("restart.txt", `${text}\n`);
