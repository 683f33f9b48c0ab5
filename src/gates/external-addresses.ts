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

  /** True if the peer of the request is behind our NAT, and there is an address for it. */
  has({ peer, family }: AnnounceRequest, place: Place): boolean {
    if ((family === 4 ? this.#ipv4 : this.#ipv6) === undefined) return false;
    return isPrivate(peer, 0, family) && isPrivate(place.address, place.addressAt, place.family);
  }

  /** Gives that peer the external address. */
  replace({ peer, family }: AnnounceRequest): void {
    const external = (family === 4 ? this.#ipv4 : this.#ipv6)!;
    for (let i = 0; i < (family === 4 ? 4 : 16); i++) peer[i] = external[i];
  }
}

/** The external addresses of the settings; undefined without one. */
export function externalAddresses(addresses: readonly string[]): ExternalAddresses | undefined {
  return addresses.length === 0 ? undefined : new ExternalAddresses(addresses);
}
