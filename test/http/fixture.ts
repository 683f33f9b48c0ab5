/** Fixtures of the HTTP side: dependencies, requests without a socket, a fake core. */
import { Limits } from "../../src/limits/limits.ts";
import { counterMemory, Counters } from "../../src/counters/counters.ts";
import { Intervals } from "../../src/limits/intervals.ts";
import { type Exchange, type HttpHandler, SMALL_STATUSES } from "../../src/http/exchange.ts";
import { HEAD_OK, RequestHead } from "../../src/net/head.ts";
import { readAddress } from "../../src/net/addresses.ts";
import { createHttp } from "../../src/http/routes.ts";
import type { Core, HttpDeps, HttpSettings } from "../../src/http/parts.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { AnnounceReply, AnnounceRequest } from "../../src/swarm/requests.ts";
import { type Bencoded, decodeDictionary } from "../e2e/bencode.ts";
import { someMemory } from "../swarm/some-memory.ts";

export const HASH = "%7E%99%03Q%7D%D7%92%13%0E%2Az%1A%E9%A6%2C%F2%DE%E3%CB%80";
export const HASH_HEX = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
export const PEER_ID = "M5-0-9--04ced8af43f0";
/** A whole announce of a leecher. */
export const QUERY = `info_hash=${HASH}&peer_id=${PEER_ID}&port=23004&left=1`;

export const SETTINGS: HttpSettings = {
  numwantDefault: 50,
  numwantMax: 200,
  scrapeMax: 74,
  trustedProxies: [],
  proxyHeader: "x-forwarded-for",
  allowIpParameter: false,
  refusePrivate: false,
};

/** A core that records its calls and answers with the `reply` of the test. */
export class FakeCore {
  readonly request = new AnnounceRequest();
  readonly reply = new AnnounceReply();
  readonly replies: Uint8Array = new Uint8Array(200 * 24);
  /** One line per call. */
  readonly calls: string[] = [];
  peersIpv4 = "";
  peersIpv6 = "";

  constructor() {
    this.reply.stored = true;
  }

  announce(now: number): void {
    const { family, peer, infoHash, seeder, event, wanted, bothFamilies } = this.request;
    const address = peer.slice(0, family === 4 ? 6 : 18).toHex();
    const kind = seeder ? "seeder" : "leecher";
    const both = bothFamilies ? "both" : "one";
    this.calls.push(`${now} ${infoHash.toHex()} ${address} ${kind} ${event} ${wanted} ${both}`);
    this.replies.set(Uint8Array.fromHex(this.peersIpv4), this.request.offsetIpv4);
    this.replies.set(Uint8Array.fromHex(this.peersIpv6), this.request.offsetIpv6);
    this.reply.peersIpv4 = this.peersIpv4.length / 12;
    this.reply.peersIpv6 = this.peersIpv6.length / 36;
  }

  scrape(): void {
    this.calls.push(this.request.infoHash.toHex());
  }
}

/** The real core with a few megabytes. */
export function openTracker(): Tracker {
  const memory = someMemory();
  return new Tracker(new Store(memory), new ArrayBuffer(200 * 24));
}

/** A request and its source address; null if the client has disconnected. */
export interface Asked {
  target: string;
  from?: string | null;
  method?: string;
  headers?: Record<string, string>;
  /** HTTP/1.0 has no Host field. */
  version?: "1.0" | "1.1";
}

/** The answer of `http`, without a socket. A malformed request gets 400. */
export function answerOf(http: HttpHandler, asked: Asked): Response | Promise<Response> {
  const exchange = exchangeOf(asked, http.bodyBytesMax);
  if (exchange === undefined) return new Response(null, { status: 400 });
  return responseOf(exchange, http.answer(exchange));
}

/** An answer as a Response, whether written in place or not. */
export function responseOf(
  { out, at, status, form }: Exchange,
  answer: ReturnType<HttpHandler["answer"]>,
): Response | Promise<Response> {
  if (typeof answer !== "number") return answer as Response | Promise<Response>;
  const usual = `${SMALL_STATUSES[status]}\r\nContent-Type: text/plain`;
  const [line, ...fields] = (form?.lines ?? usual).split("\r\n");
  const headers = new Headers();
  for (const field of fields) headers.set(...(field.split(": ") as [string, string]));
  const body = form?.hasBody === false ? null : out.slice(at, at + answer);
  return new Response(body, { status: Number.parseInt(line!), headers });
}

/** The exchange that the server gives to a handler; undefined if the server refuses the bytes. */
export function exchangeOf(asked: Asked, bodyBytesMax = 0): Exchange | undefined {
  const { target, from = "192.0.2.1", method = "GET", headers = {}, version = "1.1" } = asked;
  const host = version === "1.1" ? { Host: "tracker.example" } : {};
  const fields = Object.entries({ ...host, ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const head = new RequestHead();
  const text = [`${method} ${target} HTTP/${version}`, ...fields, "", ""].join("\r\n");
  if (head.read(text, 0) !== HEAD_OK) return undefined;
  const address = new Uint8Array(16);
  const family = from === null ? 0 : readAddress(from, address, 0);
  const out = new Uint8Array(new ArrayBuffer(bodyBytesMax + 2000));
  return { head, address, family, out, at: 100, status: 200, form: undefined };
}

/** An HTTP side over `core`, whose clock stands at 7 seconds and whose intervals do not jitter. */
export function open(
  core: Core,
  changes: Partial<HttpSettings> = {},
  ready = () => true,
  limits = new Limits(),
  others: Partial<HttpDeps> = {},
) {
  const counters = new Counters(counterMemory(1), 0);
  const intervals = new Intervals({ interval: 1800, jitterPercent: 0, minimum: 900 });
  const settings = { ...SETTINGS, ...changes };
  const http = createHttp({
    tracker: core,
    counters,
    intervals,
    now: () => 7,
    ready,
    limits,
    settings,
    ...others,
  });
  const ask = (target: string, from: string | null = "192.0.2.1", how: Partial<Asked> = {}) =>
    answerOf(http, { target, from, ...how }) as Response;
  const read = async (...args: Parameters<typeof ask>): Promise<Map<string, Bencoded>> =>
    new Map(Object.entries(decodeDictionary(await ask(...args).bytes())));
  return { http, counters, ask, read };
}

/** Bytes of hexadecimal text as the decoder shows them. */
export function latin1(hex: string): string {
  return Buffer.from(hex, "hex").toString("latin1");
}
