/**
 * Who sent a request: the address of its socket or, if a trusted proxy has that, the one it names.
 *
 *   socket  203.0.113.9                                       -> 203.0.113.9, headers are not read
 *   socket  10.0.0.2 (trusted), X-Forwarded-For: a, b, 10.0.0.1 (trusted)  -> b
 *
 * Each proxy appends the address it saw, so the header is read from its right end: the first
 * address that is no trusted proxy is the last one a trusted proxy vouches for, and everything to
 * the left of it is hearsay. A proxy's own address is never the client's: if its header is missing,
 * unreadable or names nothing but proxies, the request has no address, which is a verdict.
 *
 *   Forwarded: for=198.51.100.7, for="[2001:db9::1]:4711";proto=https      is read likewise
 *
 * https://www.rfc-editor.org/rfc/rfc7239 (Forwarded)
 */
import type { Family } from "../constants.ts";
import { type Networks, readEndpoint } from "../net/addresses.ts";
import type { Exchange } from "./exchange.ts";
import { VERDICT_ADDRESS_PROXY, VERDICT_ADDRESS_UNKNOWN, VERDICT_OK } from "../gates/verdicts.ts";

/** The one header whose hops are more than addresses. */
const FORWARDED = "forwarded";

/** One part of such a hop. */
const PAIR = /^\s*([\w-]+)=(?:"([^"\\]*)"|([^\s"\\;=]*))\s*$/;

/** What the client spoke to the proxy before us: a header of its own, or a part of a hop. */
const SCHEME_HEADER = "x-forwarded-proto";
const SCHEME = /^\s*(https?)\s*(?:,|$)/i;
const FORWARDED_SCHEME = /(?:^|[\s,;])proto="?(https?)(?=["\s,;]|$)/i;

/** The scheme of a URL that a proxy answers. */
export type Scheme = "http" | "https";

/** The address of the client of the request at hand; reused for every request. */
export class Client {
  /** 4 or 16 bytes of address, at the start. */
  readonly address = new Uint8Array(16);
  family: Family = 4;
  readonly #proxies: Networks;
  readonly #header: string;

  /** `header` is the name, in lower case, of what `proxies` write the client's address into. */
  constructor(proxies: Networks, header: string) {
    this.#proxies = proxies;
    this.#header = header;
  }

  /** Whether it is on this machine, by 127.0.0.0/8 or ::1. */
  get isLoopback(): boolean {
    const { address } = this;
    if (this.family === 4) return address[0] === 127;
    return address[15] === 1 && address.every((byte, at) => byte === 0 || at === 15);
  }

  /** Finds the address. Returns VERDICT_OK, or why there is none; then only `family` is a guess. */
  read(exchange: Exchange): number {
    // The client has hung up meanwhile; nobody will read the answer.
    if (!this.#set(exchange.family)) return VERDICT_ADDRESS_UNKNOWN;
    for (let i = 0; i < 16; i++) this.address[i] = exchange.address[i];
    if (this.#proxies.empty) return VERDICT_OK;
    if (!this.#proxies.containsBytes(this.address, 0, this.family)) return VERDICT_OK;
    return this.#readForwarded(exchange.head.get(this.#header));
  }

  /**
   * The scheme that the client spoke, as a trusted proxy says; undefined if none is before us or it
   * does not say. Only for showing the client what it typed: the left-most of several is hearsay.
   */
  schemeAtProxy({ address, family, head }: Exchange): Scheme | undefined {
    if (family === 0 || !this.#proxies.containsBytes(address, 0, family)) return undefined;
    const scheme =
      this.#header === FORWARDED
        ? FORWARDED_SCHEME.exec(head.get(FORWARDED))
        : SCHEME.exec(head.get(SCHEME_HEADER));
    return scheme?.[1].toLowerCase() as Scheme | undefined;
  }

  #readForwarded(header: string): number {
    for (let end = header.length; end > 0;) {
      const comma = header.lastIndexOf(",", end - 1);
      const hop = header.slice(comma + 1, end).trim();
      const node = this.#header === FORWARDED ? nodeOf(hop) : hop;
      if (!this.#set(readEndpoint(node, this.address, 0))) return VERDICT_ADDRESS_PROXY;
      if (!this.#proxies.containsBytes(this.address, 0, this.family)) return VERDICT_OK;
      end = comma;
    }
    return VERDICT_ADDRESS_PROXY;
  }

  #set(family: Family | 0): boolean {
    if (family !== 0) this.family = family;
    return family !== 0;
  }
}

/**
 * What a hop of `Forwarded` has behind `for=`; "" if there is nothing, or any part of it is not as
 * it should be: then a comma in a quoted text, which strangers may choose, was taken for its start.
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
