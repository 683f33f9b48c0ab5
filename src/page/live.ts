/**
 * The figures of this moment, for all who watch: the page, its feed and `buntracker top`.
 *
 * They are gathered at most once a second, however many watch, so that watching costs nothing. They
 * are numbers alone: no address, no info hash, nothing of a single client.
 */
import type { Counters } from "../counters/counters.ts";
import { takeCensus } from "../swarm/census.ts";
import type { SwarmMemory } from "../swarm/memory.ts";
import { type ByKind, type Curve, History } from "./history.ts";

/** How old figures may be, in seconds. */
const AGE_SECONDS_MAX = 1;

/** What is told of the tracker as it is now. */
export interface LiveFigures {
  version: string;
  /** When it started, in seconds since 1970, and for how many seconds it has been up. */
  startedSeconds: number;
  upSeconds: number;
  /** Announces per second now: by UDP over IPv4 and IPv6, by HTTP over IPv4 and IPv6. */
  announces: ByKind;
  swarms: number;
  peers: number;
  seeders: number;
  peersIpv6: number;
  memoryUsed: number;
  memoryMax: number;
  /** Datagrams the kernel dropped for want of room, since the start; null if it does not tell. */
  drops: number | null;
  /** Announces per second over the last 24 hours, oldest first. */
  curve: Curve;
}

/** Where the figures come from. */
export interface LiveSources {
  version: string;
  startedSeconds: number;
  counters: Counters;
  memory: SwarmMemory;
  drops: () => number | undefined;
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

  /** Takes note of the announces so far; to be called about once a second. */
  sample(): void {
    const { counters, now } = this.#sources;
    this.#history.sample(now(), [
      counters.total("udpAnnouncesIpv4"),
      counters.total("udpAnnouncesIpv6"),
      counters.total("httpAnnouncesIpv4"),
      counters.total("httpAnnouncesIpv6"),
    ]);
  }

  /** The figures, at most a second old. The same object as long as they are the same. */
  figures(): LiveFigures {
    const seconds = this.#sources.now();
    if (this.#figures === undefined || seconds - this.#gathered >= AGE_SECONDS_MAX) {
      this.#figures = this.#gather(seconds);
      this.#gathered = seconds;
    }
    return this.#figures;
  }

  #gather(upSeconds: number): LiveFigures {
    const { version, startedSeconds, memory, drops } = this.#sources;
    const census = takeCensus(memory);
    const seeders = census.seedersIpv4 + census.seedersIpv6;
    return {
      version,
      startedSeconds: Math.floor(startedSeconds),
      upSeconds: Math.floor(upSeconds),
      announces: this.#history.rates(),
      swarms: census.swarms,
      peers: seeders + census.leechersIpv4 + census.leechersIpv6,
      seeders,
      peersIpv6: census.seedersIpv6 + census.leechersIpv6,
      memoryUsed: census.memoryUsed,
      memoryMax: census.memoryMax,
      drops: drops() ?? null,
      curve: this.#history.curve(),
    };
  }
}
