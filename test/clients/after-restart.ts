/**
 * Real clients over a restart of the tracker: a leecher that starts after it finds a seeder that
 * has announced before it, and has not announced anew. Part of `make clients`.
 *
 *   bun test/clients/after-restart.ts
 *
 *   seeders announce ─► the tracker restarts, with its swarms and its sockets ─► it knows all
 *   seeders, and nobody has announced to the new process ─► leechers start, and get the file
 *
 * The tracker is run by a program that holds its sockets as systemd does (test/e2e/supervisor.py).
 * Every program seeds and leeches once over HTTP and once over UDP. All this is in a network
 * namespace of its own, as the matrix (run.ts). Exits 1 when a pair is bad, 2 when it cannot run.
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../e2e/harness.ts";
import { Supervisor } from "../e2e/supervisor.ts";
import type { Peer } from "./commands.ts";
import {
  addHost,
  isInNamespaces,
  raiseNetwork,
  runInNamespaces,
  TRACKER_ADDRESS,
} from "./hosts.ts";
import { endProgram, logPath, type ProgramName, startProgram } from "./programs.ts";
import { fileDigest, makeTorrent, type Torrent } from "./torrent.ts";
import { hasCounts, ourSettings } from "./transfer.ts";

const PEER_PORT = 16_881;
const WAIT_MILLISECONDS_MAX = 60_000;
const POLL_MILLISECONDS = 200;

/** Who gets the file from whom. */
const PAIRS: [seeder: ProgramName, leecher: ProgramName][] = [
  ["aria2", "libtorrent"],
  ["libtorrent", "transmission"],
  ["transmission", "aria2"],
  ["qbittorrent", "deluge"],
  ["deluge", "rtorrent"],
  ["rtorrent", "qbittorrent"],
];
const TRANSPORTS = ["http", "udp"] as const;

/** A seeder and a leecher of one torrent. */
interface Pair {
  name: string;
  seeder: ProgramName;
  leecher: ProgramName;
  peers: { seeder: Peer; leecher: Peer };
  torrent: Torrent;
}

process.exit(isInNamespaces() ? await runAll() : await runInside());

/** Checks that it can run, and runs this program again in namespaces; the exit code. */
async function runInside(): Promise<number> {
  if (Supervisor.possible) return await runInNamespaces();
  console.error("clients: the restart needs Linux and Python");
  return 2;
}

async function runAll(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "buntracker-clients-"));
  const children: Bun.Subprocess[] = [];
  await raiseNetwork(folder);
  await using supervisor = await Supervisor.begin();
  let bad = 1;
  try {
    const adminPort = freePort();
    const pairs = await prepareAll(folder, supervisor.port);
    const at = `${TRACKER_ADDRESS[4]}:${supervisor.port}`;
    await supervisor.start({
      TRACKER_UDP_ADDRESS: at,
      TRACKER_HTTP_ADDRESS: at,
      TRACKER_ADMIN_ADDRESS: `127.0.0.1:${adminPort}`,
      TRACKER_SNAPSHOT_FILE: join(folder, "swarms"),
      ...ourSettings(),
    });
    for (const { seeder, peers } of pairs) {
      children.push(await startProgram(seeder, peers.seeder));
    }
    await untilAll("announced before the restart", pairs, ({ torrent }) =>
      hasCounts(at, torrent, "complete"),
    );
    await supervisor.restart();
    const announces = await countAnnounces(adminPort);
    if (announces !== 0) throw new Error(`${announces} announces came after the restart`);
    await untilAll("known after the restart", pairs, ({ torrent }) =>
      hasCounts(at, torrent, "complete"),
    );
    for (const { leecher, peers } of pairs) {
      children.push(await startProgram(leecher, peers.leecher));
    }
    await untilAll("downloaded", pairs, hasFile);
    bad = 0;
  } catch (error) {
    console.error(`clients: ${(error as Error).message}; the logs are in ${folder}`);
  } finally {
    await Promise.all(children.map(endProgram));
  }
  if (bad === 0) await rm(folder, { recursive: true });
  return bad;
}

/** Gives each peer a host of its own, and each pair a torrent. */
async function prepareAll(folder: string, port: number): Promise<Pair[]> {
  const pairs: Pair[] = [];
  const makePeer = async (directory: string, torrent: string, options: Partial<Peer>) => {
    await mkdir(directory, { recursive: true });
    const common = { host: addHost(4), directory, torrent, port: PEER_PORT };
    return { ...common, seeding: false, overUdp: false, ...options };
  };
  for (const transport of TRANSPORTS) {
    for (const [seeder, leecher] of PAIRS) {
      const name = `${seeder} -> ${leecher} ${transport}`;
      const place = join(folder, name.replaceAll(/\W+/g, "-"));
      const torrentPath = join(place, "seeder", "payload.torrent");
      const overUdp = transport === "udp";
      const both = {
        seeder: await makePeer(join(place, "seeder"), torrentPath, { overUdp, seeding: true }),
        leecher: await makePeer(join(place, "leecher"), torrentPath, { overUdp }),
      };
      const url = `${transport}://${TRACKER_ADDRESS[4]}:${port}/announce`;
      const torrent = await makeTorrent(both.seeder.directory, url);
      pairs.push({ name, seeder, leecher, peers: both, torrent });
    }
  }
  return pairs;
}

/** Waits until it is so for all pairs, and prints how long each took. */
async function untilAll(
  what: string,
  pairs: readonly Pair[],
  isSo: (pair: Pair) => Promise<boolean>,
): Promise<void> {
  const start = performance.now();
  await Promise.all(
    pairs.map(async (pair) => {
      while (!(await isSo(pair))) {
        if (performance.now() - start > WAIT_MILLISECONDS_MAX) {
          const logs = Object.values(pair.peers).map(logPath).join(" ");
          throw new Error(`${pair.name} was never ${what}: ${logs}`);
        }
        await Bun.sleep(POLL_MILLISECONDS);
      }
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(`${pair.name.padEnd(32)}${what}, ${seconds} s`);
    }),
  );
}

async function hasFile({ peers, torrent }: Pair): Promise<boolean> {
  return (await fileDigest(peers.leecher.directory)) === torrent.digest;
}

/** Announces that the process has answered. */
async function countAnnounces(adminPort: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`);
  const counts = (await response.text()).matchAll(
    /^tracker_announces_answered_total\{.*\} (\d+)$/gm,
  );
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}
