/**
 * How far more threads carry: `make scaling`.
 *
 * The claims it defends: two threads do at least 1.8 times what one does with swarms chosen evenly
 * or by popularity, a second UDP worker makes an announce at most 10 % dearer, and one swarm for
 * all at most another 15. On a machine with more processors it goes on to 4, 8, … threads, up to
 * as many as there are.
 *
 *   bun test/bench/scaling.ts
 *   bun test/bench/scaling.ts --rounds 1 --windows 300
 *
 *   core   threads announce to shared swarms, in windows that they begin together. Only windows in
 *          which each thread had its processor all the time count (see scaling-core.ts)
 *   UDP    the tracker is stopped, announces are queued in its sockets, and it goes on; see `queue`
 *          in udp-load.ts
 *
 * Loads: `even` and `zipf` spread a million peers over 100,000 swarms; with `half` and `hot` every
 * second announce and each one is for one swarm, of a million peers in the core, of half of all and
 * of all over UDP; `scrape` is of that swarm.
 * Figures are medians of the rounds, in which the numbers of threads take turns. Writes the file
 * test/bench/results/scaling.txt.
 */
import { cpus } from "node:os";
import { HASH_KEY_WORDS } from "../../src/swarm/keyed-hash.ts";
import { reserveSwarmMemory } from "../../src/swarm/memory.ts";
import { BINARY, freePort } from "../e2e/harness.ts";
import { type Flags, generate } from "./generators.ts";
import { readOptions, type Report } from "./options.ts";
import { addLine, atLeast, atMost, outcome } from "./outcome.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";
import { COUNTS_PER_THREAD, type Load, LOADS, type ScalingTask, WINDOW } from "./scaling-core.ts";
import { mix } from "./workload.ts";

const DEFAULTS = { rounds: 5, windows: 800, queued: 150_000, threads: cpus().length };
const options = readOptions(DEFAULTS);

const SWARMS = 100_000;
const PEERS = 1_000_000;
const MEMORY_MAX = 512 * 2 ** 20;
/** Code is compiled before anything counts. */
const WARM_WINDOWS = 100;
/** What two threads do of what one does, at least. */
const CORE_BARS: Partial<Record<Load, number>> = { even: 1.8, zipf: 1.8, hot: 0.8 };
/** Wall time without the processor, at most, in a window that counts. */
const AWAY_SHARE_MAX = 0.03;

interface CoreFigures {
  nanoseconds: number;
  millions: number;
  windows: number;
  pauses: number;
  sleeps: number;
}

async function runCore(load: Load, threads: number): Promise<CoreFigures> {
  const keys = new Int32Array(HASH_KEY_WORDS).map((_, i) => mix(i + 1) | 1);
  const times = { peerTimeout: 2700, downloadsTimeout: 86_400 };
  const memory = reserveSwarmMemory({ memoryMax: MEMORY_MAX, ...times, threads: true }, keys);
  const windows = WARM_WINDOWS + options.windows;
  const figures = new SharedArrayBuffer(windows * threads * 16);
  const words = new SharedArrayBuffer(4 * (1 + COUNTS_PER_THREAD * threads));
  const workers = Array.from({ length: threads }, (_, thread) => {
    const worker = new Worker(new URL("./scaling-core.ts", import.meta.url).href);
    const task = { memory, load, thread, threads, windows, swarms: SWARMS, peers: PEERS };
    worker.postMessage({ ...task, figures, words } satisfies ScalingTask);
    return worker;
  });
  const ended = workers.map((worker) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    worker.onmessage = resolve;
    worker.onerror = reject;
    return promise;
  });
  await Promise.all(ended);
  for (const worker of workers) worker.terminate();
  return summarize(new Float64Array(figures), new Int32Array(words), threads, windows);
}

function summarize(
  figures: Float64Array,
  words: Int32Array,
  threads: number,
  windows: number,
): CoreFigures {
  const costs: number[] = [];
  const rates: number[] = [];
  for (let window = WARM_WINDOWS; window < windows; window++) {
    const at = 2 * window * threads;
    const walls = Array.from({ length: threads }, (_, thread) => figures[at + 2 * thread]);
    const used = Array.from({ length: threads }, (_, thread) => figures[at + 2 * thread + 1]);
    if (walls.some((wall, thread) => wall - used[thread] > AWAY_SHARE_MAX * wall)) continue;
    costs.push(used.reduce((sum, cpu) => sum + cpu, 0) / (threads * WINDOW));
    rates.push(walls.reduce((sum, wall) => sum + (1000 * WINDOW) / wall, 0));
  }
  const announces = windows * threads * WINDOW;
  const sum = (of: number): number =>
    words.slice(1).reduce((all, count, i) => all + (i % COUNTS_PER_THREAD === of ? count : 0), 0);
  return {
    nanoseconds: median(costs),
    millions: median(rates),
    windows: costs.length,
    pauses: (1000 * sum(0)) / announces,
    sleeps: (100 * sum(1)) / announces,
  };
}

/** 1, 2, 4, … up to the processors. */
function threadCounts(): number[] {
  const counts: number[] = [];
  for (let threads = 1; threads <= options.threads; threads *= 2) counts.push(threads);
  return counts;
}

/**
 * Figures of each number of threads, round by round. The numbers take turns: what slows the machine
 * for a while, slows all of them, and does not look like a loss by the second thread.
 */
async function inTurns<T>(run: (threads: number) => Promise<T>): Promise<Map<number, T[]>> {
  const figures = new Map<number, T[]>(threadCounts().map((threads) => [threads, []]));
  for (let round = 0; round < options.rounds; round++)
    for (const [threads, rounds] of figures) rounds.push(await run(threads));
  return figures;
}

const medianOf = (values: number[]): number =>
  median(values.filter((value) => !Number.isNaN(value)));

/** The median of the rounds' ratios. */
const ratioOf = (these: number[], those: number[]): number =>
  medianOf(these.map((value, round) => value / those[round]));

async function coreTable(): Promise<string[]> {
  const heading = [
    "core",
    "threads",
    "ns CPU",
    "M/s",
    "of 1 thread",
    "pauses/1000",
    "slept %",
    "ok",
  ];
  const rows: string[][] = [heading];
  for (const load of LOADS) {
    const figures = await inTurns((threads) => runCore(load, threads));
    const all = (threads: number, name: keyof CoreFigures): number[] =>
      figures.get(threads)!.map((row) => row[name]);
    for (const threads of figures.keys()) {
      const of = (name: keyof CoreFigures): number => medianOf(all(threads, name));
      const gain = ratioOf(all(threads, "millions"), all(1, "millions"));
      if (threads === 2 && load in CORE_BARS) {
        atLeast(`core, ${load}: 2 threads / 1`, CORE_BARS[load]!, gain);
      }
      if (threads === 2 && load === "hot") atMost("core, hot: sleeps, %", 0.5, of("sleeps"));
      rows.push([
        load,
        String(threads),
        of("nanoseconds").toFixed(0),
        of("millions").toFixed(2),
        gain.toFixed(2),
        of("pauses").toFixed(2),
        of("sleeps").toFixed(4),
        `${((100 * of("windows")) / options.windows).toFixed(0)} %`,
      ]);
      console.error(rows.at(-1)!.join(" "));
    }
  }
  return showTable(rows);
}

/** UDP loads, as the generator is told of them. */
const UDP_LOADS = {
  even: { swarms: SWARMS, peers: PEERS, skew: 0 },
  zipf: { swarms: SWARMS, peers: PEERS, skew: 1 },
  half: { swarms: SWARMS, peers: PEERS, skew: 0, hot: 0.5 },
  hot: { swarms: 1, peers: PEERS, skew: 0 },
};
/**
 * So a network has 15 of a million peers. With 16,384 networks it had 61: where all are in one
 * swarm, its parts then have peers of a few networks, and nearly each reply was drawn anew so that
 * no network dominates it (spread.ts), for 2 µs. A swarm of a million clients has more networks.
 */
const NETWORKS = 65_536;

/** All cores carry the load. */
const load = (flags: Flags): Promise<Report> => generate("udp-load.ts", flags, { anywhere: true });

interface Drained {
  drain(): Promise<Report>;
  end(): Promise<void>;
}

/** Starts a tracker with this number of workers and fills it; each `drain` empties a full queue. */
async function startDrained(kind: keyof typeof UDP_LOADS, workers: number): Promise<Drained> {
  const port = freePort();
  const child = Bun.spawn([BINARY], {
    env: {
      PATH: process.env.PATH ?? "",
      TRACKER_UDP_ADDRESS: `127.0.0.1:${port}`,
      TRACKER_HTTP_ADDRESS: "",
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_LOG_LEVEL: "error",
      TRACKER_UDP_WORKERS: String(workers),
      TRACKER_UDP_RECEIVE_BUFFER: "256MiB",
      TRACKER_RATE_LIMIT: "off",
      TRACKER_MEMORY_MAX: "1GiB",
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  const common = { port, pid: child.pid, networks: NETWORKS, sockets: 64, ...UDP_LOADS[kind] };
  const drain = () => load({ ...common, mode: "queue", queued: options.queued });
  try {
    await load({ ...common, mode: "fill", seconds: 60 });
    await drain();
  } catch (error) {
    await end();
    throw error;
  }
  return { drain, end };
}

/** The figures of each number of workers; their trackers run side by side, drained in turns. */
async function runUdp(kind: keyof typeof UDP_LOADS): Promise<Map<number, Report[]>> {
  const started = new Map<number, Drained>();
  try {
    for (const workers of threadCounts()) started.set(workers, await startDrained(kind, workers));
    return await inTurns((workers) => started.get(workers)!.drain());
  } finally {
    for (const tracker of started.values()) await tracker.end();
  }
}

async function udpTable(): Promise<string[]> {
  /** µs of two workers by load. */
  const ofTwo: Partial<Record<keyof typeof UDP_LOADS, number>> = {};
  const heading = [
    "UDP",
    "workers",
    "µs CPU",
    "announces/s",
    "µs of 1 worker",
    "rate of 1",
    "lost",
  ];
  const rows: string[][] = [heading];
  for (const load of Object.keys(UDP_LOADS) as (keyof typeof UDP_LOADS)[]) {
    const figures = await runUdp(load);
    const all = (workers: number, name: string): number[] =>
      figures.get(workers)!.map((round) => round[name]);
    for (const workers of figures.keys()) {
      const of = (name: string): number => medianOf(all(workers, name));
      const ofOne = (name: string): number => ratioOf(all(workers, name), all(1, name));
      if (workers === 2) ofTwo[load] = of("cpu_us");
      if (workers === 2 && load === "zipf") {
        atMost("UDP, zipf: CPU of 2 workers / 1", 1.1, ofOne("cpu_us"));
        atLeast("UDP, zipf: announces/s of 2 workers / 1", 1.7, ofOne("rps"));
      }
      rows.push([
        load,
        String(workers),
        of("cpu_us").toFixed(2),
        Math.round(of("rps")).toLocaleString("en"),
        ofOne("cpu_us").toFixed(2),
        ofOne("rps").toFixed(2),
        String(of("lost")),
      ]);
      console.error(rows.at(-1)!.join(" "));
    }
  }
  const { zipf = NaN, hot = NaN } = ofTwo;
  atMost("UDP, 2 workers: CPU all to one swarm / zipf", 1.15, hot / zipf);
  return showTable(rows);
}

addLine((await coreTable()).join("\n"));
addLine((await udpTable()).join("\n"));
const text = outcome([...machineLines(), `rounds   ${options.rounds}`]);
console.log(text);
const isFull = options.rounds >= DEFAULTS.rounds && options.windows >= DEFAULTS.windows;
if (isFull) await writeResults("scaling.txt", text);
process.exit(0);
