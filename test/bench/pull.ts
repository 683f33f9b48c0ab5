/**
 * A tracker that begins with nothing pulls ten million peers from another: `make pull`.
 *
 * The claims it defends: it has them in less than ten seconds, and neither the one that gives nor
 * the one that takes keeps an announce for 5 ms. A machine that others use keeps some itself, so
 * the verdict compares: of a thousand announces, the slowest but one, with the pull and without.
 *
 *   bun test/bench/pull.ts                        with no UDP worker, then with one
 *   bun test/bench/pull.ts --workers 1 --scale 0.1
 *
 * The compiled binary and a real nats-server. The giver begins with its swarms in a file; the taker
 * starts once the giver has nothing to catch up with. Two probes announce at a modest rate at the
 * giver, in the next run at the taker, over UDP and HTTP. The row `nothing` is the machine itself.
 * `lag` are the turns of the event loop that came more than 5 ms late, by the tracker's own count.
 * A full run writes test/bench/results/pull.txt.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NatsServer } from "../cluster/nats.ts";
import { freePort, startTracker, type Tracker } from "../e2e/harness.ts";
import { generate } from "./generators.ts";
import { readOptions, type Report } from "./options.ts";
import { peakBytes } from "./processes.ts";
import { machineLines, showTable, writeResults } from "./report.ts";
import { makeSnapshotFile } from "./snapshot-file.ts";

const options = readOptions({ workers: "0,1", scale: 1, seconds: 12 });
const SWARMS = Math.round(1_000_000 * options.scale);
const PEERS = Math.round(10_000_000 * options.scale);
/** Announces that wait so long were kept. */
const KEPT_MILLISECONDS = 5;
/** After this long a tracker that hears no other has nothing to catch up with. */
const ALONE_SECONDS = 5;
const HEADING = ["", "pulled", "seconds", "UDP p99.9", "UDP max", "HTTP p99.9", "HTTP max"];

interface Node {
  tracker: Tracker;
  adminPort: number;
}

async function start(
  nats: NatsServer,
  node: string,
  workers: string,
  file?: string,
): Promise<Node> {
  const adminPort = freePort();
  const kept = { TRACKER_SNAPSHOT_FILE: file ?? "", TRACKER_SNAPSHOT_INTERVAL: "0" };
  const tracker = await startTracker({
    address: "127.0.0.1",
    env: {
      TRACKER_UDP_WORKERS: workers,
      TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
      TRACKER_MEMORY_MAX: "1GiB",
      TRACKER_PEERS_PER_SWARM_MAX: "10000000",
      TRACKER_CLUSTER_URL: nats.url,
      TRACKER_CLUSTER_NODE: node,
      ...(file === undefined ? {} : kept),
    },
  });
  return { tracker, adminPort };
}

function probe({ port }: Tracker, transport: string): Promise<Report> {
  const settings = { port, transport, seconds: options.seconds, swarms: SWARMS, peers: PEERS };
  return generate("probe.ts", settings, { anywhere: true });
}

/** Turns of the event loop that came more than 5 ms late so far. */
async function lagOf({ adminPort }: Node): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const count = (end: string): number =>
    Number(new RegExp(`^tracker_event_loop_lag_seconds_${end} (\\d+)$`, "m").exec(text)?.[1]);
  return count("count") - count('bucket\\{le="0.005"\\}');
}

/** A row: probes at `at`, and what the taker says of its pull, if there is one. */
async function measure(name: string, at: Node, taker?: Node): Promise<string[]> {
  const { tracker } = at;
  const before = await lagOf(at);
  const [udp, http] = await Promise.all([probe(tracker, "udp"), probe(tracker, "http")]);
  const lag = (await lagOf(at)) - before;
  const log = taker?.tracker.stderr ?? "";
  const told = /caught up .*peers=(\d+) seconds=([\d.]+)/.exec(log);
  if (taker !== undefined && told === null) throw new Error(`no pull has ended: ${log}`);
  const milliseconds = [udp.p999_us, udp.max_us, http.p999_us, http.max_us].map((microseconds) =>
    (microseconds / 1000).toFixed(2),
  );
  const peak = Math.round(peakBytes(tracker.pid) / 2 ** 20);
  const row = [name, told?.[1] ?? "", told?.[2] ?? "", ...milliseconds, String(lag), String(peak)];
  console.error(row.join("  "));
  return row;
}

async function measureAll(workers: string, file: string): Promise<string[]> {
  await using nats = await NatsServer.start();
  const rows = [[...HEADING, "lag", "peak MB"]];
  const giver = await start(nats, "giver", workers, file);
  try {
    await Bun.sleep(ALONE_SECONDS * 1000);
    rows.push(await measure("nothing", giver));
    for (const side of ["giver", "taker"]) {
      const taker = await start(nats, "taker", workers);
      try {
        rows.push(await measure(`at the ${side}`, side === "giver" ? giver : taker, taker));
      } finally {
        await taker.tracker.stop();
      }
    }
  } finally {
    await giver.tracker.stop();
  }
  const verdicts = rows.slice(2).map((row) => verdictOf(row, rows[1]));
  const sizes = `${PEERS} peers in ${SWARMS} swarms, milliseconds`;
  return [`TRACKER_UDP_WORKERS=${workers}, ${sizes}`, ...showTable(rows), ...verdicts];
}

/** Whether announces were kept, in the row of a pull beside the row without one. */
function verdictOf(row: string[], nothing: string[]): string {
  const parts = ["UDP p99.9", "HTTP p99.9"].map((name) => {
    const at = HEADING.indexOf(name);
    const [kept, alone] = [Number(row[at]), Number(nothing[at])];
    const unclear = alone < KEPT_MILLISECONDS ? "KEPT" : "not clear, the machine keeps them itself";
    const verdict = kept < KEPT_MILLISECONDS ? "not kept" : unclear;
    return `${name} ${kept} ms, without the pull ${alone} ms: ${verdict}`;
  });
  return `${row[0]}: ${parts.join("; ")}`;
}

const folder = await mkdtemp(join(tmpdir(), "buntracker-pull-"));
const tables: string[][] = [];
try {
  const file = join(folder, "swarms");
  await makeSnapshotFile(file, { swarms: SWARMS, peers: PEERS });
  for (const workers of options.workers.split(",")) {
    tables.push(await measureAll(workers, file));
  }
} finally {
  await rm(folder, { recursive: true });
}
const aim = "aim      pulled in less than 10 s, and no announce is kept for 5 ms";
const text = [...machineLines(), aim, ...tables.flatMap((table) => ["", ...table])].join("\n");
console.log(text);
if (options.scale === 1) await writeResults("pull.txt", `${text}\n`);
