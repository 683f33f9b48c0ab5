/**
 * What watching costs: counters, histograms and the scrapes of /metrics.
 *
 * The claim it defends: metrics cost under 2 % of throughput. Three variants of the journey run in
 * process, each in a process of its own, a round in turn: `bare`, whose sources are bundled without
 * the lines that count; `metrics`, with counters and histograms; and `all`, with the notes for
 * statistics and warnings too. The differences are a few nanoseconds per datagram, which rounds on
 * a whole server would bury; they are set against what a request costs the compiled server in all,
 * system calls included, measured here too. The same server then holds a million swarms, and the
 * CPU time of scraping it is told, less what it uses when left alone.
 *
 *   make build && scripts/bun test/bench/metrics-cost.ts                 a minute
 *   scripts/bun test/bench/metrics-cost.ts --rounds 3 --swarms 10000     a look
 *
 * The outcome is written to results/metrics-cost.txt, unless only a look was asked for.
 */
import type { BunPlugin } from "bun";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CORE_SERVERS, pinned } from "./contenders.ts";
import { generate } from "./generators.ts";
import { readOptions } from "./options.ts";
import { cpuSeconds } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";
import { BINARY, freePort } from "../e2e/harness.ts";

const DEFAULTS = { rounds: 21, swarms: 1_000_000, seconds: 5 };
const options = readOptions(DEFAULTS);

const COST_MAX = 0.02;
const SCRAPE_EVERY_SECONDS = 15;
const SCRAPES = 100;

/** Lines that count, and how many of them the journey has at least. */
const COUNTING = /^\s*(?:this\.#)?counts\[.*\] \+= [\w.]+;$/gm;
const COUNTING_MIN = 12;

const VARIANTS = ["bare", "metrics", "all"] as const;
type Variant = (typeof VARIANTS)[number];

const folder = await mkdtemp(join(tmpdir(), "metrics-cost-"));

/** Takes the counting lines out of the journey; throws if they are not there any more. */
const uncounted: BunPlugin = {
  name: "uncounted",
  setup(build) {
    build.onLoad({ filter: /src\/udp\/journey\.ts$/ }, async ({ path }) => {
      const text = await Bun.file(path).text();
      const lines = text.match(COUNTING)?.length ?? 0;
      if (lines < COUNTING_MIN) throw new Error(`only ${lines} lines of the journey count`);
      return { contents: text.replace(COUNTING, ""), loader: "ts" };
    });
  },
};

/** The program of a variant, in one file. */
async function bundle(variant: Variant): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "metrics-rounds.ts")],
    target: "bun",
    minify: true,
    plugins: variant === "bare" ? [uncounted] : [],
  });
  const path = join(folder, `${variant}.js`);
  await Bun.write(path, outputs[0]);
  return path;
}

/** A variant that runs a round whenever it is asked. */
class Rounds {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<string>;

  constructor(program: string, variant: Variant) {
    const [notes, histograms] = [Number(variant === "all"), Number(variant !== "bare")];
    const args = ["--notes", notes, "--histograms", histograms].map(String);
    const command = pinned(CORE_SERVERS, [process.execPath, program, ...args]);
    this.#child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.#lines = linesOf(this.#child.stdout);
  }

  async run(): Promise<number> {
    this.#child.stdin.write("\n");
    await this.#child.stdin.flush();
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("a variant has ended");
    return Number(value);
  }

  async end(): Promise<void> {
    await this.#child.stdin.end();
    await this.#child.exited;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = lines.pop()!;
    yield* lines;
  }
}

/** Nanoseconds per datagram, of every round. */
type Journeys = Record<Variant, number[]>;

/** The rounds of all variants; two each come before and warm up. */
async function measureJourneys(): Promise<Journeys> {
  const all: [Variant, Rounds, number[]][] = [];
  for (const variant of VARIANTS)
    all.push([variant, new Rounds(await bundle(variant), variant), []]);
  for (const [, rounds] of all) for (let i = 0; i < 2; i++) await rounds.run();
  for (let i = 0; i < options.rounds; i++) {
    // Who comes first changes, so that nobody always follows the same neighbour.
    for (let j = 0; j < all.length; j++) {
      const [, rounds, taken] = all[(i + j) % all.length];
      taken.push(await rounds.run());
    }
  }
  for (const [, rounds] of all) await rounds.end();
  return Object.fromEntries(all.map(([name, , taken]) => [name, taken])) as Journeys;
}

interface Server {
  /** Nanoseconds of CPU time a request costs the compiled server in all. */
  requestNs: number;
  /** Milliseconds of CPU time of one scrape, and how long it takes. */
  scrapeMs: number;
  tookMs: number;
  swarms: number;
}

async function measureServer(): Promise<Server> {
  const [port, adminPort] = [freePort(), freePort()];
  const env = {
    TRACKER_UDP_ADDRESS: `127.0.0.1:${port}`,
    TRACKER_HTTP_ADDRESS: "",
    TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
    TRACKER_MEMORY_MAX: "1GiB",
  };
  const stdio = ["ignore", "ignore", "ignore"] as const;
  const child = Bun.spawn(pinned(CORE_SERVERS, [BINARY]), { env, stdio: [...stdio] });
  try {
    const metrics = `http://127.0.0.1:${adminPort}/metrics`;
    await answers(metrics);
    const ours = { port, pid: child.pid };
    const busy = await generate("udp-load.ts", { ...ours, seconds: options.seconds });
    const { swarms } = options;
    const filling = { mode: "fill", seconds: 60, skew: 0, swarms, peers: swarms };
    await generate("udp-load.ts", { ...ours, ...filling });
    return { requestNs: busy.cpu_us * 1000, ...(await measureScrapes(metrics, child.pid)) };
  } finally {
    child.kill();
    await child.exited;
  }
}

async function answers(url: string): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if ((await fetch(url).catch(() => undefined))?.ok) return;
    await Bun.sleep(50);
  }
  throw new Error("buntracker does not answer: run `make build` first");
}

async function measureScrapes(url: string, pid: number): Promise<Omit<Server, "requestNs">> {
  const text = await (await fetch(url)).text();
  const swarms = Number(/^tracker_swarms (\d+)$/m.exec(text)?.[1]);
  const begun = performance.now();
  const before = cpuSeconds(pid);
  for (let i = 0; i < SCRAPES; i++) await (await fetch(url)).text();
  const used = cpuSeconds(pid) - before;
  const took = performance.now() - begun;
  const idleFrom = cpuSeconds(pid);
  await Bun.sleep(took);
  const idle = cpuSeconds(pid) - idleFrom;
  return { scrapeMs: ((used - idle) * 1000) / SCRAPES, tookMs: took / SCRAPES, swarms };
}

/** Half of what the middle half of the rounds spans: less than this cannot be told. */
function spread(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const quarter = Math.floor(sorted.length / 4);
  return (sorted[sorted.length - 1 - quarter] - sorted[quarter]) / 2;
}

/** The text, and whether the claim holds. */
function report(journeys: Journeys, server: Server): [string, boolean] {
  const { requestNs, scrapeMs, tookMs, swarms } = server;
  const percent = (part: number) => `${(part * 100).toFixed(2)} %`;
  const more = (variant: Variant) => median(journeys[variant]) - median(journeys.bare);
  const row = (name: string, variant: Variant) => {
    const numbers = [median(journeys[variant]), spread(journeys[variant]), more(variant)];
    const shown = numbers.map((ns) => ns.toFixed(1));
    return [name, ...shown, percent(more(variant) / requestNs)];
  };
  const table = showTable([
    ["journey of a datagram", "ns", "±", "more", "of a request"],
    row("bare", "bare"),
    row("counters, histograms", "metrics"),
    row("and notes for statistics", "all"),
  ]);
  const scrapes = scrapeMs / 1000 / SCRAPE_EVERY_SECONDS;
  const cost = more("metrics") / requestNs + scrapes;
  const lines = [
    ...machineLines(),
    `rounds   ${options.rounds}, alternating`,
    "",
    ...table,
    "",
    `a request costs the server ${requestNs.toFixed(0)} ns of CPU time in all`,
    `a scrape of ${swarms.toLocaleString("en")} swarms: ${scrapeMs.toFixed(2)} ms of CPU time, ` +
      `${tookMs.toFixed(2)} ms long`,
    `one every ${SCRAPE_EVERY_SECONDS} s takes ${percent(scrapes)} of a core`,
    `metrics cost ${percent(cost)} of throughput: ${cost < COST_MAX ? "under" : "NOT under"} 2 %`,
    "",
  ];
  return [lines.join("\n"), cost < COST_MAX];
}

try {
  const journeys = await measureJourneys();
  const server = await measureServer();
  const [text, good] = report(journeys, server);
  console.log(text);
  const whole = options.rounds === DEFAULTS.rounds && options.swarms === DEFAULTS.swarms;
  if (whole) await writeResults("metrics-cost.txt", text);
  process.exitCode = good ? 0 : 1;
} finally {
  await rm(folder, { recursive: true });
}
