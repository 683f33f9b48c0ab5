/**
 * Applying: deltas of other trackers take effect as if their peers had announced here.
 *
 *   batch ─► copied to even bytes ─► for each delta: lists, networks, port, own addresses ─► core
 *
 * The gate of one peer is that of announces (gates/peer-gate.ts), with the lists of this tracker;
 * the ceilings of memory, of a swarm and of an address hold as well. The core used here has no
 * outbox, so nothing that came from another tracker is told again. A batch of 32 KiB takes 0.3 ms
 * at most. Nothing here throws, whatever a message holds.
 */
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_STOPPED,
  type Family,
  INFO_HASH_SIZE,
} from "../constants.ts";
import type { PeerGate } from "../gates/peer-gate.ts";
import { VERDICT_OK } from "../gates/verdicts.ts";
import { copyHalves } from "../swarm/peers.ts";
import { Prefetch } from "../swarm/prefetch.ts";
import type { Tracker } from "../swarm/tracker.ts";
import {
  BATCH_BYTES_MAX,
  DELTA_COMPLETED,
  DELTA_DOWNLOAD,
  DELTA_IPV6,
  DELTA_SEEDER,
  DELTA_STOPPED,
  deltaBytes,
} from "./wire.ts";

/** Deltas whose swarms are looked for in memory at the same time. */
const FETCHED = 64;

export class Applying {
  /** Deltas that took effect, and those that our lists or limits do not let in. */
  readonly counts = { deltas: 0, refused: 0 };
  readonly #tracker: Tracker;
  readonly #gate: PeerGate;
  readonly #bytes = new Uint8Array(BATCH_BYTES_MAX);
  readonly #halves = new Uint16Array(this.#bytes.buffer);
  readonly #prefetch: Prefetch;
  readonly #ats = new Int32Array(FETCHED);

  /** `tracker` must have no outbox. */
  constructor(tracker: Tracker, gate: PeerGate) {
    this.#tracker = tracker;
    this.#gate = gate;
    this.#prefetch = new Prefetch(tracker.store, FETCHED);
  }

  /** Applies the records of a batch, whose lengths come out even (wire.ts). */
  apply(records: Uint8Array, nowSeconds: number): void {
    // A copy, because those of the link begin at any byte.
    this.#bytes.set(records);
    const halves = this.#halves;
    const { holdings } = this.#tracker.store.population;
    holdings.gather();
    for (let at = 0; at < records.length;) {
      let count = 0;
      let end = at;
      for (; count < FETCHED && end < records.length; count++) {
        this.#ats[count] = (end + 2) >>> 1;
        end += deltaBytes(halves[end >>> 1]);
      }
      this.#prefetch.fetch(halves, this.#ats, count);
      for (; at < end; at += deltaBytes(halves[at >>> 1])) this.#applyOne(at, nowSeconds);
      holdings.settle();
    }
    holdings.gatherNoMore();
  }

  #applyOne(at: number, nowSeconds: number): void {
    const tracker = this.#tracker;
    const { request } = tracker;
    const bytes = this.#bytes;
    const halves = this.#halves;
    const flags = halves[at >>> 1];
    const family: Family = (flags & DELTA_IPV6) === 0 ? 4 : 6;
    const peerAt = at + 2 + INFO_HASH_SIZE;
    const size = family === 4 ? 6 : 18;
    copyHalves(halves, (at + 2) >>> 1, request.infoHashHalves, 0, INFO_HASH_SIZE / 2);
    if (this.#gate.judgeSwarm(request.infoHashHalves) !== VERDICT_OK) return this.#refuse();
    if ((flags & DELTA_DOWNLOAD) !== 0) {
      tracker.store.addDownload(request.infoHashHalves, nowSeconds);
      this.counts.deltas += 1;
      return;
    }
    const port = (bytes[peerAt + size - 2] << 8) | bytes[peerAt + size - 1];
    if (port === 0) return this.#refuse();
    // A stop is let through: a network may have been denied since the peer was stored.
    const stops = (flags & DELTA_STOPPED) !== 0;
    if (!stops && !this.#gate.passes(bytes, peerAt, family, port)) return this.#refuse();
    copyHalves(halves, peerAt >>> 1, request.peerHalves, 0, size / 2);
    request.family = family;
    request.seeder = (flags & DELTA_SEEDER) !== 0;
    const completes = (flags & DELTA_COMPLETED) !== 0;
    request.event = stops ? EVENT_STOPPED : completes ? EVENT_COMPLETED : EVENT_NONE;
    request.wanted = 0;
    tracker.announce(nowSeconds);
    this.counts.deltas += 1;
  }

  #refuse(): void {
    this.counts.refused += 1;
  }
}
