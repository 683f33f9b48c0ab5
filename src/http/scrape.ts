/**
 * One HTTP scrape, from its URL to its reply: the counts of the swarms it names, changing none.
 *
 * Hashes nobody announced show zeros, because clients take a missing key for a failure. The full
 * scrape is not made here but with the statistics (see stats/pages.ts), for those who may have it.
 *
 * https://www.bittorrent.org/beps/bep_0048.html
 */
import { INFO_HASH_SIZE } from "../constants.ts";
import { Limits } from "../limits/limits.ts";
import { PORT_NONE } from "../limits/request-rules.ts";
import { COUNT } from "../ops/counters.ts";
import { answerBytes, answerDropped, answerFailure, failureSize } from "./answer.ts";
import { scrapeBytesMax, writeScraped, writeScrapeEnd, writeScrapeStart } from "./bencode.ts";
import type { AddressSource, Client } from "./client.ts";
import { HttpLimits, SILENCE } from "./limiting.ts";
import { ScrapeQuery } from "./query.ts";
import type { Core, HttpDeps } from "./routes.ts";
import { VERDICT_OK } from "./verdict.ts";

/** Answers scrapes; one per thread, because it reuses the core's records and its own buffer. */
export class HttpScrapes {
  readonly #tracker: Core;
  readonly #row: Float64Array;
  readonly #minRequestIntervalSeconds: number;
  readonly #now: () => number;
  readonly #limits: Limits;
  readonly #limiting: HttpLimits;
  readonly #client: Client;
  readonly #query: ScrapeQuery;
  readonly #body: Uint8Array;

  constructor(deps: HttpDeps, client: Client) {
    this.#tracker = deps.tracker;
    this.#row = deps.counters.row;
    // The configured minimum itself: a drawn interval could only lower it.
    this.#minRequestIntervalSeconds = deps.intervals.minimum(Infinity);
    this.#now = deps.now;
    this.#limits = deps.limits ?? new Limits();
    this.#limiting = new HttpLimits(this.#limits, deps.counters.row);
    this.#client = client;
    this.#query = new ScrapeQuery(deps.settings.scrapeMax);
    this.#body = new Uint8Array(scrapeBytesMax(deps.settings.scrapeMax));
  }

  /** The reply to the scrape whose query begins at `queryAt` of `url`. Never throws. */
  answer(req: Request, server: AddressSource, url: string, queryAt: number): Response {
    const verdict = this.#query.read(url, queryAt);
    if (verdict !== VERDICT_OK) {
      this.#row[COUNT.httpFailures] += 1;
      this.#row[COUNT.httpSentBytes] += failureSize(verdict);
      return answerFailure(verdict);
    }
    const limited = this.#limit(req, server);
    if (limited !== undefined) {
      this.#row[COUNT.httpSentBytes] += limited.length;
      return limited === SILENCE ? answerDropped() : answerBytes(limited, limited.length);
    }
    const size = this.#write();
    this.#count(size);
    return answerBytes(this.#body, size);
  }

  /** A scrape needs no address: where it is unknown nothing is limited. */
  #limit(req: Request, server: AddressSource): Uint8Array | undefined {
    const client = this.#client;
    if (client.read(req, server) !== VERDICT_OK) return undefined;
    const limited = this.#limiting.judgeRate(client, this.#now());
    if (limited !== undefined || this.#limits.rules.empty) return limited;
    return this.#limiting.judgeRules(client, PORT_NONE, undefined, req.headers);
  }

  #write(): number {
    const { request, reply } = this.#tracker;
    const { hashes, count } = this.#query;
    let at = writeScrapeStart(this.#body);
    for (let i = 0; i < count; i++) {
      const hashAt = i * INFO_HASH_SIZE;
      for (let k = 0; k < INFO_HASH_SIZE; k++) request.infoHash[k] = hashes[hashAt + k];
      this.#tracker.scrape();
      at = writeScraped(this.#body, at, hashes, hashAt, reply);
    }
    return writeScrapeEnd(this.#body, at, this.#minRequestIntervalSeconds);
  }

  /** Where the address is unknown, the family of the socket is counted. */
  #count(size: number): void {
    const column = this.#client.family === 4 ? COUNT.httpScrapesIpv4 : COUNT.httpScrapesIpv6;
    this.#row[column] += 1;
    this.#row[COUNT.httpSentBytes] += size;
  }
}
