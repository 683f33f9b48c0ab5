/**
 * The matrix of real clients: every pair of programs, one seeding and one leeching, with nothing
 * but this tracker to bring them together, over HTTP and UDP, IPv4 and IPv6.
 *
 *   bun test/clients/run.ts [FILTER]     FILTER is part of a row, such as "aria2 -> " or "udp IPv6"
 *   TRACKER_UDP_WORKERS=0 bun test/clients/run.ts         the tracker has the settings that we have
 *
 * It starts itself again in a network and process namespace of its own. There every peer has an
 * address to itself (clients keep one peer per address) which is not a loopback address
 * (Transmission does not connect to those), nothing can reach the outside, and no process outlives
 * the run. Root makes that directly, others in a user namespace.
 *
 * A row is good when the leecher's file has the seeder's SHA-256 and a scrape shows the download
 * counted once. Prints a table; exits 1 when a row is bad, 2 when it cannot run here.
 */

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeDictionary, type Dictionary } from "../e2e/bencode.ts";
import { inParallel, startTracker } from "../e2e/harness.ts";
import { endProgram, logPath, PROGRAMS, startProgram } from "./programs.ts";
import type { Peer, ProgramName } from "./programs.ts";
import { fileDigest, makeTorrent, type Torrent } from "./torrent.ts";

type Transport = "http" | "udp";
type Family = 4 | 6;

/** One pair of clients. */
interface Row {
  index: number;
  seeder: ProgramName;
  leecher: ProgramName;
  transport: Transport;
  family: Family;
}

/** What became of a row; `problem` is undefined when it is good. */
interface Outcome {
  row: Row;
  seconds: number;
  problem?: string;
  /** Not tried, and why. */
  impossible?: string;
}

const INSIDE = "BUNTRACKER_CLIENTS_INSIDE";
const PARALLEL = 3;
const ROW_MILLISECONDS_MAX = 60_000;
const POLL_MILLISECONDS = 200;
const TRACKER_PORT = 6969;
const TRACKER_ADDRESS = { 4: "10.77.0.1", 6: "2001:db8::1" };
/** A name: Transmission 3.00 takes an IPv6 literal in a udp:// URL for a name to look up. */
const TRACKER_NAME_IPV6 = "tracker6.test";
/** Each peer adds its number: aria2 binds its port on every address. */
const PEER_PORT_BASE = 16_881;
/** Peers are numbered from here in both networks. */
const PEER_NUMBER_FIRST = 10;

process.exit(process.env[INSIDE] ? await runMatrix(process.argv[2] ?? "") : await runInside());

/** Runs this program again in namespaces of its own; its exit code. */
async function runInside(): Promise<number> {
  const asRoot = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const namespaces = [...asRoot, "--net", "--mount", "--mount-proc", "--pid", "--fork"];
  const again = [process.execPath, import.meta.path, ...process.argv.slice(2)];
  const child = Bun.spawn(["unshare", ...namespaces, "--kill-child", "--", ...again], {
    env: { ...process.env, [INSIDE]: "1" },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const end = (): void => child.kill("SIGKILL");
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  return await child.exited;
}

/** The settings this process has, so that the matrix can be run with any. */
function ourSettings(): Record<string, string> {
  const settings = Object.entries(process.env).filter(([name]) => name.startsWith("TRACKER_"));
  return Object.fromEntries(settings) as Record<string, string>;
}

async function runMatrix(filter: string): Promise<number> {
  const missing = missingPrograms();
  if (missing.length > 0) {
    console.error(`clients: not installed: ${missing.join(", ")}`);
    return 2;
  }
  const rows = allRows().filter((row) => describeRow(row).includes(filter));
  raiseAddresses(rows);
  const directory = await mkdtemp(join(tmpdir(), "buntracker-clients-"));
  await nameTracker(directory);
  const listeners = [`127.0.0.1:${TRACKER_PORT}`, ...trackerListeners()].join(",");
  const tracker = await startTracker({
    port: TRACKER_PORT,
    env: {
      // The clients are on its own machine.
      TRACKER_OWN_ADDRESSES: "store",
      ...ourSettings(),
      TRACKER_UDP_ADDRESS: listeners,
      TRACKER_HTTP_ADDRESS: listeners,
    },
  });
  const started = performance.now();
  const outcomes = await inParallel(rows, PARALLEL, (row) => runRow(row, directory));
  await tracker.stop();
  printTable(outcomes, (performance.now() - started) / 1000);
  const bad = outcomes.filter(({ problem }) => problem !== undefined);
  if (bad.length > 0) console.error(`clients: the logs are in ${directory}`);
  else await rm(directory, { recursive: true });
  return bad.length > 0 ? 1 : 0;
}

function missingPrograms(): string[] {
  const commands = ["ip", "mount", "aria2c", "transmission-daemon", "/usr/bin/python3"];
  const missing = commands.filter((command) => Bun.which(command, { PATH: searchPath() }) === null);
  const probe = Bun.spawnSync(["/usr/bin/python3", "-c", "import libtorrent"]);
  return probe.exitCode === 0 ? missing : [...missing, "python3-libtorrent"];
}

function searchPath(): string {
  return `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;
}

function allRows(): Row[] {
  const rows: Row[] = [];
  for (const transport of ["http", "udp"] as const) {
    for (const family of [4, 6] as const) {
      for (const seeder of PROGRAMS) {
        for (const leecher of PROGRAMS) {
          rows.push({ index: rows.length, seeder, leecher, transport, family });
        }
      }
    }
  }
  return rows;
}

function describeRow({ seeder, leecher, transport, family }: Row): string {
  return `${seeder} -> ${leecher} ${transport} IPv${family}`;
}

/** Why a row cannot work whatever the tracker does; undefined if it can. */
function impossibility({ seeder, leecher, transport, family }: Row): string | undefined {
  if (transport !== "udp" || family !== 6) return undefined;
  if ([seeder, leecher].includes("aria2")) return "aria2 does not speak UDP to trackers over IPv6";
  if (leecher !== "transmission") return undefined;
  return "Transmission 3.00 reads one IPv6 peer from UDP as three of IPv4";
}

/**
 * Gives the namespace's loopback interface the addresses of the tracker and of all peers.
 *
 * Transmission opens its UDP socket for IPv6 only when it believes to be on the Internet: it wants
 * a global address and a route to another one, which here leads nowhere.
 */
function raiseAddresses(rows: readonly Row[]): void {
  const numbers = rows.flatMap((row) => [peerNumber(row, true), peerNumber(row, false)]);
  const addresses = [1, ...numbers].flatMap((number) => [
    addressOf(number, 4),
    addressOf(number, 6),
  ]);
  ip("link", "set", "lo", "up");
  for (const address of addresses) {
    if (address.includes(":")) ip("-6", "addr", "add", `${address}/64`, "dev", "lo", "nodad");
    else ip("addr", "add", `${address}/24`, "dev", "lo");
  }
  ip("-6", "route", "add", "default", "dev", "lo");
}

/** Lays a hosts file with the tracker's name over the system's, in this mount namespace only. */
async function nameTracker(directory: string): Promise<void> {
  const hosts = join(directory, "hosts");
  await Bun.write(hosts, `127.0.0.1 localhost\n${TRACKER_ADDRESS[6]} ${TRACKER_NAME_IPV6}\n`);
  command("mount", "--bind", hosts, "/etc/hosts");
}

function ip(...args: string[]): void {
  command("ip", ...args);
}

function command(name: string, ...args: string[]): void {
  const result = Bun.spawnSync([Bun.which(name, { PATH: searchPath() })!, ...args]);
  const told = result.stderr.toString().trim();
  if (result.exitCode !== 0) throw new Error(`${name} ${args.join(" ")}: ${told}`);
}

function peerNumber(row: Row, seeding: boolean): number {
  return PEER_NUMBER_FIRST + 2 * row.index + (seeding ? 0 : 1);
}

function addressOf(number: number, family: Family): string {
  return family === 4 ? `10.77.0.${number}` : `2001:db8::${number}`;
}

function trackerListeners(): string[] {
  return [`${TRACKER_ADDRESS[4]}:${TRACKER_PORT}`, `[${TRACKER_ADDRESS[6]}]:${TRACKER_PORT}`];
}

async function runRow(row: Row, parent: string): Promise<Outcome> {
  const impossible = impossibility(row);
  if (impossible !== undefined) return { row, seconds: 0, impossible };
  const started = performance.now();
  const children: Bun.Subprocess[] = [];
  const peers: Peer[] = [];
  try {
    const deadline = started + ROW_MILLISECONDS_MAX;
    const torrent = await prepare(row, parent, peers);
    for (const [program, peer] of [
      [row.seeder, peers[0]!],
      [row.leecher, peers[1]!],
    ] as const) {
      children.push(await startProgram(program, peer));
      if (peer.seeding) await until(deadline, "the seeder", () => hasCounts(torrent, "complete"));
    }
    await until(deadline, "the file", async () => {
      return (await fileDigest(peers[1]!.directory)) === torrent.digest;
    });
    const seconds = (performance.now() - started) / 1000;
    await until(deadline, "the download's count", () => hasCounts(torrent, "downloaded"));
    return { row, seconds };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const logs = peers.map(logPath).join(" ");
    return { row, seconds: (performance.now() - started) / 1000, problem: `${problem}; ${logs}` };
  } finally {
    await Promise.all(children.map(endProgram));
  }
}

/** Makes the directories and the torrent; fills `peers` with the seeder and the leecher. */
async function prepare(row: Row, parent: string, peers: Peer[]): Promise<Torrent> {
  const name = describeRow(row).replaceAll(/\W+/g, "-");
  for (const seeding of [true, false]) {
    const directory = join(parent, name, seeding ? "seeder" : "leecher");
    await mkdir(directory, { recursive: true });
    peers.push({
      directory,
      torrent: join(parent, name, "seeder", "payload.torrent"),
      address: addressOf(peerNumber(row, seeding), row.family),
      port: PEER_PORT_BASE + peerNumber(row, seeding),
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

/** Whether a scrape shows exactly one seeder, or exactly one download. */
async function hasCounts(torrent: Torrent, field: "complete" | "downloaded"): Promise<boolean> {
  const escaped = torrent.infoHash.toHex().replace(/../g, "%$&");
  const url = `http://127.0.0.1:${TRACKER_PORT}/scrape?info_hash=${escaped}`;
  const response = await fetch(url, { signal: AbortSignal.timeout(5000) });
  const files = decodeDictionary(await response.bytes()).files as Dictionary;
  const counts = files[Buffer.from(torrent.infoHash).toString("latin1")] as Dictionary | undefined;
  return counts?.[field] === 1;
}

async function until(deadline: number, what: string, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come`);
    await Bun.sleep(POLL_MILLISECONDS);
  }
}

function printTable(outcomes: readonly Outcome[], seconds: number): void {
  console.log(`${"seeder -> leecher".padEnd(30)}${"over".padEnd(12)}result`);
  for (const { row, seconds: took, problem, impossible } of outcomes) {
    const pair = `${row.seeder} -> ${row.leecher}`.padEnd(30);
    const over = `${row.transport} IPv${row.family}`.padEnd(12);
    const good = impossible === undefined ? `ok, ${took.toFixed(1)} s` : `--, ${impossible}`;
    console.log(`${pair}${over}${problem === undefined ? good : `FAILED: ${problem}`}`);
  }
  const count = (fits: (outcome: Outcome) => boolean): number => outcomes.filter(fits).length;
  const failed = count(({ problem }) => problem !== undefined);
  const impossible = count((outcome) => outcome.impossible !== undefined);
  const passed = outcomes.length - failed - impossible;
  const numbers = `${passed} ok, ${failed} failed, ${impossible} impossible`;
  console.log(`${numbers}, ${seconds.toFixed(0)} s`);
}
