/**
 * Who announces what: info hashes, peers and the choice of swarms, all from numbers.
 *
 * Nothing is stored: swarm n and peer n are the same in every run and every program that asks, so
 * a whitelist can be written for them and no generator pays for tables. Peer n is always in the
 * same swarm, always announces from the same socket with the same port, and is always a seeder or
 * always a leecher; so `peers` peers stay as many, however often they announce.
 *
 * Skew: peer n belongs to swarm floor(u^(1 + skew) × swarms) with u uniform. 0 spreads evenly;
 * with 1, the first swarm of a million has a thousandth of all peers and the last has 5e-7 of them.
 */

export const INFO_HASH_WORDS = 5;

/** Ports of peers: 1024 and up. */
const PORT_FIRST = 1024;
const PORTS = 60_000;

/** A seeder in this share of peers, as in public swarms. */
const SEEDER_SHARE = 0.75;

/** A bijection of 32-bit numbers that looks random. */
export function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** Writes the info hash of swarm n as five words. */
export function putInfoHash(words: Uint32Array, at: number, n: number): void {
  for (let i = 0; i < INFO_HASH_WORDS; i++) words[at + i] = mix(n ^ (0x5bd1e995 * (i + 1)));
}

export class Workload {
  readonly swarms: number;
  readonly peers: number;
  readonly #skew: number;
  readonly #hot: number;

  /** `hot` is the share of peers that are all in swarm 0. */
  constructor(swarms: number, peers: number, skew: number, hot = 0) {
    this.swarms = swarms;
    this.peers = peers;
    this.#skew = skew;
    this.#hot = hot * 0x1_0000_0000;
  }

  /** The swarm of a peer. */
  swarmOf(peer: number): number {
    if (this.#hot > 0 && mix(peer ^ 0x51ed270b) < this.#hot) return 0;
    const u = mix(peer ^ 0x2545f491) / 0x1_0000_0000;
    const skewed = this.#skew === 1 ? u * u : this.#skew === 0 ? u : Math.pow(u, 1 + this.#skew);
    return Math.floor(skewed * this.swarms);
  }

  isSeeder(peer: number): boolean {
    return mix(peer ^ 0x7f4a7c15) < SEEDER_SHARE * 0x1_0000_0000;
  }

  portOf(peer: number): number {
    return PORT_FIRST + (peer % PORTS);
  }
}

/** The file opentracker is told: one info hash a line, in hex. */
export function whitelist(swarms: number): Buffer {
  const words = new Uint32Array(INFO_HASH_WORDS);
  const bytes = Buffer.from(words.buffer);
  const text = Buffer.alloc(swarms * 41, "\n");
  for (let n = 0; n < swarms; n++) {
    putInfoHash(words, 0, n);
    text.write(bytes.toString("hex"), n * 41, "latin1");
  }
  return text;
}
