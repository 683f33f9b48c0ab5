/**
 * The core in process, without sockets: what an announce costs and what a peer weighs.
 *
 * The claims it defends: an announce takes well under 3 µs even in a swarm of 100,000 peers, an
 * IPv4 peer weighs little more than its 6 bytes and an IPv6 peer little more than its 18, and a
 * swarm of one peer weighs some 50 bytes in all.
 *
 *   bun test/bench/core.bench.ts                                  every case, as a table
 *   bun test/bench/core.bench.ts --family 4 --swarms 1 --each 100000       one case, as a line
 *
 * Every case has a process of its own, since resident memory is a process's. Seeds are fixed, locks
 * are on as with a UDP worker, 30 peers are wanted and three in four are seeders. `join` is the
 * first announce of a peer, `again` a later one in random order; both include some 30 ns for making
 * the request up, and are the median over 20 parts of the run. Of small cases no resident bytes
 * per peer are told: all shards take a page each first.
 */
import { readOptions, type Report, parseReport, showReport } from "./options.ts";
import { residentBytes } from "./processes.ts";
import { machineLines, median, showTable, writeResults } from "./report.ts";
import { mix, putInfoHash } from "./workload.ts";
import { EVENT_NONE, EVENT_STARTED } from "../../src/constants.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { HASH_KEY_WORDS } from "../../src/swarm/keyed-hash.ts";
import { reserveSwarmMemory, type SwarmMemory } from "../../src/swarm/memory.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";

/** Swarms, and peers in each. Up to 10,000,000 peers in all. */
const CASES = [
  [1000, 1],
  [100_000, 1],
  [1_000_000, 1],
  [1000, 10],
  [100_000, 10],
  [1_000_000, 10],
  [1, 1000],
  [1000, 1000],
  [10_000, 1000],
  [1, 100_000],
  [100, 100_000],
] as const;

const MEMORY_MAX = 2 * 2 ** 30;
const WANTED = 30;
const PARTS = 20;
const AGAIN_MAX = 2_000_000;
const AGAIN_MIN = 200_000;
/** Fewer peers than this say nothing about resident memory. */
const RESIDENT_PEERS_MIN = 1_000_000;

/** Code is compiled before anything is measured, by small swarms and large ones. */
const WARM_BYTES = 64 * 2 ** 20;
const WARM_SWARMS = 100;
const WARM_ANNOUNCES = 100_000;

const options = readOptions({ family: 0, swarms: 0, each: 0 });

if (options.family === 0) await runAll();
else console.log(showReport(runCase(options.family === 6 ? 6 : 4, options.swarms, options.each)));

/** Every case of both families; prints a table and writes it to results/core.txt. */
async function runAll(): Promise<void> {
  const rows = [
    ["family", "swarms", "peers each", "join ns", "again ns", "bytes/peer", "resident"],
  ];
  for (const family of [4, 6]) {
    for (const [swarms, each] of CASES) {
      const report = await runChild(family, swarms, each);
      const resident = report.resident > 0 ? report.resident.toFixed(1) : "-";
      const counts = [swarms, each].map((count) => count.toLocaleString("en"));
      const times = [report.join_ns, report.again_ns].map((ns) => ns.toFixed(0));
      rows.push([`IPv${family}`, ...counts, ...times, report.bytes.toFixed(1), resident]);
    }
  }
  const text = [...machineLines(), "", ...showTable(rows), ""].join("\n");
  console.log(text);
  await writeResults("core.txt", text);
}

async function runChild(family: number, swarms: number, each: number): Promise<Report> {
  const sizes = ["--family", family, "--swarms", swarms, "--each", each].map(String);
  const child = Bun.spawn([process.execPath, import.meta.path, ...sizes], { stderr: "inherit" });
  const report = parseReport(await child.stdout.text());
  if ((await child.exited) !== 0) throw new Error(`IPv${family} ${swarms} × ${each} failed`);
  return report;
}

function runCase(family: 4 | 6, swarms: number, each: number): Report {
  const warm = makeCore(WARM_BYTES);
  const warming = new Announcer(warm.tracker, family, WARM_SWARMS);
  for (let n = 0; n < WARM_ANNOUNCES; n++) warming.announce(n, EVENT_STARTED);

  const { memory, tracker } = makeCore(MEMORY_MAX);
  const peers = swarms * each;
  const announcer = new Announcer(tracker, family, swarms);
  const before = residentBytes(process.pid);
  const join = timeParts(peers, (n) => announcer.announce(n, EVENT_STARTED));
  const resident = residentBytes(process.pid) - before;
  const census = takeCensus(memory);
  if (census.peers !== peers) throw new Error(`${census.peers} of ${peers} peers are stored`);
  const count = Math.max(AGAIN_MIN, Math.min(AGAIN_MAX, peers));
  const again = timeParts(count, (n) => announcer.announce(mix(n) % peers, EVENT_NONE));
  return {
    join_ns: join,
    again_ns: again,
    bytes: census.memoryUsed / peers,
    resident: peers < RESIDENT_PEERS_MIN ? 0 : resident / peers,
  };
}

function makeCore(memoryMax: number): { memory: SwarmMemory; tracker: Tracker } {
  const keys = new Int32Array(HASH_KEY_WORDS).map((_, i) => mix(i + 1) | 1);
  const settings = { memoryMax, peerTimeout: 2700, downloadsTimeout: 86_400, threads: true };
  const memory = reserveSwarmMemory(settings, keys);
  const tracker = new Tracker(
    new Store(memory),
    new ArrayBuffer(4096),
    new Int32Array([1, 2, 3, 4]),
  );
  return { memory, tracker };
}

/** Nanoseconds per call, for the numbers below `count`: the median over parts of the run. */
function timeParts(count: number, act: (n: number) => void): number {
  const parts: number[] = [];
  for (let part = 0; part < PARTS; part++) {
    const first = Math.floor((count * part) / PARTS);
    const end = Math.floor((count * (part + 1)) / PARTS);
    const start = Bun.nanoseconds();
    for (let n = first; n < end; n++) act(n);
    if (end > first) parts.push((Bun.nanoseconds() - start) / (end - first));
  }
  return median(parts);
}

/** Fills requests: peer n is in swarm n mod swarms, so that swarms grow side by side. */
class Announcer {
  readonly #tracker: Tracker;
  readonly #swarms: number;
  readonly #family: 4 | 6;
  readonly #words = new Uint32Array(5);
  readonly #bytes = new Uint8Array(this.#words.buffer);

  constructor(tracker: Tracker, family: 4 | 6, swarms: number) {
    this.#tracker = tracker;
    this.#swarms = swarms;
    this.#family = family;
    const { request } = tracker;
    request.family = family;
    request.wanted = WANTED;
    request.bothFamilies = false;
    request.offsetIpv4 = 0;
    request.offsetIpv6 = 0;
    request.peer.set([0x20, 0x01, 0x0d, 0xb8]);
  }

  announce(n: number, event: number): void {
    const { request } = this.#tracker;
    putInfoHash(this.#words, 0, n % this.#swarms);
    request.infoHash.set(this.#bytes);
    const address = mix(n);
    const halves = request.peerHalves;
    const at = this.#family === 4 ? 0 : 6;
    halves[at] = address & 0xffff;
    halves[at + 1] = address >>> 16;
    halves[at + 2] = 1 + (n % 60_000);
    request.seeder = (address & 3) !== 0;
    request.event = event;
    this.#tracker.announce(0);
  }
}
