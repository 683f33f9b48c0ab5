/**
 * The texts of the statistics pages, in opentracker's formats.
 *
 * Programs parse these: munin, MRTG and a handful of exporters. So every space, name and
 * misspelling is as in opentracker. The MRTG form is four lines: two numbers, a time or a title, a
 * title. These modes correct errors of opentracker:
 *
 *   everything   <tcp><scrape> counts the scrapes over HTTP; each number of http_error belongs to
 *                its name
 *   fscr         counts full scrapes, and their bytes
 *   herr         each line counts what it names
 *   s24s         IPv4 networks are written as IPv4; IPv6 networks follow, by /48
 *   woodpeckers  likewise, by /28, /24 and /48
 *
 * All functions are pure. https://erdgeist.org/arts/software/opentracker/
 */
import { writeAddress } from "../net/addresses.ts";
import type { Figures } from "./figures.ts";
import type { Frequency } from "../notes/frequent.ts";
import type { NameCount } from "../notes/hosts.ts";
import type { Ranked, Ranking } from "./ranking.ts";

/** Peers and seeders. */
export function peersText({ peers, seeders, swarms }: Figures): string {
  return `${peers}\n${seeders}\nopentracker serving ${swarms} torrents\nopentracker`;
}

/** Swarms. */
export function swarmsText({ swarms }: Figures): string {
  return `${swarms}\n0\nopentracker serving ${swarms} torrents\nopentracker`;
}

/** Requests of both transports, and the successful ones among them. */
export function connectionsText(figures: Figures): string {
  const all = figures.httpRequests + figures.udpDatagrams;
  const good = figures.httpAnnounces + figures.udpAnnounces + figures.udpConnects;
  return rates(figures, all, good, "opentracker connections");
}

/** Requests over HTTP, of both families. */
export function httpText(figures: Figures): string {
  return rates(figures, figures.httpRequests, figures.httpAnnounces, "opentracker tcp4 stats");
}

/** Requests over UDP, of both families. */
export function udpText(figures: Figures): string {
  const good = figures.udpAnnounces + figures.udpConnects;
  return rates(figures, figures.udpDatagrams, good, "opentracker udp4 stats");
}

function rates(figures: Figures, all: number, good: number, title: string): string {
  const perSecond = `${per(all, figures)} conns/s :: ${per(good, figures)} success/s.`;
  return `${all}\n${good}\n${since(figures)}\n${title}, ${perSecond}`;
}

/** Scrapes over HTTP and over UDP. */
export function scrapesText(figures: Figures): string {
  const { httpScrapes, udpScrapes } = figures;
  const rate = per(httpScrapes + udpScrapes, figures);
  const title = `opentracker scrape stats, ${rate} scrape/s (tcp and udp)`;
  return `${httpScrapes}\n${udpScrapes}\n${since(figures)}\n${title}`;
}

/** Full scrapes times 1000, as MRTG expects, and their bytes before compression. */
export function fullScrapesText(figures: Figures): string {
  const { fullScrapes, fullScrapeBytes } = figures;
  const title =
    `opentracker full scrape stats, ${per(fullScrapes, figures)} conns/s :: ` +
    `${per(fullScrapeBytes, figures)} bytes/s.`;
  return `${fullScrapes * 1000}\n${fullScrapeBytes}\n${since(figures)}\n${title}`;
}

/** Downloads. */
export function completedText(figures: Figures): string {
  const { downloads, uptimeSeconds } = figures;
  const perHour = Math.floor(downloads / Math.max(1, Math.floor(uptimeSeconds / 3600)));
  return `${downloads}\n0\n${since(figures)}\nopentracker, ${perHour} completed/h.`;
}

/** Peers from other trackers: always 0, since trackers do not share peers. */
export function syncsText(figures: Figures): string {
  const [, , ...lines] = connectionsText(figures).split("\n");
  return `0\n0\n${lines.join("\n")}`;
}

function since({ uptimeSeconds }: Figures): string {
  return `${uptimeSeconds} seconds (${Math.floor(uptimeSeconds / 3600)} hours)`;
}

function per(count: number, { uptimeSeconds }: Figures): number {
  return Math.floor(count / Math.max(1, uptimeSeconds));
}

/** Failed requests over HTTP, by reason. */
export function errorsText(figures: Figures): string {
  const lines: [name: string, count: number][] = [
    ["302 RED", figures.redirects],
    ["400 ...", figures.parseErrors],
    ["400 PAR", figures.requestErrors],
    ["400 COM", 0],
    ["403 IP ", figures.forbidden],
    ["404 INV", figures.notFound],
    ["500 SRV", figures.bugs],
  ];
  return lines.map(([name, count]) => `${name} ${count}\n`).join("");
}

/** Failed requests over HTTP, with the names in `everything`. */
function errorCounts(figures: Figures): [code: string, count: number][] {
  return [
    ["302 Redirect", figures.redirects],
    ["400 Parse Error", figures.parseErrors],
    ["400 Invalid Parameter", figures.requestErrors],
    ["400 Invalid Parameter (compact=0)", 0],
    ["400 Not Modest", figures.tooMany],
    ["402 Payment Required", 0],
    ["403 Access Denied", figures.forbidden],
    ["404 Not found", figures.notFound],
    ["500 Internal Server Error", figures.bugs],
  ];
}

/** Announces of known peers by the minutes since their last announce. */
export function renewedText(renewed: readonly number[]): string {
  return renewed.map((count, minutes) => `${twoDigits(minutes)} ${count}\n`).join("");
}

/** Announces by the number of peers they wanted. */
export function wantedText(wanted: readonly number[]): string {
  return wanted.map((count, peers) => `${String(peers).padStart(3, "0")} => ${count}\n`).join("");
}

/** The largest swarms. */
export function rankingText(ranking: Ranking, most: number): string {
  const list = (title: string, swarms: readonly Ranked[]): string =>
    `Top ${most} torrents by ${title}:\n` +
    swarms
      .slice(0, most)
      .map(({ count, infoHash }) => `\t${count}\t${infoHash}\n`)
      .join("");
  const { peers, seeders, leechers } = ranking;
  return list("peers", peers) + list("seeds", seeders) + list("leechers", leechers);
}

/** Networks of one width, most counted first. */
export function networksText(width: number, networks: readonly Frequency[]): string {
  const lines = networks.map(
    (network) => `${String(network.count).padStart(8, "0")}: ${addressOf(width, network)}\n`,
  );
  return `Networks, limit /${width}:\n${lines.join("")}\n`;
}

/** Networks of more than 32 bits are IPv6. */
function addressOf(width: number, { high, low }: Frequency): string {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, high);
  view.setUint32(4, low);
  return writeAddress(bytes, 0, width > 32 ? 6 : 4);
}

/** The hosts and paths of announces. opentracker has no such page. */
export function hostsText(
  hosts: readonly NameCount[],
  paths: readonly NameCount[],
  most: number,
): string {
  const list = (title: string, names: readonly NameCount[]): string =>
    `Top ${most} ${title} by announces:\n` +
    names.map(({ name, count }) => `\t${count}\t${name}\n`).join("");
  return list("hosts", hosts) + list("paths", paths);
}

/** The origins of the pages whose browsers are connected. opentracker has no such page. */
export function originsText(origins: readonly NameCount[], most: number): string {
  const lines = origins.map(({ name, count }) => `\t${count}\t${name}\n`);
  return `Top ${most} origins by WebSocket connections:\n${lines.join("")}`;
}

/** All numbers, as XML. */
export function everythingText(
  figures: Figures,
  renewed: readonly number[],
  trackerId: number,
  version: string,
): string {
  const tag = (name: string, value: number | string): string => `<${name}>${value}</${name}>`;
  const block = (name: string, ...lines: string[]): string =>
    [`<${name}>`, ...lines.map((line) => line.replaceAll(/^/gm, "  ")), `</${name}>`].join("\n");
  const counts = (kind: string, all: [name: string, count: number][]): string[] =>
    all.map(([name, count]) => `<count ${kind}="${name}">${count}</count>`);
  const minutes = renewed.map((count, at): [string, number] => [twoDigits(at), count]);
  const stats = block(
    "stats",
    tag("tracker_id", trackerId),
    block("version"),
    tag("uptime", figures.uptimeSeconds),
    block("torrents", tag("count_mutex", figures.swarms), tag("count_iterator", figures.swarms)),
    block("peers", tag("count", figures.peers)),
    block("seeds", tag("count", figures.seeders)),
    block("completed", tag("count", figures.downloads)),
    block(
      "connections",
      block(
        "tcp",
        tag("accept", figures.httpRequests),
        tag("announce", figures.httpAnnounces),
        tag("scrape", figures.httpScrapes),
      ),
      block(
        "udp",
        tag("overall", figures.udpDatagrams),
        tag("connect", figures.udpConnects),
        tag("announce", figures.udpAnnounces),
        tag("scrape", figures.udpScrapes),
        tag("missmatch", figures.udpBadConnectionIds),
      ),
      block("livesync", tag("count", figures.livesync)),
    ),
    block(
      "debug",
      block("renew", ...counts("interval", minutes)),
      block("http_error", ...counts("code", errorCounts(figures))),
      block("mutex_stall", tag("count", 0)),
    ),
  );
  // The version alone is not indented.
  const text = stats.replace("<version>\n", () => `<version>\n${version}\n`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${text}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
