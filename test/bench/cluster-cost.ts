/**
 * What sharing peers with other trackers costs: CPU time of the threads that answer, and of all.
 *
 * The claim it defends: with a cluster whose other trackers are idle, a UDP request costs its
 * thread at most 3 % more than without; without a cluster it costs nothing.
 *
 *   make build && scripts/bun test/bench/cluster-cost.ts                     four minutes
 *   scripts/bun test/bench/cluster-cost.ts --rounds 2 --seconds 1            a look
 *
 * It needs `nats-server`. A tracker that is alone and one that shares with another take turns. Each
 * is warm before it is measured, in two loads: peers that join, each of which is told to the other
 * tracker, and the usual mix. The figure to judge by is the least of the rounds, which the machine
 * disturbed least. The outcome is written to results/cluster-cost.txt, unless only a look was asked
 * for.
 */
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { BINARY } from "../e2e/harness.ts";
import { type Contender, endAll, startBinary } from "./contenders.ts";
import { type Flags, generate } from "./generators.ts";
import { readOptions, refuse, type Report } from "./options.ts";
import { cpuSeconds, mainThreadSeconds } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";

const DEFAULTS = { rounds: 5, seconds: 4 };
const options = readOptions(DEFAULTS);
if (NATS_SERVER === null) refuse("there is no nats-server: install it");

const NETWORKS = 16_384;
const USUAL = { swarms: 100_000, peers: 1_000_000, skew: 0, networks: NETWORKS };
const SMALL = { swarms: 3000, peers: 30_000, skew: 0, networks: NETWORKS };
const FILL_SECONDS_MAX = 60;

const MEASURES = [
  "peers that join: UDP thread",
  "peers that join: all threads",
  "the usual mix: UDP thread",
  "the usual mix: all threads",
] as const;

const load = ({ port }: Contender, flags: Flags): Promise<Report> =>
  generate("udp-load.ts", { port, ...flags });

/** Nanoseconds that a request of a load costs: the threads beside the event loop, and all. */
async function cost(tracker: Contender, flags: Flags): Promise<number[]> {
  const used = () => [cpuSeconds(tracker.pid), mainThreadSeconds(tracker.pid)];
  const [allBefore, mainBefore] = used();
  const { connects, announces, scrapes } = await load(tracker, flags);
  const [all, main] = used();
  const answers = connects + announces + scrapes;
  const whole = ((all - allBefore) * 1e9) / answers;
  return [whole - ((main - mainBefore) * 1e9) / answers, whole];
}

async function measure(name: string, url: string | undefined): Promise<number[]> {
  const { env } = process;
  env["TRACKER_UDP_WORKERS"] = "1";
  env["TRACKER_MEMORY_MAX"] = "1GiB";
  if (url === undefined) delete env["TRACKER_CLUSTER_URL"];
  else env["TRACKER_CLUSTER_URL"] = url;
  const all = [await startBinary(name, BINARY, ["127.0.0.1"])];
  if (url !== undefined) all.push(await startBinary("the other one", BINARY, ["127.0.0.1"]));
  const [tracker] = all as Contender[];
  if ("absent" in tracker) throw new Error(String(tracker.absent));
  // Trackers that start have caught up, or found nobody, after three seconds.
  await Bun.sleep(4000);
  const { seconds } = options;
  await load(tracker, { ...SMALL, seconds });
  const joins = await cost(tracker, { ...USUAL, mode: "fill", seconds: FILL_SECONDS_MAX });
  const mix = await cost(tracker, { ...USUAL, seconds });
  await endAll();
  return [...joins, ...mix];
}

const figures: { alone: number[][]; shares: number[][] } = { alone: [], shares: [] };
try {
  await using nats = await NatsServer.start();
  for (let round = 0; round < options.rounds; round++) {
    for (const name of ["alone", "shares"] as const) {
      const row = await measure(name, name === "alone" ? undefined : nats.url);
      figures[name].push(row);
      console.error(`${name}: ${row.map(Math.round).join(" ")}`);
    }
  }
} finally {
  await endAll();
}

const show = (value: number) => Math.round(value).toLocaleString("en");
const table = MEASURES.map((name, at) => {
  const [alone, shares] = [figures.alone, figures.shares].map((rows) => rows.map((row) => row[at]));
  const [least, leastShared] = [Math.min(...alone), Math.min(...shares)];
  const ratio = (leastShared / least).toFixed(3);
  const ratioOfMedians = (median(shares) / median(alone)).toFixed(3);
  const medians = [median(alone), median(shares)].map(show);
  return [name, show(least), show(leastShared), ratio, ...medians, ratioOfMedians];
});
const heading = [
  "ns a request",
  "alone, least",
  "shares",
  "ratio",
  "alone, median",
  "shares",
  "ratio",
];
const text = [
  ...machineLines(),
  `rounds   ${options.rounds} of each, in turn; one other tracker, one nats-server`,
  "",
  ...showTable([heading, ...table]),
  "",
].join("\n");
console.log(text);
const isFull = options.rounds >= DEFAULTS.rounds && options.seconds >= DEFAULTS.seconds;
if (isFull) await writeResults("cluster-cost.txt", text);
