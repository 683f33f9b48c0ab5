/**
 * Requests over a restart that keeps swarms and sockets: how many are lost, and how long do others
 * wait? Part of `make restart`.
 *
 * The claim it defends: none is lost, with ten million peers stored.
 *
 *   bun test/bench/kept-requests.ts
 *   bun test/bench/kept-requests.ts --scale 0.1 --rounds 1      with a tenth of the peers
 *
 * The swarms are made in a file (snapshot-file.ts). While announces come at a steady rate over both
 * transports, the tracker is ended and started by a program that holds its sockets as systemd does
 * (test/e2e/supervisor.py): systemd itself would have to be process 1. In the last round nobody
 * holds the sockets. A full run writes test/bench/results/kept-requests.txt.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Outcome, requestOverHttp, requestOverUdp } from "../e2e/steady-requests.ts";
import { Supervisor } from "../e2e/supervisor.ts";
import { readOptions } from "./options.ts";
import { machineLines, showTable, writeResults } from "./report.ts";
import { makeSnapshotFile } from "./snapshot-file.ts";

const options = readOptions({ scale: 1, rounds: 3, seconds: 8, udp: 500, http: 800, workers: 1 });

const SWARMS = Math.round(1_000_000 * options.scale);
const PEERS = Math.round(10_000_000 * options.scale);
/** How long requests come before the restart begins. */
const BEFORE_MILLISECONDS = 1500;

const HEADING = ["", "exit s", "ready s", "UDP lost", "slowest s", "HTTP lost", "slowest s"];

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
  const file = join(folder, "swarms");
  await makeSnapshotFile(file, { swarms: SWARMS, peers: PEERS });
  await supervisor.start({
    TRACKER_SNAPSHOT_FILE: file,
    TRACKER_UDP_WORKERS: String(options.workers),
    TRACKER_MEMORY_MAX: "1GiB",
    TRACKER_PEERS_PER_SWARM_MAX: "10000000",
  });
  const rows = [HEADING];
  for (let round = 1; round <= options.rounds; round++) {
    rows.push(await restart(supervisor, `sockets kept, restart ${round}`));
  }
  await supervisor.dropSockets();
  rows.push(await restart(supervisor, "sockets bound anew"));
  const restored = [...supervisor.log.matchAll(/msg="swarms restored" swarms=(\d+) peers=(\d+)/g)];
  const [, swarms, peers] = restored.at(-1)!;
  return [`restored at the last start: ${peers} peers in ${swarms} swarms`, ...showTable(rows)];
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
