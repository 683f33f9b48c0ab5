/**
 * `make overload`: three times as many requests as can be answered, for a minute.
 *
 * The promise: meanwhile at least nine tenths of the capacity go on being answered and memory stays
 * where it was, and a second later latencies are as they were before.
 *
 *   bun test/soak/overload.ts [--seconds 60] [--times 3] [--guests N]
 *
 *   1  fill with 1,000,000 peers, find the capacity, time single announces      ... before
 *   2  flood: connects, announces and scrapes, 50 to 50 to 1, at `times` the capacity
 *   3  time single announces, one after another, from the moment the flood ends ... after
 *   4  the same over HTTP, one connection for each announce, for a sixth of the time
 *
 * Server on core 0, generators on core 1. If one core of generators cannot offer that much, busy
 * processes share the server's core, from the first measurement on: each of them takes its part of
 * the core, so that capacity and flood are measured on a slower machine, which is then said. How
 * many is tried out, or `guests`. A run of a minute or more writes
 * test/bench/results/overload.txt. Exit code 1 if the promise is broken.
 */
import {
  type Contender,
  CORE_SERVERS,
  endAll,
  isPinned,
  pinned,
  START,
} from "../bench/contenders.ts";
import { generate, target } from "../bench/generators.ts";
import { readOptions, type Report } from "../bench/options.ts";
import { residentBytes } from "../bench/processes.ts";
import { machineLines, median, showTable, writeResults } from "../bench/report.ts";
import { announceRequest, openDatagrams, randomBytes } from "../e2e/datagrams.ts";
import { MIB } from "./vitals.ts";

const options = readOptions({ seconds: 60, times: 3, guests: -1 });
const FULL_SECONDS = 60;

const LOAD = { swarms: 100_000, peers: 1_000_000, skew: 1, wanted: 30, window: 512 };
const CAPACITY_SECONDS = 3;
const CAPACITY_ROUNDS = 3;
const TRY_SECONDS = 2;
const GUESTS_MAX = 4;
/** What counts as `times` as much: the last percent is the generator's own jitter. */
const OFFERED_SHARE = 0.97;

const GOODPUT_SHARE = 0.9;
/** Bun's own heap breathes by as much while nothing is stored. */
const GROWTH_BYTES_MAX = 8 * MIB;
const RECOVERY_SECONDS_MAX = 1;

/** How long single announces are timed before and after, and how often. */
const PROBE_SECONDS = 3;
const PROBE_MILLISECONDS = 5;
const PROBE_LOST_MILLISECONDS = 250;
/** What is never called slow: the time slices of a busy machine. */
const NORMAL_MILLISECONDS = 10;

const HTTP_CONNECTIONS = 64;
const HTTP_CONNECTIONS_OVERLOADED = 1024;

interface Probe {
  /** When it was sent, in seconds since the first. */
  at: number;
  milliseconds: number;
}

/** One transport's outcome. */
interface Outcome {
  name: string;
  capacity: number;
  offered: number;
  goodput: number;
  memoryBefore: number;
  memoryWorst: number;
  before: Probe[];
  after: Probe[];
}

const guests: Bun.Subprocess[] = [];
const complaints: string[] = [];

for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => void endEverything().then(() => process.exit(1)));
}

try {
  if (!isPinned) throw new Error("this needs two cores and taskset");
  const ours = await START.buntracker!(LOAD.swarms);
  if ("absent" in ours) throw new Error(ours.absent);
  await generate("udp-load.ts", {
    ...LOAD,
    ...target(ours),
    mode: "fill",
    window: 192,
    seconds: 60,
  });
  await slowDown(ours);
  const udp = await overloadUdp(ours);
  const http = await overloadHttp(ours);
  await tell([udp, http]);
} catch (error) {
  complaints.push((error as Error).message);
} finally {
  await endEverything();
}
for (const complaint of complaints) console.error(`broken: ${complaint}`);
process.exit(complaints.length === 0 ? 0 : 1);

/** Adds guests to the server's core until the generator can offer as much as is asked for. */
async function slowDown(ours: Contender): Promise<void> {
  if (options.guests >= 0) {
    while (guests.length < options.guests) addGuest();
    return;
  }
  for (;;) {
    const capacity = (await measureCapacity(ours, 1)) * options.times;
    const { offered } = await floodUdp(ours, capacity, TRY_SECONDS);
    console.error(
      `${guests.length} guests: ${Math.round(offered)}/s of ${Math.round(capacity)}/s offered`,
    );
    if (offered >= capacity * OFFERED_SHARE || guests.length === GUESTS_MAX) return;
    addGuest();
  }
}

/** A process that does nothing, as fast as it can, on the server's core. */
function addGuest(): void {
  const command = pinned(CORE_SERVERS, ["sh", "-c", "while :; do :; done"]);
  guests.push(Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore"] }));
}

async function measureCapacity(ours: Contender, rounds: number): Promise<number> {
  const reports: Report[] = [];
  for (let round = 0; round < rounds; round++) {
    const seconds = CAPACITY_SECONDS;
    reports.push(await generate("udp-load.ts", { ...LOAD, ...target(ours), seconds }));
  }
  return median(reports.map(({ rps }) => rps));
}

function floodUdp(ours: Contender, rate: number, seconds: number): Promise<Report> {
  const flood = { ...LOAD, ...target(ours), mode: "flood", rate: Math.round(rate), seconds };
  return generate("udp-load.ts", flood);
}

async function overloadUdp(ours: Contender): Promise<Outcome> {
  const capacity = await measureCapacity(ours, CAPACITY_ROUNDS);
  const probeOnce = await udpProbe(ours.port);
  return overload("UDP", ours, capacity, probeOnce, () =>
    floodUdp(ours, capacity * options.times, options.seconds),
  );
}

async function overloadHttp(ours: Contender): Promise<Outcome> {
  const { swarms, peers } = LOAD;
  const all = { swarms, peers, ...target(ours), keep: 0 };
  const few = { ...all, connections: HTTP_CONNECTIONS, seconds: CAPACITY_SECONDS };
  const capacity = (await generate("http-load.ts", few)).rps;
  const probeOnce = () => timed(() => fetchOnce(ours.port));
  return overload("HTTP", ours, capacity, probeOnce, async () => {
    const rate = Math.round(capacity * options.times);
    const seconds = Math.max(2, Math.round(options.seconds / 6));
    const connections = HTTP_CONNECTIONS_OVERLOADED;
    const report = await generate("http-load.ts", { ...all, connections, rate, seconds });
    // So many wait for their turn at any time: the rate is asked for, but a client waits.
    return { ...report, offered: rate };
  });
}

/** Times single requests, floods, and times them again. */
async function overload(
  name: string,
  ours: Contender,
  capacity: number,
  once: () => Promise<number>,
  flood: () => Promise<Report>,
): Promise<Outcome> {
  console.error(`${name}: ${Math.round(capacity)}/s can be answered`);
  const before = await probe(once);
  const memoryBefore = residentBytes(ours.pid);
  let memoryWorst = memoryBefore;
  const sampling = setInterval(() => {
    memoryWorst = Math.max(memoryWorst, residentBytes(ours.pid));
  }, 1000);
  const { rps, offered } = await flood();
  const after = await probe(once);
  clearInterval(sampling);
  return {
    name,
    capacity,
    offered: offered!,
    goodput: rps!,
    memoryBefore,
    memoryWorst,
    before,
    after,
  };
}

/** Latencies of requests one after another; one without an answer took as long as was waited. */
async function probe(once: () => Promise<number>): Promise<Probe[]> {
  const probes: Probe[] = [];
  const start = performance.now();
  for (let at = 0; at < PROBE_SECONDS; at = (performance.now() - start) / 1000) {
    probes.push({ at, milliseconds: await once() });
    await Bun.sleep(PROBE_MILLISECONDS);
  }
  return probes;
}

async function timed(ask: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  const answered = await ask().then(
    () => true,
    () => false,
  );
  return answered ? performance.now() - start : PROBE_LOST_MILLISECONDS;
}

async function udpProbe(port: number): Promise<() => Promise<number>> {
  const client = await openDatagrams("127.0.0.1", port, "127.0.0.201");
  const connectionId = await client.connect();
  return () =>
    timed(() => {
      client.send(announceRequest({ connectionId, infoHash: randomBytes(20).fill(1, 1), port: 1 }));
      return client.receive(PROBE_LOST_MILLISECONDS);
    });
}

async function fetchOnce(port: number): Promise<void> {
  const query = `info_hash=${"%01".repeat(20)}&peer_id=${"p".repeat(20)}&port=1&left=1`;
  const signal = AbortSignal.timeout(PROBE_LOST_MILLISECONDS);
  const url = `http://127.0.0.1:${port}/announce?${query}`;
  const answer = await fetch(url, { keepalive: false, signal });
  if (answer.status !== 200) throw new Error(`status ${answer.status}`);
  await answer.bytes();
}

function percentile(probes: Probe[], share: number): number {
  const sorted = probes.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** Seconds after the flood until nothing more was slow: slower than nearly all before it. */
function recoverySeconds({ before, after }: Outcome): number {
  const slow = Math.max(NORMAL_MILLISECONDS, 2 * percentile(before, 0.99));
  const last = after.findLast(({ milliseconds }) => milliseconds > slow);
  return last === undefined ? 0 : last.at + last.milliseconds / 1000;
}

async function tell(outcomes: Outcome[]): Promise<void> {
  const rows = outcomes.map((outcome) => {
    const { name, capacity, offered, goodput, memoryBefore, memoryWorst, before } = outcome;
    const recovery = recoverySeconds(outcome);
    if (name === "UDP") judge(outcome, recovery);
    else if (recovery > RECOVERY_SECONDS_MAX) complaints.push(`${name} was slow for ${recovery} s`);
    const after = outcome.after.filter(({ at }) => at >= RECOVERY_SECONDS_MAX);
    const latency = (probes: Probe[]) =>
      `${percentile(probes, 0.5).toFixed(2)} / ${percentile(probes, 0.99).toFixed(2)}`;
    return [
      name,
      Math.round(capacity).toString(),
      (offered / capacity).toFixed(2),
      (goodput / capacity).toFixed(3),
      `${(memoryBefore / MIB).toFixed(0)} / ${(memoryWorst / MIB).toFixed(0)}`,
      latency(before),
      latency(after),
      recovery.toFixed(2),
    ];
  });
  const heading = ["", "capacity/s", "offered", "answered", "MiB before / most"];
  const latencies = ["ms before, p50 / p99", "ms after 1 s", "slow for, s"];
  const text = [
    ...machineLines(),
    `flood    ${options.seconds} s, HTTP a sixth of it, at ${options.times} times the capacity`,
    `slowed   ${slowed()}`,
    "",
    ...showTable([[...heading, ...latencies], ...rows]),
    "",
    "offered and answered are parts of the capacity. HTTP is offered by",
    `${HTTP_CONNECTIONS_OVERLOADED} clients that each wait for their answer.`,
    "",
    complaints.length === 0 ? "passed" : `FAILED: ${complaints.join("; ")}`,
    "",
  ].join("\n");
  console.log(text);
  if (options.seconds >= FULL_SECONDS) await writeResults("overload.txt", text);
}

function slowed(): string {
  if (guests.length === 0) return "no: the server has its core to itself";
  const part = `1/${guests.length + 1}`;
  return `${guests.length} busy processes share the server's core, which leaves it ${part} of that`;
}

function judge(outcome: Outcome, recovery: number): void {
  const { capacity, offered, goodput, memoryBefore, memoryWorst } = outcome;
  if (offered < capacity * options.times * OFFERED_SHARE) {
    complaints.push(`only ${(offered / capacity).toFixed(2)} times the capacity could be offered`);
  }
  if (goodput < capacity * GOODPUT_SHARE) complaints.push("too little was answered");
  if (memoryWorst > memoryBefore + GROWTH_BYTES_MAX) complaints.push("memory grew");
  if (recovery > RECOVERY_SECONDS_MAX) complaints.push(`UDP was slow for ${recovery.toFixed(2)} s`);
}

async function endEverything(): Promise<void> {
  for (const guest of guests) guest.kill("SIGKILL");
  await endAll();
}
