/**
 * The parts of the HTTP side that announces, scrapes and pages share.
 */
import type { Access } from "../access/access.ts";
import type { Counters } from "../counters/counters.ts";
import type { Histogram } from "../counters/histograms.ts";
import type { Intervals } from "../limits/intervals.ts";
import type { Limits } from "../limits/limits.ts";
import type { RequestHead } from "../net/head.ts";
import type { Takeover, UpgradeRequest } from "../net/tunnel.ts";
import type { OwnNames } from "../net/own-names.ts";
import type { AllowedHosts } from "../notes/hosts.ts";
import type { Notes } from "../notes/notes.ts";
import type { Front } from "../page/front.ts";
import type { Prefetch } from "../swarm/prefetch.ts";
import type { Tracker } from "../swarm/tracker.ts";
import type { Client } from "../gates/client.ts";
import type { Teller } from "../gates/gates.ts";
import type { Exchange } from "./exchange.ts";

/** The part of the core that the HTTP side uses. */
export type Core = Pick<Tracker, "request" | "reply" | "replies" | "announce" | "scrape">;

export type HttpSettings = {
  /** Peers returned to a client that does not say how many it wants. */
  readonly numwantDefault: number;
  /** Limit of peers in a reply. */
  readonly numwantMax: number;
  /** Limit of info hashes in a scrape; further hashes are ignored. */
  readonly scrapeMax: number;
  /** Networks of trusted proxies, as CIDR. */
  readonly trustedProxies: readonly string[];
  /** Lower-case name of the header with the client's address, such as `x-forwarded-for`. */
  readonly proxyHeader: string;
  /** True to believe the `ip`, `ipv4` and `ipv6` parameters. */
  readonly allowIpParameter: boolean;
  /** True to refuse announces from loopback, private and link-local addresses. */
  readonly refusePrivate: boolean;
  /** Public addresses of peers behind our NAT, one of each family at most. */
  readonly externalAddresses?: readonly string[];
  /** Warning in every announce reply, in ASCII; omitted or empty for no warning. */
  readonly warningMessage?: string;
  /** URL to which `/` redirects; omitted for no redirect. */
  readonly redirectUrl?: string | undefined;
};

export type HttpDeps = {
  readonly tracker: Core;
  /** Prefetches the swarms of up to GATHERED_MAX requests; without it nothing is prefetched. */
  readonly prefetch?: Pick<Prefetch, "fetch">;
  readonly counters: Counters;
  readonly intervals: Intervals;
  /** A monotonic clock in seconds; a coarse one suffices. */
  readonly now: () => number;
  /** True if the tracker can serve; the answer of `/ready`. */
  readonly ready: () => boolean;
  /** Access lists; without them every client is served. */
  readonly access?: Access;
  /** Limits of requests; without them nothing is limited. */
  readonly limits?: Limits;
  /** The pages of statistics; omitted to serve no statistics. */
  readonly pages?: StatisticsPages;
  /** The page at `/`; omitted to serve no page. */
  readonly front?: Front;
  /** Has that page answered elsewhere: for a worker, which has none. */
  readonly frontElsewhere?: (request: UpgradeRequest) => Takeover;
  /** True if workers have received and rated the requests, and passed them on. */
  readonly passedOn?: boolean;
  /** Histogram for the duration of one request in TIMED_EVERY. */
  readonly requestSeconds?: Histogram;
  /** Notes announces for the statistics. */
  readonly notes?: Notes;
  /** Tells other trackers what announces changed; without it this one is alone. */
  readonly outbox?: Teller | undefined;
  /** Host names under which announces are served; all if omitted. */
  readonly allowedHosts?: AllowedHosts;
  /** Gets the head of an announce whose client the trusted proxy did not name. */
  readonly unclearProxy?: (head: RequestHead) => void;
  /** Host names accepted in requests for pages that only this machine may see; all if omitted. */
  readonly ownNames?: Pick<OwnNames, "has">;
  /** Judges a request to speak WebSocket; without it such a request is answered as any other. */
  readonly upgrade?: (
    request: UpgradeRequest,
  ) => Response | Takeover | Promise<Response | Takeover>;
  readonly settings: HttpSettings;
};

/** Pages of statistics and full scrapes, for permitted clients. */
export interface StatisticsPages {
  /** Their path, such as `/stats`. */
  readonly path: string;
  /** Size limit of a body written in place. */
  readonly bytesMax: number;
  answer(
    exchange: Exchange,
    query: string,
    client: Client,
  ): number | Response | Takeover | Promise<Response>;
  mayFullScrape(client: Client): boolean;
  answerFullScrape(exchange: Exchange, client: Client): number | Response | Takeover;
}
