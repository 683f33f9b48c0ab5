/**
 * Makes a snapshot of many swarms in a second or ten, where filling a tracker over UDP would take
 * minutes: a tracker that is started with it has them.
 *
 *   bun test/bench/snapshot-file.ts --file /tmp/swarms --peers 10000000 --swarms 1000000
 *
 * Swarms and peers are those of workload.ts, at public addresses that numbers make; `huge` more
 * peers are in swarm 0. All have announced within the last half hour. It has a process of its own,
 * which gives its memory back at the end.
 */
import { commandOf } from "./generators.ts";
import { readOptions, type Report, showReport } from "./options.ts";
import { mix, putInfoHash, Workload } from "./workload.ts";
import { EVENT_NONE } from "../../src/constants.ts";
import { RECORDS_BYTES_MAX } from "../../src/snapshot/format.ts";
import { writeSnapshot } from "../../src/snapshot/writer.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { reserveSwarmMemory } from "../../src/swarm/memory.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";

const HALF_HOUR = 1800;
const SKEW = 1;
/** First bytes of addresses that are public and can be peers. */
const FIRST_BYTE = 11;
const FIRST_BYTES = 89;

/** Makes the file in another process. */
export async function makeSnapshotFile(
  file: string,
  sizes: { swarms: number; peers: number; huge?: number },
): Promise<void> {
  const command = commandOf("snapshot-file.ts", { huge: 0, ...sizes, file });
  const child = Bun.spawn(command, { stdio: ["ignore", "ignore", "inherit"] });
  if ((await child.exited) !== 0) throw new Error("no snapshot was made");
}

async function make(): Promise<Report> {
  const options = readOptions({ file: "", swarms: 1_000_000, peers: 10_000_000, huge: 0 });
  const memory = reserveSwarmMemory({
    memoryMax: 1.5 * 2 ** 30,
    peerTimeout: 2700,
    downloadsTimeout: 86_400,
    threads: false,
  });
  const store = new Store(memory);
  const tracker = new Tracker(store, new ArrayBuffer(64));
  const { request } = tracker;
  const { peers, swarms, huge } = options;
  const workload = new Workload(swarms, peers, SKEW);
  const words = new Uint32Array(5);
  const bytes = new Uint8Array(words.buffer);
  request.wanted = 0;
  request.event = EVENT_NONE;
  for (let n = 0; n < peers + huge; n++) {
    putInfoHash(words, 0, n < peers ? workload.swarmOf(n) : 0);
    request.infoHash.set(bytes);
    const address = mix(n);
    request.peer[0] = FIRST_BYTE + ((address >>> 24) % FIRST_BYTES);
    request.peer[1] = address >>> 16;
    request.peerHalves[1] = address;
    request.peerHalves[2] = 1 + (mix(n ^ 0x1234567) % 60_000);
    request.seeder = workload.isSeeder(n);
    tracker.announce((n / (peers + huge)) * HALF_HOUR);
  }
  const written = await writeSnapshot({
    path: options.file,
    store,
    chunk: new Uint8Array(RECORDS_BYTES_MAX),
    begunSeconds: Math.floor(Date.now() / 1000),
    stretch: 1,
    kept: 1,
    turns: false,
    clock: () => HALF_HOUR,
  });
  return { swarms: takeCensus(memory).swarms, ...written };
}

if (import.meta.main) console.log(showReport(await make()));
