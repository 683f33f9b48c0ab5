/**
 * Real clients at two trackers that share their peers: a seeder that announces to the one and a
 * leecher that asks the other find each other. Part of `make clients`; needs `nats-server`.
 *
 *   bun test/clients/two-trackers.ts
 *
 * Every program seeds and leeches once over HTTP and once over UDP, in a network namespace of its
 * own, as the matrix (run.ts). Exits 1 when a pair is bad, 2 when it cannot run.
 */
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { startTracker } from "../e2e/harness.ts";
import { addHost, isInNamespaces, raiseNetwork, runInNamespaces } from "./hosts.ts";
import { TRACKER_ADDRESS } from "./hosts.ts";
import { endProgram, logPath, type ProgramName, startProgram } from "./programs.ts";
import { fileDigest, makeTorrent, tellTracker } from "./torrent.ts";
import { hasCounts, ourSettings } from "./transfer.ts";

const PEER_PORT = 16_881;
const WAIT_MILLISECONDS_MAX = 60_000;
const POLL_MILLISECONDS = 200;

/** Each program at the first tracker, and the next one at the second. */
const PROGRAMS: ProgramName[] = ["aria2", "libtorrent", "transmission"];
const TRANSPORTS = ["http", "udp"] as const;

process.exit(isInNamespaces() ? await runAll() : await runInside());

/** Checks that it can run, and runs this program again in namespaces; the exit code. */
async function runInside(): Promise<number> {
  if (NATS_SERVER !== null) return await runInNamespaces();
  console.error("clients: two trackers were not tried, for nats-server is not installed");
  return 0;
}

async function runAll(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "buntracker-clients-"));
  await raiseNetwork(folder);
  await using nats = await NatsServer.start();
  const start = (node: string) =>
    startTracker({
      address: "0.0.0.0",
      env: { TRACKER_CLUSTER_URL: nats.url, TRACKER_CLUSTER_NODE: node, ...ourSettings() },
    });
  await using one = await start("one");
  await using two = await start("two");
  await Promise.all([one, two].map((tracker) => tracker.says("connected to the cluster")));
  let bad = 0;
  for (const transport of TRANSPORTS) {
    const pairs = PROGRAMS.map((seeder, i) => {
      const leecher = PROGRAMS[(i + 1) % PROGRAMS.length]!;
      return transfer({ seeder, leecher, transport, folder, ports: [one.port, two.port] });
    });
    for (const problem of await Promise.all(pairs)) {
      if (problem === undefined) continue;
      console.error(`clients: ${problem}`);
      bad = 1;
    }
  }
  if (bad === 0) await rm(folder, { recursive: true });
  return bad;
}

interface Pair {
  seeder: ProgramName;
  leecher: ProgramName;
  transport: "http" | "udp";
  folder: string;
  /** Of the seeder's tracker and the leecher's. */
  ports: [number, number];
}

/** Lets a leecher get the file; returns what is wrong, or undefined. */
async function transfer(pair: Pair): Promise<string | undefined> {
  const { seeder, leecher, transport, ports } = pair;
  const name = `${seeder} at one -> ${leecher} at two, ${transport}`;
  const place = join(pair.folder, name.replaceAll(/\W+/g, "-"));
  const urlOf = (port: number): string => `${transport}://${TRACKER_ADDRESS[4]}:${port}/announce`;
  const peers = await Promise.all(
    [true, false].map(async (seeding) => {
      const directory = join(place, seeding ? "seeder" : "leecher");
      await mkdir(directory, { recursive: true });
      const common = { host: addHost(4), directory, port: PEER_PORT, seeding };
      return {
        ...common,
        torrent: join(directory, "payload.torrent"),
        overUdp: transport === "udp",
      };
    }),
  );
  const [seeds, leeches] = peers as [(typeof peers)[0], (typeof peers)[0]];
  const torrent = await makeTorrent(seeds.directory, urlOf(ports[0]));
  await cp(torrent.path, leeches.torrent);
  await tellTracker(leeches.torrent, urlOf(ports[0]), urlOf(ports[1]));
  const children = [await startProgram(seeder, seeds)];
  try {
    const begun = performance.now();
    const seen = () => hasCounts(`${TRACKER_ADDRESS[4]}:${ports[1]}`, torrent, "complete");
    if (!(await within(seen))) return `${name}: two never knew it: ${logPath(seeds)}`;
    children.push(await startProgram(leecher, leeches));
    const arrived = async () => (await fileDigest(leeches.directory)) === torrent.digest;
    if (!(await within(arrived))) return `${name}: no file: ${peers.map(logPath).join(" ")}`;
    console.log(`${name.padEnd(48)}ok, ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    return undefined;
  } finally {
    await Promise.all(children.map(endProgram));
  }
}

async function within(isSo: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + WAIT_MILLISECONDS_MAX;
  while (performance.now() < end) {
    if (await isSo()) return true;
    await Bun.sleep(POLL_MILLISECONDS);
  }
  return false;
}
