/**
 * The figures of the statistics pages: sums of counters and census under the names of opentracker.
 * Collecting them takes some microseconds and walks no swarms.
 */
import { type CounterName, COUNTERS, type Counters } from "../counters/counters.ts";
import { takeCensus } from "../swarm/census.ts";
import type { SwarmMemory } from "../swarm/memory.ts";

/** Counts since the start, and current numbers. */
export interface Figures {
  uptimeSeconds: number;
  swarms: number;
  peers: number;
  seeders: number;
  downloads: number;
  /** Requests over HTTP, not connections. */
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
  /** Malformed requests, and methods other than GET and HEAD, which are malformed there. */
  parseErrors: number;
  requestErrors: number;
  tooMany: number;
  forbidden: number;
  notFound: number;
  bugs: number;
  /** Changes of peers that other trackers told. */
  livesync: number;
}

/** Collects the figures; `nowSeconds` is the uptime, `livesync` what other trackers told. */
export function gatherFigures(
  counters: Counters,
  memory: SwarmMemory,
  nowSeconds: number,
  livesync = 0,
): Figures {
  const census = takeCensus(memory);
  const count = (...names: Parameters<Counters["total"]>[0][]): number =>
    names.reduce((sum, name) => sum + counters.total(name), 0);
  const figures = {
    uptimeSeconds: Math.floor(nowSeconds),
    swarms: census.swarms,
    peers: census.peers,
    seeders: census.seeders,
    downloads: census.downloads,
    httpAnnounces: count("httpAnnouncesIpv4", "httpAnnouncesIpv6"),
    httpScrapes: count("httpScrapesIpv4", "httpScrapesIpv6"),
    udpConnects: count("udpConnectsIpv4", "udpConnectsIpv6"),
    udpAnnounces: count("udpAnnouncesIpv4", "udpAnnouncesIpv6"),
    udpScrapes: count("udpScrapesIpv4", "udpScrapesIpv6"),
    udpBadConnectionIds: count("udp:connection_id"),
    fullScrapes: count("httpFullScrapes"),
    fullScrapeBytes: count("httpFullScrapeBytes"),
    redirects: count("httpRedirects"),
    parseErrors: count("http:malformed", "http:method"),
    requestErrors: count("http:query", "http:address"),
    tooMany: count("http:too_many"),
    forbidden: count("http:forbidden"),
    notFound: count("http:not_found"),
    bugs: count("http:bug"),
    livesync,
  };
  return { ...figures, ...sums(figures, counters) };
}

/** Counters of rejected requests. */
const REJECTED_HTTP = COUNTERS.filter((name) => name.startsWith("http:"));
const REJECTED_UDP = COUNTERS.filter((name) => name.startsWith("udp:"));

/** Sums of other figures: all requests, answered or rejected. */
function sums(figures: Omit<Figures, "httpRequests" | "udpDatagrams">, counters: Counters) {
  const { httpAnnounces, httpScrapes, udpConnects, udpAnnounces, udpScrapes } = figures;
  const { redirects, fullScrapes } = figures;
  const total = (names: readonly CounterName[]): number =>
    names.reduce((sum, name) => sum + counters.total(name), 0);
  const pages = redirects + fullScrapes + total(["httpStats", "httpFront"]);
  return {
    httpRequests: httpAnnounces + httpScrapes + pages + total(REJECTED_HTTP),
    udpDatagrams: udpConnects + udpAnnounces + udpScrapes + total(REJECTED_UDP),
  };
}
