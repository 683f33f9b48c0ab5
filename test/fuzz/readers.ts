/**
 * Campaigns against what reads HTTP: queries, headers, addresses, and the whole handler.
 *
 * A campaign runs `count` inputs and throws for the first that breaks a promise; it is fast because
 * the promise is checked on every input, but a slow second opinion is asked only for every 16th.
 */
import { isIPv4, isIPv6 } from "node:net";
import { Client } from "../../src/gates/client.ts";
import { AnnounceQuery, ScrapeQuery } from "../../src/http/query.ts";
import { createHttp } from "../../src/http/routes.ts";
import { VERDICTS } from "../../src/gates/verdicts.ts";
import { Networks, readAddress, readEndpoint, writeAddress } from "../../src/net/addresses.ts";
import { Counters, counterMemory } from "../../src/counters/counters.ts";
import { Intervals } from "../../src/limits/intervals.ts";
import { answerOf, SETTINGS } from "../http/fixture.ts";
import { brokenInvariants } from "../swarm/invariants.ts";
import { MIB, makeMemory } from "../swarm/fixture.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { mutateTarget, mutateText } from "./mutations.ts";
import { judgeBody, must } from "./oracle.ts";
import type { Random } from "./random.ts";
import { httpTargets } from "./seeds.ts";

/** Something that is fed with random inputs. */
export interface Campaign {
  name: string;
  /** Inputs that `make fuzz` feeds at least, however long that takes. */
  inputsMin?: number;
  /** Feeds `count` inputs; rejects with an Error that shows the first bad one. */
  run(random: Random, count: number): Promise<void> | void;
}

const SECOND_OPINION_EVERY = 16;

/** Throws with the input, so that it can be made a test. */
export function judge(input: unknown, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new Error(`${(error as Error).message}\ninput: ${JSON.stringify(input)}`);
  }
}

/** The readers of announce and scrape queries, compared with a slow reader. */
export function queryCampaign(): Campaign {
  const seeds = httpTargets();
  const infoHash = new Uint8Array(20);
  const announce = new AnnounceQuery(infoHash);
  const scrape = new ScrapeQuery(74);
  return {
    name: "HTTP queries",
    run(random, count) {
      let target = random.pick(seeds);
      for (let i = 0; i < count; i++) {
        // Mutation is worth several readings: each of them begins somewhere else.
        if (i % 8 === 0) target = mutateTarget(random, random.pick(seeds));
        const from = i % 8 === 0 ? target.indexOf("?") + 1 : random.below(target.length + 1);
        const verdict = announce.read(target, from);
        const scrapeVerdict = scrape.read(target, from);
        if (verdict !== 0 && i % SECOND_OPINION_EVERY !== 0) continue;
        judge([target, from], () => {
          judgeAnnounceQuery(announce, verdict);
          judgeScrapeQuery(scrape, scrapeVerdict);
          if (i % SECOND_OPINION_EVERY === 0) compareSlowly(target, from, announce, verdict);
        });
      }
    },
  };
}

function judgeAnnounceQuery(query: AnnounceQuery, verdict: number): void {
  must(VERDICTS[verdict] !== undefined, `verdict ${verdict} has no sentence`);
  if (verdict !== 0) return;
  must(query.port >= 0 && query.port <= 65535, `port ${query.port}`);
  must(query.wanted >= -1 && Number.isSafeInteger(query.wanted), `wanted ${query.wanted}`);
  must(query.event >= 0 && query.event <= 4, `event ${query.event}`);
}

function judgeScrapeQuery(query: ScrapeQuery, verdict: number): void {
  must(VERDICTS[verdict] !== undefined, `verdict ${verdict} has no sentence`);
  must(query.count >= 0 && query.count <= 74, `${query.count} hashes`);
  for (let at = 20; at < query.count * 20; at += 20) {
    const order = Buffer.compare(
      query.hashes.subarray(at - 20, at),
      query.hashes.subarray(at, at + 20),
    );
    must(order < 0, "the hashes are not in ascending order, or repeated");
  }
}

/** The info hashes of a query, read the slow way: by splitting, and byte by byte from latin1. */
function slowHashes(target: string, from: number): (string | undefined)[] {
  const query = target.slice(from).split("#", 1)[0]!;
  const hashes = slowHashesOf(query, from > 0);
  const second = query.indexOf("?info_hash=");
  return hashes.length > 0 || second < 0 ? hashes : slowHashesOf(query.slice(second + 1), true);
}

function slowHashesOf(query: string, mayBeEntity: boolean): (string | undefined)[] {
  return query.split("&").flatMap((pair, at) => {
    const text = at > 0 || mayBeEntity ? pair.replace(/^amp;/, "") : pair;
    const equals = text.indexOf("=");
    const key = slowBytes(equals < 0 ? text : text.slice(0, equals), false);
    return key === "info_hash" ? [slowBytes(equals < 0 ? "" : text.slice(equals + 1), true)] : [];
  });
}

function slowBytes(text: string, spaces: boolean): string | undefined {
  if (/%(?![0-9a-fA-F]{2})|[^\0-\u00ff]/.test(text)) return undefined;
  const plain = spaces ? text.replaceAll("+", " ") : text;
  return plain.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function compareSlowly(target: string, from: number, query: AnnounceQuery, verdict: number): void {
  if (verdict !== 0) return;
  const hashes = slowHashes(target, from);
  must(hashes.length === 1, `a query with ${hashes.length} info hashes was accepted`);
  must(Buffer.from(query.infoHash).toString("latin1") === hashes[0], "another info hash was read");
}

/** Addresses in headers and settings, compared with those of node:net. */
export function addressCampaign(): Campaign {
  const seeds = [
    "192.0.2.1",
    "255.255.255.255",
    "2001:db8::1",
    "::ffff:192.0.2.1",
    "1:2:3:4:5:6:7:8",
    "::",
    "fe80::1%eth0",
    "[2001:db8::1]:6881",
    "192.0.2.1:80",
    "10.0.0.0/8",
    "2001:db8::/32",
  ];
  const out = new Uint8Array(32);
  const text = "0123456789abcdefABCDEF:.[]%/ x";
  return {
    name: "addresses",
    run(random, count) {
      let input = "";
      for (let i = 0; i < count; i++) {
        input = i % 4 === 0 ? random.pick(seeds) : input;
        input = mutateText(random, input, text).slice(0, 64);
        const family = readAddress(input, out, 8);
        readEndpoint(input, out, 16);
        if (i % SECOND_OPINION_EVERY === 0) judge(input, () => compareAddress(input, family, out));
      }
    },
  };
}

function compareAddress(input: string, family: 0 | 4 | 6, out: Uint8Array): void {
  const zoneless = input.split("%", 1)[0]!;
  const theirs = isIPv4(zoneless) || isIPv6(zoneless);
  must((family !== 0) === theirs || input !== zoneless, `is ${theirs ? "an" : "no"} address`);
  if (family === 0) return;
  must(readAddress(zoneless, out, 8) === family, "a zone changes the family");
  const shown = writeAddress(out, 8, family);
  const again = new Uint8Array(16);
  must(readAddress(shown, again, 0) === family, `${shown} does not read back`);
  const size = family === 4 ? 4 : 16;
  must(Buffer.compare(again.subarray(0, size), out.subarray(8, 8 + size)) === 0, "other bytes");
}

/** The header of trusted proxies: who is believed to be the client. */
export function headerCampaign(): Campaign {
  const networks = ["10.0.0.0/8", "2001:db8::/32"];
  const trusted = new Networks(networks);
  const client = new Client(trusted, "x-forwarded-for");
  const hops = [
    "10.0.0.1",
    "192.0.2.9",
    "2001:db8::7",
    "[2a00::1]:99",
    "192.0.2.9:80",
    "",
    " ",
    "x",
  ];
  let header = "";
  const sockets = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "192.0.2.1"];
  let address = "";
  const bytes = new Uint8Array(16);
  return {
    name: "proxy headers",
    run(random, count) {
      for (let i = 0; i < count; i++) {
        if (i % 3 === 0)
          header = Array.from({ length: random.below(6) }, () => random.pick(hops)).join(",");
        else header = mutateText(random, header, ", :[].10ax\t");
        address = random.pick(sockets);
        const family = readAddress(address, bytes, 0);
        const believed = family !== 0 && trusted.containsBytes(bytes, 0, family);
        const head = { get: () => header };
        const verdict = client.read({ head, address: bytes, family });
        judge([address, header], () => {
          const last = header.slice(header.lastIndexOf(",") + 1).trim();
          if (verdict !== 0) must(believed, "a client without a proxy has no address");
          else if (believed) {
            const proxy = trusted.containsBytes(client.address, 0, client.family);
            const first = header.slice(0, `${header},`.indexOf(",")).trim();
            const farthest = readEndpoint(first, bytes, 0);
            const same = farthest !== 0 && writeAddress(bytes, 0, farthest);
            const found = writeAddress(client.address, 0, client.family);
            must(!proxy || same === found, "a proxy before others is taken for the client");
            must(last !== "", "an empty last hop is passed over");
          }
        });
      }
    },
  };
}

/** The whole HTTP side without its sockets, over a real core. */
export function handlerCampaign(): Campaign {
  const seeds = httpTargets();
  const memory = makeMemory(16 * MIB, false, { claims: true });
  const tracker = new Tracker(new Store(memory), new ArrayBuffer(200 * 24));
  const sweep = new Sweep(tracker.store);
  const counters = new Counters(counterMemory(1), 0);
  const intervals = new Intervals({ interval: 1800, jitterPercent: 10, minimum: 900 });
  let seconds = 0;
  const http = createHttp({
    tracker,
    counters,
    intervals,
    now: () => seconds,
    ready: () => true,
    settings: { ...SETTINGS, allowIpParameter: true, trustedProxies: ["10.0.0.0/8"] },
  });
  const sources = ["192.0.2.1", "2a00::1", "::ffff:192.0.2.7", "10.0.0.1", "0.0.0.0", "224.0.0.1"];
  const methods = ["GET", "GET", "GET", "HEAD", "POST", "BREW"];
  const headers = { "X-Forwarded-For": "203.0.113.9, 10.0.0.2" };
  return {
    name: "HTTP handler",
    async run(random, count) {
      for (let i = 0; i < count; i++) {
        const path = mutateTarget(random, random.pick(seeds));
        const target = random.oneIn(8) ? path : `http://tracker.example${path}`;
        const method = random.pick(methods);
        const from = random.pick(sources);
        const response = await answerOf(http, { target, method, from, headers });
        const body = await response.bytes();
        judge([method, target], () => {
          must([200, 400, 404, 405].includes(response.status), `status ${response.status}`);
          const spoken = response.status === 200 && body[0] === 0x64;
          if (spoken) judgeBody(body);
          else must(body.length < 100, "a reply that is no bencode is long");
        });
        if (i % 64 === 0) seconds += random.below(60);
      }
      for (let shards = 0; shards < 600; shards++) sweep.slice(seconds, 10_000);
      must(brokenInvariants(tracker).length === 0, brokenInvariants(tracker).join("\n"));
    },
  };
}
