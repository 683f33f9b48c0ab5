/**
 * Routes HTTP requests by path: announces, scrapes, statistics, health checks, pages.
 *
 *   http://tracker.example:6969/any/thing//announce.php/?info_hash=...#...
 *                              └───────── path ────────┘└── query ──┘
 *
 *   announces and scrapes    see paths.ts                                     GET, HEAD
 *   /health                  200 while the process runs                       GET, HEAD
 *   /scrape without a query  full scrape, for permitted clients               GET, HEAD
 *   /stats                   the statistics                                   GET, HEAD
 *   /ready                   200 or 503                                       GET, HEAD
 *   /                        the page, or 302 to another                      GET, HEAD
 *   /favicon.ico             204: browsers request it with every page         GET, HEAD
 *   /live                    the figures of that page                         GET, HEAD
 *   anything else            404
 *
 * Announces and scrapes pass the rate limit in their gates. Health checks have no rate limit,
 * because a refusal would cost as much. All other requests are limited before they are read
 * further.
 *
 * Answers are written at once and in place; only a page of statistics may be a promise, and then
 * pipelined requests wait in their connection until it is sent (see server.ts). Paths are read in
 * place: a `URL` per request is too slow.
 */
import { COUNT } from "../counters/counters.ts";
import { Networks } from "../net/addresses.ts";
import { Access } from "../access/access.ts";
import { externalAddresses } from "../gates/external-addresses.ts";
import { Gates } from "../gates/gates.ts";
import type { OwnNames } from "../net/own-names.ts";
import { Limits } from "../limits/limits.ts";
import type { Histogram } from "../counters/histograms.ts";
import { FEED_FIELDS, type Front, PAGE_FIELDS } from "../page/front.ts";
import { HttpAnnounces } from "./announce.ts";
import {
  ANSWER_BYTES_MAX,
  answerHealth,
  answerMethodNotAllowed,
  answerNotFound,
  answerTooMany,
  answerUnknownAddress,
  answerVerdict,
  answerWithoutIcon,
  redirectForm,
} from "./answer.ts";
import { announceBytesMax, scrapeBytesMax } from "../net/bencode.ts";
import { Client } from "../gates/client.ts";
import { type AnswerForm, answerForm, type Exchange, type HttpHandler } from "./exchange.ts";
import { RequestPrefetch } from "./request-prefetch.ts";
import type { PrefetchTexts } from "./gathered.ts";
import type { RequestHead } from "../net/head.ts";
import type { Takeover } from "../net/tunnel.ts";
import type { HttpDeps, StatisticsPages } from "./parts.ts";
import {
  isPath,
  kindOfPath,
  PATH_ANNOUNCE,
  PATH_MISTAKEN,
  PATH_OTHER,
  PATH_SCRAPE,
  pathEnd,
  trimmedEnd,
} from "./paths.ts";
import { REFUSAL_FAILURE } from "./refusals.ts";
import { HttpScrapes } from "./scrape.ts";
import { VERDICT_OK, VERDICT_PATH } from "../gates/verdicts.ts";

const PAGE = answerForm(`200 OK\r\n${PAGE_FIELDS}`);
const FEED = answerForm(`200 OK\r\n${FEED_FIELDS}`);

/** See HttpHandler.answer. */
type HttpAnswer = ReturnType<HttpHandler["answer"]>;

const QUESTION = 63;

/** One request in this number is timed: timing each one would cost 1 % of its time. */
const TIMED_EVERY = 16;

/** Routes requests; throws an Error if the settings or the reply buffer will not do. */
export function createHttp(deps: HttpDeps): HttpHandler {
  return new Routes(deps);
}

class Routes implements HttpHandler {
  readonly bodyBytesMax: number;
  readonly prefetch: PrefetchTexts | undefined;
  readonly #announces: HttpAnnounces;
  readonly #scrapes: HttpScrapes;
  readonly #row: Float64Array;
  readonly #ready: () => boolean;
  readonly #client: Client;
  /** Stands for a client that only seems to be this machine: no list of networks has it. */
  readonly #unknown = new Client(new Networks([]), "");
  readonly #ownNames: Pick<OwnNames, "has"> | undefined;
  readonly #pages: StatisticsPages | undefined;
  /** The answer at `/`, if it redirects. */
  readonly #redirect: AnswerForm | undefined;
  readonly #front: Front | undefined;
  readonly #frontElsewhere: HttpDeps["frontElsewhere"];
  readonly #passedOn: boolean;
  readonly #gates: Gates;
  readonly #now: () => number;
  readonly #requestSeconds: Histogram | undefined;
  readonly #upgrade: HttpDeps["upgrade"];
  #untilTimed = TIMED_EVERY;

  constructor(deps: HttpDeps) {
    const { numwantMax, scrapeMax } = deps.settings;
    const longest = Math.max(announceBytesMax(numwantMax), scrapeBytesMax(scrapeMax));
    const { redirectUrl = "" } = deps.settings;
    this.#redirect = redirectUrl === "" ? undefined : redirectForm(redirectUrl);
    this.#front = this.#redirect === undefined ? deps.front : undefined;
    this.#frontElsewhere = this.#redirect === undefined ? deps.frontElsewhere : undefined;
    this.#passedOn = deps.passedOn === true;
    const pages = deps.pages?.bytesMax ?? 0;
    const front = (this.#front?.bytesMax ?? 0) + Math.max(PAGE.lines.length, FEED.lines.length);
    const redirect = this.#redirect?.lines.length ?? 0;
    this.bodyBytesMax = Math.max(longest, ANSWER_BYTES_MAX, pages, front, redirect);
    const hashes = deps.prefetch && new RequestPrefetch(deps.prefetch);
    this.prefetch = hashes && ((texts, count) => hashes.fetch(texts, count));
    const proxies = new Networks(deps.settings.trustedProxies);
    const client = new Client(proxies, deps.settings.proxyHeader);
    const gates = new Gates({
      transport: "http",
      core: deps.tracker,
      counters: deps.counters,
      access: deps.access ?? new Access(),
      limits: deps.limits ?? new Limits(),
      notes: deps.notes,
      outbox: deps.outbox,
      hosts: deps.allowedHosts,
      refusePrivate: deps.settings.refusePrivate,
      external: externalAddresses(deps.settings.externalAddresses ?? []),
    });
    gates.asked.address = client.address;
    this.#gates = gates;
    this.#announces = new HttpAnnounces(deps, gates, client);
    this.#scrapes = new HttpScrapes(deps, gates, client);
    this.#row = deps.counters.row;
    this.#ready = deps.ready;
    this.#client = client;
    this.#ownNames = deps.ownNames;
    this.#pages = deps.pages;
    this.#now = deps.now;
    this.#requestSeconds = deps.requestSeconds;
    this.#upgrade = deps.upgrade;
  }

  answer(exchange: Exchange): HttpAnswer {
    this.#untilTimed -= 1;
    if (this.#untilTimed > 0) return this.#route(exchange);
    this.#untilTimed = TIMED_EVERY;
    const begun = performance.now();
    const answer = this.#route(exchange);
    this.#requestSeconds?.observe((performance.now() - begun) / 1000);
    return answer;
  }

  noteRefusal(answer: Buffer): void {
    this.#row[COUNT[answer === REFUSAL_FAILURE ? "http:bug" : "http:malformed"]] += 1;
  }

  #route(exchange: Exchange): HttpAnswer {
    const { head } = exchange;
    const { text, pathFrom, targetTo } = head;
    if (!this.#passedOn) this.#row[COUNT.httpReceivedBytes] += head.end - head.methodFrom;
    if (head.wantsWebSocket && this.#upgrade !== undefined) return this.#upgrade(exchange);
    const pathTo = pathEnd(text, pathFrom, targetTo);
    const to = trimmedEnd(text, pathFrom, pathTo);
    // A query begins behind its question mark; without one it is empty.
    const query = text.charCodeAt(pathTo) === QUESTION ? pathTo + 1 : targetTo;
    const kind = kindOfPath(text, pathFrom, to, query, targetTo);
    if (!isRead(head)) return this.#answerOther(exchange, kind, to, query);
    if (kind === PATH_ANNOUNCE) return this.#announces.answer(exchange, query);
    if (kind === PATH_SCRAPE) {
      // A client that may not have a full scrape gets the error of a missing info hash.
      const full = pathTo === targetTo && isPath(text, pathFrom, to, "/scrape");
      const page = full ? this.#answerFullScrape(exchange) : undefined;
      return page ?? this.#scrapes.answer(exchange, query);
    }
    return this.#answerOther(exchange, kind, to, query);
  }

  /** Undefined if this client may not have a full scrape. */
  #answerFullScrape(exchange: Exchange): number | Response | Takeover | undefined {
    const pages = this.#pages;
    const known = this.#client.read(exchange) === VERDICT_OK;
    const reader = this.#readerOf(exchange);
    if (pages === undefined || !known || !pages.mayFullScrape(reader)) return undefined;
    if (this.#isOverRate(exchange)) return answerTooMany(exchange);
    return pages.answerFullScrape(exchange, reader);
  }

  /** All but announces and scrapes that are read. New pages belong here, and in paths.ts. */
  #answerOther(exchange: Exchange, kind: number, to: number, query: number): HttpAnswer {
    const { head } = exchange;
    const { text, pathFrom } = head;
    const stats = this.#pages !== undefined && isPath(text, pathFrom, to, this.#pages.path);
    const health = isPath(text, pathFrom, to, "/health");
    if (kind === PATH_OTHER && !stats && (health || isPath(text, pathFrom, to, "/ready"))) {
      if (!isRead(head)) return this.#refuseMethod(exchange);
      return answerHealth(exchange, health || this.#ready());
    }
    if (this.#isOverRate(exchange)) return answerTooMany(exchange);
    if (kind !== PATH_OTHER && !isRead(head)) return this.#refuseMethod(exchange);
    if (kind === PATH_MISTAKEN) {
      return answerVerdict(exchange, this.#gates, this.#gates.refuse(VERDICT_PATH));
    }
    if (stats) {
      return isRead(head) ? this.#answerStats(exchange, query) : this.#refuseMethod(exchange);
    }
    return this.#answerPage(exchange, to);
  }

  /** True if the client is over its rate limit, and the limit is enforced. */
  #isOverRate(exchange: Exchange): boolean {
    if (this.#passedOn || this.#client.read(exchange) !== VERDICT_OK) return false;
    this.#gates.asked.family = this.#client.family;
    return this.#gates.judgeRate(this.#now()) !== VERDICT_OK;
  }

  #answerStats(exchange: Exchange, queryAt: number): HttpAnswer {
    const located = this.#client.read(exchange);
    if (located !== VERDICT_OK) {
      this.#row[COUNT["http:forbidden"]] += 1;
      return answerUnknownAddress(exchange, located);
    }
    const { head } = exchange;
    const target = head.text.slice(queryAt, head.targetTo);
    const hash = target.indexOf("#");
    const query = hash < 0 ? target : target.slice(0, hash);
    return this.#pages!.answer(exchange, query, this.#readerOf(exchange));
  }

  /**
   * The client whose rights count: not this machine, if a foreign web page sent the request, or if
   * a proxy passed it on, since anybody may write a loopback address into a header.
   */
  #readerOf({ head }: Exchange): Client {
    const client = this.#client;
    if (!client.isLoopback) return client;
    if (client.fromProxy) return this.#unknown;
    const names = this.#ownNames;
    const isOwn = names === undefined || names.has(head.text.slice(head.hostFrom, head.hostTo));
    return isOwn ? client : this.#unknown;
  }

  #answerPage(exchange: Exchange, to: number): number | Takeover {
    const { head, out, at } = exchange;
    const { text, pathFrom } = head;
    const root = pathFrom === to;
    if (root && this.#redirect !== undefined && isRead(head)) {
      this.#row[COUNT.httpRedirects] += 1;
      exchange.form = this.#redirect;
      return 0;
    }
    const front = this.#front;
    const elsewhere = this.#frontElsewhere;
    const hasFront = front !== undefined || elsewhere !== undefined;
    if (hasFront && (root || isPath(text, pathFrom, to, "/live"))) {
      if (!isRead(head)) return this.#refuseMethod(exchange);
      if (front === undefined) return elsewhere!(exchange);
      this.#row[COUNT.httpFront] += 1;
      exchange.form = root ? PAGE : FEED;
      if (!root) return front.writeFeed(out, at);
      const scheme = this.#client.schemeAtProxy(exchange);
      return front.writePage(out, at, text.slice(head.hostFrom, head.hostTo), scheme);
    }
    if (isRead(head) && isPath(text, pathFrom, to, "/favicon.ico")) {
      this.#row[COUNT.httpFront] += 1;
      return answerWithoutIcon(exchange);
    }
    this.#row[COUNT["http:not_found"]] += 1;
    return answerNotFound(exchange);
  }

  #refuseMethod(exchange: Exchange): number {
    this.#row[COUNT["http:method"]] += 1;
    return answerMethodNotAllowed(exchange);
  }
}

function isRead(head: RequestHead): boolean {
  return head.hasMethod("GET") || head.hasMethod("HEAD");
}
