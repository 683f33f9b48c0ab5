/**
 * External addresses: peers in the networks behind our NAT are stored under its public address.
 *
 *   announce from 192.168.1.7, port 6881   ─►  peer 203.0.113.1, port 6881, which the NAT forwards
 *
 * Only where both the client and its peer have a private address of a family with an external one:
 * what a client claims stays as it is. The port stays too, so each peer needs a forwarded port of
 * its own. Replacing allocates nothing.
 */
import type { Family } from "../constants.ts";
import { isPrivate, readAddress } from "../net/addresses.ts";
import type { AnnounceRequest } from "../swarm/requests.ts";
import type { Place } from "./peer-gate.ts";

export class ExternalAddresses {
  readonly #ipv4: Uint8Array | undefined;
  readonly #ipv6: Uint8Array | undefined;

  /** `addresses` has one of each family at most. */
  constructor(addresses: readonly string[]) {
    const byFamily = new Map<Family | 0, Uint8Array>();
    for (const text of addresses) {
      const bytes = new Uint8Array(16);
      byFamily.set(readAddress(text, bytes, 0), bytes);
    }
    this.#ipv4 = byFamily.get(4);
    this.#ipv6 = byFamily.get(6);
  }

  /** Gives the peer of the request the external address, if it is behind our NAT. */
  replace(request: AnnounceRequest, { address, addressAt, family }: Place): boolean {
    const external = request.family === 4 ? this.#ipv4 : this.#ipv6;
    if (external === undefined || !isPrivate(request.peer, 0, request.family)) return false;
    if (!isPrivate(address, addressAt, family)) return false;
    const size = request.family === 4 ? 4 : 16;
    for (let i = 0; i < size; i++) request.peer[i] = external[i];
    return true;
  }
}

/** The external addresses of the settings; undefined without one. */
export function externalAddresses(addresses: readonly string[]): ExternalAddresses | undefined {
  return addresses.length === 0 ? undefined : new ExternalAddresses(addresses);
}
