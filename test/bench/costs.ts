/**
 * What `buntracker plan` needs beside the comparison: the cost of HTTPS, of WebSockets, and of a
 * cluster.
 *
 *   make costs                                      five minutes
 *   scripts/bun test/bench/costs.ts --rounds 1 --seconds 1     a look
 *
 * It needs `openssl` and `nats-server`. All figures are processor time of the tracker for each
 * request, or for each change that is told or heard; of rounds the median. What asks, on another
 * core, costs more than the tracker does, so rates say nothing here. The outcome is written to
 * results/costs.txt, unless only a look was asked for; `plan` reads it when it is built.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { BINARY } from "../e2e/harness.ts";
import { makeCertificate } from "../http/openssl.ts";
import { type Contender, CORE_GENERATORS, endAll, pinned, startBinary } from "./contenders.ts";
import { parseReport, readOptions, refuse, type Report } from "./options.ts";
import { cpuSeconds, mainThreadSeconds } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";

const DEFAULTS = { rounds: 3, seconds: 2 };
const ALL_PARTS = "cluster,transports,idle";
const options = readOptions({ ...DEFAULTS, parts: ALL_PARTS });
const parts = options.parts.split(",");
if (NATS_SERVER === null) refuse("there is no nats-server: install it");
if (!makeCertificate.possible) refuse("there is no openssl: install it");

/** Open WebSockets: many of many addresses, and as many as one address may have. */
const IDLE = 5000;
const IDLE_OF_ONE = 1900;
/** Far fewer than the 64 connections that one address may always have: some are still ending. */
const LANES = 8;
const PEERS = { mode: "fill", swarms: 100_000, skew: 0, networks: 16_384, window: 64 };
const PEERS_TOLD = 400_000;
const SETTLE_MILLISECONDS = 4000;
const IDLE_MILLISECONDS = 32_000;

/** Starts a tracker with the settings. */
async function start(env: Record<string, string>): Promise<Contender> {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith("TRACKER_")) delete process.env[name];
  }
  Object.assign(process.env, env);
  const tracker = await startBinary("buntracker", BINARY, ["127.0.0.1"]);
  if ("absent" in tracker) throw new Error(tracker.absent);
  return tracker;
}

async function load(
  program: string,
  { port, pid }: Contender,
  flags: Record<string, string | number>,
): Promise<Report> {
  const words = Object.entries({ port, pid, ...flags }).flatMap(([name, value]) => [
    `--${name}`,
    String(value),
  ]);
  const command = [process.execPath, join(import.meta.dir, program), ...words];
  const child = Bun.spawn(pinned(CORE_GENERATORS, command), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const report = parseReport(await child.stdout.text());
  if (Object.keys(report).length === 0) throw new Error(`${program}: no report`);
  return report;
}

/** The rows of the table of transports: their name, and how one is measured. */
const ROWS: Record<string, { tls: number; flags: Record<string, string | number> }> = {
  "HTTPS, one-shot": { tls: 1, flags: { mode: "https", keep: 0, connections: LANES } },
  "HTTPS, kept": { tls: 1, flags: { mode: "https", keep: 1, connections: LANES } },
  "ws, joins": { tls: 0, flags: { mode: "joins" } },
  "wss, joins": { tls: 1, flags: { mode: "joins" } },
  "ws, 5 offers": { tls: 0, flags: { mode: "cycles", connections: 1000 } },
  "wss, 5 offers": { tls: 1, flags: { mode: "cycles", connections: 1000 } },
};

const costs = new Map<string, number[]>();
function note(name: string, value: number): void {
  costs.set(name, [...(costs.get(name) ?? []), value]);
  console.error(`${name}: ${value.toFixed(3)}`);
}

async function measureTransports(certificate: { cert: string; key: string }): Promise<void> {
  const secure = { TRACKER_TLS_CERT_FILE: certificate.cert, TRACKER_TLS_KEY_FILE: certificate.key };
  for (const [name, { tls, flags }] of Object.entries(ROWS)) {
    const tracker = await start(tls === 1 ? secure : {});
    // Once for the compiler of hot code.
    await load("tls-load.ts", tracker, { tls, ...flags, seconds: options.seconds });
    const { seconds } = options;
    for (let round = 0; round < options.rounds; round++) {
      note(name, (await load("tls-load.ts", tracker, { tls, ...flags, seconds })).cpu_us!);
    }
    await tracker.end();
  }
}

/**
 * The memory of an open WebSocket. Of few, with TLS and without, only the difference counts: what
 * they share weighs too much.
 */
async function measureIdle(certificate: { cert: string; key: string }): Promise<void> {
  const secure = { TRACKER_TLS_CERT_FILE: certificate.cert, TRACKER_TLS_KEY_FILE: certificate.key };
  const each = async (env: Record<string, string>, program: string, flags: object) => {
    const tracker = await start(env);
    // What is needed once is loaded before, and the pages of the start are given back.
    const tls = env === secure ? 1 : 0;
    await load("tls-load.ts", tracker, { mode: "joins", tls, seconds: 1 });
    await Bun.sleep(IDLE_MILLISECONDS);
    const { kib_each } = await load(program, tracker, {
      ...(program === "tls-load.ts" ? { tls } : {}),
      ...flags,
    });
    await tracker.end();
    return kib_each!;
  };
  const few = { mode: "idle", connections: IDLE_OF_ONE };
  const many = { connections: IDLE, swarms: IDLE / 5, settle: 30 };
  const [plain, encrypted] = [
    await each({}, "tls-load.ts", few),
    await each(secure, "tls-load.ts", few),
  ];
  note("ws, KiB", await each({}, "ws-load.ts", many));
  note("TLS, KiB more", encrypted - plain);
}

/** Two trackers and a server: each peer that joins one is a change that the other hears. */
async function measureCluster(): Promise<void> {
  await using nats = await NatsServer.start();
  for (let round = 0; round < options.rounds; round++) {
    const env = { TRACKER_CLUSTER_URL: nats.url, TRACKER_MEMORY_MAX: "512MiB" };
    const [teller, hearer] = [await start(env), await start(env)];
    // Trackers that start have caught up, or found nobody, after three seconds.
    await Bun.sleep(SETTLE_MILLISECONDS);
    const used = () => [
      mainThreadSeconds(teller.pid),
      mainThreadSeconds(hearer.pid),
      cpuSeconds(nats.pid),
    ];
    const before = used();
    const report = await load("udp-load.ts", teller, { ...PEERS, peers: PEERS_TOLD, seconds: 60 });
    await Bun.sleep(1000);
    const spent = used().map((seconds, at) => ((seconds - before[at]!) * 1e6) / report.announces!);
    const names = ["a change told", "a change heard", "a change through nats-server"];
    for (const [at, name] of names.entries()) note(name, spent[at]!);
    await Promise.all([teller.end(), hearer.end()]);
  }
}

const folder = mkdtempSync(join(tmpdir(), "buntracker-costs-"));
try {
  const certificate = makeCertificate(folder, "tracker.example");
  if (parts.includes("cluster")) await measureCluster();
  if (parts.includes("transports")) await measureTransports(certificate);
  if (parts.includes("idle")) await measureIdle(certificate);
} finally {
  await endAll();
  rmSync(folder, { recursive: true });
}

const cells = [...costs].map(([name, values]) => {
  const shown = [median(values), Math.min(...values), Math.max(...values)];
  return [name, ...shown.map((value) => value.toFixed(value < 10 ? 2 : 1))];
});
const text = [
  ...machineLines(),
  `rounds   ${options.rounds}, ${options.seconds} s each`,
  "",
  "Microseconds of the tracker's processor for each, KiB of memory for each idle WebSocket. HTTPS",
  "with a key of P-256; joins are TCP, TLS, upgrade and an announce; 5 offers of 2,000 characters",
  "are all answered. A change is told and heard by the event loops of two trackers.",
  "",
  ...showTable([["", "median", "least", "most"], ...cells]),
  "",
].join("\n");
console.log(text);
const isFull =
  options.parts === ALL_PARTS &&
  options.rounds >= DEFAULTS.rounds &&
  options.seconds >= DEFAULTS.seconds;
if (isFull) await writeResults("costs.txt", text);
