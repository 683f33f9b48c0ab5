/**
 * How long announces wait while the tracker does something long beside them: `make stalls`.
 *
 * The claim it defends: neither a page of statistics, an export, a reload, a snapshot nor the sweep
 * keeps an announce waiting for more than 5 ms, with ten million peers stored.
 *
 *   bun test/bench/stalls.ts                                with no UDP worker, then with one
 *   bun test/bench/stalls.ts --workers 1 --scale 0.1        with a tenth of the peers
 *   bun test/bench/stalls.ts --rows nothing,top100          some rows only; `list` tells them all
 *
 * The binary is filled over UDP. Then, row by row, two probes announce at a modest rate, over UDP
 * and over HTTP, while the row's work is asked for over and over. The row `nothing` is the machine
 * itself, with the sweep going round; it stands at the beginning and at the end, and what exceeds
 * it is ours. Whoever asks for the work runs at a lower priority than the probes and the tracker,
 * but on the same processors. A full run writes test/bench/results/stalls.txt.
 *
 * The last rows are of trackers that begin with their swarms in a file (snapshot-file.ts), since no
 * huge swarm can be filled from the few addresses of the generator. They write it once a second,
 * 300 times as often as by default; `done` counts that.
 *
 * `lag` are the turns of the event loop that came more than 5 ms late, by the tracker's own
 * histogram, and `longest` those of the sweep's slices that took more than 1 ms.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, startTracker, type Tracker } from "../e2e/harness.ts";
import { commandOf, type Flags } from "./generators.ts";
import { parseReport, readOptions, type Report } from "./options.ts";
import { cpuSeconds, forgetPeak, peakBytes, residentBytes } from "./processes.ts";
import { machineLines, showTable, writeResults } from "./report.ts";
import { makeSnapshotFile } from "./snapshot-file.ts";

const options = readOptions({ workers: "0,1", scale: 1, seconds: 3, rows: "", huge: 1_500_000 });

const SWARMS = Math.round(1_000_000 * options.scale);
const PEERS = Math.round(10_000_000 * options.scale);
const HASHES_LISTED = 1_000_000;
const FILL_SECONDS_MAX = 120;
const TARGET_MILLISECONDS = 5;
const READERS_AT_ONCE = 4;
/** Between two pieces of work, so that small ones leave the probes a processor. */
const PAUSE_MILLISECONDS = 10;

const EVERYTHING = { "Accept-Encoding": "identity" };
const GZIP = { "Accept-Encoding": "gzip" };
const ZSTD = { "Accept-Encoding": "zstd" };

/** The tracker that is measured, and what is asked of it. */
interface Subject {
  tracker: Tracker;
  adminPort: number;
  workers: number;
}

/** A file of swarms with which a tracker of its own is started for a row, or for several. */
interface Kept {
  /** More peers, all in one swarm. */
  huge: number;
  /** How often the tracker writes it, in whole seconds; 0 for never. */
  intervalSeconds: number;
}

/** Does the row's work once. */
type Work = (subject: Subject) => Promise<unknown>;

const ROWS: Record<string, Work> = {
  nothing: () => Bun.sleep(50),
  "most modes": async (subject) => {
    for (const mode of ["everything", "peer", "woodpeckers", "hosts", "numwants", "renew"]) {
      await read(subject, `stats?mode=${mode}`);
    }
  },
  metrics: ({ adminPort }) => readUrl(`http://127.0.0.1:${adminPort}/metrics`),
  "the page": (subject) => read(subject, ""),
  top100: (subject) => read(subject, "stats?mode=top100"),
  s24s: (subject) => read(subject, "stats?mode=s24s"),
  tpbs: (subject) => read(subject, "stats?mode=tpbs&format=txtp", EVERYTHING),
  "tpbs, gzip": (subject) => read(subject, "stats?mode=tpbs&format=url", GZIP),
  statedump: (subject) => read(subject, "stats?mode=statedump", EVERYTHING),
  "full scrape": (subject) => read(subject, "scrape", EVERYTHING),
  "full scrape, gzip": (subject) => read(subject, "scrape", GZIP),
  "full scrape, zstd": (subject) => read(subject, "scrape", ZSTD),
  "reload of the lists": reload,
  "all of it at once": (subject) =>
    Promise.all([
      ...Array.from({ length: READERS_AT_ONCE }, () => read(subject, "scrape", ZSTD)),
      read(subject, "stats?mode=top100"),
      read(subject, "stats?mode=s24s"),
      reload(subject),
    ]),
};
/** After which the machine is looked at again … */
const LAST_ROWS = { "nothing, again": ROWS["nothing"] };
/** … and the rows of trackers that begin with swarms in a file, of which one may be huge. */
const KEPT_ROWS: Record<string, Kept> = {
  restored: { huge: 0, intervalSeconds: 0 },
  snapshot: { huge: 0, intervalSeconds: 1 },
  "sweep of a huge swarm": { huge: options.huge, intervalSeconds: 0 },
  "snapshot of a huge swarm": { huge: options.huge, intervalSeconds: 1 },
};

const ASKER = `
const [url, encoding] = process.argv.slice(-2);
const answer = await fetch(url, { headers: { "Accept-Encoding": encoding }, decompress: false });
let bytes = 0;
for await (const chunk of answer.body) bytes += chunk.length;
console.log(bytes);
`;

async function read(
  { tracker }: Subject,
  path: string,
  headers: Record<string, string> = EVERYTHING,
): Promise<void> {
  await readUrl(`http://127.0.0.1:${tracker.port}/${path}`, headers["Accept-Encoding"]);
}

/** Reads an answer to its end, in a process of lower priority. Small ones are not worth one. */
async function readUrl(url: string, encoding = "identity"): Promise<void> {
  if (!/scrape|tpbs|statedump/.test(url)) {
    await (await fetch(url)).bytes();
    return;
  }
  const command = [process.execPath, "-e", ASKER, "--", url, encoding];
  const nice = Bun.which("nice") === null ? [] : ["nice", "-n", "5"];
  const child = Bun.spawn([...nice, ...command], { stdout: "pipe", stderr: "ignore" });
  await child.exited;
}

async function reload({ tracker }: Subject): Promise<void> {
  const before = countOf(tracker.stderr, "reloaded");
  tracker.signal("SIGHUP");
  while (countOf(tracker.stderr, "reloaded") === before) await Bun.sleep(5);
}

const countOf = (text: string, word: string): number => text.split(word).length - 1;

async function start(workers: number, folder: string, kept?: Kept): Promise<Subject> {
  const adminPort = freePort();
  const snapshots = {
    TRACKER_SNAPSHOT_FILE: join(folder, `swarms-${kept?.huge}`),
    TRACKER_SNAPSHOT_INTERVAL: String(kept?.intervalSeconds),
  };
  const tracker = await startTracker({
    address: "127.0.0.1",
    env: {
      TRACKER_UDP_WORKERS: String(workers),
      TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
      TRACKER_FULLSCRAPE_INTERVAL: "0",
      TRACKER_DENY_FILE: await writeList(folder),
      TRACKER_MEMORY_MAX: "1GiB",
      TRACKER_PEERS_PER_SWARM_MAX: "10000000",
      // The generator has eight addresses.
      TRACKER_PEERS_PER_ADDRESS_MAX: "1000",
      ...(kept === undefined ? {} : snapshots),
    },
  });
  return { tracker, adminPort, workers };
}

/** Makes the file of a row's swarms, unless it is there. */
async function makeFile(folder: string, huge: number): Promise<void> {
  const file = join(folder, `swarms-${huge}`);
  if (existsSync(file)) return;
  await makeSnapshotFile(file, { swarms: SWARMS, peers: PEERS, huge });
}

/** A list of hashes nobody announces. */
async function writeList(folder: string): Promise<string> {
  const path = join(folder, "deny.txt");
  if (existsSync(path)) return path;
  const words = crypto.getRandomValues(new Uint8Array(20));
  const lines: string[] = [];
  for (let n = 0; n < HASHES_LISTED; n++) {
    new DataView(words.buffer).setUint32(0, Math.imul(n, 0x9e3779b1));
    lines.push(words.toHex());
  }
  await Bun.write(path, `${lines.join("\n")}\n`);
  return path;
}

async function fill({ tracker }: Subject, swarms: number, peers: number): Promise<void> {
  const report = await run("udp-load.ts", {
    ...{ port: tracker.port, mode: "fill", swarms, peers, window: 512 },
    seconds: FILL_SECONDS_MAX,
  }).ended;
  console.error(`${report.announces} peers announced in ${report.seconds.toFixed(1)} s`);
}

/** Starts a program of this folder; `begun` resolves at its first line, `ended` to its report. */
function run(file: string, settings: Flags): { begun: Promise<void>; ended: Promise<Report> } {
  const child = Bun.spawn(commandOf(file, settings), { stdio: ["ignore", "pipe", "inherit"] });
  const { promise, resolve } = Promise.withResolvers<void>();
  const ended = (async () => {
    let text = "";
    for await (const chunk of child.stdout) {
      text += Buffer.from(chunk).toString();
      resolve();
    }
    if ((await child.exited) !== 0) throw new Error(`${file} has failed`);
    return parseReport(text);
  })();
  return { begun: promise, ended };
}

/** The tracker's own counts: late turns, long slices of its sweep, snapshots written. */
async function tellsOf({ adminPort }: Subject): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const written = /^tracker_snapshots_total\{result="written"\} (\d+)$/m.exec(text)?.[1];
  const beyond = (name: string, bound: string): number => {
    const all = new RegExp(`^tracker_${name}_seconds_count (\\d+)$`, "m").exec(text);
    const within = new RegExp(`^tracker_${name}_seconds_bucket\\{le="${bound}"\\} (\\d+)$`, "m");
    return Number(all?.[1]) - Number(within.exec(text)?.[1]);
  };
  return {
    lag: beyond("event_loop_lag", "0.005"),
    sweep: beyond("sweep_duration", "0.001"),
    snapshots: Number(written ?? 0),
  };
}

const HEADING = ["", "done", "cpu ms", "UDP p99.9", "UDP max", "HTTP p99.9", "HTTP max"];

async function measure(subject: Subject, name: string, work: Work): Promise<string[]> {
  const { tracker } = subject;
  const settings = { port: tracker.port, seconds: options.seconds, swarms: SWARMS, peers: PEERS };
  const probes = ["udp", "http"].map((transport) => run("probe.ts", { ...settings, transport }));
  await Promise.all(probes.map(({ begun }) => begun));
  const before = await tellsOf(subject);
  const cpu = cpuSeconds(tracker.pid);
  let done = 0;
  let probing = true;
  const ended = Promise.all(probes.map((probe) => probe.ended)).finally(() => (probing = false));
  const working = (async () => {
    for (; probing; done++) {
      await work(subject);
      await Bun.sleep(PAUSE_MILLISECONDS);
    }
  })();
  const [udp, http] = await ended;
  const used = (cpuSeconds(tracker.pid) - cpu) * 1000;
  await working;
  const after = await tellsOf(subject);
  const milliseconds = [udp.p999_us, udp.max_us, http.p999_us, http.max_us].map((microseconds) =>
    (microseconds / 1000).toFixed(2),
  );
  const own = [after.lag - before.lag, after.sweep - before.sweep].map(String);
  if (name in KEPT_ROWS) done = after.snapshots - before.snapshots;
  const row = [name, isIdle(name) ? "" : String(done), used.toFixed(0)];
  console.error([...row, ...milliseconds, ...own].join("  "));
  return [...row, ...milliseconds, ...own];
}

/** True for rows in which nothing is asked for. */
const isIdle = (name: string): boolean =>
  name.startsWith("nothing") || KEPT_ROWS[name]?.intervalSeconds === 0;

const wanted = options.rows === "" ? undefined : options.rows.split(",");
const isWanted = (name: string): boolean => wanted?.includes(name) ?? true;

async function measureAll(workers: number, folder: string): Promise<string[]> {
  const rows = [[...HEADING, "lag", "longest"]];
  const memory: string[] = [];
  const filled = Object.entries({ ...ROWS, ...LAST_ROWS }).filter(([name]) => isWanted(name));
  if (filled.length > 0) {
    const subject = await start(workers, folder);
    await measureOn(subject, async () => {
      await fill(subject, SWARMS, PEERS);
      memory.push(
        await watchMemory(subject, async () => {
          for (const [name, work] of filled) rows.push(await measure(subject, name, work));
        }),
      );
    });
  }
  for (const [name, kept] of Object.entries(KEPT_ROWS)) {
    if (!isWanted(name)) continue;
    await makeFile(folder, kept.huge);
    const subject = await start(workers, folder, kept);
    await measureOn(subject, async () => {
      const told = await watchMemory(subject, async () => {
        rows.push(await measure(subject, name, ROWS["nothing"]));
      });
      if (kept.intervalSeconds > 0) memory.push(`${told}, ${name}`);
    });
  }
  return [
    `TRACKER_UDP_WORKERS=${workers}, ${PEERS} peers in ${SWARMS} swarms, milliseconds`,
    ...showTable(rows),
    ...memory,
  ];
}

/** Ends the tracker after the work, whatever becomes of it. */
async function measureOn({ tracker }: Subject, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await tracker.stop();
  }
}

/** The resident memory before some work, and its peak. */
async function watchMemory({ tracker }: Subject, work: () => Promise<void>): Promise<string> {
  const before = residentBytes(tracker.pid);
  forgetPeak(tracker.pid);
  await work();
  const [filled, most] = [before, peakBytes(tracker.pid)].map((bytes) =>
    Math.round(bytes / 2 ** 20),
  );
  return `resident memory: ${filled} MB once filled, ${most} MB at most`;
}

if (options.rows === "list") {
  console.log(Object.keys({ ...ROWS, ...LAST_ROWS, ...KEPT_ROWS }).join("\n"));
} else {
  const folder = await mkdtemp(join(tmpdir(), "buntracker-stalls-"));
  const tables: string[][] = [];
  try {
    for (const workers of options.workers.split(",")) {
      tables.push(await measureAll(Number(workers), folder));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  const aim = `aim      nothing that is ours keeps an announce for ${TARGET_MILLISECONDS} ms`;
  const text = [...machineLines(), aim, ...tables.flatMap((table) => ["", ...table])].join("\n");
  console.log(text);
  if (options.rows === "" && options.scale === 1) await writeResults("stalls.txt", `${text}\n`);
}
