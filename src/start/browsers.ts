/**
 * WebSockets on the HTTP addresses: loads what they need at the first upgrade.
 */
import type { Access } from "../access/access.ts";
import { connectionsPerAddressMax, webSocketLimits } from "../config/derived.ts";
import { Counters } from "../counters/counters.ts";
import { Histogram } from "../counters/histograms.ts";
import { Client } from "../gates/client.ts";
import { now } from "../host/clock.ts";
import { runInTurns } from "../host/turns.ts";
import { Intervals } from "../limits/intervals.ts";
import type { Limits } from "../limits/limits.ts";
import { Networks } from "../net/addresses.ts";
import { RequestHead } from "../net/head.ts";
import type { Takeover, UpgradeRequest } from "../net/tunnel.ts";
import type { BrowserFigures } from "../metrics/metrics.ts";
import type { AllowedHosts, NameCount } from "../notes/hosts.ts";
import type { Notes } from "../notes/notes.ts";
import { Tracker } from "../swarm/tracker.ts";
import type { WebSockets } from "../ws/web-sockets.ts";
import type { Program } from "./program.ts";
import { reportTo } from "./report-bugs.ts";

/** What WebSockets share with HTTP: both belong to the event loop. */
export interface BrowserParts {
  access: Access;
  limits: Limits;
  notes: Notes;
  hosts: AllowedHosts;
  /** Called for each download that was counted. */
  tellDownload: (infoHashHalves: Uint16Array) => void;
  /** Gets the head of a request whose client the trusted proxy did not name. */
  unclearProxy: (head: RequestHead) => void;
}

/** The first peers of a reply are of no use here, but the core wants a buffer for them. */
const REPLIES_SIZE = 64;

export class Browsers {
  readonly limits: ReturnType<typeof webSocketLimits>;
  readonly #program: Program;
  readonly #parts: BrowserParts;
  #loading: Promise<WebSockets> | undefined;
  #loaded: WebSockets | undefined;
  /** True once the log says that all connections are taken. */
  #warned = false;

  constructor(program: Program, parts: BrowserParts) {
    this.limits = webSocketLimits(program.config, program.connections.http);
    this.#program = program;
    this.#parts = parts;
    program.threads.addPart({
      // The part of HTTP, which was added before, has changed lists and rules already.
      take: ({ access, rules }) => {
        if (access !== undefined || rules !== undefined) this.#evict();
      },
    });
  }

  /** Undefined before the first upgrade. */
  get sockets(): WebSockets | undefined {
    return this.#loaded;
  }

  /** The origins with the most connections. */
  origins(most: number): NameCount[] {
    const largest = this.#loaded?.largestOrigins(most) ?? [];
    return largest.map(({ origin, connections }) => ({ name: origin, count: connections }));
  }

  /** Peers of an info hash. */
  countsOf(infoHash: Uint8Array): { seeders: number; leechers: number } {
    return this.#loaded?.countsOf(infoHash) ?? { seeders: 0, leechers: 0 };
  }

  /** The first ones wait until all is loaded. */
  upgrade(request: UpgradeRequest): Takeover | Response | Promise<Takeover | Response> {
    if (this.#loaded !== undefined) return this.#loaded.upgrade(request);
    const copy = copyOf(request);
    return (this.#loading ??= this.#load()).then((sockets) => sockets.upgrade(copy));
  }

  async #load(): Promise<WebSockets> {
    const { WebSockets } = await import("../ws/web-sockets.ts");
    const { config, store, threads, connections, log } = this.#program;
    const { shared } = threads;
    const { connectionsMax, perOriginMax, perSiteMax, peersMax } = this.limits;
    this.#loaded = new WebSockets({
      ...this.#parts,
      client: new Client(new Networks(config.trustedProxies), config.proxyHeader),
      core: new Tracker(store, new ArrayBuffer(REPLIES_SIZE)),
      counters: new Counters(shared.counters, 0),
      intervals: new Intervals({
        ...shared.intervals,
        interval: config.websocketIntervalSeconds,
      }),
      gates: { ...this.#parts, refusePrivate: config.privateAddresses === "refuse" },
      now,
      report: reportTo(log),
      messageSeconds: new Histogram(shared.histograms!, 0, "websocketRequestSeconds"),
      full: () => this.#warnFull(),
      settings: {
        pingSeconds: config.websocketPingSeconds,
        offersMax: config.websocketOffersMax,
        peersMax,
        countsAll: config.websocketCounts === "all",
        scrapeMax: config.scrapeHashesMax,
        connectionsMax,
        connectionsPerAddressMax: connectionsPerAddressMax(connections.http),
        connectionsPerSiteMax: perSiteMax,
        warningMessage: config.warningMessage,
        origins: {
          allowed: config.websocketOrigins,
          denied: config.websocketDenyOrigins,
          connectionsMax: perOriginMax,
        },
      },
    });
    return this.#loaded;
  }

  #warnFull(): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#program.log.warn(
      "all WebSocket connections are taken: browsers are turned away",
      {
        remedy: `raise TRACKER_WEBSOCKET_CONNECTIONS_MAX, now ${this.limits.connectionsMax}`,
      },
      "websockets_full",
    );
  }

  #evict(): void {
    const sockets = this.#loaded;
    if (sockets !== undefined) void runInTurns(sockets.evictRefused());
  }
}

/** The request with a head and an address of its own, which may be kept. */
function copyOf({ head, address, family }: UpgradeRequest): UpgradeRequest {
  const copy = new RequestHead();
  copy.read(head.text.slice(head.methodFrom, head.end), 0);
  return { head: copy, address: address.slice(), family };
}

const NOT_CLOSED = {
  ...{ silent: 0, protocol: 0, too_large: 0, malformed: 0, wrong_messages: 0, starved: 0 },
  shutdown: 0,
};

/** Figures for metrics; undefined if WebSockets are off. */
export function browserFigures(browsers: Browsers | undefined): BrowserFigures | undefined {
  if (browsers === undefined) return undefined;
  const { sockets, limits } = browsers;
  return {
    connections: sockets?.connections ?? 0,
    limit: limits.connectionsMax,
    swarms: sockets?.swarms ?? 0,
    seeders: sockets?.seeders ?? 0,
    leechers: sockets?.leechers ?? 0,
    closed: { ...(sockets?.closes ?? NOT_CLOSED) },
  };
}
