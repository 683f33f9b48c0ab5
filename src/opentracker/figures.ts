/**
 * The figures of the statistics page: what counters, census and notes say, added up under one name
 * each. Gathering them takes some microseconds and walks nothing.
 */
import { type CounterName, COUNTERS, type Counters } from "../counters/counters.ts";
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
    methodErrors: count("http:method"),
    requestErrors: count("http:query", "http:address"),
    tooMany: count("http:too_many"),
    forbidden: count("http:forbidden"),
    notFound: count("http:not_found"),
  };
  return { ...figures, ...sums(figures, counters) };
}

/** Requests that came to nothing, by their columns. */
const REJECTED_HTTP = COUNTERS.filter((name) => name.startsWith("http:"));
const REJECTED_UDP = COUNTERS.filter((name) => name.startsWith("udp:"));

/** What is made of others: all requests, whatever became of them. */
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
