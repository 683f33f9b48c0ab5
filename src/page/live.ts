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
  /** Announces per second over the last 24 hours, oldest first. */
  curve: Curve;
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
  /** Seconds since the start. */
  now: () => number;
}

export class Live {
  readonly #sources: LiveSources;
  readonly #history: History;
  #figures: LiveFigures | undefined;
  #gathered = 0;

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
      curve: this.#history.curve(),
    };
  }
}
