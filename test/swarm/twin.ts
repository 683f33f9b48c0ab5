/**
 * The slow twin of the core: the same rules over a Map of objects, written to be obviously right.
 * It has no memory ceiling and does not draw: it tells which peers may be offered.
 */
import { Ticks } from "../../src/swarm/ticks.ts";

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
}

interface TwinPeer {
  family: 4 | 6;
  seeder: boolean;
  completed: boolean;
  tick: number;
}

interface TwinSwarm {
  peers: Map<string, TwinPeer>;
  downloads: number;
  emptySince: number | undefined;
}

export const keyOf = (family: number, peer: number): string => `${family}/${peer}`;

export class Twin {
  readonly swarms = new Map<number, TwinSwarm>();
  expired = 0;
  readonly #peerTicks: Ticks;
  readonly #emptyTicks: Ticks;

  constructor(peerTimeout: number, downloadsTimeout: number) {
    this.#peerTicks = new Ticks(peerTimeout);
    this.#emptyTicks = new Ticks(downloadsTimeout, 0xff);
  }

  announce(a: TwinAnnounce, now: number): { first: string[]; then: string[] } {
    const key = keyOf(a.family, a.peer);
    let swarm = this.swarms.get(a.infoHash);
    if (a.event === "stopped") {
      swarm?.peers.delete(key);
      this.#settle(a.infoHash, now);
      return { first: [], then: [] };
    }
    if (!a.port0) {
      swarm ??= { peers: new Map(), downloads: 0, emptySince: undefined };
      this.swarms.set(a.infoHash, swarm);
      const before = swarm.peers.get(key);
      const completes = a.event === "completed" && a.seeder && !before?.completed;
      if (completes) swarm.downloads += 1;
      swarm.peers.set(key, {
        family: a.family,
        seeder: a.seeder,
        completed: completes || (before?.completed ?? false),
        tick: this.#peerTicks.at(now),
      });
      swarm.emptySince = undefined;
    }
    const others = [...(swarm?.peers ?? [])].filter(
      ([other, peer]) => (a.port0 || other !== key) && (a.bothFamilies || peer.family === a.family),
    );
    const seeders = others.filter(([, peer]) => peer.seeder).map(([other]) => other);
    const leechers = others.filter(([, peer]) => !peer.seeder).map(([other]) => other);
    if (!a.seeder && a.event !== "paused") return { first: [...seeders, ...leechers], then: [] };
    return { first: leechers, then: a.event === "started" ? seeders : [] };
  }

  /** Seeders, leechers and downloads of a swarm. */
  counts(infoHash: number): [number, number, number] {
    const swarm = this.swarms.get(infoHash);
    if (swarm === undefined) return [0, 0, 0];
    const seeders = [...swarm.peers.values()].filter((peer) => peer.seeder).length;
    return [seeders, swarm.peers.size - seeders, swarm.downloads];
  }

  /** What a whole round of the sweep does. */
  sweep(now: number): void {
    for (const [infoHash, swarm] of this.swarms) {
      this.expire(swarm, now);
      this.#settle(infoHash, now);
    }
  }

  expire(swarm: TwinSwarm, now: number, family?: number): void {
    const tick = this.#peerTicks.at(now);
    for (const [key, peer] of swarm.peers) {
      if (family !== undefined && peer.family !== family) continue;
      if (this.#peerTicks.between(peer.tick, tick) <= this.#peerTicks.lifetime) continue;
      swarm.peers.delete(key);
      this.expired += 1;
    }
  }

  #settle(infoHash: number, now: number): void {
    const swarm = this.swarms.get(infoHash);
    if (swarm === undefined || swarm.peers.size > 0) return;
    const tick = this.#emptyTicks.at(now);
    swarm.emptySince ??= tick;
    const since = this.#emptyTicks.between(swarm.emptySince, tick);
    if (swarm.downloads === 0 || since > this.#emptyTicks.lifetime) this.swarms.delete(infoHash);
  }
}
