/**
 * The current figures, for the page, its feed and `buntracker top`.
 *
 * They are collected at most once a second, however many clients ask for them. They are sums only:
 * no address, no info hash, no data of a single client.
 */
import type { Counters } from "../counters/counters.ts";
import type { WallClock } from "../host/clock.ts";
import { takeCensus } from "../swarm/census.ts";
import type { SwarmMemory } from "../swarm/memory.ts";
import { type ByKind, type Curve, History } from "./history.ts";

/** The largest age of the figures, in seconds. */
const AGE_SECONDS_MAX = 1;
/** Samples of deltas, a second apart, from which a rate is made. */
const TOLD_SAMPLES = 11;

/** The current figures of the tracker. */
export interface LiveFigures {
  version: string;
  /** The time of the start, in seconds since 1970, and the uptime in seconds. */
  startedSeconds: number;
  upSeconds: number;
  /** Announces per second now: by UDP over IPv4 and IPv6, by HTTP, by WebSocket. */
  announces: ByKind;
  swarms: number;
  peers: number;
  seeders: number;
  peersIpv6: number;
  memoryUsed: number;
  memoryMax: number;
  /** Datagrams dropped by the kernel since the start; null if the system does not tell. */
  drops: number | null;
  /** Seconds since the swarms were last kept for a restart; null if they are not. */
  keptSecondsAgo: number | null;
  /** Open WebSockets and their peers, which are in swarms of their own; null if they are off. */
  webSockets: { connections: number; peers: number } | null;
  /** Other trackers, with which this one shares its peers; null if it is alone. */
  cluster: LiveCluster | null;
  /** Announces per second over the last 24 hours, oldest first. */
  curve: Curve;
}

/** The sharing of peers with other trackers. */
interface LiveCluster {
  /** Whether a server of NATS is connected. */
  up: boolean;
  /** Other trackers that are there. */
  nodes: number;
  /** How long peers of others have been missing here; 0 if none are. */
  behindSeconds: number;
  /** Changes of peers per second now: told to the others, and by them. */
  sent: number;
  received: number;
}

/** What the figures of it are made from; the deltas are those since the start. */
interface ClusterSource {
  up: boolean;
  heard: number;
  behindSeconds: number;
  deltas: { sent: number; received: number };
}

/** The sources of the figures. */
export interface LiveSources {
  version: string;
  wallClock: Pick<WallClock, "at">;
  counters: Counters;
  memory: SwarmMemory;
  drops: () => number | undefined;
  /** When the swarms were last kept, in seconds since the start; undefined if they are not. */
  keptSeconds: () => number | undefined;
  /** WebSockets; undefined if they are off. */
  webSockets?: () => { connections: number; seeders: number; leechers: number } | undefined;
  /** The cluster; undefined if this tracker is alone. */
  cluster?: () => ClusterSource | undefined;
  /** Seconds since the start. */
  now: () => number;
}

export class Live {
  readonly #sources: LiveSources;
  readonly #history: History;
  #figures: LiveFigures | undefined;
  #gathered = 0;
  /** Deltas since the start, of the last seconds. */
  readonly #told: (ClusterSource["deltas"] & { seconds: number })[] = [];

  constructor(sources: LiveSources) {
    this.#sources = sources;
    this.#history = new History(sources.now());
  }

  /** Samples the count of announces. Call it about once a second. */
  sample(): void {
    const { counters, now } = this.#sources;
    this.#history.sample(now(), [
      counters.total("udpAnnouncesIpv4"),
      counters.total("udpAnnouncesIpv6"),
      counters.total("httpAnnouncesIpv4"),
      counters.total("httpAnnouncesIpv6"),
      counters.total("websocketAnnouncesIpv4"),
      counters.total("websocketAnnouncesIpv6"),
    ]);
    const cluster = this.#sources.cluster?.();
    if (cluster === undefined) return;
    this.#told.push({ seconds: now(), ...cluster.deltas });
    if (this.#told.length > TOLD_SAMPLES) this.#told.shift();
  }

  /** The figures, at most a second old. The same object until they are collected again. */
  figures(): LiveFigures {
    const seconds = this.#sources.now();
    if (this.#figures === undefined || seconds - this.#gathered >= AGE_SECONDS_MAX) {
      this.#figures = this.#gather(seconds);
      this.#gathered = seconds;
    }
    return this.#figures;
  }

  #gather(upSeconds: number): LiveFigures {
    const { version, wallClock, memory, drops, keptSeconds } = this.#sources;
    const census = takeCensus(memory);
    const kept = keptSeconds();
    const browsers = this.#sources.webSockets?.();
    return {
      version,
      startedSeconds: Math.floor(wallClock.at(0)),
      upSeconds: Math.floor(upSeconds),
      announces: this.#history.rates(),
      swarms: census.swarms,
      peers: census.peers,
      seeders: census.seeders,
      peersIpv6: census.seedersIpv6 + census.leechersIpv6,
      memoryUsed: census.memoryUsed,
      memoryMax: census.memoryMax,
      drops: drops() ?? null,
      keptSecondsAgo: kept === undefined ? null : Math.floor(upSeconds - kept),
      webSockets: browsers
        ? { connections: browsers.connections, peers: browsers.seeders + browsers.leechers }
        : null,
      cluster: this.#cluster(),
      curve: this.#history.curve(),
    };
  }

  #cluster(): LiveCluster | null {
    const cluster = this.#sources.cluster?.();
    if (cluster === undefined) return null;
    const { up, heard: nodes, behindSeconds } = cluster;
    const [first, last] = [this.#told[0], this.#told.at(-1)];
    const seconds = (last?.seconds ?? 0) - (first?.seconds ?? 0);
    const rate = (name: "sent" | "received") =>
      seconds > 0 ? (last![name] - first[name]) / seconds : 0;
    return { up, nodes, behindSeconds, sent: rate("sent"), received: rate("received") };
  }
}
