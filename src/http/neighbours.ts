/**
 * Neighbours: the connections from one place. A place is an IPv4 address or an IPv6 /64, which is
 * what one customer has. All connections from a place share one limit.
 *
 *   hash of the place ─► { open connections, bytes they hold, site }
 *   hash of the site  ─► { open connections, and a list of them by start of waiting }
 *   connections that can give way ─► sites with that number
 *
 * A site contains the places that one owner may have: the IPv6 /48, or the IPv4 address itself. The
 * site with the most connections that can give way is always known. Those that last, such as
 * WebSockets, do not count there: a site full of them would hide all others.
 *
 * A place exists while one of its connections is open, so places cost memory in proportion to
 * connections. The hash has 64 bits and a secret seed: collisions are negligible, and an attacker
 * cannot choose addresses that make a lookup slow.
 *
 * Connections from trusted proxies and from this machine belong to unrelated clients: each is a
 * place of its own, and their site never counts as the one with the most connections.
 */
import type { Family } from "../constants.ts";
import { Networks } from "../net/addresses.ts";
import { Chain, Link } from "./chain.ts";

/** Bytes of an address that identify the place and, of IPv6, the site. */
const IPV4_SIZE = 4;
const IPV6_PREFIX_SIZE = 8;
const IPV6_SITE_SIZE = 6;

/**
 * What is hashed, by its size. Not a part of the address itself: the first `subarray` of a short
 * array gives it a buffer of its own, some 210 bytes that every connection would keep.
 */
const HASHED = [IPV4_SIZE, IPV6_PREFIX_SIZE, IPV6_SITE_SIZE].map((size) => new Uint8Array(size));
const [HASHED_IPV4, HASHED_PREFIX, HASHED_SITE] = HASHED;

/** What orders a site with connections that can give way. */
class Order<Member> {
  readonly connections = new Chain<Member>();
  readonly rank: Link<Neighbours<Member>>;

  constructor(site: Neighbours<Member>) {
    this.rank = new Link(site);
  }
}

/**
 * One place, or a site of several; `Member` is a connection. With 8 fields it takes 80 bytes, with
 * one more 112.
 */
export class Neighbours<Member> {
  /** Open connections. */
  open = 0;
  /** For a site: those of them that never give way. */
  lasting = 0;
  /** Bytes of requests and answers that they hold. */
  heldBytes = 0;
  /** The same at the last check (see held.ts), as a power of two. */
  level = 0;
  /** Peers that they have stored, if they are WebSockets. */
  peers = 0;
  /** Undefined for a place that is exempt. */
  readonly key: bigint | undefined;
  readonly site: Neighbours<Member>;
  /** Made when needed, as most places never have a connection that can give way for long. */
  #order: Order<Member> | undefined = undefined;

  constructor(key?: bigint, site?: Neighbours<Member>) {
    this.key = key;
    this.site = site ?? this;
  }

  /** For a site: its connections that can give way; the longest waiting is first. */
  get connections(): Chain<Member> {
    return (this.#order ??= new Order(this)).connections;
  }

  /** For a site: its link in the chain of sites with as many that can give way. */
  get rank(): Link<Neighbours<Member>> {
    return (this.#order ??= new Order(this)).rank;
  }

  /**
   * None of its connections can give way: drops what orders them. Nearly every WebSocket has a
   * place of its own.
   */
  dropOrder(): void {
    this.#order?.rank.leave();
    this.#order = undefined;
  }

  /** Open connections of its site; 0 for a place that is exempt. */
  get siteOpen(): number {
    return this.site.key === undefined ? 0 : this.site.open;
  }

  /** Peers of its site; 0 for a place that is exempt. */
  get sitePeers(): number {
    return this.site.key === undefined ? 0 : this.site.peers;
  }

  addPeers(count: number): void {
    this.peers += count;
    if (this.site !== this) this.site.peers += count;
  }

  /** For a site: its connections that can give way. */
  get yielding(): number {
    return this.open - this.lasting;
  }
}

/** All places with open connections. */
export class Neighbourhood<Member = unknown> {
  readonly #places = new Map<bigint, Neighbours<Member>>();
  readonly #sites = new Map<bigint, Neighbours<Member>>();
  readonly #ranks: Chain<Neighbours<Member>>[] = [];
  readonly #exempt: Networks;
  readonly #exemptSite = new Neighbours<Member>();
  readonly #seed: bigint = crypto.getRandomValues(new BigUint64Array(1))[0];
  /** The largest number of connections of a site that can give way. */
  #most = 0;

  /** Each connection from `exempt` is its own place. */
  constructor(exempt = new Networks([])) {
    this.#exempt = exempt;
  }

  /** Number of places. */
  get size(): number {
    return this.#places.size;
  }

  /** The site with the most that can give way; of several, the first to reach that number. */
  get heaviest(): Neighbours<Member> | undefined {
    return this.#ranks[this.#most]?.first?.value;
  }

  /** The place of the address in the first 4 or 16 bytes; family 0 is an unknown address. */
  of(address: Uint8Array, family: Family | 0): Neighbours<Member> {
    if (family === 0 || this.#exempt.containsBytes(address, 0, family)) {
      return new Neighbours(undefined, this.#exemptSite);
    }
    const key = this.#hash(address, family === 4 ? HASHED_IPV4 : HASHED_PREFIX);
    const known = this.#places.get(key);
    if (known !== undefined || family === 4) return known ?? new Neighbours(key);
    const site = this.#hash(address, HASHED_SITE);
    return new Neighbours(key, this.#sites.get(site) ?? new Neighbours(site));
  }

  #hash(address: Uint8Array, part: Uint8Array): bigint {
    for (let i = 0; i < part.length; i++) part[i] = address[i];
    return Bun.hash.wyhash(part, this.#seed);
  }

  /** Call when a connection of the place opens. */
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

  /** Call when a connection that has joined will never give way from now on. */
  noteLasting({ site }: Neighbours<Member>): void {
    site.lasting += 1;
    this.#rank(site);
  }

  /** Call when a connection that has joined closes; `lasted` after `noteLasting`. */
  leave(place: Neighbours<Member>, lasted = false): void {
    const { site } = place;
    if (lasted) site.lasting -= 1;
    place.open -= 1;
    if (place.open === 0 && place.key !== undefined) this.#places.delete(place.key);
    if (site !== place) {
      site.open -= 1;
      if (site.open === 0 && site.key !== undefined) this.#sites.delete(site.key);
    }
    this.#rank(site);
  }

  /** One connection more or less changes the rank of a site, and the maximum, by one. */
  #rank(site: Neighbours<Member>): void {
    if (site.key === undefined) return;
    const { yielding } = site;
    if (yielding === 0) site.dropOrder();
    else {
      const chain = (this.#ranks[yielding] ??= new Chain());
      if (site.rank.chain !== chain) chain.append(site.rank);
    }
    if (yielding > this.#most) this.#most = yielding;
    while (this.#most > 0 && this.#ranks[this.#most]?.first === undefined) this.#most -= 1;
  }
}
