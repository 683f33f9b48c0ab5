/**
 * `buntracker selftest URL…`: tests whether any tracker does what clients and newTrackon expect.
 *
 * For every URL and every address of its host, over IPv4 and IPv6: two peers announce a random info
 * hash, the second must get the first, the interval must be sensible, and a scrape must count both;
 * then both stop. Problems are reported as sentences for each address. A test from the tracker's
 * own machine is answered but not stored: that is a note, not a problem. WebTorrent has a test of
 * its own, see selftest-websocket.ts.
 */
import { randomBytes } from "node:crypto";
import { isIP } from "node:net";

import { LISTED_INTERVAL_SECONDS_MAX, LISTED_INTERVAL_SECONDS_MIN } from "../constants.ts";
import { listAddresses } from "../host/interfaces.ts";
import { isNotPublic, readAddress } from "../net/addresses.ts";
import { showSeconds } from "../config/settings.ts";
import { askOverHttp } from "./http-client.ts";
import { type Findings, testWebSocket } from "./selftest-websocket.ts";
import type { Announced, Announcement, Scraped } from "./tracker-answers.ts";
import { readAnnounced, readScraped } from "./tracker-answers.ts";
import { ADDRESSES_MAX, addressesOf, hostOf, readTrackerUrl, serverOf } from "./tracker-url.ts";
import { UdpClient } from "./udp-client.ts";

/** The timeout of an answer, in milliseconds. */
const TIMEOUT_MILLISECONDS = 4000;

/** Problems that a tracker on this machine may have, since it does not store us. */
const NOT_TOLD = "announce: a second peer did not get the first";
const EMPTY = "a swarm of two was counted as empty";
const NOT_STORED = [NOT_TOLD, `announce: ${EMPTY}`, `scrape: ${EMPTY}`];

const NOTE_HERE =
  "this machine has that address, and its peers are not stored: test it from elsewhere, " +
  "or 127.0.0.1 from here";

/** A connection to a tracker at one address. */
interface Session {
  /** What some clients stumble over in the answers so far, as problems. */
  readonly flaws: readonly string[];
  announce(announcement: Announcement): Promise<Announced>;
  /** Resolves with undefined if the URL has no scrape. [BEP 48] */
  scrape(infoHash: Uint8Array): Promise<Scraped | undefined>;
  close(): void;
}

/**
 * Tests all URLs, one after another, and writes the results. True if there are no problems. `here`
 * are the addresses of this machine.
 */
export async function selftest(
  urls: readonly string[],
  write: (text: string) => void,
  timeout = TIMEOUT_MILLISECONDS,
  here = new Set(listAddresses()),
): Promise<boolean> {
  let good = true;
  for (const text of urls) {
    write(`${text}\n`);
    good = (await testUrl(text, write, timeout, here)) && good;
  }
  return good;
}

async function testUrl(
  text: string,
  write: (text: string) => void,
  timeout: number,
  here: ReadonlySet<string>,
): Promise<boolean> {
  const url = readTrackerUrl(text);
  if (typeof url === "string") {
    write(`  wrong: ${url}\n`);
    return false;
  }
  const host = hostOf(url);
  const found = await addressesOf(host);
  const addresses = found.slice(0, ADDRESSES_MAX);
  if (addresses.length === 0) write("  wrong: its host has no address\n");
  let good = addresses.length > 0;
  for (const address of addresses) {
    const begun = performance.now();
    const { problems: all, told } = await testAddress(url, address, timeout);
    const stored = all.length === 0 || !here.has(address);
    const problems = stored ? all : all.filter((problem) => !NOT_STORED.includes(problem));
    const took = `${Math.round(performance.now() - begun)} ms`;
    const family = address.includes(":") ? "IPv6" : "IPv4";
    write(
      `  ${family} ${address}: ${problems.length > 0 ? "not good" : `good, ${told}, ${took}`}\n`,
    );
    for (const problem of problems) write(`    wrong: ${problem}\n`);
    if (problems.length < all.length) write(`    note: ${NOTE_HERE}\n`);
    good &&= problems.length === 0;
  }
  if (addresses.length < found.length) {
    write(`  note: its host has ${found.length} addresses, and ${ADDRESSES_MAX} were tested\n`);
  }
  for (const note of notesOn(host, addresses)) write(`  note: ${note}\n`);
  return good;
}

/** Notes on what may be intended: private addresses, and a name with one family only. */
function notesOn(host: string, addresses: readonly string[]): string[] {
  const notes = addresses
    .filter(isInternal)
    .map((address) => `${address} is not a public address: only machines near it reach it`);
  if (notes.length > 0 || addresses.length === 0 || isIP(host) > 0) return notes;
  for (const [version, family] of [
    [4, "IPv4"],
    [6, "IPv6"],
  ] as const) {
    if (addresses.some((address) => isIP(address) === version)) continue;
    notes.push(`no ${family} address, so clients with ${family} only cannot reach it`);
  }
  return notes;
}

function isInternal(address: string): boolean {
  const bytes = new Uint8Array(16);
  const family = readAddress(address, bytes, 0);
  return family !== 0 && isNotPublic(bytes, 0, family);
}

/** The problems at one address; `told` is the summary without problems. */
async function testAddress(url: URL, address: string, timeout: number): Promise<Findings> {
  if (/^wss?:$/.test(url.protocol)) {
    const target = `${url.pathname}${url.search}`;
    return testWebSocket({ ...serverOf(url, address), target, timeout });
  }
  const problems: string[] = [];
  const session = url.protocol === "udp:" ? overUdp : overHttp;
  const infoHash = new Uint8Array(randomBytes(20));
  const first = peer(infoHash, 1);
  const second = peer(infoHash, 0);
  let step = "connect";
  let told = "";
  let open: Session | undefined;
  try {
    open = await session(url, address, timeout);
    step = "announce";
    await open.announce(first);
    const announced = await open.announce(second);
    problems.push(...wrongWithAnnounce(announced, first.port));
    step = "scrape";
    const scraped = await open.scrape(infoHash);
    problems.push(...wrongWithScrape(scraped));
    step = "leave";
    for (const one of [first, second]) await open.announce({ ...one, event: "stopped" });
    told = `interval ${showSeconds(announced.interval)}${scraped ? "" : ", no scrape"}`;
  } catch (error) {
    problems.push(`${step}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    open?.close();
    problems.push(...new Set(open?.flaws));
  }
  return { problems, told };
}

function peer(infoHash: Uint8Array, left: number): Announcement {
  const peerId = new Uint8Array(randomBytes(20));
  const port = 1025 + (randomBytes(2).readUInt16BE() % 64_000);
  return { infoHash, peerId, port, left, event: "started" };
}

function wrongWithAnnounce(announced: Announced, expectedPort: number): string[] {
  const { interval, seeders, leechers, peerPorts } = announced;
  const problems: string[] = [];
  if (interval < LISTED_INTERVAL_SECONDS_MIN || interval > LISTED_INTERVAL_SECONDS_MAX) {
    problems.push(`announce: the interval is ${interval} s: lists of trackers require 5m to 3h`);
  }
  if (!peerPorts.includes(expectedPort)) {
    problems.push(NOT_TOLD);
  }
  if (seeders + leechers < 1) problems.push(`announce: ${EMPTY}`);
  return problems;
}

function wrongWithScrape(scraped: Scraped | undefined): string[] {
  if (scraped === undefined || scraped.seeders + scraped.leechers > 0) return [];
  return [`scrape: ${EMPTY}`];
}

async function overUdp(url: URL, address: string, timeout: number): Promise<Session> {
  const client = new UdpClient(address, Number(url.port), timeout / 2);
  try {
    await client.connect();
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

async function overHttp(url: URL, address: string, timeout: number): Promise<Session> {
  const get = async (path: string, fields: Record<string, string>) => {
    const query = Object.entries(fields).map(([name, value]) => `${name}=${value}`);
    const search = [url.search.slice(1), ...query].filter((part) => part !== "").join("&");
    return await askOverHttp({ ...serverOf(url, address), target: `${path}?${search}`, timeout });
  };
  const flaws: string[] = [];
  const noting = async <T>(step: string, read: (found: string[]) => Promise<T>): Promise<T> => {
    const found: string[] = [];
    try {
      return await read(found);
    } finally {
      flaws.push(...found.map((flaw) => `${step}: ${flaw}`));
    }
  };
  const scrapePath = url.pathname.replace(/\/announce([^/]*)$/, "/scrape$1");
  return {
    flaws,
    announce({ infoHash, peerId, port, left, event }) {
      const fields = { info_hash: percent(infoHash), peer_id: percent(peerId), port: String(port) };
      const numbers = { uploaded: "0", downloaded: "0", left: String(left), compact: "1" };
      const query = { ...fields, ...numbers, event };
      return noting("announce", async (found) =>
        readAnnounced(await get(url.pathname, query), found),
      );
    },
    async scrape(infoHash) {
      if (scrapePath === url.pathname) return undefined;
      const query = { info_hash: percent(infoHash) };
      return noting("scrape", async (found) =>
        readScraped(await get(scrapePath, query), infoHash, found),
      );
    },
    close() {},
  };
}

function percent(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}
