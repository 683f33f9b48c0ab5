/**
 * What the tests of installed packages share: they run on the machine of machine.sh, as root, with
 * systemd. Elsewhere they are left out, because they install, remove and purge.
 *
 * run.ts makes the packages: those of this version, and of one before it, with the same binary and
 * another example of settings.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

import {
  announceRequest,
  concat,
  connectRequest,
  openDatagrams,
  randomBytes,
} from "../e2e/datagrams.ts";

/** Where the packages are; undefined where they must not be installed. */
export const PACKAGES = process.env["BUNTRACKER_PACKAGES"];
/** The version before, which run.ts makes. */
export const VERSION_BEFORE = "0.0.9";
/** The default port of the tracker: nothing else runs on this machine. */
export const PORT = 6969;
export const SETTINGS_FILE = "/etc/buntracker/buntracker.env";

const READY_MILLISECONDS_MAX = 10_000;
const SWARMS = 20;
const PEERS_IN_SWARM = 5;

/** The path of the package of a format, of this version or of the one before. */
export function packageOf(version: "now" | "before", ending: string): string {
  const folder = join(PACKAGES!, version);
  const name = readdirSync(folder).find((candidate) => candidate.endsWith(ending));
  if (name === undefined) throw new Error(`there is no package *${ending} in ${folder}`);
  return join(folder, name);
}

/** Runs a command to its end and returns what it prints; throws that if it fails. */
export async function run(...command: string[]): Promise<string> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
  const child = Bun.spawn(["sh", "-c", 'exec "$@" 2>&1', "-", ...command], {
    env,
    stdin: "ignore",
  });
  const said = await child.stdout.text();
  const code = await child.exited;
  if (code !== 0) {
    const log = Bun.spawnSync(["journalctl", "--unit=buntracker.service", "--lines=20"]).stdout;
    throw new Error(`${command.join(" ")} ended with ${code}: ${said}\n${log.toString()}`);
  }
  return said.trim();
}

/** A property of the tracker's unit. */
export async function property(name: string): Promise<string> {
  return await run("systemctl", "show", "--value", "--property", name, "buntracker.service");
}

/** Waits until the tracker answers. */
export async function untilReady(): Promise<void> {
  const end = Date.now() + READY_MILLISECONDS_MAX;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${PORT}/`).catch(() => undefined);
    if (answer?.ok) return;
    if (Date.now() > end) throw new Error(await run("journalctl", "--unit", "buntracker.service"));
    await Bun.sleep(50);
  }
}

/** A line of /proc/PID/status. */
export function statusOf(pid: string, field: string): string {
  const line = new RegExp(`^${field}:\\s*(.*)$`, "m").exec(
    readFileSync(`/proc/${pid}/status`, "utf8"),
  );
  return line![1].replaceAll(/\s+/g, " ");
}

/** The program that a process runs. */
export function programOf(pid: string): string {
  return readlinkSync(`/proc/${pid}/exe`);
}

/** The user and group that own a file, and its permissions, as stat(1) prints them. */
export async function rightsOf(path: string): Promise<string> {
  return await run("stat", "--format", "%U:%G %a", path);
}

/** The UDP sockets on the tracker's port by their inode: another one is another socket. */
export function socketsOnPort(): string[] {
  const port = PORT.toString(16).toUpperCase().padStart(4, "0");
  const lines = ["udp", "udp6"].flatMap((file) =>
    readFileSync(`/proc/net/${file}`, "utf8").split("\n").slice(1),
  );
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return fields.filter(([, local]) => local?.endsWith(`:${port}`)).map((line) => line[9]);
}

/** Swarms with peers, which have announced themselves over UDP. */
export class Swarms {
  readonly #hashes = Array.from({ length: SWARMS }, () => randomBytes(20));

  /** Announces all peers, one by one. */
  async announce(): Promise<void> {
    using socket = await openDatagrams("127.0.0.1", PORT);
    const connectionId = await socket.connect();
    for (const infoHash of this.#hashes) {
      for (let peer = 0; peer < PEERS_IN_SWARM; peer++) {
        const request = announceRequest({ connectionId, infoHash, port: 10_000 + peer });
        await socket.exchange(request);
      }
    }
  }

  /** How many peers each swarm has, as a scrape tells. */
  async sizes(): Promise<number[]> {
    using socket = await openDatagrams("127.0.0.1", PORT);
    const scrape = Buffer.from(`00000002${randomBytes(4).toHex()}`, "hex");
    const [answer] = await socket.exchange(concat(await socket.connect(), scrape, ...this.#hashes));
    const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
    // Seeders, completed and leechers of each, behind 8 bytes.
    return this.#hashes.map((_, at) => view.getUint32(8 + at * 12) + view.getUint32(16 + at * 12));
  }

  /** What `sizes` must be. */
  get expected(): number[] {
    return this.#hashes.map(() => PEERS_IN_SWARM);
  }
}

/** Sends a UDP connect every 20 ms while `meanwhile` runs; how many were sent and answered. */
export async function askedMeanwhile(
  meanwhile: () => Promise<unknown>,
): Promise<{ sent: number; answered: number }> {
  using socket = await openDatagrams("127.0.0.1", PORT);
  let [sent, answered] = [0, 0];
  socket.onAnswer(() => answered++);
  const connect = connectRequest(randomBytes(4));
  const timer = setInterval(() => {
    sent++;
    socket.send(connect);
  }, 20);
  try {
    await meanwhile();
  } finally {
    clearInterval(timer);
  }
  const end = Date.now() + READY_MILLISECONDS_MAX;
  while (answered < sent && Date.now() < end) await Bun.sleep(50);
  return { sent, answered };
}

/** Whether a path exists. */
export function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** What is named for the tracker: paths of the machine, except caches, and lines for accounts. */
export async function traces(): Promise<string[]> {
  const places = ["/etc", "/usr", "/var/lib", "/run", "/opt", "/home"];
  const found = await run("find", ...places, "-xdev", "-iname", "*buntracker*");
  const accounts = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"].flatMap((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.includes("buntracker")),
  );
  return [...found.split("\n"), ...accounts].filter((line) => line !== "");
}
