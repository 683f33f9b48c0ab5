/**
 * `make fuzz`: all campaigns, then the binary over its sockets, within a set time.
 *
 *   bun test/fuzz/run.ts [--seed N] [--seconds N]
 *
 * The seed is printed first, so that what failed can be run again. Exit code 1 if a promise broke.
 */
import { readOptions } from "../bench/options.ts";
import { startTracker } from "../e2e/harness.ts";
import { MIB, vitalsOf } from "../soak/vitals.ts";
import { campaigns, runFor, showEffort } from "./campaigns.ts";
import { must } from "./oracle.ts";
import { Random } from "./random.ts";
import { fuzzHttp, fuzzUdp } from "./sockets.ts";

const options = readOptions({ seed: -1, seconds: 120 });
const seed = options.seed < 0 ? crypto.getRandomValues(new Uint32Array(1))[0]! : options.seed;
const all = campaigns();
/** Four fuzzings of the binary beside them. */
const share = options.seconds / (all.length + 4);

/** What the binary may hold beyond its ceiling for swarms: Bun itself, and buffers. */
const BASE_MIB_MAX = 120;
const MEMORY_MIB = 32;

console.log(`seed ${seed} (run again with SEED=${seed}), ${options.seconds} seconds`);
try {
  for (const campaign of all) {
    console.log(showEffort(await runFor(campaign, seed, share, campaign.inputsMin)));
  }
  for (const workers of ["1", "0"]) await fuzzBinary(workers);
} catch (error) {
  console.error(`\nbroken with seed ${seed}: ${(error as Error).message}`);
  process.exit(1);
}

async function fuzzBinary(workers: string): Promise<void> {
  const env = { TRACKER_UDP_WORKERS: workers, TRACKER_MEMORY_MAX: `${MEMORY_MIB}MiB` };
  await using tracker = await startTracker({ env });
  for (const [name, fuzz] of [
    ["UDP", fuzzUdp],
    ["HTTP", fuzzHttp],
  ] as const) {
    const { inputs, answers } = await fuzz(new Random(seed, name), tracker.port, share);
    must(tracker.running, `the binary ended:\n${tracker.stderr}`);
    must(answers > 0, `the binary answers no ${name}`);
    console.log(
      `${showEffort({ name: `binary, ${name}, ${workers} workers`, inputs, seconds: share })}, ` +
        `${answers.toLocaleString("en")} answers`,
    );
  }
  const resident = Math.round(vitalsOf(tracker.pid).residentBytes / MIB);
  must(resident < MEMORY_MIB + BASE_MIB_MAX, `${resident} MiB of memory are resident`);
  console.log(`binary, ${workers} workers: ${resident} MiB resident at the end`);
}
