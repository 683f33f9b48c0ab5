/**
 * Readers that stall: one IPv6 /56 holds every HTTP connection with requests for the page whose
 * answers it reads at 1.3 KB/s or not at all, while an honest client asks from elsewhere.
 *
 *   bun test/soak/stalled-readers.ts BINARY FILES CONNECTIONS BYTES_PER_SECOND
 *
 * runs in a network of its own, made by `unshare`, because no test may take addresses of the
 * machine. It opens CONNECTIONS from 16 /64s, opens those again that are closed, and prints what
 * came of it as JSON. Honest clients are processes of their own, whose time is not the attacker's:
 *
 *   bun test/soak/stalled-readers.ts ask PORT SOURCE
 */
import { connect, type Socket } from "node:net";
import { freePort } from "../e2e/harness.ts";

export interface StalledReaders {
  binary: string;
  /** `ulimit -n` of the tracker. */
  files: number;
  /** Connections the attacker keeps open. */
  connections: number;
  /** What is read of each in a second. */
  bytesPerSecond: number;
}

export interface StalledOutcome {
  asked: number;
  served: number;
  /** The same for a client in the attacker's /48. */
  servedBeside: number;
  /** Connections of the attacker that were closed, and opened again. */
  reopened: number;
  /** Milliseconds that half of the answers took at most. */
  median: number;
}

const PLACES = 16;
const TRACKER = "2001:db8:ffff::1";
const HONEST = "2001:db8:eeee::1";
/** In the /48 of the attacker, and in no /64 of it. */
const BESIDE = "2001:db8:0:77::1";
const ATTACKERS = Array.from({ length: PLACES }, (_, at) => `2001:db8:0:${at.toString(16)}::1`);

/** 3.5 MB of answers: no buffer takes them. */
const REQUESTS = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(400);
const OPENED_AT_ONCE = 500;
const ASKED = 100;
const PAUSE_MILLISECONDS = 50;
/** How long an answer may take; BitTorrent clients wait for ten seconds and more. */
const ANSWER_MILLISECONDS_MAX = 3000;
const STALL_MILLISECONDS = 4000;

/** Undefined where a network of one's own cannot be had: on Linux as root it can. */
export async function stallReaders(asked: StalledReaders): Promise<StalledOutcome | undefined> {
  if (!mayHaveNetwork()) return undefined;
  const numbers = [asked.files, asked.connections, asked.bytesPerSecond].map(String);
  const words = [process.execPath, import.meta.path, asked.binary, ...numbers];
  const child = Bun.spawn(["unshare", "--net", ...words], {
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdout: "pipe",
    stderr: "inherit",
  });
  return JSON.parse(await new Response(child.stdout).text()) as StalledOutcome;
}

/** Whether this process may make a network of its own. */
export function mayHaveNetwork(): boolean {
  if (process.platform !== "linux" || Bun.which("unshare") === null) return false;
  if (Bun.which("ip") === null) return false;
  return Bun.spawnSync(["unshare", "--net", "ip", "link", "set", "lo", "up"]).success;
}

const SERVED_MIN = 0.95;

/** The phase of the soak: what is wrong, as sentences. */
export async function complaintsOfStalledReaders(binary: string): Promise<string[]> {
  const found: string[] = [];
  for (const bytesPerSecond of [0, 1300]) {
    const outcome = await stallReaders({ binary, files: 1024, connections: 1000, bytesPerSecond });
    if (outcome === undefined) continue;
    const { asked, served } = outcome;
    if (served < SERVED_MIN * asked) {
      found.push(`beside readers of ${bytesPerSecond} bytes/s ${served} of ${asked} were served`);
    }
  }
  return found;
}

if (import.meta.main && process.argv[2] === "ask") {
  console.log(JSON.stringify(await askOften(Number(process.argv[3]), process.argv[4]!)));
  process.exit(0);
}

if (import.meta.main) {
  const [binary, ...numbers] = process.argv.slice(2);
  const [files, connections, bytesPerSecond] = numbers.map(Number);
  for (const address of [TRACKER, HONEST, BESIDE, ...ATTACKERS]) {
    Bun.spawnSync(["ip", "address", "add", `${address}/128`, "dev", "lo", "nodad"]);
  }
  Bun.spawnSync(["ip", "link", "set", "lo", "up"]);
  const port = freePort();
  const child = Bun.spawn(["sh", "-c", `ulimit -n ${files}; exec "$0"`, binary!], {
    env: {
      TRACKER_HTTP_ADDRESS: `[${TRACKER}]:${port}`,
      TRACKER_UDP_ADDRESS: `[${TRACKER}]:${port}`,
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_MEMORY_MAX: "64MiB",
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    await Bun.sleep(1000);
    console.log(JSON.stringify(await attack(port, connections!, bytesPerSecond!)));
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
  process.exit(0);
}

async function attack(
  port: number,
  connections: number,
  bytesPerSecond: number,
): Promise<StalledOutcome> {
  const sockets: Socket[] = [];
  let reopened = 0;
  const open = (at: number): void => {
    const localAddress = ATTACKERS[at % PLACES]!;
    const socket = connect({ host: TRACKER, port, localAddress }).pause();
    socket.on("error", () => {});
    socket.on("connect", () => socket.write(REQUESTS));
    socket.on("close", () => {
      reopened += 1;
      setTimeout(() => open(at), 100);
    });
    sockets[at] = socket;
  };
  for (let at = 0; at < connections; at++) {
    open(at);
    if (at % OPENED_AT_ONCE === 0) await Bun.sleep(50);
  }
  if (bytesPerSecond > 0) {
    setInterval(() => sockets.forEach((socket) => void socket.read(bytesPerSecond)), 1000);
  }
  await Bun.sleep(STALL_MILLISECONDS);
  const [honest, beside] = await Promise.all([client(port, HONEST), client(port, BESIDE)]);
  const { served, times } = honest;
  const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Infinity;
  return { asked: ASKED, served, servedBeside: beside.served, reopened, median };
}

interface Asked {
  served: number;
  /** How long each of these took, in milliseconds. */
  times: number[];
}

/** An honest client in a process of its own. */
async function client(port: number, source: string): Promise<Asked> {
  const words = [process.execPath, import.meta.path, "ask", `${port}`, source];
  const child = Bun.spawn(words, { stdout: "pipe", stderr: "inherit" });
  return JSON.parse(await new Response(child.stdout).text()) as Asked;
}

async function askOften(port: number, source: string): Promise<Asked> {
  const times: number[] = [];
  for (let i = 0; i < ASKED; i++) {
    const start = performance.now();
    if (await isServed(port, source)) times.push(performance.now() - start);
    await Bun.sleep(PAUSE_MILLISECONDS);
  }
  return { served: times.length, times };
}

/** Whether one announce, in a connection of its own, is answered in time. */
function isServed(port: number, source: string): Promise<boolean> {
  const query = `info_hash=${"%5a".repeat(20)}&peer_id=${"p".repeat(20)}&port=6881&left=1`;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: TRACKER, port, localAddress: source });
  const timer = setTimeout(() => resolve(false), ANSWER_MILLISECONDS_MAX);
  socket.on("error", () => resolve(false));
  socket.on("close", () => resolve(false));
  socket.on("data", (bytes: Buffer) => resolve(bytes.includes("5:peers")));
  socket.write(`GET /announce?${query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}
