/**
 * The client of a request: the address of its socket or, behind a trusted proxy, the address that
 * the proxy names.
 *
 *   socket  203.0.113.9                                       -> 203.0.113.9, headers are not read
 *   socket  10.0.0.2 (trusted), X-Forwarded-For: a, b, 10.0.0.1 (trusted)  -> b
 *   socket  10.0.0.2 (trusted), X-Forwarded-For: 10.0.0.7 (trusted)        -> 10.0.0.7
 *
 * Each proxy appends the address it saw, so the header is read from its right end: the first
 * address that is no trusted proxy is the last one a trusted proxy vouches for, and everything to
 * the left of it is hearsay. If all are trusted, the left-most is the client: one in the network of
 * the proxies, or any if the operator trusts everybody. The address of a proxy's socket is never
 * the client's: without a readable header the request has no address, which is a verdict.
 *
 *   Forwarded: for=198.51.100.7, for="[2001:db9::1]:4711";proto=https      is read likewise
 *
 * https://www.rfc-editor.org/rfc/rfc7239 (Forwarded)
 */
import type { Family } from "../constants.ts";
import { type Networks, readEndpoint } from "../net/addresses.ts";
import { VERDICT_ADDRESS_PROXY, VERDICT_ADDRESS_UNKNOWN, VERDICT_OK } from "./verdicts.ts";

/** The only header whose hops have more than an address. */
const FORWARDED = "forwarded";

/** One part of a hop in `Forwarded`. */
const PAIR = /^\s*([\w-]+)=(?:"([^"\\]*)"|([^\s"\\;=]*))\s*$/;

/** The scheme between client and proxy: in its own header, or in a hop of `Forwarded`. */
const SCHEME_HEADER = "x-forwarded-proto";
const SCHEME = /^\s*(https?)\s*(?:,|$)/i;
const FORWARDED_SCHEME = /(?:^|[\s,;])proto="?(https?)(?=["\s,;]|$)/i;

/** Headers in which proxies and networks for content name the client. */
const CLIENT_HEADERS = [
  ...["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"],
  ...["x-client-ip", "x-cluster-client-ip", "fastly-client-ip", "fly-client-ip"],
  ...["do-connecting-ip", "x-envoy-external-address", "x-original-forwarded-for"],
];

/** Names of the headers in a request that may name its client, the `wanted` one among them. */
export function clientHeaders(head: Asking["head"], wanted: string): string[] {
  return [...new Set([wanted, ...CLIENT_HEADERS])].filter((name) => head.get(name) !== "");
}

/** The part of a request that gives its client. */
export interface Asking {
  /** The address the connection came from: 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** Its family; 0 if the client disconnected before the address was read. */
  readonly family: Family | 0;
  readonly head: { get(name: string): string };
}

/** The scheme of a URL that a proxy answers. */
export type Scheme = "http" | "https";

/** The address of the client of the request at hand; reused for every request. */
export class Client {
  /** 4 or 16 bytes of address, at the start. */
  readonly address = new Uint8Array(16);
  family: Family = 4;
  /** True if the address comes from the header of a trusted proxy. */
  fromProxy = false;
  readonly #proxies: Networks;
  readonly #header: string;

  /**
   * `header` is the lower-case name of the header in which `proxies` write the client's address.
   */
  constructor(proxies: Networks, header: string) {
    this.#proxies = proxies;
    this.#header = header;
  }

  /** True for 127.0.0.0/8 and ::1. */
  get isLoopback(): boolean {
    const { address } = this;
    if (this.family === 4) return address[0] === 127;
    return address[15] === 1 && address.every((byte, at) => byte === 0 || at === 15);
  }

  /**
   * Finds the address. Returns VERDICT_OK, or the reason why it is unknown; `family` is then a
   * guess.
   */
  read(exchange: Asking): number {
    // The client has disconnected.
    if (!this.#set(exchange.family)) return VERDICT_ADDRESS_UNKNOWN;
    for (let i = 0; i < 16; i++) this.address[i] = exchange.address[i];
    this.fromProxy = false;
    if (this.#proxies.empty) return VERDICT_OK;
    if (!this.#proxies.containsBytes(this.address, 0, this.family)) return VERDICT_OK;
    this.fromProxy = true;
    return this.#readForwarded(exchange.head.get(this.#header));
  }

  /**
   * The scheme between client and trusted proxy; undefined without a proxy, or if it does not say.
   * Only for showing the client its own URL: the leftmost of several entries is hearsay.
   */
  schemeAtProxy({ address, family, head }: Asking): Scheme | undefined {
    if (family === 0 || !this.#proxies.containsBytes(address, 0, family)) return undefined;
    const scheme =
      this.#header === FORWARDED
        ? FORWARDED_SCHEME.exec(head.get(FORWARDED))
        : SCHEME.exec(head.get(SCHEME_HEADER));
    return scheme?.[1].toLowerCase() as Scheme | undefined;
  }

  #readForwarded(header: string): number {
    for (let end = header.length; ;) {
      const comma = end > 0 ? header.lastIndexOf(",", end - 1) : -1;
      const hop = header.slice(comma + 1, end).trim();
      const node = this.#header === FORWARDED ? nodeOf(hop) : hop;
      if (!this.#set(readEndpoint(node, this.address, 0))) return VERDICT_ADDRESS_PROXY;
      if (comma < 0) return VERDICT_OK;
      if (!this.#proxies.containsBytes(this.address, 0, this.family)) return VERDICT_OK;
      end = comma;
    }
  }

  #set(family: Family | 0): boolean {
    if (family !== 0) this.family = family;
    return family !== 0;
  }
}

/**
 * The value of `for=` in a hop of `Forwarded`; "" if it is missing, or if any part of the hop is
 * malformed: then its start may be a comma inside a quoted text, which clients can choose.
 */
function nodeOf(hop: string): string {
  let node = "";
  for (const part of hop.split(";")) {
    const pair = PAIR.exec(part);
    if (pair === null) return "";
    if (pair[1].toLowerCase() === "for") node = pair[2] ?? pair[3];
  }
  return node;
}
