/**
 * This build of buntracker against an older one: `make regress OLD=path/of/the/older/binary`.
 *
 * The claim it defends: a change makes no request dearer and no tracker bigger than it was.
 *
 *   bun test/bench/regress.ts --old /tmp/buntracker-before
 *   bun test/bench/regress.ts --old /tmp/buntracker-before --rounds 3 --seconds 2
 *
 * The builds take turns, round after round, so that what disturbs the machine disturbs both. Each
 * is warm before it is measured. The time is that of the threads that answer, in nanoseconds per
 * request, from clients of thousands of networks: from a few addresses it would be an attack, which
 * costs more by design. Each round runs a new copy of either build: the system drops the unused
 * pages of an executable that lies there for hours, which made an older file look 4 MB smaller than
 * the same bytes copied anew. The figure to judge by is the least of the rounds, which the machine
 * disturbed least; the medians stand beside it. A full run writes test/bench/results/regress.txt.
 */
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARY } from "../e2e/harness.ts";
import { type Contender, endAll, startBinary } from "./contenders.ts";
import { type Flags, generate } from "./generators.ts";
import { readOptions, refuse, type Report } from "./options.ts";
import { answeringSeconds, residentBytes } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";

const DEFAULTS = { old: "", rounds: 5, seconds: 3 };
const options = readOptions(DEFAULTS);
if (!existsSync(options.old)) refuse("--old is the path of an older binary of buntracker");
if (!existsSync(BINARY)) refuse("there is no binary to compare: run `make build` first");

/** Idle, a tracker has let go of what its start needed after this time. */
const IDLE_MILLISECONDS = 4000;
const NETWORKS = 16_384;
const FILL_SECONDS_MAX = 60;
const SMALL = { swarms: 3000, peers: 30_000, skew: 0 };
/** Swarms of ten peers on average, all of which a reply holds. */
const USUAL = { swarms: 100_000, peers: 1_000_000, skew: 0 };

const MEASURES = [
  "UDP, peers that join, ns",
  "UDP, the usual mix, ns",
  "HTTP, connections kept, ns",
  "HTTP, one announce each, ns",
  "idle, KiB",
  "with a million peers, KiB",
] as const;

/** Nanoseconds a request of the load that the generator makes. */
async function cost(
  { pid, port }: Contender,
  program: string,
  flags: Flags,
  answers: (report: Report) => number,
): Promise<number> {
  const before = answeringSeconds(pid);
  const report = await generate(program, { port, ...flags });
  return ((answeringSeconds(pid) - before) * 1e9) / answers(report);
}

const answersOverUdp = ({ connects, announces, scrapes }: Report) =>
  connects! + announces! + scrapes!;
const answersOverHttp = ({ rps, seconds }: Report) => rps! * seconds!;

/** The figures of one build in one round, in the order of `MEASURES`. */
async function measure(name: string, binary: string): Promise<number[]> {
  const started = await startBinary(name, binary, ["127.0.0.1"]);
  if ("absent" in started) throw new Error(started.absent);
  await Bun.sleep(IDLE_MILLISECONDS);
  const idle = residentBytes(started.pid);
  const { seconds } = options;
  const udp = { seconds, networks: NETWORKS };
  await cost(started, "udp-load.ts", { ...udp, ...SMALL }, answersOverUdp);
  const fill = { ...udp, ...USUAL, mode: "fill", seconds: FILL_SECONDS_MAX };
  const joins = await cost(started, "udp-load.ts", fill, answersOverUdp);
  const mix = await cost(started, "udp-load.ts", { ...udp, ...USUAL }, answersOverUdp);
  const full = residentBytes(started.pid);
  const http: number[] = [];
  for (const keep of [1, 0]) {
    const flags = { ...USUAL, seconds, keep };
    await cost(started, "http-load.ts", flags, answersOverHttp);
    http.push(await cost(started, "http-load.ts", flags, answersOverHttp));
  }
  await started.end();
  return [joins, mix, ...http, idle / 1024, full / 1024];
}

const builds = { old: options.old, new: BINARY };
const figures: Record<keyof typeof builds, number[][]> = { old: [], new: [] };
const folder = await mkdtemp(join(tmpdir(), "buntracker-regress-"));

/** A copy that was just written, so that all of it is in the page cache. */
async function newCopy(name: keyof typeof builds): Promise<string> {
  const path = join(folder, name);
  await rm(path, { force: true });
  await writeFile(path, await readFile(builds[name]));
  await chmod(path, 0o755);
  return path;
}

try {
  for (let round = 0; round < options.rounds; round++) {
    for (const name of ["old", "new"] as const) {
      const row = await measure(name, await newCopy(name));
      figures[name].push(row);
      console.error(`${name}: ${row.map(Math.round).join(" ")}`);
    }
  }
} finally {
  await endAll();
  await rm(folder, { recursive: true, force: true });
}

const versionOf = (binary: string) => Bun.spawnSync([binary, "version"]).stdout.toString().trim();
const change = (before: number, after: number): string =>
  `${after < before ? "" : "+"}${((100 * (after - before)) / before).toFixed(1)} %`;
const table = MEASURES.map((name, at) => {
  const before = figures.old.map((row) => row[at]);
  const after = figures.new.map((row) => row[at]);
  const [leastBefore, leastAfter] = [Math.min(...before), Math.min(...after)];
  const [middleBefore, middleAfter] = [median(before), median(after)];
  const least = [leastBefore, leastAfter].map((value) => Math.round(value).toLocaleString("en"));
  const middle = [middleBefore, middleAfter].map((value) => Math.round(value).toLocaleString("en"));
  return [
    name,
    ...least,
    change(leastBefore, leastAfter),
    ...middle,
    change(middleBefore, middleAfter),
  ];
});
const heading = ["", "old, least", "new", "change", "old, median", "new", "change"];
const text = [
  ...machineLines(),
  `old      ${versionOf(builds.old)}`,
  `new      ${versionOf(builds.new)}`,
  `rounds   ${options.rounds} of each, in turn`,
  "",
  ...showTable([heading, ...table]),
  "",
].join("\n");
console.log(text);
const isFull = options.rounds >= DEFAULTS.rounds && options.seconds >= DEFAULTS.seconds;
if (isFull) await writeResults("regress.txt", text);
