/**
 * Neighbours: the connections that come from one place, which is one IPv4 address or, of IPv6, one
 * /64, as one customer has it. What they may have of the server they may have together.
 *
 *   hash of the place ─► { open connections, bytes that wait in them }
 *
 * A place is there as long as one of its connections is open, so that all of them cost no more than
 * the connections do. The hash has 64 bits and a secret seed: nobody shares a place by chance, and
 * nobody can choose addresses that make looking one up slow.
 *
 * Behind proxies that are trusted, and on this machine itself, are people who do not know each
 * other: each connection from there is a place of its own.
 */
import type { Family } from "../constants.ts";
import { Networks } from "../ops/addresses.ts";

/** Bytes of an IPv6 address that tell the customer. */
const IPV6_PREFIX_SIZE = 8;

/** One place. */
export class Neighbours {
  /** Connections that are open. */
  open = 0;
  /** Bytes of requests and answers that wait in them. */
  heldBytes = 0;
  /** Undefined for a place that is not looked up. */
  readonly key: bigint | undefined;

  constructor(key?: bigint) {
    this.key = key;
  }
}

/** All places from which a server has connections. */
export class Neighbourhood {
  readonly #places = new Map<bigint, Neighbours>();
  readonly #exempt: Networks;
  readonly #seed: bigint = crypto.getRandomValues(new BigUint64Array(1))[0];

  /** Each connection from `exempt` is a place of its own. */
  constructor(exempt = new Networks([])) {
    this.#exempt = exempt;
  }

  /** Places that are known. */
  get size(): number {
    return this.#places.size;
  }

  /** The place of an address, in its first 4 or 16 bytes; family 0 is an unknown one. */
  of(address: Uint8Array, family: Family | 0): Neighbours {
    if (family === 0 || this.#exempt.containsBytes(address, 0, family)) return new Neighbours();
    const size = family === 4 ? 4 : IPV6_PREFIX_SIZE;
    const key = Bun.hash.wyhash(address.subarray(0, size), this.#seed);
    return this.#places.get(key) ?? new Neighbours(key);
  }

  /** A connection more is open there. */
  join(place: Neighbours): void {
    place.open += 1;
    if (place.open === 1 && place.key !== undefined) this.#places.set(place.key, place);
  }

  /** One that had joined has closed. */
  leave(place: Neighbours): void {
    place.open -= 1;
    if (place.open === 0 && place.key !== undefined) this.#places.delete(place.key);
  }
}
