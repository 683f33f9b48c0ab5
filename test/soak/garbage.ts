/**
 * Memory where much is received or read and nothing of it is kept: clients that drip bytes into
 * unfinished requests, and reloads of a list. The reserve of the swarms is large, because the
 * engine counts it when it decides how much garbage may wait.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startTracker, type Tracker } from "../e2e/harness.ts";
import { drip, type DripKind } from "./drips.ts";
import { memoryPeakOf, MIB, vitalsOf } from "./vitals.ts";

const CONNECTIONS = 1000;
const DRIPS_PER_SECOND = 200_000;
const DRIP_SECONDS = 60;
export const DRIP_BYTES_MAX = 250 * MIB;

const RELOADS = 200;
const HASHES = 200_000;
export const RELOAD_BYTES_MAX = 60_000_000;

/** The phase of the soak: what is wrong, as sentences. */
export async function complaintsOfGarbage(): Promise<string[]> {
  const found: string[] = [];
  for (const memoryMax of ["16MiB", "512MiB", "1GiB", "2560MiB"]) {
    const { peakBytes } = await drippedOn(memoryMax, "head", DRIP_SECONDS);
    if (peakBytes <= DRIP_BYTES_MAX) continue;
    found.push(`dripped bytes add ${Math.round(peakBytes / MIB)} MiB with ${memoryMax}`);
  }
  const grown = await grownByReloads(RELOADS, 1);
  if (grown > RELOAD_BYTES_MAX) {
    found.push(`${RELOADS} reloads of a list leave ${Math.round(grown / MIB)} MiB`);
  }
  return found;
}

/** What 1,000 dripping clients add to the memory of a tracker, and how many bytes they dripped. */
export async function drippedOn(
  memoryMax: string,
  kind: DripKind,
  seconds: number,
): Promise<{ peakBytes: number; drips: number }> {
  await using tracker = await startTracker({ env: { TRACKER_MEMORY_MAX: memoryMax } });
  await Bun.sleep(500);
  let drips = 0;
  const peakBytes = await memoryPeakOf(tracker.pid, async () => {
    const options = { connections: CONNECTIONS, dripsPerSecond: DRIPS_PER_SECOND };
    drips = await drip(tracker.port, seconds, kind, options);
  });
  return { peakBytes, drips };
}

/** What reloads of a list of 200,000 hashes add to the memory of a tracker, in bytes. */
export async function grownByReloads(reloads: number, workers: number): Promise<number> {
  using list = longList();
  await using tracker = await startTracker({
    env: {
      TRACKER_MEMORY_MAX: "2560MiB",
      TRACKER_UDP_WORKERS: `${workers}`,
      TRACKER_DENY_FILE: list.path,
    },
  });
  await Bun.sleep(500);
  const before = vitalsOf(tracker.pid).residentBytes;
  for (let i = 0; i < reloads; i++) await reload(tracker);
  return vitalsOf(tracker.pid).residentBytes - before;
}

/** Sends SIGHUP and waits until all files are read. */
export async function reload(tracker: Tracker): Promise<void> {
  const count = () => tracker.stderr.split("msg=reloaded").length;
  const before = count();
  tracker.signal("SIGHUP");
  const end = performance.now() + 20_000;
  while (count() === before) {
    if (performance.now() > end) throw new Error("a reload is not over after 20 s");
    await Bun.sleep(5);
  }
}

/** A file of 200,000 hashes that nobody announces; removed when the block is left. */
export function longList(): Disposable & { path: string } {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-list-"));
  const path = join(folder, "list");
  const hashes = Array.from({ length: HASHES }, (_, n) => {
    return (Math.imul(n, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0") + "ab".repeat(16);
  });
  writeFileSync(path, hashes.join("\n"));
  return { path, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}
