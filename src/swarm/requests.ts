/**
 * What the core is asked and what it answers: two records that live as long as their thread.
 *
 * A transport fills `AnnounceRequest` from the bytes it received, calls `Tracker.announce`, and
 * writes its reply from `AnnounceReply` and the peers that lie in the reply buffer. The records are
 * reused for every request, so nothing is allocated and nothing may be kept from one to the next.
 */
import { INFO_HASH_SIZE, PEER_SIZE_IPV6, type Family } from "../constants.ts";

/** Why a peer that announces is not stored; `NOT_STORED_REASONS` has a word for each. */
export const NOT_STORED_MEMORY = 1;
export const NOT_STORED_SWARM = 2;
export const NOT_STORED_ADDRESS = 3;
export const NOT_STORED_NETWORK = 4;
export const NOT_STORED_CLAIM = 5;
export const NOT_STORED_REASONS = ["memory", "swarm", "address", "network", "claim"] as const;

/** True if a peer is not stored for lack of room, and not because of what others of it hold. */
export const isWithoutRoom = (notStored: number): boolean =>
  notStored === NOT_STORED_MEMORY || notStored === NOT_STORED_NETWORK;

/** Filled by the transport, every field, before each announce. */
export class AnnounceRequest {
  /** The 20 bytes of the info hash. Scrapes read it too. */
  readonly infoHash: Uint8Array;
  /** The peer in wire format: 4 or 16 bytes of address, then 2 of port, big-endian. */
  readonly peer: Uint8Array;
  /** The same bytes by halves, as the core reads them. */
  readonly infoHashHalves: Uint16Array;
  readonly peerHalves: Uint16Array;
  /** Which of the two forms `peer` holds. A v4-mapped address must be given as IPv4. */
  family: Family = 4;
  /**
   * True if the peer claims an address that differs from the sender's. `source` then holds the
   * sender's address, which is charged. False where claims are not believed: see `comesFrom`.
   */
  claimed = false;
  /** That address with the peer's port, in wire format. */
  readonly source: Uint8Array;
  readonly sourceHalves: Uint16Array;
  sourceFamily: Family = 4;
  /** True if nothing is left to download. */
  seeder = false;
  /** EVENT_NONE, EVENT_COMPLETED, EVENT_STARTED, EVENT_STOPPED or EVENT_PAUSED. */
  event = 0;
  /** Peers wanted at most, 0 or more; of both families together if `bothFamilies`. */
  wanted = 0;
  /** True to be offered peers of the other family as well (HTTP); UDP offers its own only. */
  bothFamilies = false;
  /**
   * An announce fewer ticks after the last one does not renew the peer's tick: so a client that
   * gets no peers as early is not early again each time. 0 renews always; may stay as it is.
   */
  earlyTicks = 0;
  /** Byte offsets in the reply buffer where the peers of each family go; even numbers. */
  offsetIpv4 = 0;
  offsetIpv6 = 0;

  constructor() {
    const bytes = new ArrayBuffer(INFO_HASH_SIZE + 2 * PEER_SIZE_IPV6);
    this.infoHash = new Uint8Array(bytes, 0, INFO_HASH_SIZE);
    this.peer = new Uint8Array(bytes, INFO_HASH_SIZE, PEER_SIZE_IPV6);
    this.infoHashHalves = new Uint16Array(bytes, 0, INFO_HASH_SIZE / 2);
    this.peerHalves = new Uint16Array(bytes, INFO_HASH_SIZE, PEER_SIZE_IPV6 / 2);
    const sourceAt = INFO_HASH_SIZE + PEER_SIZE_IPV6;
    this.source = new Uint8Array(bytes, sourceAt, PEER_SIZE_IPV6);
    this.sourceHalves = new Uint16Array(bytes, sourceAt, PEER_SIZE_IPV6 / 2);
  }

  /** Tells the address that the request came from, once the peer is there. */
  comesFrom(address: Uint8Array, at: number, family: Family): void {
    const { peer, source } = this;
    const size = family === 4 ? 4 : 16;
    let same = family === this.family;
    for (let i = 0; i < size; i++) {
      source[i] = address[at + i];
      if (source[i] !== peer[i]) same = false;
    }
    const portAt = this.family === 4 ? 4 : 16;
    source[size] = peer[portAt];
    source[size + 1] = peer[portAt + 1];
    this.sourceFamily = family;
    this.claimed = !same;
  }

  /** The address that is charged for the peer, as halves of `chargedFamily`. */
  get chargedHalves(): Uint16Array {
    return this.claimed ? this.sourceHalves : this.peerHalves;
  }

  get chargedFamily(): Family {
    return this.claimed ? this.sourceFamily : this.family;
  }
}

/** Filled by the core. Counts are those after the request took effect, over both families. */
export class AnnounceReply {
  seeders = 0;
  leechers = 0;
  /** Downloads completed since the swarm is known. */
  downloads = 0;
  /** Peers written to the reply buffer at `offsetIpv4`, 6 bytes each. */
  peersIpv4 = 0;
  /** Peers written to the reply buffer at `offsetIpv6`, 18 bytes each. */
  peersIpv6 = 0;
  /** False if the peer is not stored: it stopped, has port 0, or there is no room. */
  stored = false;
  /** Why there is no room for it: NOT_STORED_MEMORY or another; 0 if there is. */
  notStored = 0;
  /** Ticks of `Tracker.peerTicks` since the same peer announced last; -1 if it was not known. */
  ticksSinceLast = -1;
  /** True if the peer was known in the other role. */
  roleChanged = false;

  /** As it is before a request. */
  clear(): void {
    this.seeders = 0;
    this.leechers = 0;
    this.downloads = 0;
    this.peersIpv4 = 0;
    this.peersIpv6 = 0;
    this.stored = false;
    this.notStored = 0;
    this.ticksSinceLast = -1;
    this.roleChanged = false;
  }
}
