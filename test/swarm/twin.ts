/**
 * The slow twin of the core: the same rules over a Map of objects, written to be obviously right.
 * It has no memory ceiling and does not draw: it tells which peers may be offered. Its ticks are
 * its own, and never begin again.
 */

export interface TwinAnnounce {
  infoHash: number;
  /** Family and number make the address; the key of the peer. */
  family: 4 | 6;
  peer: number;
  port0: boolean;
  seeder: boolean;
  event: "none" | "completed" | "started" | "stopped" | "paused";
  wanted: number;
  bothFamilies: boolean;
  /** The address of another peer, from which the announce really comes. */
  from?: TwinSource | undefined;
}

export interface TwinSource {
  family: 4 | 6;
  peer: number;
}

interface TwinPeer {
  family: 4 | 6;
  /** The address that stored it. */
  owner: string;
  seeder: boolean;
  completed: boolean;
  seenAt: number;
}

interface TwinSwarm {
  peers: Map<string, TwinPeer>;
  downloads: number;
  emptySince: number | undefined;
  /** Families that have outgrown the swarm's own block: an announce does not expire them. */
  large: Set<number>;
}

const SMALL_PEERS_MAX = 128;
const SMALL_PEERS_AGAIN = 64;

export const keyOf = (family: number, peer: number): string => `${family}/${peer}`;

/** The address an announce comes from. */
const sourceOf = ({ family, peer, from }: TwinAnnounce): string =>
  from === undefined ? keyOf(family, peer) : keyOf(from.family, from.peer);

/** Ages in sixtieths of a timeout, of whole seconds each. */
class Ages {
  readonly #tickSeconds: number;
  readonly #ticksMax: number;

  constructor(timeoutSeconds: number) {
    this.#tickSeconds = Math.max(1, Math.ceil(timeoutSeconds / 60));
    this.#ticksMax = Math.ceil(timeoutSeconds / this.#tickSeconds);
  }

  isTooOld(seenAt: number, now: number): boolean {
    const tickOf = (seconds: number) => Math.floor(seconds / this.#tickSeconds);
    return tickOf(now) - tickOf(seenAt) > this.#ticksMax;
  }
}

export class Twin {
  readonly swarms = new Map<number, TwinSwarm>();
  expired = 0;
  /** How often a family grew large, and how often one became small again. */
  enlarged = 0;
  diminished = 0;
  /** How often an address has begun a peer anew that another had claimed. */
  takenBack = 0;
  /** The download that each cell of the core's memory of downloads remembers. */
  readonly #remembered = new Map<number, string>();
  readonly #cellOf: (a: TwinAnnounce) => number;
  readonly #peerAges: Ages;
  readonly #emptyAges: Ages;

  /** `cellOf` tells which downloads push each other out of what the core remembers. */
  constructor(peerTimeout: number, downloadsTimeout: number, cellOf: (a: TwinAnnounce) => number) {
    this.#cellOf = cellOf;
    this.#peerAges = new Ages(peerTimeout);
    this.#emptyAges = new Ages(downloadsTimeout);
  }

  /** Returns whether the announcer is stored now. */
  announce(a: TwinAnnounce, now: number): boolean {
    const key = keyOf(a.family, a.peer);
    let swarm = this.swarms.get(a.infoHash);
    // Port 0 is a port like any other here, and nobody is stored with it.
    const admitted = !a.port0 && this.#admits(swarm, key, sourceOf(a));
    if (a.event === "stopped") {
      if (admitted) swarm?.peers.delete(key);
      this.#settle(a.infoHash, now);
      return false;
    }
    if (!admitted) return false;
    swarm ??= { peers: new Map(), downloads: 0, emptySince: undefined, large: new Set() };
    this.swarms.set(a.infoHash, swarm);
    if (!swarm.large.has(a.family)) this.#expire(swarm, now, a.family);
    const before = swarm.peers.get(key);
    const wasLeecher = before !== undefined && !before.seeder;
    const completes = a.event === "completed" && wasLeecher && !before.completed;
    if (completes && this.#isNewDownload(a)) swarm.downloads += 1;
    swarm.peers.set(key, {
      family: a.family,
      owner: sourceOf(a),
      seeder: a.seeder,
      completed: completes || (before?.completed ?? false),
      seenAt: now,
    });
    swarm.emptySince = undefined;
    if (swarm.large.has(a.family)) return true;
    if (this.#countOf(swarm, a.family) <= SMALL_PEERS_MAX) return true;
    swarm.large.add(a.family);
    this.enlarged += 1;
    return true;
  }

  /** Only its owner touches a peer; its own address begins it anew. */
  #admits(swarm: TwinSwarm | undefined, key: string, source: string): boolean {
    const owner = swarm?.peers.get(key)?.owner ?? source;
    if (owner === source) return true;
    if (source !== key) return false;
    swarm!.peers.delete(key);
    this.takenBack += 1;
    return true;
  }

  #isNewDownload(a: TwinAnnounce): boolean {
    const cell = this.#cellOf(a);
    const download = `${a.infoHash}/${sourceOf(a)}/${a.peer % 7}`;
    if (this.#remembered.get(cell) === download) return false;
    this.#remembered.set(cell, download);
    return true;
  }

  /** The peers this announce, which has taken effect, may be told: first these, then those. */
  mayOffer(a: TwinAnnounce, stored: boolean): { first: Set<string>; then: Set<string> } {
    const first = new Set<string>();
    const then = new Set<string>();
    if (a.event === "stopped") return { first, then };
    const seedersToo = !a.seeder && a.event !== "paused";
    for (const [key, peer] of this.swarms.get(a.infoHash)?.peers ?? []) {
      if (stored && key === keyOf(a.family, a.peer)) continue;
      if (!a.bothFamilies && peer.family !== a.family) continue;
      if (!peer.seeder || seedersToo) first.add(key);
      else if (a.event === "started") then.add(key);
    }
    return { first, then };
  }

  /** Seeders, leechers and downloads of a swarm. */
  counts(infoHash: number): [number, number, number] {
    const swarm = this.swarms.get(infoHash);
    if (swarm === undefined) return [0, 0, 0];
    let seeders = 0;
    for (const peer of swarm.peers.values()) if (peer.seeder) seeders += 1;
    return [seeders, swarm.peers.size - seeders, swarm.downloads];
  }

  /** What a whole round of the sweep does. */
  sweep(now: number): void {
    for (const [infoHash, swarm] of this.swarms) {
      for (const family of [4, 6]) {
        this.#expire(swarm, now, family);
        if (!swarm.large.has(family)) continue;
        if (this.#countOf(swarm, family) > SMALL_PEERS_AGAIN) continue;
        swarm.large.delete(family);
        this.diminished += 1;
      }
      this.#settle(infoHash, now);
    }
  }

  #countOf(swarm: TwinSwarm, family: number): number {
    let count = 0;
    for (const peer of swarm.peers.values()) if (peer.family === family) count += 1;
    return count;
  }

  #expire(swarm: TwinSwarm, now: number, family: number): void {
    for (const [key, peer] of swarm.peers) {
      if (peer.family !== family || !this.#peerAges.isTooOld(peer.seenAt, now)) continue;
      swarm.peers.delete(key);
      this.expired += 1;
    }
  }

  #settle(infoHash: number, now: number): void {
    const swarm = this.swarms.get(infoHash);
    if (swarm === undefined || swarm.peers.size > 0) return;
    swarm.emptySince ??= now;
    const tooOld = this.#emptyAges.isTooOld(swarm.emptySince, now);
    if (swarm.downloads === 0 || tooOld) this.swarms.delete(infoHash);
  }
}
