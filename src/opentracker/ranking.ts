/**
 * The statistics that visit every swarm: the largest swarms, and the networks with the most peers.
 *
 * Both walk in slices and use fixed memory: a hundred swarms of each kind, or tables of fixed size
 * (see frequent.ts; with ten million peers a count may be some 20 too high).
 */
import { FAMILIES, INFO_HASH_SIZE, type Family } from "../constants.ts";
import { nextTurn, runInTurns } from "../host/turns.ts";
import { SWARM_INFO_HASH } from "../swarm/blocks.ts";
import type { Store } from "../swarm/store.ts";
import { visitPeers, walkAll } from "../swarm/walk.ts";
import { Frequent, frequentBytes, type Frequency } from "../notes/frequent.ts";

/** A swarm in a list: its info hash in upper-case hexadecimal, and the count that ranks it. */
export interface Ranked {
  infoHash: string;
  count: number;
}

/** The largest swarms by three measures, largest first. */
export interface Ranking {
  peers: Ranked[];
  seeders: Ranked[];
  leechers: Ranked[];
}

/** The networks with the most peers: IPv4 by /28 and /24, IPv6 by /48. */
export interface BusyNetworks {
  ipv4By28: Frequency[];
  ipv4By24: Frequency[];
  ipv6By48: Frequency[];
}

/** Sets of eight networks in a table, as a power of two: 6 MiB during the count. */
const NETWORK_SET_BITS = 16;

/** The cost of a peer counted in two tables, in units of a swarm in a walk. */
const UNITS_PER_PEER = 2;

/** Ranks all swarms; each list has at most `most` swarms, without those that have a count of 0. */
export async function rankSwarms(store: Store, most: number): Promise<Ranking> {
  const { swarms } = store;
  const [peers, seeders, leechers] = [new Best(most), new Best(most), new Best(most)];
  const rank = (swarm: number): number => {
    const seeding = swarms.seeders(swarm);
    const leeching = swarms.leechers(swarm);
    peers.offer(store, swarm, seeding + leeching);
    seeders.offer(store, swarm, seeding);
    leechers.offer(store, swarm, leeching);
    return 1;
  };
  await runInTurns(walkAll(store, rank));
  return { peers: peers.list, seeders: seeders.list, leechers: leechers.list };
}

/** The largest swarms so far, in order. */
class Best {
  readonly list: Ranked[] = [];
  readonly #most: number;
  #least = 0;

  constructor(most: number) {
    this.#most = most;
  }

  offer(store: Store, swarm: number, count: number): void {
    if (count <= this.#least) return;
    const at = swarm + SWARM_INFO_HASH;
    const hash = store.arena.bytes.slice(at, at + INFO_HASH_SIZE);
    const place = this.list.findLastIndex((other) => other.count >= count) + 1;
    this.list.splice(place, 0, { infoHash: hash.toHex().toUpperCase(), count });
    if (this.list.length <= this.#most) return;
    this.list.pop();
    this.#least = this.list[this.#most - 1].count;
  }
}

/** Counts the peers of all networks; each list has at most `most`, highest count first. */
export async function countNetworks(store: Store, most: number): Promise<BusyNetworks> {
  const { halves } = store.arena;
  const [by28, by24, by48] = [openTable(), openTable(), openTable()];
  const visitors: Record<Family, (at: number, weight: number) => void> = {
    4: (at, weight) => {
      const address = wordAt(halves, at);
      by28.add((address & 0xfffffff0) >>> 0, 0, weight);
      by24.add((address & 0xffffff00) >>> 0, 0, weight);
    },
    6: (at, weight) => {
      by48.add(wordAt(halves, at), (swapped(halves[at + 2]) << 16) >>> 0, weight);
    },
  };
  const count = (swarm: number): number => {
    let units = 1;
    for (const family of FAMILIES) {
      units += UNITS_PER_PEER * visitPeers(store, swarm, family, visitors[family]);
    }
    return units;
  };
  await runInTurns(walkAll(store, count));
  const tops: Frequency[][] = [];
  for (const table of [by28, by24, by48]) {
    await nextTurn();
    tops.push(table.top(most));
  }
  const [ipv4By28, ipv4By24, ipv6By48] = tops;
  return { ipv4By28, ipv4By24, ipv6By48 };
}

function openTable(): Frequent {
  const words = new Uint32Array(frequentBytes(NETWORK_SET_BITS) / Uint32Array.BYTES_PER_ELEMENT);
  return new Frequent(words, NETWORK_SET_BITS, crypto.getRandomValues(new Int32Array(1))[0] | 1);
}

/** Peers are stored in network byte order, halves are read in the order of the machine. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function swapped(half: number): number {
  return LITTLE_ENDIAN ? ((half & 0xff) << 8) | (half >>> 8) : half;
}

function wordAt(halves: Uint16Array, at: number): number {
  return ((swapped(halves[at]) << 16) | swapped(halves[at + 1])) >>> 0;
}
