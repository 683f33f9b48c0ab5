/**
 * A campaign against what is put back: chunks of records as a snapshot has them, with right
 * checksums and hostile content. An input is one chunk.
 *
 * Whatever it holds, the store is whole after each one, and goes on: announces and the sweep find
 * nothing broken either.
 */
import { Dump } from "../../src/swarm/dump.ts";
import { PutBack } from "../../src/swarm/put-back.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import {
  announce,
  complete,
  makeMemory,
  MIB,
  scrape,
  sweepRound,
  trackerOver,
} from "../swarm/fixture.ts";
import { brokenInvariants, brokenStructure } from "../swarm/invariants.ts";
import { must } from "./oracle.ts";
import type { Random } from "./random.ts";
import type { Campaign } from "./readers.ts";

/** Inputs that one store gets; then it is looked through completely, and another one begins. */
const INPUTS_PER_STORE = 256;
const CHANGES_MAX = 5000;
const PEERS_MAX = 300;
const SWARMS_MAX = 6;

/** A chunk of a tracker with some swarms of each kind. */
function chunkOf(random: Random): Uint8Array {
  const tracker = trackerOver(makeMemory(16 * MIB));
  const swarms = 1 + random.below(SWARMS_MAX);
  for (let infoHash = 0; infoHash < swarms; infoHash++) {
    const peers = random.oneIn(3) ? random.below(PEERS_MAX) : random.below(6);
    const family = random.oneIn(3) ? 6 : 4;
    for (let peer = 0; peer < peers; peer++) {
      const seeder = random.oneIn(2);
      announce(tracker, { infoHash, peer, family, seeder, wanted: 0, event: "none" }, peer);
    }
    if (!random.oneIn(2)) continue;
    complete(tracker, { infoHash, peer: 1000 }, PEERS_MAX);
    announce(tracker, { infoHash, peer: 1000, event: "stopped" }, PEERS_MAX);
  }
  const dump = new Dump(tracker.store, new Uint8Array(32 * 1024));
  while (!dump.done) {
    dump.slice(PEERS_MAX, 500);
    if (dump.isFull) break;
  }
  return dump.chunk.slice(0, dump.size);
}

function mutate(random: Random, chunk: Uint8Array): Uint8Array {
  if (chunk.length === 0 || random.oneIn(20)) {
    const noise = new Uint8Array(2 * random.below(4096));
    random.fill(noise, 0, noise.length);
    return noise;
  }
  if (random.oneIn(10)) return Uint8Array.from([...chunk, ...chunk]);
  const bytes = chunk.slice(0, random.oneIn(5) ? random.below(chunk.length) : chunk.length);
  const most = random.pick([1, 3, 30, CHANGES_MAX]);
  for (let changes = random.below(most + 1); changes > 0; changes--) {
    // A record's counts and downloads are where it hurts; the first record begins at 0.
    const at = random.oneIn(3) ? 20 + random.below(14) : random.below(bytes.length);
    if (at < bytes.length) bytes[at] = random.oneIn(3) ? random.below(4) : random.word();
  }
  return bytes;
}

/** Some of the ceilings are near, so that peers make room, or find none. */
function makeStore(random: Random): Tracker {
  const limits = random.oneIn(2)
    ? {}
    : { peersPerSwarmMax: 40, peersPerAddressMax: 2, swarmsPerAddressMax: 3 };
  return trackerOver(makeMemory(random.pick([4, 16]) * MIB, random.oneIn(2), limits));
}

export function recordsCampaign(): Campaign {
  return {
    name: "hostile records put back, the core whole after each",
    inputsMin: 100_000,
    run(random, count) {
      for (let done = 0; done < count; done += INPUTS_PER_STORE) fuzzStore(random);
    },
  };
}

function fuzzStore(random: Random): void {
  const tracker = makeStore(random);
  const { store } = tracker;
  const sweep = new Sweep(store);
  const judge = {
    maySwarm: () => !random.oneIn(10),
    mayPeer: () => !random.oneIn(20),
  };
  const back = new PutBack(store, judge, new Int32Array([1, 2, 3, 4]));
  const seeds = Array.from({ length: 8 }, () => chunkOf(random));
  let now = 1;
  for (let input = 0; input < INPUTS_PER_STORE; input++) {
    const chunk = mutate(random, random.pick(seeds));
    const dumped = {
      tick: random.below(128),
      tickSeconds: random.pick([1, 10, 45, 2 ** 32 - 1]),
      elapsedSeconds: random.pick([0, 1, 300, -5, 2 ** 32]),
    };
    back.open(chunk, dumped, now);
    while (back.next());
    const shown = `${JSON.stringify(dumped)} ${chunk.toHex()}`;
    must(back.at <= chunk.length, `read beyond the chunk: ${shown}`);
    const broken = brokenStructure(tracker);
    must(broken.length === 0, `${broken.slice(0, 3).join("; ")}: ${shown}`);
    const { peersPerSwarmMax = Infinity } = store.memory.settings;
    for (let infoHash = 0; infoHash < SWARMS_MAX; infoHash++) {
      const [seeders, leechers] = scrape(tracker, infoHash);
      must(seeders + leechers <= peersPerSwarmMax, `too many peers of ${infoHash}: ${shown}`);
    }
    for (let i = 0; i < 4; i++) {
      const peer = random.below(PEERS_MAX);
      announce(tracker, { infoHash: random.below(SWARMS_MAX), peer, seeder: random.oneIn(2) }, now);
    }
    now += random.below(20);
    if (random.oneIn(32)) sweepRound(sweep, now, 1000);
  }
  const broken = brokenInvariants(tracker);
  must(broken.length === 0, broken.slice(0, 3).join("; "));
}
