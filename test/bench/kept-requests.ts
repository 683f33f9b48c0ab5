/**
 * Requests over a restart that keeps swarms and sockets: how many are lost, and how long do others
 * wait? Part of `make restart`.
 *
 * The claim it defends: none is lost, with ten million peers stored.
 *
 *   bun test/bench/kept-requests.ts
 *   bun test/bench/kept-requests.ts --scale 0.1 --rounds 1      with a tenth of the peers
 *
 * The tracker is filled over UDP. While announces come at a steady rate over both transports, it is
 * ended and started by a program that holds its sockets as systemd does (test/e2e/supervisor.py):
 * systemd itself would have to be process 1. In the last round nobody holds the sockets. A full run
 * writes test/bench/results/kept-requests.txt.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Outcome, requestOverHttp, requestOverUdp } from "../e2e/steady-requests.ts";
import { Supervisor } from "../e2e/supervisor.ts";
import { parseReport, readOptions } from "./options.ts";
import { machineLines, showTable, writeResults } from "./report.ts";

const options = readOptions({ scale: 1, rounds: 3, seconds: 8, udp: 500, http: 800, workers: 1 });

const SWARMS = Math.round(1_000_000 * options.scale);
const PEERS = Math.round(10_000_000 * options.scale);
const FILL_SECONDS_MAX = 120;
/** How long requests come before the restart begins. */
const BEFORE_MILLISECONDS = 1500;

const HEADING = ["", "exit s", "ready s", "UDP lost", "slowest s", "HTTP lost", "slowest s"];

async function fill(port: number): Promise<number> {
  const settings = { port, mode: "fill", swarms: SWARMS, peers: PEERS, window: 512 };
  const flags = Object.entries({ ...settings, seconds: FILL_SECONDS_MAX }).flatMap(
    ([name, value]) => [`--${name}`, String(value)],
  );
  const program = [process.execPath, join(import.meta.dir, "udp-load.ts"), ...flags];
  const child = Bun.spawn(program, { stdio: ["ignore", "pipe", "inherit"] });
  return parseReport(await new Response(child.stdout).text())["announces"]!;
}

/** Restarts the tracker while requests come; returns the row. */
async function restart(supervisor: Supervisor, name: string): Promise<string[]> {
  const { port } = supervisor;
  const count = (perSecond: number) => ({ count: perSecond * options.seconds, perSecond });
  const requests = [
    requestOverUdp(port, count(options.udp)),
    requestOverHttp(port, count(options.http)),
  ];
  await Bun.sleep(BEFORE_MILLISECONDS);
  const { exitSeconds, readySeconds } = await supervisor.restart();
  const outcomes = await Promise.all(requests);
  const lost = ({ sent, answered }: Outcome): string => `${sent - answered} of ${sent}`;
  const columns = outcomes.flatMap((outcome) => [
    lost(outcome),
    (outcome.slowest / 1000).toFixed(2),
  ]);
  for (const failure of new Set(outcomes.flatMap(({ failures }) => failures))) {
    console.error(failure);
  }
  return [name, exitSeconds.toFixed(2), readySeconds.toFixed(2), ...columns];
}

async function measure(folder: string): Promise<string[]> {
  await using supervisor = await Supervisor.begin();
  await supervisor.start({
    TRACKER_SNAPSHOT_FILE: join(folder, "swarms"),
    TRACKER_UDP_WORKERS: String(options.workers),
    TRACKER_MEMORY_MAX: "1GiB",
    // The generator gives each peer an address of its own.
    TRACKER_ALLOW_IP_PARAMETER: "yes",
    TRACKER_PEERS_PER_SWARM_MAX: "10000000",
  });
  const peers = await fill(supervisor.port);
  const rows = [HEADING];
  for (let round = 1; round <= options.rounds; round++) {
    rows.push(await restart(supervisor, `sockets kept, restart ${round}`));
  }
  await supervisor.dropSockets();
  rows.push(await restart(supervisor, "sockets bound anew"));
  const restored = [...supervisor.log.matchAll(/msg="swarms restored" swarms=(\d+) peers=(\d+)/g)];
  const told = restored.map(([, swarms, kept]) => `${kept} in ${swarms}`).join(", ");
  return [`${peers} peers announced in ${SWARMS} swarms; restored: ${told}`, ...showTable(rows)];
}

const folder = await mkdtemp(join(tmpdir(), "buntracker-kept-requests-"));
try {
  const rates = `${options.udp} UDP and ${options.http} HTTP announces a second`;
  const workers = `TRACKER_UDP_WORKERS=${options.workers}`;
  const aim = "aim      no request is lost over a restart that keeps the sockets";
  const lines = [...machineLines(), aim, "", `${rates}, ${workers}`, ...(await measure(folder))];
  const text = `${lines.join("\n")}\n`;
  console.log(text);
  if (options.scale === 1) await writeResults("kept-requests.txt", text);
} finally {
  await rm(folder, { recursive: true });
}
