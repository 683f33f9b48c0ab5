/**
 * What a connection over TLS costs: `make handshakes`.
 *
 * The claims it defends: a certificate with a P-256 key costs the tracker less than half of one
 * with RSA 2048, and a client that resumes a session costs less than one that does not.
 *
 *   bun test/bench/handshakes.ts
 *   bun test/bench/handshakes.ts --rounds 1 --seconds 3
 *
 * `openssl s_time` asks for /health over one connection after the other, with full handshakes or
 * with the session of the first. It needs a processor of its own, so what counts is the processor
 * time of the tracker: 1/s is what one processor would do. Figures are medians of rounds that take
 * turns. Writes test/bench/results/handshakes.txt.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARY, freePort } from "../e2e/harness.ts";
import { makeCertificate } from "../http/openssl.ts";
import { readOptions } from "./options.ts";
import { answeringSeconds } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";

const DEFAULTS = { rounds: 5, seconds: 1 };
const options = readOptions(DEFAULTS);

const RSA = ["-newkey", "rsa:2048"];
const KEYS = { "RSA 2048": RSA, "P-256": undefined };
const WAYS = [
  ["TLS 1.3", "-tls1_3", "-new"],
  ["TLS 1.3, resumed", "-tls1_3", "-reuse"],
  ["TLS 1.2", "-tls1_2", "-new"],
  ["TLS 1.2, resumed", "-tls1_2", "-reuse"],
] as const;

const folder = mkdtempSync(join(tmpdir(), "buntracker-handshakes-"));

/** A tracker in the event loop, with a certificate whose key is made so. */
async function start(key: string[] | undefined) {
  const port = freePort();
  const name = key === undefined ? "ec" : "rsa";
  const files = makeCertificate(folder, name, 90, "", key);
  const child = Bun.spawn([BINARY], {
    env: {
      PATH: process.env.PATH ?? "",
      TRACKER_UDP_ADDRESS: "",
      TRACKER_HTTP_ADDRESS: `https://127.0.0.1:${port}`,
      TRACKER_ADMIN_ADDRESS: "",
      TRACKER_TLS_CERT_FILE: files.cert,
      TRACKER_TLS_KEY_FILE: files.key,
      TRACKER_LOG_LEVEL: "error",
      TRACKER_RATE_LIMIT: "off",
      TRACKER_MEMORY_MAX: "64MiB",
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await Bun.sleep(1000);
  return { pid: child.pid, port, stop: () => child.kill("SIGKILL") };
}

/** Microseconds of the tracker for a connection. */
async function costOf(pid: number, port: number, flags: readonly string[]): Promise<number> {
  const at = `127.0.0.1:${port}`;
  const time = String(options.seconds);
  const words = ["s_time", "-connect", at, "-www", "/health", "-time", time, ...flags];
  const before = answeringSeconds(pid);
  const child = Bun.spawn(["openssl", ...words], { stdio: ["ignore", "pipe", "ignore"] });
  const text = await new Response(child.stdout).text();
  const made = [...text.matchAll(/^(\d+) connections in \d+ real seconds/gm)].at(-1)?.[1];
  if (made === undefined) throw new Error(`openssl s_time made no connections:\n${text}`);
  return ((answeringSeconds(pid) - before) * 1e6) / Number(made);
}

const rows: string[][] = [["key", "handshake", "µs CPU", "1/s of a processor"]];
try {
  for (const [key, made] of Object.entries(KEYS)) {
    const tracker = await start(made);
    const costs: number[][] = WAYS.map(() => []);
    for (let round = -1; round < options.rounds; round++) {
      for (const [at, [, ...flags]] of WAYS.entries()) {
        const cost = await costOf(tracker.pid, tracker.port, flags);
        if (round >= 0) costs[at].push(cost);
      }
    }
    tracker.stop();
    for (const [at, [name]] of WAYS.entries()) {
      const cost = median(costs[at]);
      rows.push([key, name, cost.toFixed(0), Math.round(1e6 / cost).toLocaleString("en")]);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
const text = [...machineLines(), `rounds   ${options.rounds}`, "", ...showTable(rows, 2), ""].join(
  "\n",
);
console.log(text);
if (options.rounds >= DEFAULTS.rounds) await writeResults("handshakes.txt", text);
process.exit(0);
