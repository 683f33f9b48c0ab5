/**
 * A cluster in which everything goes wrong, by a seed: `make simulate`.
 *
 *   bun test/cluster/simulate.ts                   a minute of seeds, on all processors
 *   bun test/cluster/simulate.ts --seconds 600
 *   bun test/cluster/simulate.ts --seeds 5000 --first 1
 *   bun test/cluster/simulate.ts --seeds 1 --first 4711      one of them again
 *
 * Three to seven trackers are told of peers while messages are lost, repeated and delayed, lines
 * are cut and healed, links go down, and trackers are killed and begin again with nothing. In some
 * seeds they write snapshots and begin with these, one of them or all at once. Clocks differ in
 * some seeds, and in some a client asks two trackers in the same moment. Then it is quiet, and
 * after that all trackers have the same peers in the same roles, but for stops that were missed or
 * overtaken: oracle.ts knows which. And no tracker thinks that something is missing.
 */
import { availableParallelism } from "node:os";
import { readOptions } from "../bench/options.ts";
import { Oracle } from "./oracle.ts";
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_STARTED,
  EVENT_STOPPED,
  type File,
  World,
} from "./world.ts";

const STORM_SECONDS = 60;
/** As soon as all are equal it is enough: pulls may need some turns, ten seconds apart. */
const QUIET_SECONDS = [12, 10, 10, 15, 15, 30];
const SWARMS = 12;
const PEERS = 400;
const MEMORY_BYTES = 4 * 2 ** 20;
/** Chances of each kind of trouble, a second. */
const CUTS = 0.05;
const HEALS = 0.2;
const LINKS_DOWN = 0.03;
const LINKS_UP = 0.3;
const KILLS = 0.02;
/** In the seeds with snapshots: they are written, and the power of all trackers fails. */
const WRITES = 0.1;
const POWER_CUTS = 0.01;

/** How a seed ended. */
export interface Outcome {
  /** One sentence each. */
  faults: string[];
  /** Trackers that may have a peer otherwise than the others. */
  excused: { missed: number; overtaken: number };
}

/** Runs one seed. */
export function simulate(seed: number): Outcome {
  const oracle = new Oracle(PEERS);
  // Ticks last 45 s: so clocks differ by two ticks at most.
  const clocksApart = seed % 3 === 0 ? 60 : 0;
  const options = { clocksApart, memoryBytes: MEMORY_BYTES, witness: oracle };
  const world = new World(seed, 3 + (seed % 5), options);
  const { random } = world;
  const pick = (below: number): number => Math.floor(random() * below);
  const files = [1, 2, 5].includes(seed % 7) ? new Map<string, File>() : undefined;
  const clients = new Clients(seed % 2 === 0 ? 0 : 2);
  world.run(5);
  world.weather = { lost: 0.1 * random(), repeated: 0.05 * random(), delay: 0.5 * random() };
  for (let step = 0; step < STORM_SECONDS * 4; step++) {
    for (let announces = pick(6); announces > 0; announces--) clients.announce(world, pick);
    trouble(world, random, pick, files);
    world.run(0.25);
  }
  world.weather = { lost: 0, repeated: 0, delay: 0.05 };
  world.cuts.clear();
  for (const node of world.nodes) node.setUp(true);
  let faults: string[] = [];
  for (const seconds of QUIET_SECONDS) {
    world.run(seconds);
    faults = [...oracle.faults(world.nodes), ...lacks(world)];
    if (faults.length === 0) break;
  }
  return { faults, excused: { ...oracle.excused } };
}

class Clients {
  /** A client announces again after so many seconds: without, one announce overtakes another. */
  readonly #apartSeconds: number;
  readonly #seeders = new Uint8Array(PEERS);
  readonly #at = new Float64Array(PEERS);

  constructor(apartSeconds: number) {
    this.#apartSeconds = apartSeconds;
  }

  announce({ nodes, now }: World, pick: (below: number) => number): void {
    const peer = pick(PEERS);
    const node = nodes[pick(nodes.length)];
    const chance = pick(10);
    if (now - this.#at[peer] < this.#apartSeconds) return;
    this.#at[peer] = now;
    const one = { swarm: peer % SWARMS, peer, family: peer % 3 === 0 ? 6 : 4 } as const;
    const wasSeeder = this.#seeders[peer] === 1;
    if (chance === 0) return node.announce(one, EVENT_STOPPED, wasSeeder);
    const completes = chance === 1 && !wasSeeder;
    if (completes) this.#seeders[peer] = 1;
    const event = completes ? EVENT_COMPLETED : chance < 5 ? EVENT_STARTED : EVENT_NONE;
    node.announce(one, event, completes || wasSeeder);
  }
}

function trouble(
  world: World,
  random: () => number,
  pick: (below: number) => number,
  files: Map<string, File> | undefined,
): void {
  const { nodes } = world;
  const happens = (chance: number): boolean => random() < chance / 4;
  const [a, b] = [pick(nodes.length), pick(nodes.length)];
  if (happens(CUTS * nodes.length) && a !== b) world.cut(a, b, true);
  if (happens(HEALS * nodes.length)) world.cut(a, b, false);
  if (happens(LINKS_DOWN * nodes.length)) nodes[a].setUp(false);
  if (happens(LINKS_UP * nodes.length)) nodes[b].setUp(true);
  if (happens(KILLS * nodes.length)) world.restart(a, files?.get(nodes[a].name));
  if (files === undefined) return;
  if (happens(WRITES * nodes.length)) files.set(nodes[b].name, nodes[b].write());
  if (!happens(POWER_CUTS)) return;
  for (const [at, { name }] of nodes.entries()) world.restart(at, files.get(name));
}

/** What trackers think is missing. */
function lacks({ nodes, now }: World): string[] {
  const found: string[] = [];
  for (const { name, sharing } of nodes) {
    const missing = sharing.ledger.lacking(now).map(({ origin }) => origin);
    if (missing.length > 0) found.push(`${name} lacks something of ${missing.join()}`);
    if (sharing.ledger.behind) found.push(`${name} has not caught up`);
  }
  return found;
}

/** What a run of seeds has found. */
interface Totals {
  seeds: number;
  faulty: number;
  missed: number;
  overtaken: number;
}

/** Each `stride`th seed from `first` on, `seeds` of them, or as many as `seconds` allow. */
function simulateMany(first: number, stride: number, seeds: number, seconds: number): Totals {
  const totals = { seeds: 0, faulty: 0, missed: 0, overtaken: 0 };
  const begun = performance.now();
  for (; totals.seeds < seeds && performance.now() - begun < 1000 * seconds; totals.seeds++) {
    const seed = first + totals.seeds * stride;
    const { faults, excused } = simulate(seed);
    totals.missed += excused.missed;
    totals.overtaken += excused.overtaken;
    if (faults.length === 0) continue;
    totals.faulty += 1;
    console.error(`seed ${seed}: ${faults.length} faults\n  ${faults.slice(0, 10).join("\n  ")}`);
  }
  return totals;
}

/** The same in as many processes as the machine has processors. */
async function simulateInProcesses(first: number, seeds: number, seconds: number): Promise<void> {
  const count = Math.min(availableParallelism(), seeds);
  const begun = performance.now();
  const all = Array.from({ length: count }, async (_, at): Promise<Totals> => {
    const share = Math.ceil((seeds - at) / count);
    const numbers = [first + at, count, share === Infinity ? 0 : share, seconds].map(String);
    const command = [process.execPath, import.meta.path, "--part", numbers.join()];
    const child = Bun.spawn(command, { stdio: ["ignore", "pipe", "inherit"] });
    return JSON.parse(await child.stdout.text()) as Totals;
  });
  const totals = await Promise.all(all);
  const sum = (name: keyof Totals): number => totals.reduce((all, one) => all + one[name], 0);
  const took = (performance.now() - begun) / 1000;
  const rate = Math.round((60 * sum("seeds")) / took);
  console.log(
    `${sum("seeds")} seeds from ${first} on in ${took.toFixed(1)} s, ${rate} a minute: ` +
      `${sum("faulty")} with faults`,
  );
  console.log(`excused: ${sum("missed")} for a missed stop, ${sum("overtaken")} overtaken`);
  process.exit(sum("faulty") === 0 ? 0 : 1);
}

if (import.meta.main) {
  const { first, seeds, seconds, part } = readOptions({
    seeds: 0,
    first: 1,
    seconds: 60,
    part: "",
  });
  if (part === "") {
    const isCounted = seeds > 0;
    await simulateInProcesses(first, isCounted ? seeds : Infinity, isCounted ? 86_400 : seconds);
  } else {
    const [first, stride, seeds, seconds] = part.split(",").map(Number);
    console.log(JSON.stringify(simulateMany(first, stride, seeds || Infinity, seconds)));
  }
}
