/**
 * `make soak`: honest and hostile traffic together for a set time; fails if anything grows.
 *
 *   bun test/soak/run.ts [--minutes N] [--out FILE]
 *
 * Honest clients announce and scrape over both transports and are timed. Beside them floods come
 * and go: garbage, connects, random info hashes, random ports, mutated packets and requests, and
 * connections that drip bytes into requests which they never finish. A list of 200,000 hashes is
 * read again every two seconds. Every few seconds a line is written: memory, descriptors,
 * latencies, how many were answered. At the end:
 *
 *   neighbours.ts        one part of a network floods with limits enforced; its neighbour is served
 *   pages.ts             one address asks for the page 18,000 times a second; announces may take
 *                        ten times as long at most
 *   open-files.ts        both ports get more connections than there are files for
 *   stalled-readers.ts   one IPv6 /56 holds all connections and does not read (as root)
 *   garbage.ts           1,000 clients drip 200,000 bytes a second; a list is read 200 times
 *
 * It fails (exit code 1) if the process ends, an honest HTTP request fails, the median of the
 * memory in the last quarter is more than a tenth above that of the second, descriptors stay
 * behind, or honest clients in quiet times wait too long.
 */
import { connect, type Socket } from "node:net";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname } from "node:path";
import { readOptions } from "../bench/options.ts";
import { announceRequest, openDatagrams, randomBytes } from "../e2e/datagrams.ts";
import { BINARY, startTracker, type Tracker } from "../e2e/harness.ts";
import { must } from "../fuzz/oracle.ts";
import { Random } from "../fuzz/random.ts";
import { fuzzHttp, fuzzUdp } from "../fuzz/sockets.ts";
import { drip, DRIP_KINDS } from "./drips.ts";
import { flood, type FloodKind } from "./flood.ts";
import { complaintsOfGarbage, longList, reload } from "./garbage.ts";
import { complaintsOfNeighbour } from "./neighbours.ts";
import { complaintsOfFiles } from "./open-files.ts";
import { complaintsOfPages } from "./pages.ts";
import { complaintsOfStalledReaders } from "./stalled-readers.ts";
import { growthOf, median, MIB, vitalsOf } from "./vitals.ts";

/** A shorter run shows less, so it does not replace the outcome of a whole one. */
const MINUTES_TOLD = 20;

const options = readOptions({ minutes: MINUTES_TOLD, out: "" });
const out =
  options.out !== "" || options.minutes < MINUTES_TOLD
    ? options.out
    : `${import.meta.dir}/results/soak.txt`;

const SAMPLE_SECONDS = 5;
/** One round: floods for this long, then quiet for as long, so that recovery is seen. */
const PHASE_SECONDS = 10;
const SLOW_CONNECTIONS = 200;
const DRIPS = { connections: 200, dripsPerSecond: 5000 };
const RELOAD_MILLISECONDS = 2000;
const QUIET_MILLISECONDS_MAX = 100;
const FLOODS: FloodKind[] = ["garbage", "connects", "hashes", "ports", "downloads"];

interface Sample {
  seconds: number;
  flooded: boolean;
  residentBytes: number;
  descriptors: number;
  cpuSeconds: number;
  httpMedian: number;
  httpWorst: number;
  httpAnswered: number;
  udpAnswered: number;
  udpLost: number;
  flooding: number;
}

class Soak {
  readonly tracker: Tracker;
  readonly lines: string[] = [];
  readonly samples: Sample[] = [];
  readonly #end: number;
  readonly #start = performance.now();
  #latencies: number[] = [];
  #udpAnswered = 0;
  #udpLost = 0;
  #sent = 0;
  #fuzzed = 0;
  #reloads = 0;
  #flooded = false;
  #broken: unknown;

  constructor(tracker: Tracker, minutes: number) {
    this.tracker = tracker;
    this.#end = this.#start + minutes * 60_000;
  }

  get #running(): boolean {
    return performance.now() < this.#end && this.#broken === undefined;
  }

  async run(): Promise<void> {
    const parts = [this.#askHttp(), this.#askUdp(), this.#attack(), this.#reload(), this.#sample()];
    const noted = parts.map((part) => part.catch((error: unknown) => (this.#broken ??= error)));
    await Promise.all(noted);
    if (this.#broken !== undefined) throw this.#broken;
  }

  async #askHttp(): Promise<void> {
    for (let i = 0; this.#running; i++) {
      const hash = `info_hash=${"%5a".repeat(19)}%${(16 + (i % 200)).toString(16)}`;
      const query = `${hash}&peer_id=${"p".repeat(20)}&port=${1 + (i % 60_000)}&left=${i % 2}`;
      const target = i % 5 === 0 ? `scrape?${hash}` : `announce?${query}`;
      const start = performance.now();
      const url = `http://127.0.0.1:${this.tracker.port}/${target}`;
      const response = await fetch(url, { keepalive: i % 2 === 0 });
      const body = await response.bytes();
      must(response.status === 200 && body[0] === 0x64, `HTTP ${response.status} for ${target}`);
      this.#latencies.push(performance.now() - start);
      await Bun.sleep(10);
    }
  }

  async #askUdp(): Promise<void> {
    for (let i = 0; this.#running; i++) {
      using client = await openDatagrams("127.0.0.1", this.tracker.port, `127.0.0.${2 + (i % 40)}`);
      const connectionId = await client.connect(300).catch(() => undefined);
      if (connectionId === undefined) {
        this.#udpLost += 1;
        continue;
      }
      const infoHash = randomBytes(20).fill(7, 1);
      client.send(announceRequest({ connectionId, infoHash, port: 1000 + (i % 1000) }));
      const answer = await client.receive(300).catch(() => undefined);
      if (answer === undefined) this.#udpLost += 1;
      else this.#udpAnswered += 1;
      await Bun.sleep(5);
    }
  }

  /** Rounds of attacks with pauses between them. */
  async #attack(): Promise<void> {
    const { port } = this.tracker;
    const random = new Random(1, "soak");
    for (let round = 0; this.#running; round++) {
      this.#flooded = true;
      const slow = slowConnections(port);
      const [sent, http] = await Promise.all([
        flood(port, PHASE_SECONDS, FLOODS[round % FLOODS.length]!),
        fuzzHttp(random, port, PHASE_SECONDS),
        drip(port, PHASE_SECONDS, DRIP_KINDS[round % DRIP_KINDS.length]!, DRIPS),
      ]);
      this.#sent += sent;
      this.#fuzzed += http.inputs;
      for (const socket of slow) socket.destroy();
      this.#flooded = false;
      await Bun.sleep(PHASE_SECONDS * 500);
      // Only now: a flood makes answers late, and late ones look as if nobody had asked.
      this.#fuzzed += (await fuzzUdp(random, port, PHASE_SECONDS / 2)).inputs;
    }
  }

  async #reload(): Promise<void> {
    while (this.#running) {
      await reload(this.tracker);
      this.#reloads += 1;
      await Bun.sleep(RELOAD_MILLISECONDS);
    }
  }

  async #sample(): Promise<void> {
    const heading =
      " time flood   RSS MiB  fds  CPU s   HTTP ms p50/max  answered   UDP answered/lost";
    this.#tell(heading);
    while (this.#running) {
      this.#latencies = [];
      [this.#udpAnswered, this.#udpLost] = [0, 0];
      const flooded = this.#flooded;
      await Bun.sleep(SAMPLE_SECONDS * 1000);
      must(this.tracker.running, `the tracker ended:\n${this.tracker.stderr}`);
      const sorted = this.#latencies.toSorted((a, b) => a - b);
      const sample: Sample = {
        seconds: (performance.now() - this.#start) / 1000,
        flooded: flooded || this.#flooded,
        ...vitalsOf(this.tracker.pid),
        httpMedian: sorted[Math.floor(sorted.length / 2)] ?? 0,
        httpWorst: sorted.at(-1) ?? 0,
        httpAnswered: sorted.length,
        udpAnswered: this.#udpAnswered,
        udpLost: this.#udpLost,
        flooding: this.#sent,
      };
      this.samples.push(sample);
      this.#tell(show(sample));
    }
    const inputs = `${this.#sent} datagrams of floods, ${this.#fuzzed} mutated inputs over sockets`;
    this.#tell(`${inputs}, ${this.#reloads} reloads`);
  }

  #tell(line: string): void {
    this.lines.push(line);
    console.log(line);
  }
}

function slowConnections(port: number): Socket[] {
  return Array.from({ length: SLOW_CONNECTIONS }, () => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => {});
    socket.write("GET /announce?info_hash=");
    return socket;
  });
}

function show(sample: Sample): string {
  const columns: [value: string | number, width: number][] = [
    [Math.round(sample.seconds), 5],
    [sample.flooded ? "yes" : "no", 6],
    [(sample.residentBytes / MIB).toFixed(1), 10],
    [sample.descriptors, 5],
    [sample.cpuSeconds.toFixed(1), 7],
    [`${sample.httpMedian.toFixed(1)}/${sample.httpWorst.toFixed(1)}`, 18],
    [sample.httpAnswered, 10],
    [`${sample.udpAnswered}/${sample.udpLost}`, 20],
  ];
  return columns.map(([value, width]) => String(value).padStart(width)).join("");
}

/** What grew, or was too slow, as sentences. */
function complaints(samples: Sample[]): string[] {
  const found: string[] = [];
  const growth = growthOf(samples.map(({ residentBytes }) => residentBytes));
  if (growth !== "") found.push(growth);
  const quiet = samples.filter(({ flooded }) => !flooded);
  const descriptors = quiet.map((sample) => sample.descriptors);
  if (descriptors.at(-1)! > descriptors[0]! + 20) {
    found.push(`descriptors grew from ${descriptors[0]} to ${descriptors.at(-1)}`);
  }
  const slowest = median(quiet.map(({ httpMedian }) => httpMedian));
  if (slowest > QUIET_MILLISECONDS_MAX) found.push(`HTTP takes ${slowest} ms in quiet times`);
  return found;
}

using list = longList();
const env = {
  TRACKER_DENY_FILE: list.path,
  TRACKER_MEMORY_MAX: "64MiB",
  TRACKER_INTERVAL: "20s",
  TRACKER_PEER_TIMEOUT: "30s",
  TRACKER_DOWNLOADS_TIMEOUT: "30s",
};
await using tracker = await startTracker({ env });
const soak = new Soak(tracker, options.minutes);
const failures: string[] = [];
try {
  await soak.run();
  failures.push(...complaints(soak.samples));
  failures.push(...(await complaintsOfNeighbour()));
  failures.push(...(await complaintsOfPages()));
  failures.push(...(await complaintsOfFiles()));
  failures.push(...(await complaintsOfStalledReaders(BINARY)));
  failures.push(...(await complaintsOfGarbage()));
} catch (error) {
  failures.push((error as Error).message);
}
const verdict = failures.length === 0 ? "passed" : `FAILED: ${failures.join("; ")}`;
const head = [
  `Soak of ${options.minutes} minutes, ${new Date().toISOString().slice(0, 10)}: ${verdict}`,
  `Bun ${Bun.version}, ${process.platform} ${process.arch}, ${cpus().length} cores shared with the`,
  "attackers; TRACKER_MEMORY_MAX=64MiB, peers live 30 s",
];
if (out !== "") {
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, `${[...head, "", ...soak.lines].join("\n")}\n`);
}
console.log(verdict);
process.exitCode = failures.length === 0 ? 0 : 1;
