/**
 * What a connection over TLS costs: `make handshakes`.
 *
 * The claims it defends: a certificate with a P-256 key costs the tracker less than half of one
 * with RSA 2048, a client that resumes a session costs less than one that does not, and with a
 * P-256 key no proxy that speaks TLS in place of the tracker makes a connection cheaper. (Theirs is
 * OpenSSL, which signs with RSA faster than the library of the runtime.)
 *
 *   bun test/bench/handshakes.ts
 *   bun test/bench/handshakes.ts --rounds 1 --seconds 3
 *   bun test/bench/handshakes.ts --keys P-256
 *
 * `openssl s_time` asks for /health over one connection after the other, with full handshakes or
 * with the session of the first: of the tracker itself, and of nginx and HAProxy in front of it,
 * with the files that we ship. What counts is the processor time of all processes that take part,
 * the proxy's and the tracker's; 1/s is what one processor would do. They take turns on core 0,
 * `openssl` has core 1, and figures are medians of the rounds. A full run takes five minutes and
 * writes test/bench/results/handshakes.txt.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARY, freePort } from "../e2e/harness.ts";
import { isInstalled, startProxy } from "../e2e/real-proxies.ts";
import { makeCertificate } from "../http/openssl.ts";
import { CORE_GENERATORS, CORE_SERVERS, pinned } from "./contenders.ts";
import { readOptions, refuse } from "./options.ts";
import { answeringSeconds, familySeconds } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";

const RSA = ["-newkey", "rsa:2048"];
const KEYS: Record<string, string[] | undefined> = { "RSA 2048": RSA, "P-256": undefined };
const WAYS = [
  ["TLS 1.3", "-tls1_3", "-new"],
  ["TLS 1.3, resumed", "-tls1_3", "-reuse"],
  ["TLS 1.2", "-tls1_2", "-new"],
  ["TLS 1.2, resumed", "-tls1_2", "-reuse"],
] as const;
const PROXIES = { nginx: "nginx", haproxy: "HAProxy" } as const;

const DEFAULTS = { rounds: 5, seconds: 1, keys: Object.keys(KEYS).join() };
const options = readOptions(DEFAULTS);
const keys = options.keys.split(",");
for (const key of keys) {
  if (!(key in KEYS)) refuse(`--keys are of ${DEFAULTS.keys}, not ${key}`);
}

const folder = mkdtempSync(join(tmpdir(), "buntracker-handshakes-"));
const remarks = new Set<string>();

/** What speaks TLS at a port, and the processor time that it and all behind it have used. */
interface Front {
  name: string;
  port: number;
  seconds(): number;
  stop(): Promise<void>;
}

/** Adds a tracker in the event loop, over TLS, and before it the proxies that are installed. */
async function startFronts(key: string, fronts: Front[]): Promise<void> {
  const tls = makeCertificate(folder, key.replace(" ", ""), 90, "", KEYS[key]);
  const [port, plain] = [freePort(), freePort()];
  const child = Bun.spawn(pinned(CORE_SERVERS, [BINARY]), {
    env: {
      PATH: process.env.PATH ?? "",
      TRACKER_UDP_ADDRESS: "",
      TRACKER_HTTP_ADDRESS: `https://127.0.0.1:${port},http://127.0.0.1:${plain}`,
      TRACKER_TRUSTED_PROXIES: "127.0.0.1",
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_TLS_CERT_FILE: tls.cert,
      TRACKER_TLS_KEY_FILE: tls.key,
      TRACKER_LOG_LEVEL: "error",
      TRACKER_RATE_LIMIT: "off",
      TRACKER_MEMORY_MAX: "64MiB",
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const { pid } = child;
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  fronts.push({ name: "tracker", port, seconds: () => answeringSeconds(pid), stop });
  await Bun.sleep(1000);
  for (const [program, name] of Object.entries(PROXIES) as [keyof typeof PROXIES, string][]) {
    if (!isInstalled(program)) {
      remarks.add(`${name} is skipped: it is not installed (Debian package ${program})`);
      continue;
    }
    const run = (command: string[]) => pinned(CORE_SERVERS, command);
    const proxy = await startProxy(program, plain, { tls, run });
    fronts.push({
      name,
      port: proxy.port,
      seconds: () => familySeconds(proxy.pid) + answeringSeconds(pid),
      stop: () => proxy[Symbol.asyncDispose](),
    });
  }
}

/** Microseconds for a connection. Throws if sessions were to be resumed and were not. */
async function costOf({ name, port, seconds }: Front, flags: readonly string[]): Promise<number> {
  const at = `127.0.0.1:${port}`;
  const time = String(options.seconds);
  const command = ["openssl", "s_time", "-connect", at, "-www", "/health", "-time", time, ...flags];
  const before = seconds();
  const child = Bun.spawn(pinned(CORE_GENERATORS, command), {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const text = await new Response(child.stdout).text();
  const made = Number([...text.matchAll(/^(\d+) connections in \d+ real seconds/gm)].at(-1)?.[1]);
  if (!(made > 0)) throw new Error(`openssl s_time made no connections to ${name}:\n${text}`);
  // It prints a mark for each connection, an `r` if a session was resumed.
  const marks = [...text.matchAll(/^[r*t\d]+$/gm)].join("");
  const resumed = marks.replaceAll(/[^r]/g, "").length;
  if (flags.includes("-reuse") && resumed < made / 2) {
    throw new Error(`${name} resumed ${resumed} of ${made} sessions`);
  }
  return ((seconds() - before) * 1e6) / made;
}

/** Medians of each front, for each way. */
async function measure(fronts: Front[]): Promise<number[][]> {
  const costs: number[][][] = WAYS.map(() => fronts.map(() => []));
  for (let round = -1; round < options.rounds; round++) {
    for (const [way, [, ...flags]] of WAYS.entries()) {
      for (const [at, front] of fronts.entries()) {
        const cost = await costOf(front, flags);
        // The first round warms what is compiled while it runs.
        if (round >= 0) costs[way][at].push(cost);
      }
    }
  }
  return costs.map((each) => each.map(median));
}

const rows: string[][] = [];
try {
  for (const key of keys) {
    const fronts: Front[] = [];
    try {
      await startFronts(key, fronts);
      const names = fronts.map(({ name }) => (name === "tracker" ? name : `${name} + tracker`));
      const heads = names.flatMap((name) => [`${name}, µs`, "1/s"]);
      if (rows.length === 0) rows.push(["key", "handshake", ...heads]);
      for (const [way, costs] of (await measure(fronts)).entries()) {
        const perSecond = (cost: number) => Math.round(1e6 / cost).toLocaleString("en");
        rows.push([key, WAYS[way][0], ...costs.flatMap((c) => [c.toFixed(0), perSecond(c)])]);
      }
    } finally {
      for (const front of fronts.reverse()) await front.stop();
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
const text = [
  ...machineLines(),
  `rounds   ${options.rounds}, ${options.seconds} s each`,
  "",
  "Processor time of a connection with one request, and how many a second one processor would do",
  ...showTable(rows, 2),
  "",
  ...remarks,
].join("\n");
console.log(text);
const full = options.rounds >= DEFAULTS.rounds && options.keys === DEFAULTS.keys;
if (full) await writeResults("handshakes.txt", `${text.trimEnd()}\n`);
process.exit(0);
