/**
 * buntracker against other trackers, on this machine, now: `make compare`.
 *
 * The claim it defends: per core buntracker answers more announces than the C tracker, with less of
 * its processor time, and in two thirds to four fifths of its memory, and stays awake in a flood.
 *
 *   bun test/bench/compare.ts                                    everything: some twenty minutes
 *   bun test/bench/compare.ts --rows udp,http --rounds 1 --seconds 1
 *   bun test/bench/compare.ts --rows memory,half --scale 0.05    with a twentieth of the peers
 *   bun test/bench/compare.ts --rows ws,idle,attack              compare-web-sockets.txt
 *   bun test/bench/compare.ts --install yes                      first gets what it can into .tools
 *
 *   rows     measures
 *   udp      requests per second and processor time of each, IPv4, and buntracker over IPv6
 *   burst    the same by the second generator, udp-burst.c, whose peers change their addresses
 *   http     announces per second: one connection each, and connections that are kept
 *   core     an announce into a swarm of 100,000 peers, without sockets
 *   flood    announces over UDP at twice what can be answered: what is answered then, and HTTP
 *   start    memory of a tracker that nobody has asked yet, a minute after its start
 *   memory   resident memory, filled over UDP
 *   ws       announces over WebSocket with offers that are answered
 *   idle     memory of WebSockets that announce once
 *   attack   HTTP while WebSockets are attacked in each way that ws-attack.ts knows
 *   half     latencies at half load with all those peers stored, while the sweep goes round
 *
 * Server on core 0, generator on core 1. Contenders take turns, round after round, so that what
 * disturbs the machine disturbs all; figures are medians over the rounds. The settings named
 * TRACKER_* that this process has, such as TRACKER_UDP_WORKERS, are buntracker's. A full run writes
 * test/bench/results/compare.txt. A row that might not be done within MINUTES_MAX is skipped.
 */
import {
  type Absent,
  ALL_ADDRESSES,
  AQUATIC_MIO,
  AQUATIC_URING,
  compileC,
  type Contender,
  endAll,
  installAll,
  isPinned,
  ONE_ADDRESS,
  OPENTRACKER_THREADED,
  START,
} from "./contenders.ts";
import { Disturbance } from "./disturbance.ts";
import { type Flags, generate, target } from "./generators.ts";
import { readOptions, refuse, type Report } from "./options.ts";
import {
  addLine,
  addTable,
  atLeast,
  atMost,
  below,
  middleOf,
  outcome,
  remark,
  show,
} from "./outcome.ts";
import { anonymousBytes, residentBytes } from "./processes.ts";
import { ATTACKS } from "./ws-attack.ts";
import { CYCLES, START_WS } from "./ws-contenders.ts";
import { machineLines, median, writeResults } from "./report.ts";

const ALL_ROWS = "udp,burst,http,ws,idle,attack,core,flood,start,memory,half";
const MINUTES_MAX = 30;
const FILL_SECONDS_MAX = 120;
/** Memory after a start: from this time on, and for how long, since it goes up and down. */
const STARTED_MILLISECONDS = 60_000;
const STARTED_SAMPLES = 10;
/** A fill is repeated: a contender that lost some datagrams is told of those peers again. */
const FILL_PASSES_MAX = 4;
/**
 * buntracker tidies its swarms once a minute and lets go of idle code twice; all contenders are
 * given that time.
 */
const SETTLE_MILLISECONDS = 75_000;
/** So few that they fit the receive buffer of those that leave it as it is. */
const FILL_WINDOW = 192;
/** The share of peers that has to be stored for a figure of memory to count. */
const FILLED = 0.995;
/** The slowest contender is not waited for until it has taken in everybody. */
const FILL_SMALL_SECONDS_MAX = 25;
/** The same binary with other addresses, for rows that need them. */
const VARIANTS = [ONE_ADDRESS, ALL_ADDRESSES];
/** Those that the second generator compares: the others lose most of what a burst asks. */
const BURST_CONTENDERS = [
  ...["buntracker", "opentracker", OPENTRACKER_THREADED],
  ...["echo", AQUATIC_MIO, AQUATIC_URING],
];
const BURST_FILL = { mode: "fill", window: 256, wanted: 0, seconds: FILL_SMALL_SECONDS_MAX };
const HALF_LOAD_SECONDS = 30;
const FLOOD_SECONDS = 6;
const FLOOD_ROUNDS_MAX = 3;
/** Announces over HTTP beside a flood, which begins a second before and ends a second after. */
const PROBE = { keep: 0, connections: 16, rate: 200, seconds: FLOOD_SECONDS - 2 };

/** Idle WebSockets whose memory is measured: what 20,000 open files allow. The time until then. */
const WS_IDLE = { connections: 19_500, swarms: 4000 };
const WS_SETTLE_SECONDS = 75;
const WS_CONNECTIONS_MAX = "TRACKER_WEBSOCKET_CONNECTIONS_MAX";

/** These alone have a result of their own: they need no peers and no C tracker. */
const ROWS_OF_WS = "ws,idle,attack";

/** The load of the bars: 30 wanted, 100,000 swarms, 1,000,000 peers, 512 under way. */
const USUAL = { swarms: 100_000, peers: 1_000_000, skew: 1, wanted: 30, window: 512 };
const MANY = { ...USUAL, swarms: 1_000_000, peers: 10_000_000 };
/** A million peers, each in one of a million swarms: those of about 630,000. */
const LONELY = { ...USUAL, swarms: 1_000_000, skew: 0 };

const options = readOptions({ rows: ALL_ROWS, rounds: 5, seconds: 3, scale: 1, install: "no" });
const wantedRows = options.rows.split(",");
const started = performance.now();
for (const name of wantedRows) {
  if (!ALL_ROWS.split(",").includes(name)) refuse(`--rows are of ${ALL_ROWS}, not ${name}`);
}
for (const name of ["rounds", "seconds", "scale"] as const) {
  if (options[name] <= 0) refuse(`--${name} must be more than 0, not ${options[name]}`);
}

for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => void endAll().then(() => process.exit(1)));
}

if (options.install !== "no") installAll();
if (!isPinned) remark("nothing is pinned to a core: there is only one, or no taskset");
try {
  await row("udp", 300, compareUdp);
  await row("burst", 200, compareBursts);
  await row("http", 90, compareHttp);
  await row("ws", 120, compareWebSockets);
  await row("idle", 160, measureIdleWebSockets);
  await row("attack", 60, measureAttacks);
  await row("core", 30, measureCore);
  await row("flood", 90, measureFlood);
  await row("start", 75, measureStart);
  await row("memory", 300, compareMemory);
  await row("half", 170, measureHalfLoad);
} finally {
  await endAll();
}
await tell();

/** Measures a row if it is wanted and its `seconds` are left. What goes wrong is told, no more. */
async function row(name: string, seconds: number, measure: () => Promise<void>): Promise<void> {
  if (!wantedRows.includes(name)) return;
  if (secondsLeft() < seconds) {
    remark(`${name} is skipped: it might not be done within ${MINUTES_MAX} minutes`);
    return;
  }
  console.error(`${name} ...`);
  const disturbance = new Disturbance();
  try {
    await measure();
  } catch (error) {
    remark(`${name} is incomplete: ${error instanceof Error ? error.message : error}`);
  } finally {
    await endAll();
  }
  remark(`${name}: ${disturbance.told()}`);
}

function secondsLeft(): number {
  return MINUTES_MAX * 60 - (performance.now() - started) / 1000;
}

// Rows.

async function compareUdp(): Promise<void> {
  const contenders = await startEach(Object.keys(START).filter((name) => !VARIANTS.includes(name)));
  for (const contender of contenders) {
    if (contender.name !== "C echo") await fill(contender, USUAL, FILL_SMALL_SECONDS_MAX);
  }
  const entries = contenders.map((contender) => ({ contender, host: "127.0.0.1" }));
  const ours = contenders.find(({ name }) => name === "buntracker");
  if (ours !== undefined) {
    await fill(ours, USUAL, FILL_SMALL_SECONDS_MAX, "::1");
    entries.splice(1, 0, { contender: ours, host: "::1" });
  }
  const reports = await takeTurns(entries, ({ contender, host }) =>
    load("udp-load.ts", { ...USUAL, ...target(contender, host), seconds: options.seconds }),
  );
  const names = entries.map(({ contender, host }) =>
    host === "::1" ? `${contender.name}, IPv6` : contender.name,
  );
  addTable("UDP: connect 50, announce 50, scrape 1", names, reports);
  const of: Figure = (name, field) => middleOf(reports[names.indexOf(name)], field);
  judgeUdp("UDP", { ofEcho: 0.9, ofThreadedCpu: 0.8 }, of);
  const rps = of("buntracker", "rps");
  atLeast("UDP: requests/s over IPv6 / IPv4", 0.85, of("buntracker, IPv6", "rps") / rps);
}

/** The trackers that are filled and warmed as the second generator does it, then its rounds. */
async function compareBursts(): Promise<void> {
  const program = await compileC("udp-burst.c");
  if (typeof program !== "string") return remark(program.absent);
  const contenders = await startEach(BURST_CONTENDERS);
  const { seconds } = options;
  const burst = (contender: Contender, flags: Flags) =>
    load(program, { ...USUAL, ...target(contender), seconds, ...flags });
  for (const contender of contenders) {
    if (contender.name !== "C echo") await burst(contender, BURST_FILL);
    await burst(contender, {});
  }
  const entries = contenders.map((contender) => ({ contender }));
  const reports = await takeTurns(entries, ({ contender }) => burst(contender, {}));
  const names = contenders.map(({ name }) => name);
  addTable("UDP by bursts: the same of peers that change their addresses", names, reports);
  const of: Figure = (name, field) => middleOf(reports[names.indexOf(name)], field);
  judgeUdp("UDP by bursts", { ofEcho: 0.85, ofThreadedCpu: 0.72 }, of);
  remark(
    `UDP and UDP by bursts differ in what they ask: a peer of udp-load.ts is found where it was ` +
      `stored, one of udp-burst.c comes from another address each time and is stored anew. So ` +
      `swarms grow, and replies have ` +
      `${show(of("buntracker", "peers_per_announce"))} peers of buntracker and ` +
      `${show(of(OPENTRACKER_THREADED, "peers_per_announce"))} of opentracker`,
  );
}

/** A figure of a contender: the median of this field. */
type Figure = (name: string, field: string) => number;

/** The bars of a generator: the harder comparisons first. */
function judgeUdp(
  by: string,
  { ofEcho, ofThreadedCpu }: { ofEcho: number; ofThreadedCpu: number },
  of: Figure,
): void {
  const rps = (other: string) => ratio(of, "rps", other);
  const cpu = (other: string) => ratio(of, "cpu_us", other);
  const aquatic = [AQUATIC_MIO, AQUATIC_URING].map(rps).filter((value) => !Number.isNaN(value));
  const ofAquatic = aquatic.length === 0 ? NaN : Math.min(...aquatic);
  atLeast(`${by}: requests/s / the C echo's`, ofEcho, rps("C echo"));
  atMost(`${by}: CPU / opentracker's with 1 worker`, ofThreadedCpu, cpu(OPENTRACKER_THREADED));
  atLeast(`${by}: requests/s / aquatic_udp's, the better of mio and io_uring`, 1.15, ofAquatic);
  atMost(`${by}: CPU / opentracker's by default`, 0.65, cpu("opentracker"));
  atLeast(`${by}: requests/s / opentracker's by default`, 1.5, rps("opentracker"));
  remark(
    `${by}: requests/s are ${show(rps(OPENTRACKER_THREADED))} times those of opentracker with 1 ` +
      `worker, its faster way; CPU is ${show(cpu("C echo"))} times the C echo's`,
  );
}

async function compareHttp(): Promise<void> {
  const contenders = await startEach(["buntracker", "opentracker"]);
  const entries = contenders.flatMap((contender) =>
    contender.name === "buntracker"
      ? [
          { name: "buntracker, one-shot", contender, keep: 0 },
          { name: "buntracker, kept", contender, keep: 1 },
        ]
      : [{ name: "opentracker, one-shot", contender, keep: 0 }],
  );
  const { swarms, peers } = USUAL;
  const reports = await takeTurns(entries, ({ contender, keep }) =>
    load("http-load.ts", { swarms, peers, keep, ...target(contender), seconds: options.seconds }),
  );
  const names = entries.map(({ name }) => name);
  addTable("HTTP: announces over 64 connections", names, reports);
  const rps = (name: string) => middleOf(reports[names.indexOf(name)], "rps");
  const theirs = rps("opentracker, one-shot");
  atLeast("HTTP: one-shot announces/s / opentracker's", 1, rps("buntracker, one-shot") / theirs);
  atLeast("HTTP: one-shot announces/s", 8500, rps("buntracker, one-shot"));
  atLeast("HTTP: kept / opentracker's one-shot", 4, rps("buntracker, kept") / theirs);
}

async function compareWebSockets(): Promise<void> {
  const contenders = await startEach(Object.keys(START_WS), 0, START_WS);
  const entries = contenders.map((contender) => ({ contender }));
  const names = contenders.map(({ name }) => name);
  for (const { offers, sdp, measured } of CYCLES) {
    const reports = await takeTurns(entries, ({ contender }) =>
      load("ws-load.ts", { ...target(contender), offers, sdp, seconds: options.seconds }),
    );
    const what = `${offers} offers of ${sdp} bytes`;
    addTable(`WebSocket: cycles with ${what}`, names, reports);
    const of: Figure = (name, field) => middleOf(reports[names.indexOf(name)], field);
    const to = (other: string) => ratio(of, "cpu_us", other);
    const share = (other: "aquatic_ws" | "bittorrent-tracker") =>
      measured[other] / measured["wt-tracker"];
    const toWt = to("bittorrent-tracker") * share("bittorrent-tracker");
    atMost(`WebSocket: CPU a cycle, ${what} / aquatic_ws'`, 0.7, to("aquatic_ws"));
    atMost(`WebSocket: CPU a cycle, ${what} / npm's`, 0.6, to("bittorrent-tracker"));
    atMost(`WebSocket: CPU a cycle, ${what} / wt-tracker's, a constant by npm's`, 1, toWt);
    const byAquatic = to("aquatic_ws") * share("aquatic_ws");
    remark(`wt-tracker's constant by aquatic_ws' instead, ${what}: ${show(byAquatic)}`);
  }
}

async function measureIdleWebSockets(): Promise<void> {
  const before = process.env[WS_CONNECTIONS_MAX];
  process.env[WS_CONNECTIONS_MAX] ??= String(WS_IDLE.connections);
  const [idle] = await startEach(["buntracker"], 0, START_WS);
  if (before === undefined) delete process.env[WS_CONNECTIONS_MAX];
  if (idle === undefined) return;
  await Bun.sleep(SETTLE_MILLISECONDS);
  const flags = { ...target(idle), ...WS_IDLE, settle: WS_SETTLE_SECONDS };
  const { kib_each, anonymous_kib_each } = await load("ws-load.ts", flags);
  atMost("WebSocket: KiB of an idle connection with a peer", 1.8, kib_each);
  const anonymous = "WebSocket: the same at any moment, without pages of the program";
  atMost(anonymous, 1.8, anonymous_kib_each);
}

async function measureAttacks(): Promise<void> {
  const [ours] = await startEach(["buntracker"], 0, START_WS);
  if (ours === undefined) return;
  for (const kind of ATTACKS) {
    const flags = { port: ours.port, kind, seconds: FLOOD_SECONDS };
    const attacking = load("ws-attack.ts", flags, true);
    await Bun.sleep(1000);
    const http = await load("http-load.ts", { ...PROBE, ...target(ours) });
    const { mb_a_second } = await attacking;
    const what = `WebSockets attacked with ${kind}`;
    below(`${what}: HTTP p99, ms`, 50, http.p99_us / 1000);
    below(`${what}: HTTP announces that failed, %`, 1, failedShare(http));
    remark(`${what}: ${show(mb_a_second)} MB a second were taken`);
  }
}

async function measureCore(): Promise<void> {
  const sizes = { family: 4, swarms: 1, each: 100_000 };
  const results: number[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const report = await load("core.bench.ts", sizes);
    results.push(report.again_ns / 1000);
  }
  below("core: µs per announce, 100,000 peers", 3, median(results));
}

async function measureFlood(): Promise<void> {
  const [ours] = await startEach(["buntracker"]);
  if (ours === undefined) return;
  await fill(ours, USUAL, FILL_SECONDS_MAX);
  const announces = { ...USUAL, ...target(ours), connects: 0, announces: 1, scrapes: 0 };
  const rounds: { best: number; flood: Report; http: Report }[] = [];
  for (let round = 0; round < Math.min(options.rounds, FLOOD_ROUNDS_MAX); round++) {
    const quiet = await load("udp-load.ts", { ...announces, seconds: options.seconds });
    const rate = Math.round(quiet.rps * 2);
    const seconds = FLOOD_SECONDS;
    const flooding = load("udp-load.ts", { ...announces, mode: "flood", rate, seconds }, true);
    await Bun.sleep(1000);
    const http = await load("http-load.ts", { ...PROBE, ...target(ours) });
    rounds.push({ best: quiet.rps, flood: await flooding, http });
  }
  const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
  const offered = of(({ best, flood }) => flood.offered / best);
  remark(`flood: ${offered.toFixed(2)} times as many announces came as can be answered`);
  below(
    "flood: HTTP p99, ms",
    50,
    of(({ http }) => http.p99_us / 1000),
  );
  below(
    "flood: HTTP announces that failed, %",
    1,
    of(({ http }) => failedShare(http)),
  );
  atLeast(
    "flood: announces answered / best",
    0.9,
    of(({ best, flood }) => flood.rps / best),
  );
}

function failedShare({ good, bad, failed }: Report): number {
  return ((bad + failed) * 100) / (good + bad + failed);
}

/** The most of some samples, a second apart. */
async function measureStart(): Promise<void> {
  const [ours] = await startEach([ALL_ADDRESSES]);
  if (ours === undefined) return;
  await Bun.sleep(STARTED_MILLISECONDS);
  let [resident, anonymous] = [0, 0];
  for (let sample = 0; sample < STARTED_SAMPLES; sample++) {
    resident = Math.max(resident, residentBytes(ours.pid));
    anonymous = Math.max(anonymous, anonymousBytes(ours.pid));
    await Bun.sleep(1000);
  }
  atMost("a minute after the start: MB resident", 45, resident / 1e6);
  atMost("a minute after the start: MB of them anonymous", 13, anonymous / 1e6);
}

/**
 * All are filled, then left alone together for as long. What Debian's opentracker takes for the
 * list of hashes that it cannot do without is what one takes more that knows them all, and nobody
 * has announced to, than one that knows a single hash.
 */
async function compareMemory(): Promise<void> {
  for (const [setup, text, gross, net] of [
    [LONELY, "1,000,000 peers in 632,000 swarms", 0.75, 0.85],
    [MANY, "10,000,000 peers in 1,000,000 swarms", 0.65, 0.65],
  ] as const) {
    const { swarms } = scaled(setup);
    const [ours] = await startEach([ONE_ADDRESS], swarms);
    const [theirs] = await startEach(["opentracker"], swarms);
    const [listed] = await startEach(["opentracker"], swarms);
    const [bare] = await startEach(["opentracker"], 1);
    const full: (Contender | undefined)[] = [];
    for (const contender of [ours, theirs]) {
      if (contender === undefined) continue;
      if (await fill(contender, setup, FILL_SECONDS_MAX)) full.push(contender);
    }
    await Bun.sleep(SETTLE_MILLISECONDS);
    const sizeOf = (one: Contender | undefined) => (one ? residentBytes(one.pid) : NaN);
    const [our, their] = [ours, theirs].map((one) => (full.includes(one) ? sizeOf(one) : NaN));
    const list = sizeOf(listed) - sizeOf(bare);
    await endAll();
    const size = (bytes: number) =>
      Number.isNaN(bytes) ? "not measured" : `${(bytes / 1e6).toFixed(0)} MB`;
    addLine(
      `memory, ${text}: buntracker ${size(our)}, opentracker ${size(their)}, ` +
        `of which its list of hashes ${size(list)}`,
    );
    atMost(`memory, ${text}: / opentracker's net of its list`, net, our / (their - list));
    atMost(`memory, ${text}: / opentracker's with its list`, gross, our / their);
  }
}

async function measureHalfLoad(): Promise<void> {
  const [ours] = await startEach(["buntracker"]);
  if (ours === undefined) return;
  await fill(ours, MANY, FILL_SECONDS_MAX);
  const all = { ...scaled(MANY), ...target(ours) };
  const full = await load("udp-load.ts", { ...all, seconds: options.seconds });
  const seconds = Math.min(HALF_LOAD_SECONDS, options.seconds * 10);
  const rate = Math.round(full.rps / 2);
  const half = await load("udp-load.ts", { ...all, mode: "rate", rate, seconds });
  addTable("UDP at half load", ["full load", "half load"], [[full], [half]]);
  below("UDP: p99.9 at half load, ms", 10, half.p999_us / 1000);
}

// Contenders and generators.

/** Starts those that are here; of the others a remark is made. */
async function startEach(
  names: string[],
  swarms = USUAL.swarms,
  start: Record<string, (swarms: number) => Promise<Contender | Absent>> = START,
): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const name of names) {
    const contender: Contender | Absent = await start[name](swarms);
    if ("absent" in contender) {
      remark(contender.absent);
    } else {
      contenders.push(contender);
    }
  }
  return contenders;
}

/** Measures each entry once in every round. Reports by entry. */
async function takeTurns<Entry extends { contender: Contender }>(
  entries: Entry[],
  measure: (entry: Entry) => Promise<Report>,
): Promise<Report[][]> {
  const reports: Report[][] = entries.map(() => []);
  for (let round = 0; round < options.rounds; round++) {
    for (const [at, entry] of entries.entries()) {
      try {
        reports[at].push(await measure(entry));
      } catch (error) {
        remark(`${entry.contender.name} did not take part in round ${round + 1}: ${error}`);
      }
    }
  }
  return reports;
}

function scaled(setup: typeof USUAL): typeof USUAL {
  const swarms = Math.ceil(setup.swarms * options.scale);
  return { ...setup, swarms, peers: Math.ceil(setup.peers * options.scale) };
}

/** Announces every peer once, few at a time so that none is lost. False if some are missing. */
async function fill(
  contender: Contender,
  setup: typeof USUAL,
  seconds: number,
  host?: string,
): Promise<boolean> {
  const sizes = setup === USUAL ? setup : scaled(setup);
  const passes = setup === USUAL ? 1 : FILL_PASSES_MAX;
  let missing = 1;
  for (let pass = 0; pass < passes && missing > 1 - FILLED; pass++) {
    const report = await load("udp-load.ts", {
      ...sizes,
      ...target(contender, host),
      mode: "fill",
      window: FILL_WINDOW,
      seconds,
    });
    // What one pass loses is not what the next one loses.
    missing *= 1 - report.announces / sizes.peers;
  }
  const full = missing <= 1 - FILLED;
  if (!full) remark(`${contender.name} took in ${show(100 * (1 - missing))} % of the peers`);
  return full;
}

/** Runs a generator; one that is `meek` leaves the core to the others that need it. */
function load(program: string, flags: Flags, meek = false): Promise<Report> {
  return generate(program, flags, { meek, secondsMax: FILL_SECONDS_MAX + 20 });
}

// What is told.

function ratio(of: Figure, field: string, other: string): number {
  return of("buntracker", field) / of(other, field);
}

async function tell(): Promise<void> {
  const rounds = `rounds   ${options.rounds}, ${options.seconds} s each`;
  const text = outcome([...machineLines(), rounds]);
  console.log(text);
  const full = options.rows === ALL_ROWS && options.scale === 1;
  if (full) await writeResults("compare.txt", text);
  const isOfWs = options.rows === ROWS_OF_WS && options.rounds >= 3 && options.seconds >= 3;
  if (isOfWs) await writeResults("compare-web-sockets.txt", text);
}
