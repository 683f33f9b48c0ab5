/**
 * A cluster in which everything goes wrong, by a seed: `make simulate`.
 *
 *   bun test/cluster/simulate.ts                   a minute of seeds
 *   bun test/cluster/simulate.ts --seeds 5000 --first 1
 *   bun test/cluster/simulate.ts --seeds 1 --first 4711      one of them again
 *
 * Three to seven trackers are told of peers while messages are lost, repeated and delayed, lines
 * are cut and healed, links go down, and trackers are killed and begin again with nothing. Then
 * it is quiet, and after that
 *
 *   every peer that announced at a tracker which has not been killed since is at every tracker,
 *     in the role that it had last
 *   all trackers have the same peers, but for those that once stopped: a stop is no state, and one
 *     that was lost is not found again
 *   no tracker has a peer that never announced, or a seeder that never was one
 *   no tracker thinks that something is missing
 */
import { readOptions } from "../bench/options.ts";
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_STARTED,
  EVENT_STOPPED,
  type Node,
  World,
} from "./world.ts";

const STORM_SECONDS = 60;
const QUIET_SECONDS = 90;
const SWARMS = 12;
const PEERS = 400;
/** Chances of each kind of trouble, a second. */
const CUTS = 0.05;
const HEALS = 0.2;
const LINKS_DOWN = 0.03;
const LINKS_UP = 0.3;
const KILLS = 0.02;

/** A client does not announce again at once, so no announce of it overtakes the one before. */
const APART_SECONDS = 2;

interface Told {
  key: string;
  seeder: boolean;
  wasSeeder: boolean;
  hasStopped: boolean;
  at: number;
  /** The trackers that it announced at. */
  nodes: Set<Node>;
}

/** Runs one seed; returns what is wrong, one sentence each. */
export function simulate(seed: number): string[] {
  const world = new World(seed, 3 + (seed % 5));
  const { random } = world;
  const pick = (below: number): number => Math.floor(random() * below);
  const told = new Map<string, Told>();
  world.run(5);
  world.weather = { lost: 0.1 * random(), repeated: 0.05 * random(), delay: 0.5 * random() };
  for (let step = 0; step < STORM_SECONDS * 4; step++) {
    for (let announces = pick(6); announces > 0; announces--) announce(world, told, pick);
    trouble(world, random, pick);
    world.run(0.25);
  }
  world.weather = { lost: 0, repeated: 0, delay: 0.05 };
  world.cuts.clear();
  for (const node of world.nodes) node.setUp(true);
  world.run(QUIET_SECONDS);
  return faults(world, told);
}

function announce(world: World, told: Map<string, Told>, pick: (below: number) => number): void {
  const peer = pick(PEERS);
  const swarm = peer % SWARMS;
  const family = peer % 3 === 0 ? 6 : 4;
  const key = `${swarm} ${family} ${peer}`;
  const node = world.nodes[pick(world.nodes.length)];
  const state = told.get(key) ?? {
    ...{ key, seeder: false, wasSeeder: false, hasStopped: false, at: 0, nodes: new Set<Node>() },
  };
  if (world.now - state.at < APART_SECONDS) return;
  state.at = world.now;
  told.set(key, state);
  const chance = pick(10);
  if (chance === 0) {
    state.hasStopped = true;
    node.announce({ swarm, peer, family }, EVENT_STOPPED, state.seeder);
    return;
  }
  const completes = chance === 1 && !state.seeder;
  if (completes) state.seeder = state.wasSeeder = true;
  const event = completes ? EVENT_COMPLETED : chance < 5 ? EVENT_STARTED : EVENT_NONE;
  state.nodes.add(node);
  node.announce({ swarm, peer, family }, event, state.seeder);
}

function trouble(world: World, random: () => number, pick: (below: number) => number): void {
  const { nodes } = world;
  const happens = (chance: number): boolean => random() < chance / 4;
  const [a, b] = [pick(nodes.length), pick(nodes.length)];
  if (happens(CUTS * nodes.length) && a !== b) world.cut(a, b, true);
  if (happens(HEALS * nodes.length)) world.cut(a, b, false);
  if (happens(LINKS_DOWN * nodes.length)) nodes[a].setUp(false);
  if (happens(LINKS_UP * nodes.length)) nodes[b].setUp(true);
  if (happens(KILLS * nodes.length)) world.restart(a);
}

function faults(world: World, told: Map<string, Told>): string[] {
  const found: string[] = [];
  const contents = world.nodes.map((node) => node.contents());
  for (const [at, node] of world.nodes.entries()) {
    const { name, sharing } = node;
    for (const [key, seeder] of contents[at]) {
      const state = told.get(key);
      if (state === undefined) found.push(`${name} has ${key}, which never announced`);
      else if (seeder && !state.wasSeeder) found.push(`${name} has ${key} as a seeder`);
    }
    for (const { key, seeder, hasStopped, nodes } of told.values()) {
      if (hasStopped) continue;
      const isSure = [...nodes].every((other) => other.alive) && nodes.size > 0;
      const has = contents[at].get(key);
      if (isSure && has !== seeder) found.push(`${name} has ${key} as ${has}, not ${seeder}`);
      if (has !== contents[0].get(key)) found.push(`${name} and ${world.nodes[0].name}: ${key}`);
    }
    const missing = [...sharing.ledger.lacking(world.now)].map(({ origin }) => origin);
    if (missing.length > 0) found.push(`${name} lacks something of ${missing.join()}`);
    if (sharing.ledger.behind) found.push(`${name} has not caught up`);
  }
  return found;
}

if (import.meta.main) {
  const options = readOptions({ seeds: 0, first: 1 });
  const { first } = options;
  const seeds = options.seeds === 0 ? Infinity : options.seeds;
  const begun = performance.now();
  let seed = first;
  for (; seed < first + seeds && (seeds < Infinity || performance.now() - begun < 60_000); seed++) {
    const wrong = simulate(seed);
    if (wrong.length === 0) continue;
    console.error(`seed ${seed}: ${wrong.length} faults\n  ${wrong.slice(0, 10).join("\n  ")}`);
    process.exit(1);
  }
  const seconds = (performance.now() - begun) / 1000;
  console.log(`${seed - first} seeds in ${seconds.toFixed(1)} s, from ${first} on: no fault`);
}
