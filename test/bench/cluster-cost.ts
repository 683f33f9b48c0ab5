/**
 * What sharing peers with other trackers costs: CPU time of the threads that answer, and of all.
 *
 * The claims it defends: with a cluster whose other trackers are idle, a UDP request costs its
 * thread at most 3 % more than without. With another tracker that is as busy, so that as many
 * announces are told to this one as it answers, an announce costs the process at most 15 % more.
 *
 *   make cluster-cost                                                        ten minutes
 *   scripts/bun test/bench/cluster-cost.ts --rounds 2 --seconds 1            a look
 *   scripts/bun test/bench/cluster-cost.ts --only both                       without the others
 *
 * It needs `nats-server`. Two trackers that are alone and two that share take turns. Each is warm
 * before it is measured. The engine compiles what was called often, and 20 messages a second are
 * few, so those that share first exchange as many as in some minutes. There are three loads: peers
 * that join, each of which is told to the other tracker; the usual mix; and both trackers at once,
 * at a rate that both can answer. There the peers of one are not those of the other, and mostly
 * new, so most announces are told. The figure to judge by is the least of the rounds, which the
 * machine disturbed least. The outcome is written
 * to results/cluster-cost.txt, unless only a look was asked for.
 */
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { NatsLink } from "../../src/cluster/link.ts";
import {
  askMessage,
  DELTA_BYTES_IPV4,
  DELTA_DOWNLOAD,
  deltasMessage,
  KIND_HELLO,
  KIND_STATE,
  readMessage,
} from "../../src/cluster/wire.ts";
import { BINARY, freePort } from "../e2e/harness.ts";
import { type Contender, endAll, startBinary } from "./contenders.ts";
import { type Flags, generate } from "./generators.ts";
import { readOptions, refuse, type Report } from "./options.ts";
import { cpuSeconds, mainThreadSeconds } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";

const DEFAULTS = { rounds: 5, seconds: 4 };
const options = readOptions({ ...DEFAULTS, only: "" });
if (NATS_SERVER === null) refuse("there is no nats-server: install it");
if (options.only !== "" && options.only !== "both") refuse("--only takes `both`, or is left out");

const NETWORKS = 16_384;
const USUAL = { swarms: 100_000, peers: 1_000_000, skew: 0, networks: NETWORKS };
const SMALL = { swarms: 3000, peers: 30_000, skew: 0, networks: NETWORKS };
const FILL_SECONDS_MAX = 60;
/** Requests a second at each of both trackers, half of them announces. */
const BOTH_RATE = 40_000;
const BOTH_WARM_SECONDS = 20;
/**
 * Less than this part of it answered, and the round does not count: what each batch of requests and
 * each message costs is then shared by fewer requests, in one contender more than in the other.
 */
const CARRIED_MIN = 0.95;
const BOTH = { mode: "rate", rate: BOTH_RATE, peers: 4_000_000, skew: 0, networks: NETWORKS };

/** Batches that each tracker gets before it is measured, and chunks that it sends. */
const MESSAGES = 2500;

const MEASURES = [
  "peers that join: UDP thread",
  "peers that join: all threads",
  "the usual mix: UDP thread",
  "the usual mix: all threads",
];
const BOTH_AT_ONCE = "both at once: all threads";
/** What a run measures; `--only both` leaves the others out. */
const measures = options.only === "both" ? [BOTH_AT_ONCE] : [...MEASURES, BOTH_AT_ONCE];

const load = ({ port }: Contender, flags: Flags): Promise<Report> =>
  generate("udp-load.ts", { port, ...flags });

/**
 * Nanoseconds that a request of a load costs: the threads beside the event loop, and all. The third
 * number is that of answers.
 */
async function cost(tracker: Contender, flags: Flags): Promise<number[]> {
  const used = () => [cpuSeconds(tracker.pid), mainThreadSeconds(tracker.pid)];
  const [allBefore, mainBefore] = used();
  const { connects, announces, scrapes } = await load(tracker, flags);
  const [all, main] = used();
  const answers = connects + announces + scrapes;
  const whole = ((all - allBefore) * 1e9) / answers;
  return [whole - ((main - mainBefore) * 1e9) / answers, whole, answers];
}

/** A figure for each of `measures`; undefined if the machine did not carry the load. */
async function measure(name: string, url: string | undefined): Promise<number[] | undefined> {
  const { env } = process;
  env["TRACKER_UDP_WORKERS"] = "1";
  env["TRACKER_MEMORY_MAX"] = "1GiB";
  if (url === undefined) delete env["TRACKER_CLUSTER_URL"];
  else env["TRACKER_CLUSTER_URL"] = url;
  const admin = `127.0.0.1:${freePort()}`;
  const tracker = await start(name, admin);
  const other = await start("the other one", `127.0.0.1:${freePort()}`);
  // Trackers that start have caught up, or found nobody, after three seconds.
  await Bun.sleep(4000);
  const { seconds } = options;
  await load(tracker, { ...SMALL, seconds });
  if (url !== undefined) await exchangeMany(url);
  const others: number[] = [];
  if (options.only !== "both") {
    const fill = { ...USUAL, mode: "fill", seconds: FILL_SECONDS_MAX };
    others.push(...(await cost(tracker, fill)).slice(0, 2));
    others.push(...(await cost(tracker, { ...USUAL, seconds })).slice(0, 2));
  }
  // After 8 s the compiler of hot code still had work, a tenth of all; after 20 s it had none.
  await Promise.all([
    load(tracker, { ...BOTH, swarms: 180_000, seconds: BOTH_WARM_SECONDS }),
    load(other, { ...BOTH, swarms: 170_000, seconds: BOTH_WARM_SECONDS }),
  ]);
  const before = await deltasOf(admin);
  const [both] = await Promise.all([
    cost(tracker, { ...BOTH, swarms: 200_000, seconds }),
    load(other, { ...BOTH, swarms: 190_000, seconds }),
  ]);
  const [sent, received] = (await deltasOf(admin)).map((deltas, at) => deltas - before[at]);
  if (url !== undefined) console.error(`both at once: ${sent} deltas sent, ${received} received`);
  await endAll();
  const carried = both[2] / (BOTH_RATE * seconds);
  if (carried >= CARRIED_MIN) return [...others, both[1]];
  const percent = Math.round(100 * carried);
  console.error(`${name}: ${percent} % of the load was carried, so this round does not count`);
  return undefined;
}

/** Both trackers get many messages, and send many: a batch each has had, and asks for a chunk. */
async function exchangeMany(url: string): Promise<void> {
  const self = { origin: crypto.getRandomValues(new Uint8Array(8)).toHex(), number: 1 };
  const trackers = new Set<string>();
  /** The session of each tracker that has more to send. */
  const sessions = new Map<string, number>();
  let chunks = 0;
  const heard = (bytes: Uint8Array): void => {
    const message = readMessage(bytes);
    if (typeof message === "string") return;
    if (message.kind === KIND_HELLO) trackers.add(message.origin);
    if (message.kind !== KIND_STATE) return;
    chunks += 1;
    if (message.chunk === undefined) sessions.delete(message.origin);
  };
  const { hostname: host, port } = new URL(url);
  const engines = [{ host, port: Number(port), tls: false, user: undefined, password: undefined }];
  const connected = Promise.withResolvers<unknown>();
  const ignore = (): void => {};
  const events = { heard, connected: connected.resolve, lost: ignore, refused: ignore };
  const options = {
    engines,
    login: () => ({}),
    name: "default",
    origin: self.origin,
    node: "many",
  };
  const link = await NatsLink.open(options, events);
  await connected.promise;
  for (let wait = 0; wait < 30 && trackers.size < 2; wait++) await Bun.sleep(100);
  if (trackers.size !== 2) throw new Error(`${trackers.size} trackers are heard, not two`);
  // Downloads of one swarm: only the first batch counts, for the others have the same number.
  const records = new Uint8Array(1000 * DELTA_BYTES_IPV4);
  for (let at = 0; at < records.length; at += DELTA_BYTES_IPV4) records[at] = DELTA_DOWNLOAD;
  for (let n = 1; n <= MESSAGES; n++) {
    link.sendAll(deltasMessage(self, records));
    for (const tracker of trackers) {
      // Each goes on until its end: a session that begins soon after another is refused.
      const begins = !sessions.has(tracker);
      if (begins) sessions.set(tracker, n);
      const session = sessions.get(tracker)!;
      const ask = { session, begins, sinceSeconds: Infinity, credit: 1 };
      link.sendTo(tracker, askMessage(self, ask));
    }
    for (let wait = 0; wait < 100 && chunks < 2 * n; wait++) await Bun.sleep(1);
  }
  if (chunks < MESSAGES) throw new Error(`${chunks} of ${2 * MESSAGES} asks were answered`);
  await link.close();
}

async function start(name: string, admin: string): Promise<Contender> {
  process.env["TRACKER_ADMIN_ADDRESS"] = admin;
  const started = await startBinary(name, BINARY, ["127.0.0.1"]);
  if ("absent" in started) throw new Error(started.absent);
  return started;
}

/** Deltas that a tracker has sent, and received. */
async function deltasOf(admin: string): Promise<number[]> {
  const text = await (await fetch(`http://${admin}/metrics`)).text();
  return ["sent", "received"].map((direction) => {
    const name = `tracker_cluster_deltas_total{direction="${direction}"} `;
    const line = text.split("\n").find((line) => line.startsWith(name));
    return Number(line?.slice(name.length) ?? 0);
  });
}

const figures: { alone: number[][]; shares: number[][] } = { alone: [], shares: [] };
try {
  await using nats = await NatsServer.start();
  const { alone, shares } = figures;
  const attempts = 2 * options.rounds;
  for (let n = 0; n < attempts && Math.min(alone.length, shares.length) < options.rounds; n++) {
    for (const name of ["alone", "shares"] as const) {
      const row = await measure(name, name === "alone" ? undefined : nats.url);
      if (row === undefined) continue;
      figures[name].push(row);
      console.error(`${name}: ${row.map(Math.round).join(" ")}`);
    }
  }
} finally {
  await endAll();
}

if (Math.min(figures.alone.length, figures.shares.length) === 0) {
  refuse("no round counts: the machine has other work");
}
const show = (value: number) => Math.round(value).toLocaleString("en");
const table = measures.map((name, at) => {
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
  `rounds   ${figures.alone.length} alone, ${figures.shares.length} that share, in turn`,
  "others   one tracker, one nats-server",
  `both     ${BOTH_RATE} requests a second at each, half of them announces of peers that are new`,
  "",
  ...showTable([heading, ...table]),
  "",
].join("\n");
console.log(text);
const isFull =
  options.only === "" &&
  figures.shares.length >= DEFAULTS.rounds &&
  options.seconds >= DEFAULTS.seconds;
if (isFull) await writeResults("cluster-cost.txt", text);
