/**
 * Where an HTTP request goes: to an announce, a scrape, the statistics, a check of health, nowhere.
 *
 *   http://tracker.example:6969/any/thing//announce.php/?info_hash=...#...
 *                              └───────── path ────────┘└── query ──┘
 *
 *   announce, announce.php   by the last segment, whatever stands before it   GET, HEAD
 *   scrape, scrape.php       likewise                                         GET, HEAD
 *   /health                  200 while the process runs                       GET, HEAD
 *   /scrape without a query  everything, to those who may have it             GET, HEAD
 *   /stats                   the statistics, or where they were put           GET, HEAD
 *   /ready                   200 or 503                                       GET, HEAD
 *   /                        302, if there is somewhere to send people        GET, HEAD
 *   anything else            404
 *
 * Clients are always answered synchronously: Bun closes a connection with pipelined requests while
 * one is pending. Only a page of statistics may be a promise. The URL is taken apart by hand,
 * because `new URL` throws for what Bun hands on from HTTP/1.0.
 */
import type { Access } from "../access/access.ts";
import type { Counters } from "../ops/counters.ts";
import { COUNT } from "../ops/counters.ts";
import { Networks } from "../ops/addresses.ts";
import type { Limits } from "../limits/limits.ts";
import type { Intervals } from "../ops/intervals.ts";
import type { AllowedHosts } from "../stats/hosts.ts";
import type { Notes } from "../stats/notes.ts";
import type { Pages } from "../stats/pages.ts";
import type { Tracker } from "../swarm/tracker.ts";
import { HttpAnnounces } from "./announce.ts";
import {
  answerHealth,
  answerMethodNotAllowed,
  answerNotFound,
  answerRedirect,
  answerUnknownAddress,
} from "./answer.ts";
import { type AddressSource, Client } from "./client.ts";
import { isText } from "./query.ts";
import { HttpScrapes } from "./scrape.ts";
import { VERDICT_OK } from "./verdict.ts";

/** Largest request body the server should take in, in bytes. None has a meaning here. */
export const HTTP_BODY_BYTES_MAX = 64 * 1024;

/** What the HTTP side uses of the core. */
export type Core = Pick<Tracker, "request" | "reply" | "replies" | "announce" | "scrape">;

export type HttpSettings = {
  /** Peers told to a client that does not say how many it wants. */
  readonly numwantDefault: number;
  /** Peers told at most. */
  readonly numwantMax: number;
  /** Info hashes one scrape may name; further ones are ignored. */
  readonly scrapeMax: number;
  /** Networks of the proxies whose header is believed, as CIDR. */
  readonly trustedProxies: readonly string[];
  /** Lower-case name of that header, such as `x-forwarded-for`. */
  readonly proxyHeader: string;
  /** True to believe the `ip`, `ipv4` and `ipv6` parameters. */
  readonly allowIpParameter: boolean;
  /** True to refuse announces from loopback, private and link-local addresses. */
  readonly refusePrivate: boolean;
  /** What every announce reply says as a warning, in ASCII; left out or empty for nothing. */
  readonly warningMessage?: string;
  /** Where `/` sends people; nowhere if it is left out. */
  readonly redirectUrl?: string | undefined;
};

export type HttpDeps = {
  readonly tracker: Core;
  readonly counters: Counters;
  readonly intervals: Intervals;
  /** Seconds of a clock that never goes back; a coarse one will do. */
  readonly now: () => number;
  /** Whether the tracker can serve: what `/ready` answers. */
  readonly ready: () => boolean;
  /** Who is served; everybody if it is left out. */
  readonly access?: Access;
  /** What limits requests; nothing if it is left out. */
  readonly limits?: Limits;
  /** The statistics; there are none if it is left out. */
  readonly pages?: Pages;
  /** What this thread notes of announces. */
  readonly notes?: Notes;
  /** Under which host names announces may come; all if it is left out. */
  readonly allowedHosts?: AllowedHosts;
  readonly settings: HttpSettings;
};

/** What Bun.serve calls. */
export type HttpHandler = {
  fetch(req: Request, server: AddressSource): Response | Promise<Response>;
};

const SLASH = 47;
const QUESTION = 63;
const HASH = 35;

/** Offset from which the slash that begins the path is searched: behind `https://`. */
const PATH_SEARCH_FROM = 8;

/** Routes requests; throws an Error if the settings or the reply buffer will not do. */
export function createHttp(deps: HttpDeps): HttpHandler {
  const routes = new Routes(deps);
  return { fetch: (req, server) => routes.answer(req, server) };
}

class Routes {
  readonly #announces: HttpAnnounces;
  readonly #scrapes: HttpScrapes;
  readonly #row: Float64Array;
  readonly #ready: () => boolean;
  readonly #client: Client;
  readonly #pages: Pages | undefined;
  readonly #redirectUrl: string;

  constructor(deps: HttpDeps) {
    const proxies = new Networks(deps.settings.trustedProxies);
    const client = new Client(proxies, deps.settings.proxyHeader);
    this.#announces = new HttpAnnounces(deps, client);
    this.#scrapes = new HttpScrapes(deps, client);
    this.#row = deps.counters.row;
    this.#ready = deps.ready;
    this.#client = client;
    this.#pages = deps.pages;
    this.#redirectUrl = deps.settings.redirectUrl ?? "";
  }

  answer(req: Request, server: AddressSource): Response | Promise<Response> {
    const url = req.url;
    this.#row[COUNT.httpReceivedBytes] += url.length;
    const path = pathStart(url);
    const pathTo = pathEnd(url, path);
    const to = trimSlashes(url, path, pathTo);
    const segment = path < to ? url.lastIndexOf("/", to - 1) + 1 : path;
    // A query begins behind its question mark; without one there is nothing to read.
    const query = url.charCodeAt(pathTo) === QUESTION ? pathTo + 1 : url.length;
    if (isAnnounce(url, segment, to)) {
      return isRead(req) ? this.#announces.answer(req, server, url, query) : this.#refuseMethod();
    }
    if (isScrape(url, segment, to)) {
      if (!isRead(req)) return this.#refuseMethod();
      // Whoever may not have everything has forgotten an info hash, and is told so.
      const full = pathTo === url.length && isText(url, path, to, "/scrape");
      const page = full ? this.#answerFullScrape(req, server) : undefined;
      return page ?? this.#scrapes.answer(req, server, url, query);
    }
    const { path: statsPath = "" } = this.#pages ?? {};
    if (statsPath !== "" && isText(url, path, to, statsPath)) {
      return isRead(req) ? this.#answerStats(req, server, url, query) : this.#refuseMethod();
    }
    return this.#answerOther(req, url, path, to);
  }

  #answerFullScrape(req: Request, server: AddressSource): Response | undefined {
    const pages = this.#pages;
    const known = this.#client.read(req, server) === VERDICT_OK;
    if (pages === undefined || !known || !pages.mayFullScrape(this.#client)) return undefined;
    return pages.answerFullScrape(req, this.#client);
  }

  #answerStats(
    req: Request,
    server: AddressSource,
    url: string,
    queryAt: number,
  ): Response | Promise<Response> {
    if (this.#client.read(req, server) !== VERDICT_OK) {
      this.#row[COUNT.httpForbidden] += 1;
      return answerUnknownAddress();
    }
    const hash = url.indexOf("#", queryAt);
    const query = url.slice(queryAt, hash < 0 ? url.length : hash);
    return this.#pages!.answer(req, query, this.#client);
  }

  /** Paths that clients do not ask for. Pages for people belong here. */
  #answerOther(req: Request, url: string, path: number, to: number): Response {
    if (path === to && this.#redirectUrl !== "" && isRead(req)) {
      this.#row[COUNT.httpRedirects] += 1;
      return answerRedirect(this.#redirectUrl);
    }
    const health = isText(url, path, to, "/health");
    if (health || isText(url, path, to, "/ready")) {
      return isRead(req) ? answerHealth(health || this.#ready()) : this.#refuseMethod();
    }
    this.#row[COUNT.httpNotFound] += 1;
    return answerNotFound();
  }

  #refuseMethod(): Response {
    this.#row[COUNT.httpMethodNotAllowed] += 1;
    return answerMethodNotAllowed();
  }
}

function isRead(req: Request): boolean {
  const method = req.method;
  return method === "GET" || method === "HEAD";
}

function isAnnounce(url: string, from: number, to: number): boolean {
  return isText(url, from, to, "announce") || isText(url, from, to, "announce.php");
}

function isScrape(url: string, from: number, to: number): boolean {
  return isText(url, from, to, "scrape") || isText(url, from, to, "scrape.php");
}

/** Where the path begins. Requests without a host come as a path only; CONNECT has no path. */
function pathStart(url: string): number {
  if (url.charCodeAt(0) === SLASH) return 0;
  const slash = url.indexOf("/", PATH_SEARCH_FROM);
  return slash < 0 ? url.length : slash;
}

function pathEnd(url: string, from: number): number {
  for (let at = from; at < url.length; at++) {
    const code = url.charCodeAt(at);
    if (code === QUESTION || code === HASH) return at;
  }
  return url.length;
}

function trimSlashes(url: string, from: number, to: number): number {
  let end = to;
  while (end > from && url.charCodeAt(end - 1) === SLASH) end--;
  return end;
}
