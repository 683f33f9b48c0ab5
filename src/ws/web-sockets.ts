/**
 * WebSockets as the rest of the program knows them: made at the first upgrade, since a tracker
 * without browsers shall not take memory for them.
 */
import type { Counters } from "../counters/counters.ts";
import type { Sliced } from "../host/turns.ts";
import type { GateParts } from "../gates/gates.ts";
import { VERDICT_OK } from "../gates/verdicts.ts";
import type { Takeover, UpgradeRequest } from "../net/tunnel.ts";
import { Handshake, type HandshakeParts } from "./handshake.ts";
import { Offers } from "./offers.ts";
import { Origins, type OriginCount, type OriginSettings } from "./origins.ts";
import { Signaling, type SignalingParts } from "./signaling.ts";
import type { WsCloses } from "./ws-closes.ts";
import { type SharedCore, type WsAnnounceParts, WsAnnounces } from "./ws-announce.ts";
import { Swarms } from "./ws-swarms.ts";

/** Peers that are looked at between two yields, when lists have changed. */
const EVICTIONS_PER_STEP = 256;

export interface WebSocketSettings {
  pingSeconds: number;
  offersMax: number;
  peersMax: number;
  countsAll: boolean;
  scrapeMax: number;
  connectionsMax: number;
  connectionsPerAddressMax: number;
  connectionsPerSiteMax: number;
  warningMessage: string;
  origins: OriginSettings;
}

export interface WebSocketParts extends Pick<
  HandshakeParts,
  "client" | "hosts" | "notes" | "unclearProxy" | "full"
> {
  core: SharedCore;
  counters: Counters;
  intervals: WsAnnounceParts["intervals"];
  gates: Pick<GateParts, "access" | "limits" | "refusePrivate">;
  tellDownload?: WsAnnounceParts["tellDownload"];
  now: SignalingParts["now"];
  report: SignalingParts["report"];
  messageSeconds?: SignalingParts["messageSeconds"];
  clock?: () => number;
  settings: WebSocketSettings;
}

export class WebSockets {
  readonly #swarms = new Swarms();
  readonly #origins: Origins;
  readonly #announces: WsAnnounces;
  readonly #signaling: Signaling;
  readonly #handshake: Handshake;

  constructor(parts: WebSocketParts) {
    const { settings, counters, now } = parts;
    const swarms = this.#swarms;
    const offers = new Offers(settings.offersMax);
    this.#origins = new Origins(settings.origins);
    this.#announces = new WsAnnounces({ ...parts, ...settings, swarms, offers });
    const announces = this.#announces;
    this.#signaling = new Signaling({
      ...parts,
      announces,
      offers,
      swarms,
      counters,
      now,
      settings,
    });
    this.#signaling.onClosed = ({ origin }) => this.#origins.remove(origin);
    this.#handshake = new Handshake({
      ...parts,
      ...settings,
      signaling: this.#signaling,
      origins: this.#origins,
      gates: announces.gates,
      row: counters.row,
    });
  }

  /** Answers a request for an upgrade. */
  upgrade(request: UpgradeRequest): Takeover | Response {
    return this.#handshake.judge(request);
  }

  /** Open connections. */
  get connections(): number {
    return this.#signaling.connections;
  }

  get swarms(): number {
    return this.#swarms.size;
  }

  /** Peers of an info hash. */
  countsOf(infoHash: Uint8Array): { seeders: number; leechers: number } {
    const swarm = this.#swarms.get(Buffer.from(infoHash).toString("latin1"));
    return { seeders: swarm?.seeders ?? 0, leechers: swarm?.leechers ?? 0 };
  }

  get seeders(): number {
    return this.#swarms.seeders;
  }

  get leechers(): number {
    return this.#swarms.peers - this.#swarms.seeders;
  }

  /** The connections that we closed, by reason. */
  get closes(): Readonly<WsCloses> {
    return this.#signaling.closes;
  }

  /** The origins with the most connections. */
  largestOrigins(most: number): OriginCount[] {
    return this.#origins.largest(most);
  }

  /**
   * Removes the swarms and peers that lists and rules refuse; the caller has changed those. A rule
   * with headers was held against the upgrade, and is held against the next one.
   */
  *evictRefused(): Sliced<number> {
    const { gates, request } = this.#announces;
    let looked = 0;
    let evicted = 0;
    for (const infoHash of this.#swarms.infoHashes()) {
      const peers = this.#swarms.get(infoHash)?.peers ?? [];
      request.infoHash.set(Buffer.from(infoHash, "latin1"));
      const isRefused = gates.peer.judgeSwarm(request.infoHashHalves) !== VERDICT_OK;
      if (isRefused) evicted += 1;
      // A copy, since peers change places and go away during a yield.
      for (const peer of [...peers]) {
        looked += 1;
        if (looked % EVICTIONS_PER_STEP === 0) yield;
        if (peers[peer.index] !== peer) continue;
        if (isRefused || this.#announces.refuses(peer)) this.#swarms.remove(peer);
      }
    }
    return evicted;
  }
}
