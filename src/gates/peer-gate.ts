/**
 * The gate of one peer: whether it may be stored, by its address, its info hash and its port.
 *
 *   address    it can be a peer's; it is not private, where private ones are refused
 *   lists      the info hash is not denied, and on the allow list; the network is not denied
 *   place      its port is high enough, and its address is not one of this machine
 *
 * It knows no request and no transport, so that peers that come another way (from a snapshot, from
 * other nodes) pass it as announces do. What fails at its place is no fault of the client: it is
 * answered, but not stored, counted or handed out.
 */
import type { Access } from "../access/access.ts";
import { ACCESS_DENIED, ACCESS_NETWORK, ACCESS_OK, ACCESS_UNLISTED } from "../access/access.ts";
import type { Family } from "../constants.ts";
import type { Limits } from "../limits/limits.ts";
import { isNotPublic, isUnusableSource } from "../net/addresses.ts";
import {
  VERDICT_ADDRESS_PRIVATE,
  VERDICT_ADDRESS_UNUSABLE,
  VERDICT_DENIED,
  VERDICT_NETWORK,
  VERDICT_OK,
  VERDICT_UNLISTED,
} from "./verdicts.ts";

/** What `judgePlace` says: whether a peer may be stored and handed out. */
export const PLACE_FIT = 0;
/** Its port is lower than ports of peers may be. */
export const PLACE_LOW_PORT = 1;
/** Its address is one of this machine. */
export const PLACE_OWN = 2;

/** Verdicts by what the lists say. */
const LIST_VERDICTS: number[] = [];
LIST_VERDICTS[ACCESS_OK] = VERDICT_OK;
LIST_VERDICTS[ACCESS_DENIED] = VERDICT_DENIED;
LIST_VERDICTS[ACCESS_UNLISTED] = VERDICT_UNLISTED;
LIST_VERDICTS[ACCESS_NETWORK] = VERDICT_NETWORK;

export class PeerGate {
  readonly #access: Access;
  readonly #limits: Limits;
  readonly #refusePrivate: boolean;

  constructor(access: Access, limits: Limits, refusePrivate: boolean) {
    this.#access = access;
    this.#limits = limits;
    this.#refusePrivate = refusePrivate;
  }

  /** Whether the address at `bytes[at]` may be a peer's. */
  judgeAddress(bytes: Uint8Array, at: number, family: Family): number {
    if (isUnusableSource(bytes, at, family)) return VERDICT_ADDRESS_UNUSABLE;
    if (this.#refusePrivate && isNotPublic(bytes, at, family)) return VERDICT_ADDRESS_PRIVATE;
    return VERDICT_OK;
  }

  /** Whether the lists let the swarm with this info hash be, ten halves at `halves[0]`. */
  judgeSwarm(halves: Uint16Array): number {
    return LIST_VERDICTS[this.#access.judgeSwarm(halves, 0)];
  }

  /** Whether the lists let a peer at this address be. */
  judgeNetwork(bytes: Uint8Array, at: number, family: Family): number {
    return LIST_VERDICTS[this.#access.judgeAddress(bytes, at, family)];
  }

  /** Whether a peer may be stored and handed out: PLACE_FIT, or why not. */
  judgePlace(bytes: Uint8Array, at: number, family: Family, port: number): number {
    if (port < this.#limits.portMin) return PLACE_LOW_PORT;
    return this.#limits.own.has(bytes, at, family) ? PLACE_OWN : PLACE_FIT;
  }

  /** True if a peer passes all of it; for peers that no client announces. */
  passes(
    halves: Uint16Array,
    bytes: Uint8Array,
    at: number,
    family: Family,
    port: number,
  ): boolean {
    return (
      this.judgeAddress(bytes, at, family) === VERDICT_OK &&
      this.judgeSwarm(halves) === VERDICT_OK &&
      this.judgeNetwork(bytes, at, family) === VERDICT_OK &&
      this.judgePlace(bytes, at, family, port) === PLACE_FIT
    );
  }
}
