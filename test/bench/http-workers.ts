/**
 * What HTTP workers carry: `make http-workers`.
 *
 * The claims it defends: with a new connection for each announce two workers answer at least 1.4
 * times what the event loop does, at 1.2 times its CPU or less; over HTTPS an announce costs at
 * most 1.15 times as much.
 *
 *   bun test/bench/http-workers.ts
 *   bun test/bench/http-workers.ts --rounds 1
 *
 *   HTTP    the tracker is stopped, connections with their requests are queued in its sockets, and
 *           it goes on; the client looks only every other millisecond, and takes little of a
 *           processor
 *   HTTPS   full handshakes, in lanes: the client needs as much of the processors as the tracker,
 *           so only the tracker's CPU counts
 *   WebSocket   announces with offers that are all answered: a worker hands the connection over to
 *           the event loop, and this says what that costs
 *
 * Figures are medians of rounds that take turns. `undisturbed` is the rate by the CPU time of the
 * busiest thread: what is seen where each thread has a processor. Writes
 * test/bench/results/http-workers.txt.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "bun";
import type { Pointer } from "bun:ffi";
import { BINARY, freePort } from "../e2e/harness.ts";
import { makeCertificate } from "../http/openssl.ts";
import { generate } from "./generators.ts";
import { readOptions } from "./options.ts";
import { addLine, atLeast, atMost, outcome } from "./outcome.ts";
import { answeringThreads } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";
import {
  addressOf,
  calls,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  openTcp,
  pinned,
  SocketAddress,
} from "./syscalls.ts";
import { mix } from "./workload.ts";

const DEFAULTS = { rounds: 5, queued: 3000, secure: 3000 };
const options = readOptions(DEFAULTS);

const WORKERS = [0, 1, 2];
const SWARMS = 1000;
const LANES = 16;
/** Cycles over WebSocket as `make compare` has them. */
const CYCLES = { offers: 5, sdp: 2000, seconds: 2 };
/** Drains before anything counts: code is compiled by then. */
const WARM_ROUNDS = 8;
const POLL_MILLISECONDS = 2;
/** The kernel may put some connections off for seconds while the tracker accepts none. */
const DRAIN_MILLISECONDS_MAX = 20_000;

/** The announce of client `n`. */
function requestOf(n: number): string {
  const hash = (mix(n) % SWARMS).toString(16).padStart(40, "0").replace(/../g, "%$&");
  const port = 1024 + (n % 60_000);
  const query = `info_hash=${hash}&peer_id=-XX0001-abcdefghijkl&port=${port}&left=1&compact=1`;
  return `GET /announce?${query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
}

interface Tracker extends Disposable {
  pid: number;
  plain: number;
  secure: number;
}

async function start(workers: number, folder: string): Promise<Tracker> {
  const [plain, secure] = [freePort(), freePort()];
  const { cert, key } = makeCertificate(folder, `bench-${workers}`);
  const child = Bun.spawn([BINARY], {
    env: {
      PATH: process.env.PATH ?? "",
      TRACKER_UDP_ADDRESS: "",
      TRACKER_HTTP_ADDRESS: `http://127.0.0.1:${plain},https://127.0.0.1:${secure}`,
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_TLS_CERT_FILE: cert,
      TRACKER_TLS_KEY_FILE: key,
      TRACKER_LOG_LEVEL: "error",
      TRACKER_HTTP_WORKERS: String(workers),
      TRACKER_RATE_LIMIT: "off",
      TRACKER_MEMORY_MAX: "256MiB",
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  for (let attempt = 0; attempt < 100; attempt++) {
    const healthy = await fetch(`http://127.0.0.1:${plain}/health`).catch(() => undefined);
    if (healthy?.ok === true) break;
    await Bun.sleep(50);
  }
  return { pid: child.pid, plain, secure, [Symbol.dispose]: () => child.kill("SIGKILL") };
}

interface Figures {
  /** CPU time of an answer. */
  microseconds: number;
  /** Answers a second, as it was. */
  rate: number;
  /** The same if the busiest thread had had its processor all the time. */
  undisturbed: number;
}

/** The figures of `answers` that took so long, by the CPU times of the threads before and after. */
function figuresOf(
  answers: number,
  milliseconds: number,
  before: Map<string, number>,
  after: Map<string, number>,
): Figures {
  const used = [...after].map(([thread, seconds]) => seconds - (before.get(thread) ?? 0));
  const all = used.reduce((sum, seconds) => sum + seconds, 0);
  return {
    microseconds: (all * 1e6) / answers,
    rate: (1000 * answers) / milliseconds,
    undisturbed: answers / Math.max(...used),
  };
}

const answer = pinned(4096);
const answerAt = addressOf(answer) as Pointer;

/** Queues connections with their requests while the tracker is stopped, and lets it go on. */
async function drain({ pid, plain }: Tracker): Promise<Figures> {
  const server = new SocketAddress("127.0.0.1", plain);
  process.kill(pid, "SIGSTOP");
  const sockets: number[] = [];
  for (let n = 0; n < options.queued; n++) {
    const fd = openTcp(server, n, true);
    if (fd < 0) throw new Error("no more sockets: raise ulimit -n");
    sockets.push(fd);
  }
  await Bun.sleep(20);
  for (const [n, fd] of sockets.entries()) {
    const request = new TextEncoder().encode(requestOf(n));
    new Uint8Array(answer).set(request);
    calls.send(fd, answerAt, request.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  const before = answeringThreads(pid);
  process.kill(pid, "SIGCONT");
  const begun = performance.now();
  let answered = 0;
  while (answered < sockets.length && performance.now() - begun < DRAIN_MILLISECONDS_MAX) {
    await Bun.sleep(POLL_MILLISECONDS);
    while (answered < sockets.length && isAnswered(sockets[answered])) answered += 1;
  }
  const milliseconds = performance.now() - begun;
  const after = answeringThreads(pid);
  for (const fd of sockets) calls.close(fd);
  if (answered < sockets.length) throw new Error("not all requests were answered");
  return figuresOf(answered, milliseconds, before, after);
}

/** True if an answer waits in the socket, or has been read. */
function isAnswered(fd: number): boolean {
  if (Number(calls.recv(fd, answerAt, 4096, MSG_DONTWAIT)) < 12) return false;
  const line = Buffer.from(answer, 0, 12).toString("latin1");
  if (line !== "HTTP/1.1 200") throw new Error(`answered ${line}`);
  return true;
}

/** One announce over a connection of its own. */
function askSecurely(port: number, n: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let heard = 0;
  const socket = {
    handshake: (opened: Socket) => void opened.write(requestOf(n)),
    data: (_: Socket, bytes: Buffer) => void (heard += bytes.length),
    close: () => (heard > 0 ? resolve() : reject(new Error("no answer"))),
    end: (opened: Socket) => void opened.end(),
  };
  const tls = { rejectUnauthorized: false };
  Bun.connect({ hostname: "127.0.0.1", port, tls, socket } as never).catch(reject);
  return promise;
}

async function askAllSecurely({ pid, secure }: Tracker): Promise<Figures> {
  const before = answeringThreads(pid);
  const begun = performance.now();
  let asked = 0;
  const lane = async (): Promise<void> => {
    while (asked < options.secure) await askSecurely(secure, asked++);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return figuresOf(options.secure, performance.now() - begun, before, answeringThreads(pid));
}

/** Adds the table; returns what two workers come to, of what the event loop does. */
async function measure(
  heading: string,
  trackers: readonly Tracker[],
  run: (tracker: Tracker) => Promise<Figures>,
  warmRounds: number,
): Promise<(name: keyof Figures) => number> {
  const rounds: Figures[][] = trackers.map(() => []);
  for (let round = -warmRounds; round < options.rounds; round++) {
    for (const [at, tracker] of trackers.entries()) {
      const figures = await run(tracker);
      if (round >= 0) rounds[at].push(figures);
    }
  }
  const of = (at: number, name: keyof Figures) =>
    median(rounds[at].map((figures) => figures[name]));
  const ratio = (at: number, name: keyof Figures) => of(at, name) / of(0, name);
  const share = (at: number, name: keyof Figures) => ratio(at, name).toFixed(2);
  const show = (at: number, name: keyof Figures) => Math.round(of(at, name)).toLocaleString("en");
  const rows = [
    [
      heading,
      "µs CPU",
      "of event loop",
      "undisturbed/s",
      "of event loop",
      "seen/s",
      "of event loop",
    ],
  ];
  for (const [at, workers] of WORKERS.entries()) {
    rows.push([
      workers === 0 ? "event loop" : `${workers} workers`,
      ...[of(at, "microseconds").toFixed(1), share(at, "microseconds")],
      ...[show(at, "undisturbed"), share(at, "undisturbed")],
      ...[show(at, "rate"), share(at, "rate")],
    ]);
  }
  addLine(showTable(rows).join("\n"));
  return (name) => ratio(WORKERS.indexOf(2), name);
}

/** Microseconds of a cycle over WebSockets. */
async function measureCycles(trackers: readonly Tracker[]): Promise<void> {
  const costs: number[][] = trackers.map(() => []);
  for (let round = -1; round < options.rounds; round++) {
    for (const [at, { pid, plain }] of trackers.entries()) {
      const flags = { ...CYCLES, port: plain, pid };
      const { cpu_us } = await generate("ws-load.ts", flags, { anywhere: true });
      if (round >= 0) costs[at].push(cpu_us);
    }
  }
  const rows = [[`WebSocket, ${CYCLES.offers} offers`, "µs CPU", "of event loop"]];
  for (const [at, workers] of WORKERS.entries()) {
    const cost = median(costs[at]);
    const name = workers === 0 ? "event loop" : `${workers} workers`;
    rows.push([name, cost.toFixed(0), (cost / median(costs[0])).toFixed(2)]);
  }
  addLine(showTable(rows).join("\n"));
}

const folder = mkdtempSync(join(tmpdir(), "buntracker-http-workers-"));
const trackers: Tracker[] = [];
try {
  for (const workers of WORKERS) trackers.push(await start(workers, folder));
  const http = await measure("HTTP", trackers, drain, WARM_ROUNDS);
  atLeast("HTTP, 2 workers: requests/s / the event loop's", 1.4, http("rate"));
  atMost("HTTP, 2 workers: CPU / the event loop's", 1.2, http("microseconds"));
  const https = await measure("HTTPS P-256", trackers, askAllSecurely, 1);
  atMost("HTTPS, 2 workers: CPU / the event loop's", 1.15, https("microseconds"));
  await measureCycles(trackers);
  const text = outcome([...machineLines(), `rounds   ${options.rounds}`]);
  console.log(text);
  if (options.rounds >= DEFAULTS.rounds) await writeResults("http-workers.txt", text);
} finally {
  for (const tracker of trackers) tracker[Symbol.dispose]();
  rmSync(folder, { recursive: true });
}
process.exit(0);
