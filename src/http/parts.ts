/**
 * What the HTTP side is made of: the parts that announces, scrapes and pages are given.
 */
import type { Access } from "../access/access.ts";
import type { Counters } from "../counters/counters.ts";
import type { Histogram } from "../counters/histograms.ts";
import type { Intervals } from "../limits/intervals.ts";
import type { Limits } from "../limits/limits.ts";
import type { OwnNames } from "../net/own-names.ts";
import type { AllowedHosts } from "../notes/hosts.ts";
import type { Notes } from "../notes/notes.ts";
import type { Front } from "../page/front.ts";
import type { Prefetch } from "../swarm/prefetch.ts";
import type { Tracker } from "../swarm/tracker.ts";
import type { Client } from "./client.ts";
import type { Exchange } from "./exchange.ts";

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
  /** Prefetches the swarms of up to GATHERED_MAX requests; without it nothing is prefetched. */
  readonly prefetch?: Pick<Prefetch, "fetch">;
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
  readonly pages?: StatisticsPages;
  /** The page for people; there is none if it is left out. */
  readonly front?: Front;
  /** Where the time of one request in TIMED_EVERY is noted. */
  readonly requestSeconds?: Histogram;
  /** What this thread notes of announces. */
  readonly notes?: Notes;
  /** Under which host names announces may come; all if it is left out. */
  readonly allowedHosts?: AllowedHosts;
  /** Under which host names this machine may ask for what it alone is shown; all if left out. */
  readonly ownNames?: Pick<OwnNames, "has">;
  readonly settings: HttpSettings;
};

/** Pages of statistics, and full scrapes, for those who may have them. */
export interface StatisticsPages {
  /** Where they are, such as `/stats`. */
  readonly path: string;
  /** Longest body that is written in place. */
  readonly bytesMax: number;
  answer(exchange: Exchange, query: string, client: Client): number | Response | Promise<Response>;
  mayFullScrape(client: Client): boolean;
  answerFullScrape(exchange: Exchange, client: Client): number | Response;
}
