/**
 * One row: a seeder and a leecher on hosts of their own, with nothing but the tracker to bring them
 * together. It is good when the leecher's file has the seeder's SHA-256, and a scrape shows the
 * download counted once.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { decodeDictionary, type Dictionary } from "../e2e/bencode.ts";
import type { Peer } from "./commands.ts";
import { addHost, removeHost, TRACKER_ADDRESS, TRACKER_NAME_IPV6 } from "./hosts.ts";
import { endProgram, logPath, saysCompleted, startProgram } from "./programs.ts";
import { describeRow, planOf, type Row } from "./rows.ts";
import { fileDigest, makeTorrent, type Torrent } from "./torrent.ts";

/** What became of a row; `problem` is undefined when it is good. */
export interface Outcome {
  row: Row;
  /** From the start of the first client until the leecher had the file. */
  seconds: number;
  leecherFirst?: boolean;
  problem?: string;
  /** Not tried, and why. */
  impossible?: string[];
}

type Field = "complete" | "downloaded" | "incomplete";

export const TRACKER_PORT = 6969;

const LOCAL = `127.0.0.1:${TRACKER_PORT}`;
/** The slowest, ctorrent to Transmission, takes 41 seconds. */
const ROW_MILLISECONDS_MAX = 90_000;
const POLL_MILLISECONDS = 200;
/** The same for all: each has a host to itself. */
const PEER_PORT = 16_881;

/** Runs a row in a directory of its own below `parent`. */
export async function runRow(row: Row, parent: string): Promise<Outcome> {
  const plan = planOf(row);
  if ("impossible" in plan) return { row, seconds: 0, impossible: plan.impossible };
  const started = performance.now();
  const deadline = started + ROW_MILLISECONDS_MAX;
  const secondsSince = (): number => (performance.now() - started) / 1000;
  const children: Bun.Subprocess[] = [];
  const peers: Peer[] = [];
  try {
    const torrent = await prepare(row, parent, peers);
    const [seeder, leecher] = peers as [Peer, Peer];
    const starts: [string, Field, () => Promise<Bun.Subprocess>][] = [
      ["the seeder", "complete", () => startProgram(row.seeder, seeder)],
      ["the leecher", "incomplete", () => startProgram(row.leecher, leecher)],
    ];
    const [[what, field, startFirst], [, , startSecond]] =
      plan.first === "seeder" ? starts : starts.reverse();
    children.push(await startFirst());
    await until(deadline, what, () => hasCounts(LOCAL, torrent, field));
    children.push(await startSecond());
    await until(deadline, "the file", async () => {
      return (await fileDigest(leecher.directory)) === torrent.digest;
    });
    const seconds = secondsSince();
    if (saysCompleted(row.leecher)) {
      await until(deadline, "the download's count", () => hasCounts(LOCAL, torrent, "downloaded"));
    }
    return { row, seconds, leecherFirst: plan.first === "leecher" };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { row, seconds: secondsSince(), problem: `${problem}; ${peers.map(logPath).join(" ")}` };
  } finally {
    await Promise.all(children.map(endProgram));
    for (const { host } of peers) removeHost(host);
  }
}

/** The settings this process has, so that the clients can be run with any. */
export function ourSettings(): Record<string, string> {
  const settings = Object.entries(process.env).filter(([name]) => name.startsWith("TRACKER_"));
  return Object.fromEntries(settings) as Record<string, string>;
}

/** Whether a scrape of the tracker at `at` shows exactly one seeder, leecher or download. */
export async function hasCounts(at: string, { infoHash }: Torrent, field: Field): Promise<boolean> {
  const escaped = infoHash.toHex().replace(/../g, "%$&");
  const url = `http://${at}/scrape?info_hash=${escaped}`;
  // A tracker that restarts must not find the connection of an earlier scrape.
  const response = await fetch(url, { keepalive: false, signal: AbortSignal.timeout(5000) });
  const files = decodeDictionary(await response.bytes()).files as Dictionary;
  const counts = files[Buffer.from(infoHash).toString("latin1")] as Dictionary | undefined;
  return counts?.[field] === 1;
}

/** Makes the hosts, the directories and the torrent; fills `peers` with seeder and leecher. */
async function prepare(row: Row, parent: string, peers: Peer[]): Promise<Torrent> {
  const folder = join(parent, describeRow(row).replaceAll(/\W+/g, "-"));
  for (const seeding of [true, false]) {
    const directory = join(folder, seeding ? "seeder" : "leecher");
    await mkdir(directory, { recursive: true });
    peers.push({
      host: addHost(row.family),
      directory,
      torrent: join(folder, "seeder", "payload.torrent"),
      port: PEER_PORT,
      seeding,
      overUdp: row.transport === "udp",
    });
  }
  const url = `${row.transport}://${trackerHost(row)}:${TRACKER_PORT}/announce`;
  return await makeTorrent(peers[0]!.directory, url);
}

function trackerHost({ transport, family }: Row): string {
  if (family === 4) return TRACKER_ADDRESS[4];
  return transport === "udp" ? TRACKER_NAME_IPV6 : `[${TRACKER_ADDRESS[6]}]`;
}

async function until(deadline: number, what: string, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come`);
    await Bun.sleep(POLL_MILLISECONDS);
  }
}
