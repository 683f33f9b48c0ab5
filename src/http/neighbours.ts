/**
 * Neighbours: the connections that come from one place, which is one IPv4 address or, of IPv6, one
 * /64, as one customer has it. What they may have of the server they may have together.
 *
 *   hash of the place ─► { open connections, bytes that wait in them, site }
 *   hash of the site  ─► { open connections, the same in the order in which they began to wait }
 *   open connections  ─► sites that have as many
 *
 * The site is what one owner of many places may have: of IPv6 the /48, of IPv4 the address itself.
 * The site that holds most is known at any time, whoever comes and goes.
 *
 * A place is there as long as one of its connections is open, so that all of them cost no more than
 * the connections do. The hash has 64 bits and a secret seed: nobody shares a place by chance, and
 * nobody can choose addresses that make looking one up slow.
 *
 * Behind proxies that are trusted, and on this machine itself, are people who do not know each
 * other: each connection from there is a place of its own, and their site never holds most.
 */
import type { Family } from "../constants.ts";
import { Networks } from "../net/addresses.ts";
import { Chain, Link } from "./chain.ts";

/** Bytes of an IPv6 address that tell the customer, and those that tell the site. */
const IPV6_PREFIX_SIZE = 8;
const IPV6_SITE_SIZE = 6;

/** One place, or a site of many; `Member` is what counts there: a connection. */
export class Neighbours<Member> {
  /** Connections that are open. */
  open = 0;
  /** Bytes of requests and answers that wait in them. */
  heldBytes = 0;
  /** Undefined for a place that is not looked up. */
  readonly key: bigint | undefined;
  readonly site: Neighbours<Member>;
  /** Of a site: its connections; the one that began to wait longest ago is first. */
  readonly connections = new Chain<Member>();
  /** Of a site: its link in the chain of those that have as many open. */
  readonly rank = new Link<Neighbours<Member>>(this);

  constructor(key?: bigint, site?: Neighbours<Member>) {
    this.key = key;
    this.site = site ?? this;
  }
}

/** All places from which a server has connections. */
export class Neighbourhood<Member = unknown> {
  readonly #places = new Map<bigint, Neighbours<Member>>();
  readonly #sites = new Map<bigint, Neighbours<Member>>();
  readonly #ranks: Chain<Neighbours<Member>>[] = [];
  readonly #exempt: Networks;
  readonly #exemptSite = new Neighbours<Member>();
  readonly #seed: bigint = crypto.getRandomValues(new BigUint64Array(1))[0];
  /** Connections of the sites that have most. */
  #most = 0;

  /** Each connection from `exempt` is a place of its own. */
  constructor(exempt = new Networks([])) {
    this.#exempt = exempt;
  }

  /** Places that are known. */
  get size(): number {
    return this.#places.size;
  }

  /** The site that holds most connections; of several, the one that has held as many longest. */
  get heaviest(): Neighbours<Member> | undefined {
    return this.#ranks[this.#most]?.first?.value;
  }

  /** The place of an address, in its first 4 or 16 bytes; family 0 is an unknown one. */
  of(address: Uint8Array, family: Family | 0): Neighbours<Member> {
    if (family === 0 || this.#exempt.containsBytes(address, 0, family)) {
      return new Neighbours(undefined, this.#exemptSite);
    }
    const key = this.#hash(address, family === 4 ? 4 : IPV6_PREFIX_SIZE);
    const known = this.#places.get(key);
    if (known !== undefined || family === 4) return known ?? new Neighbours(key);
    const site = this.#hash(address, IPV6_SITE_SIZE);
    return new Neighbours(key, this.#sites.get(site) ?? new Neighbours(site));
  }

  #hash(address: Uint8Array, size: number): bigint {
    return Bun.hash.wyhash(address.subarray(0, size), this.#seed);
  }

  /** A connection more is open there. */
  join(place: Neighbours<Member>): void {
    const { site } = place;
    place.open += 1;
    if (place.open === 1 && place.key !== undefined) this.#places.set(place.key, place);
    if (site !== place) {
      site.open += 1;
      if (site.open === 1 && site.key !== undefined) this.#sites.set(site.key, site);
    }
    this.#rank(site);
  }

  /** One that had joined has closed. */
  leave(place: Neighbours<Member>): void {
    const { site } = place;
    place.open -= 1;
    if (place.open === 0 && place.key !== undefined) this.#places.delete(place.key);
    if (site !== place) {
      site.open -= 1;
      if (site.open === 0 && site.key !== undefined) this.#sites.delete(site.key);
    }
    this.#rank(site);
  }

  /** One connection more or less moves a site, and who holds most, by one rank only. */
  #rank(site: Neighbours<Member>): void {
    if (site.key === undefined) return;
    if (site.open === 0) site.rank.leave();
    else (this.#ranks[site.open] ??= new Chain()).append(site.rank);
    if (site.open > this.#most) this.#most = site.open;
    while (this.#most > 0 && this.#ranks[this.#most]?.first === undefined) this.#most -= 1;
  }
}
