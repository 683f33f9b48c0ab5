/**
 * The gate of one peer: decides by address, info hash and port whether the peer may be stored.
 *
 *   address    is a unicast address; is not private, if private addresses are refused
 *   lists      the info hash is not denied, and is on the allow list; the network is not denied
 *   place      the port is high enough; the address is not of this machine, nor link-local IPv6
 *
 * It depends on no request and no transport, so peers from another source (a snapshot, other nodes)
 * pass the same checks as announces. A peer that fails only the last check is no mistake of the
 * client: the announce is answered, but the peer is not stored, counted or handed out.
 */
import type { Access } from "../access/access.ts";
import { ACCESS_DENIED, ACCESS_NETWORK, ACCESS_OK, ACCESS_UNLISTED } from "../access/access.ts";
import type { Family } from "../constants.ts";
import type { Limits } from "../limits/limits.ts";
import { isLinkLocalIpv6, isMappedIpv4, isNotPublic, isUnusableSource } from "../net/addresses.ts";
import {
  VERDICT_ADDRESS_PRIVATE,
  VERDICT_ADDRESS_UNUSABLE,
  VERDICT_DENIED,
  VERDICT_NETWORK,
  VERDICT_OK,
  VERDICT_UNLISTED,
} from "./verdicts.ts";

/** Results of `judgePlace`. The peer may be stored and handed out. */
export const PLACE_FIT = 0;
/** Its port is below the lowest port that is accepted. */
export const PLACE_LOW_PORT = 1;
/** Its address belongs to this machine. */
export const PLACE_OWN = 2;
/** Its address is link-local IPv6: no reply has room for the zone, without which none connects. */
export const PLACE_LINK_LOCAL = 3;

/** The verdict for each result of the lists. */
const LIST_VERDICTS: number[] = [];
LIST_VERDICTS[ACCESS_OK] = VERDICT_OK;
LIST_VERDICTS[ACCESS_DENIED] = VERDICT_DENIED;
LIST_VERDICTS[ACCESS_UNLISTED] = VERDICT_UNLISTED;
LIST_VERDICTS[ACCESS_NETWORK] = VERDICT_NETWORK;

/** Where a request came from; see `Asked`. */
export interface Place {
  readonly address: Uint8Array;
  readonly addressAt: number;
  readonly family: Family;
}

export class PeerGate {
  readonly #access: Access;
  readonly #limits: Limits;
  readonly #refusePrivate: boolean;

  constructor(access: Access, limits: Limits, refusePrivate: boolean) {
    this.#access = access;
    this.#limits = limits;
    this.#refusePrivate = refusePrivate;
  }

  /** The verdict on the address at `bytes[at]`. */
  judgeAddress(bytes: Uint8Array, at: number, family: Family): number {
    if (isUnusableSource(bytes, at, family)) return VERDICT_ADDRESS_UNUSABLE;
    if (this.#refusePrivate && isNotPublic(bytes, at, family)) return VERDICT_ADDRESS_PRIVATE;
    return VERDICT_OK;
  }

  /**
   * True if a client may claim this address instead of its source address. An address that is not
   * public is useless to other peers, and clients behind a NAT always send theirs. One of another
   * family would take the place of the one that was seen, so peers of that family would lose this
   * one: it is believed only if the one that was seen is useless itself.
   */
  believesClaim(bytes: Uint8Array, at: number, family: Family, source: Place): boolean {
    if (isNotPublic(bytes, at, family)) return false;
    return family === source.family || isNotPublic(source.address, source.addressAt, source.family);
  }

  /** The verdict of the lists on an info hash, given as ten 16-bit halves. */
  judgeSwarm(halves: Uint16Array): number {
    return LIST_VERDICTS[this.#access.judgeSwarm(halves, 0)];
  }

  /** The verdict of the lists on the network of an address. */
  judgeNetwork(bytes: Uint8Array, at: number, family: Family): number {
    return LIST_VERDICTS[this.#access.judgeAddress(bytes, at, family)];
  }

  /** PLACE_FIT if a peer may be stored and handed out, or the reason against it. */
  judgePlace(bytes: Uint8Array, at: number, family: Family, port: number): number {
    if (port < this.#limits.portMin) return PLACE_LOW_PORT;
    if (family === 6 && isLinkLocalIpv6(bytes, at)) return PLACE_LINK_LOCAL;
    return this.#limits.own.has(bytes, at, family) ? PLACE_OWN : PLACE_FIT;
  }

  /** True if a peer passes all checks but that of its swarm; for peers that do not announce. */
  passes(bytes: Uint8Array, at: number, family: Family, port: number): boolean {
    return (
      !(family === 6 && isMappedIpv4(bytes, at)) &&
      this.judgeAddress(bytes, at, family) === VERDICT_OK &&
      this.judgeNetwork(bytes, at, family) === VERDICT_OK &&
      this.judgePlace(bytes, at, family, port) === PLACE_FIT
    );
  }
}
