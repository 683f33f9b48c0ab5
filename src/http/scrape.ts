/**
 * One HTTP scrape, from its target to its reply: the counts of the requested swarms. It changes no
 * swarm.
 *
 * Unknown hashes get zeros, because clients take a missing key for a failure. The full scrape
 * belongs to the statistics (opentracker/pages.ts).
 *
 * https://www.bittorrent.org/beps/bep_0048.html
 */
import { INFO_HASH_SIZE } from "../constants.ts";
import type { Gates } from "../gates/gates.ts";
import { PORT_NONE } from "../limits/request-rules.ts";
import { COUNT } from "../counters/counters.ts";
import { answerVerdict } from "./answer.ts";
import { writeScraped, writeScrapeEnd, writeScrapeStart } from "../net/bencode.ts";
import type { Client } from "../gates/client.ts";
import type { Exchange } from "./exchange.ts";
import { ScrapeQuery } from "./query.ts";
import type { Core, HttpDeps } from "./parts.ts";
import { VERDICT_OK } from "../gates/verdicts.ts";

/** Answers scrapes; one per thread, because it reuses the core's records and its own buffer. */
export class HttpScrapes {
  readonly #tracker: Core;
  readonly #row: Float64Array;
  readonly #minRequestIntervalSeconds: number;
  readonly #now: () => number;
  readonly #gates: Gates;
  readonly #client: Client;
  readonly #query: ScrapeQuery;

  constructor(deps: HttpDeps, gates: Gates, client: Client) {
    this.#tracker = deps.tracker;
    this.#row = deps.counters.row;
    // The configured minimum; a random interval could only lower it.
    this.#minRequestIntervalSeconds = deps.intervals.minimum(Infinity);
    this.#now = deps.now;
    this.#gates = gates;
    this.#client = client;
    this.#query = new ScrapeQuery(deps.settings.scrapeMax);
  }

  /** Answers the scrape whose query begins at `queryAt`; returns the bytes of the reply. */
  answer(exchange: Exchange, queryAt: number): number {
    const size = this.#answer(exchange, queryAt);
    this.#row[COUNT.httpSentBytes] += size;
    return size;
  }

  #answer(exchange: Exchange, queryAt: number): number {
    const verdict = this.#judge(exchange, queryAt);
    if (verdict !== VERDICT_OK) return answerVerdict(exchange, this.#gates, verdict);
    this.#count();
    return this.#write(exchange);
  }

  /** Passes the gates. A scrape needs no address; with an unknown address it is not limited. */
  #judge(exchange: Exchange, queryAt: number): number {
    const gates = this.#gates;
    const { head } = exchange;
    const { asked } = gates;
    const located = this.#client.read(exchange) === VERDICT_OK;
    if (located) {
      asked.family = this.#client.family;
      const verdict = gates.judgeRate(this.#now());
      if (verdict !== VERDICT_OK) return verdict;
    }
    const read = this.#query.read(head.text, queryAt, head.targetTo);
    if (read !== VERDICT_OK) return gates.refuse(read);
    if (!located) return VERDICT_OK;
    asked.head = head;
    asked.port = PORT_NONE;
    asked.peerIdAt = -1;
    return gates.judgeRules();
  }

  #write({ out, at: from }: Exchange): number {
    const { request, reply } = this.#tracker;
    const { hashes, count } = this.#query;
    let at = writeScrapeStart(out, from);
    for (let i = 0; i < count; i++) {
      const hashAt = i * INFO_HASH_SIZE;
      for (let k = 0; k < INFO_HASH_SIZE; k++) request.infoHash[k] = hashes[hashAt + k];
      this.#tracker.scrape();
      at = writeScraped(out, at, hashes, hashAt, reply);
    }
    return writeScrapeEnd(out, at, this.#minRequestIntervalSeconds) - from;
  }

  /** With an unknown address, the family of the socket is counted. */
  #count(): void {
    const column = this.#client.family === 4 ? COUNT.httpScrapesIpv4 : COUNT.httpScrapesIpv6;
    this.#row[column] += 1;
  }
}
