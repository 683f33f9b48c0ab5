/**
 * The programs that are measured: buntracker and what it is compared with, as child processes.
 *
 * Each listens on a port of its own at 127.0.0.1 and runs on core 0, where that can be arranged;
 * the generators run on core 1. One that is not on this machine, or does not answer, is `absent`,
 * with a sentence that says why. Those that wait for their turn are idle, but not stopped: SIGCONT
 * interrupts system calls, which not all of them survive. `endAll` ends every process started
 * here, by its pid.
 */
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { BINARY, freePort } from "../e2e/harness.ts";
import { INFO_HASH_WORDS, putInfoHash, whitelist } from "./workload.ts";

const ROOT = resolve(import.meta.dir, "../..");
export const TOOLS = join(ROOT, ".tools");
const READY_MILLISECONDS_MAX = 20_000;

export const CORE_SERVERS = 0;
export const CORE_GENERATORS = 1;
export const isPinned = cpus().length > 1 && Bun.which("taskset") !== null;

/** Runs a command on one core, if there are several. */
export function pinned(core: number, command: string[]): string[] {
  return isPinned ? ["taskset", "-c", String(core), ...command] : command;
}

/** A tracker that runs. */
export interface Contender {
  name: string;
  port: number;
  pid: number;
  end(): Promise<void>;
}

/** Why there is none. */
export interface Absent {
  absent: string;
}

type Start = (swarms: number) => Promise<Contender | Absent>;

const running = new Set<Contender>();
const folders: string[] = [];

/** Ends what is still running, and removes what was written for it. */
export async function endAll(): Promise<void> {
  await Promise.all([...running].map((contender) => contender.end()));
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
}

/** opentracker with listen.udp.workers 1, which is not its default but its faster way. */
export const OPENTRACKER_THREADED = "opentracker, 1 worker";

/** buntracker at the one address that opentracker has too, for figures of memory. */
export const ONE_ADDRESS = "buntracker, one address";
/** With the default of all settings but for the port. */
export const ALL_ADDRESSES = "buntracker, all addresses";

/** aquatic_udp in its two ways: polling, and what its cargo feature io-uring adds. */
export const AQUATIC_MIO = "aquatic_udp, mio";
export const AQUATIC_URING = "aquatic_udp, io_uring";

/** All that can be compared over UDP, by name. `swarms` are the info hashes they are told of. */
export const START: Record<string, Start> = {
  buntracker: () => startBuntracker("buntracker", ["127.0.0.1", "[::1]"]),
  [ONE_ADDRESS]: () => startBuntracker(ONE_ADDRESS, ["127.0.0.1"]),
  [ALL_ADDRESSES]: () => startBuntracker(ALL_ADDRESSES, ["[::]"]),
  opentracker: (swarms) => startOpentracker(swarms, 0),
  [OPENTRACKER_THREADED]: (swarms) => startOpentracker(swarms, 1),
  echo: startEcho,
  [AQUATIC_MIO]: () => startAquatic(AQUATIC_MIO, "mio"),
  [AQUATIC_URING]: () => startAquatic(AQUATIC_URING, "uring"),
  "bittorrent-tracker": () => startBittorrentTracker("udp"),
  chihaya: startChihaya,
};

export async function startBuntracker(name: string, hosts: string[]): Promise<Contender | Absent> {
  if (!existsSync(BINARY)) return { absent: "buntracker is skipped: run `make build` first" };
  return startBinary(name, BINARY, hosts);
}

/** A build of buntracker, with this process's settings. */
export function startBinary(
  name: string,
  binary: string,
  hosts: string[],
): Promise<Contender | Absent> {
  const port = freePort();
  const addresses = hosts.map((host) => `${host}:${port}`).join();
  const settings = Object.entries(process.env).filter(([name]) => name.startsWith("TRACKER_"));
  return launch(name, port, [binary], {
    ...Object.fromEntries(settings),
    TRACKER_UDP_ADDRESS: addresses,
    TRACKER_HTTP_ADDRESS: addresses,
  });
}

/** Debian's, which serves a whitelist only. By default it answers UDP in its event loop. */
async function startOpentracker(swarms: number, workers: number): Promise<Contender | Absent> {
  const program = Bun.which("opentracker") ?? "/usr/bin/opentracker";
  if (!existsSync(program)) {
    return { absent: "opentracker is skipped: it is not installed (Debian package opentracker)" };
  }
  const folder = await makeFolder();
  const port = freePort();
  await Bun.write(join(folder, "whitelist"), whitelist(swarms));
  await Bun.write(
    join(folder, "conf"),
    `tracker.rootdir ${folder}\nlisten.udp.workers ${workers}\nlisten.udp 127.0.0.1:${port}\n` +
      `listen.tcp 127.0.0.1:${port}\naccess.whitelist /whitelist\n`,
  );
  const name = workers === 0 ? "opentracker" : OPENTRACKER_THREADED;
  const started = await launch(name, port, [program, "-f", join(folder, "conf")]);
  if ("absent" in started) return started;
  for (let attempt = 0; attempt < 100; attempt++) {
    if ((await isServed(port, 0)) && (await isServed(port, swarms - 1))) return started;
    await Bun.sleep(100);
  }
  await started.end();
  return { absent: "opentracker is skipped: it does not serve the whitelist it was given" };
}

/** Whether an HTTP announce for a swarm is let in. It says `stopped`, so that it stores nothing. */
async function isServed(port: number, swarm: number): Promise<boolean> {
  const words = new Uint32Array(INFO_HASH_WORDS);
  putInfoHash(words, 0, swarm);
  const hash = [...new Uint8Array(words.buffer)].map((byte) => `%${toHex(byte)}`).join("");
  const peer = `&peer_id=${"x".repeat(20)}&port=1&left=1&compact=1&event=stopped`;
  const url = `http://127.0.0.1:${port}/announce?info_hash=${hash}${peer}`;
  const options = { signal: AbortSignal.timeout(5000), keepalive: false };
  const text = await fetch(url, options).then(
    (answer) => answer.text(),
    () => "",
  );
  return text.includes("interval");
}

const toHex = (byte: number): string => byte.toString(16).padStart(2, "0");

/** Compiles a C program of this folder; returns its path. */
export async function compileC(source: string): Promise<string | Absent> {
  const compiler = Bun.which("cc");
  if (compiler === null) return { absent: `${source} is skipped: there is no C compiler (cc)` };
  const program = join(await makeFolder(), basename(source, ".c"));
  const path = join(import.meta.dir, source);
  const compiled = Bun.spawnSync([compiler, "-O2", "-o", program, path]);
  return compiled.success ? program : { absent: `${source} is skipped: cc could not compile it` };
}

async function startEcho(): Promise<Contender | Absent> {
  const program = await compileC("echo.c");
  if (typeof program !== "string") return program;
  const port = freePort();
  return launch("C echo", port, [program, "127.0.0.1", String(port)]);
}

/** Built as its README advises, for this processor. Rings of 256 to 2048 were not faster. */
async function startAquatic(name: string, io: "mio" | "uring"): Promise<Contender | Absent> {
  const program = join(TOOLS, "aquatic-udp/bin/aquatic_udp");
  if (!existsSync(program)) return skipped("aquatic_udp");
  const port = freePort();
  const file = join(await makeFolder(), "aquatic.toml");
  await Bun.write(
    file,
    `socket_workers = 1\n[network]\naddress = "127.0.0.1:${port}"\n` +
      `socket_recv_buffer_size = 4194304\n` +
      `use_io_uring = ${io === "uring"}\n`,
  );
  return launch(name, port, [program, "-c", file]);
}

/** Its server alone, since its command also loads a client that needs a compiler. */
export async function startBittorrentTracker(over: "udp" | "ws"): Promise<Contender | Absent> {
  const module = join(TOOLS, "bittorrent-tracker/node_modules/bittorrent-tracker/server.js");
  if (!existsSync(module)) return skipped("bittorrent-tracker");
  const node = Bun.which("node") ?? process.execPath;
  const port = freePort();
  const file = join(await makeFolder(), "server.mjs");
  const kinds = { udp: over === "udp", http: false, ws: over === "ws", stats: false };
  const hosts = over === "udp" ? { udp: "127.0.0.1", udp6: "::1" } : "127.0.0.1";
  await Bun.write(
    file,
    `import Server from ${JSON.stringify(module)};\n` +
      `const server = new Server(${JSON.stringify(kinds)});\n` +
      `server.on("warning", () => {});\n` +
      `server.listen(${port}, ${JSON.stringify(hosts)});\n`,
  );
  const ready = over === "udp" ? undefined : isUpgrading;
  return launch("bittorrent-tracker", port, [node, file], {}, ready);
}

/** Its last release, by a command of ours: see test/conformance/chihaya. */
async function startChihaya(): Promise<Contender | Absent> {
  const program = join(TOOLS, "chihaya/bin/chihaya");
  if (!existsSync(program)) return skipped("chihaya");
  const port = freePort();
  return launch("chihaya", port, [program, String(port)]);
}

/** How to get those that no system package holds. */
const INSTALL: Record<string, string[]> = {
  aquatic_udp: [
    ...["cargo", "--config", 'build.rustflags="-Ctarget-cpu=native"'],
    ...["--config", 'profile.release.lto="thin"'],
    ...["install", "aquatic_udp", "--version", "0.9.0", "--features", "io-uring"],
    ...["--root", ".tools/aquatic-udp"],
  ],
  aquatic_http: [
    ...["cargo", "install", "aquatic_http", "--version", "0.9.0"],
    ...["--root", ".tools/aquatic"],
  ],
  aquatic_ws: [
    ...["cargo", "install", "aquatic_ws", "--version", "0.9.0"],
    ...["--root", ".tools/aquatic"],
  ],
  "torrust-tracker": [
    ...["cargo", "install", "torrust-tracker", "--locked"],
    ...["--root", ".tools/torrust"],
  ],
  "bittorrent-tracker": [
    ...["npm", "install", "--prefix", ".tools/bittorrent-tracker"],
    ...["--ignore-scripts", "--no-audit", "--no-fund", "bittorrent-tracker"],
  ],
  chihaya: [
    ...["go", "build", "-C", "test/conformance/chihaya"],
    ...["-o", join(TOOLS, "chihaya/bin/chihaya"), "."],
  ],
};
/** Of those that are compared in what they answer, not in speed. */
const INSTALL_FOR_ANSWERS = ["aquatic_http", "torrust-tracker"];
const INSTALL_MILLISECONDS_MAX = 15 * 60 * 1000;

export function skipped(name: string): Absent {
  return { absent: `${name} is skipped: it is not in .tools (${INSTALL[name].join(" ")})` };
}

/** Installs what this machine can, into .tools; what fails will be skipped. */
export function installAll(forAnswers = false): void {
  for (const [name, command] of Object.entries(INSTALL)) {
    if (!forAnswers && INSTALL_FOR_ANSWERS.includes(name)) continue;
    if (Bun.which(command[0]) === null) continue;
    console.log(`installing ${name}: ${command.join(" ")}`);
    Bun.spawnSync(command, {
      cwd: ROOT,
      stdio: ["ignore", "inherit", "inherit"],
      timeout: INSTALL_MILLISECONDS_MAX,
    });
  }
}

/** opentracker becomes nobody, and has to read what is in here. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "buntracker-compare-"));
  folders.push(folder);
  await chmod(folder, 0o755);
  return folder;
}

/** Starts a program, and waits until `answers` is true of its port. */
export async function launch(
  name: string,
  port: number,
  command: string[],
  env: Record<string, string> = {},
  answers = isAnswering,
): Promise<Contender | Absent> {
  const child = Bun.spawn(pinned(CORE_SERVERS, command), {
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", ...env },
    stdio: ["ignore", "ignore", "ignore"],
  });
  const contender: Contender = {
    name,
    port,
    pid: child.pid,
    async end() {
      running.delete(contender);
      child.kill("SIGKILL");
      await child.exited;
    },
  };
  running.add(contender);
  const deadline = performance.now() + READY_MILLISECONDS_MAX;
  while (performance.now() < deadline && child.exitCode === null) {
    if (await answers(port)) return contender;
  }
  await contender.end();
  return { absent: `${name} is skipped: it was started, but does not answer` };
}

/** Whether a connect over UDP is answered within a moment. */
async function isAnswering(port: number): Promise<boolean> {
  const answered = Promise.withResolvers<boolean>();
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    // Until it listens, the kernel says that nobody does.
    socket: { data: () => answered.resolve(true), error: () => {} },
  });
  const request = new Uint8Array([0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 1, 2, 3, 4]);
  try {
    socket.send(request);
    return await Promise.race([answered.promise, Bun.sleep(100).then(() => false)]);
  } catch {
    await Bun.sleep(50);
    return false;
  } finally {
    socket.close();
  }
}

/** Whether a WebSocket opens within a moment. */
export async function isUpgrading(port: number): Promise<boolean> {
  const opened = Promise.withResolvers<boolean>();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/announce`);
  socket.onopen = () => opened.resolve(true);
  socket.onerror = socket.onclose = () => opened.resolve(false);
  const isOpen = await Promise.race([opened.promise, Bun.sleep(200).then(() => false)]);
  socket.close();
  if (!isOpen) await Bun.sleep(50);
  return isOpen;
}
