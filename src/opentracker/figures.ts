/**
 * The figures of the statistics page: what counters, census and notes say, added up under one name
 * each. Gathering them takes some microseconds and walks nothing.
 */
import { COUNTERS, type Counters } from "../counters/counters.ts";
import { takeCensus } from "../swarm/census.ts";
import type { SwarmMemory } from "../swarm/memory.ts";

/** Numbers since the start, and numbers of now. */
export interface Figures {
  uptimeSeconds: number;
  swarms: number;
  peers: number;
  seeders: number;
  downloads: number;
  /** Requests by HTTP: connections are often used for many. */
  httpRequests: number;
  httpAnnounces: number;
  httpScrapes: number;
  /** Datagrams, answered or not. */
  udpDatagrams: number;
  udpConnects: number;
  udpAnnounces: number;
  udpScrapes: number;
  udpBadConnectionIds: number;
  fullScrapes: number;
  fullScrapeBytes: number;
  redirects: number;
  methodErrors: number;
  requestErrors: number;
  tooMany: number;
  forbidden: number;
  notFound: number;
}

/** Adds everything up; `nowSeconds` is the uptime. */
export function gatherFigures(
  counters: Counters,
  memory: SwarmMemory,
  nowSeconds: number,
): Figures {
  const census = takeCensus(memory);
  const seeders = census.seedersIpv4 + census.seedersIpv6;
  const count = (...names: Parameters<Counters["total"]>[0][]): number =>
    names.reduce((sum, name) => sum + counters.total(name), 0);
  const figures = {
    uptimeSeconds: Math.floor(nowSeconds),
    swarms: census.swarms,
    peers: seeders + census.leechersIpv4 + census.leechersIpv6,
    seeders,
    downloads: census.downloads,
    httpAnnounces: count("httpAnnouncesIpv4", "httpAnnouncesIpv6"),
    httpScrapes: count("httpScrapesIpv4", "httpScrapesIpv6"),
    udpConnects: count("udpConnectsIpv4", "udpConnectsIpv6"),
    udpAnnounces: count("udpAnnouncesIpv4", "udpAnnouncesIpv6"),
    udpScrapes: count("udpScrapesIpv4", "udpScrapesIpv6"),
    udpBadConnectionIds: count("udpDroppedConnectionId"),
    fullScrapes: count("httpFullScrapes"),
    fullScrapeBytes: count("httpFullScrapeBytes"),
    redirects: count("httpRedirects"),
    methodErrors: count("httpMethodNotAllowed"),
    requestErrors: count("httpFailures", "httpRefusedAddresses"),
    tooMany: count("httpTooMany"),
    forbidden: count("httpForbidden"),
    notFound: count("httpNotFound"),
  };
  return { ...figures, ...sums(figures, counters) };
}

/** Requests that were understood and yet not served, by their columns. */
const REFUSED_HTTP = COUNTERS.filter((name) => /^http(Refused|Dropped)/.test(name));
const REFUSED_UDP = COUNTERS.filter((name) => /^udp(Refused|Dropped)/.test(name));

/** What is made of others: all requests, whatever became of them. */
function sums(figures: Omit<Figures, "httpRequests" | "udpDatagrams">, counters: Counters) {
  const { httpAnnounces, httpScrapes, udpConnects, udpAnnounces, udpScrapes } = figures;
  const { redirects, methodErrors, tooMany, forbidden, notFound, fullScrapes } = figures;
  const total = (names: readonly (typeof COUNTERS)[number][]): number =>
    names.reduce((sum, name) => sum + counters.total(name), 0);
  const others = redirects + methodErrors + tooMany + forbidden + notFound + fullScrapes;
  const pages = total(["httpStats", "httpFront", "httpFailures"]);
  return {
    httpRequests: httpAnnounces + httpScrapes + others + pages + total(REFUSED_HTTP),
    udpDatagrams:
      udpConnects + udpAnnounces + udpScrapes + total(["udpErrors"]) + total(REFUSED_UDP),
  };
}
