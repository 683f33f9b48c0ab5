/** What the tests of the HTTP side share: dependencies, requests without a socket, a slow core. */
import { counterMemory, Counters } from "../../src/ops/counters.ts";
import { Intervals } from "../../src/ops/intervals.ts";
import { type Core, createHttp, type HttpSettings } from "../../src/http/routes.ts";
import { reserveSwarmMemory } from "../../src/swarm/memory.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { AnnounceReply, AnnounceRequest } from "../../src/swarm/requests.ts";
import { type BencodedDictionary, bdecodeDictionary } from "./bdecode.ts";

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

/** A core that notes what it is asked and answers what the test has put into `reply`. */
export class FakeCore {
  readonly request = new AnnounceRequest();
  readonly reply = new AnnounceReply();
  readonly replies: Uint8Array = new Uint8Array(200 * 24);
  /** One line per call: what was asked. */
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

/** The real core with a few megabytes of its own. */
export function openTracker(): Tracker {
  const memory = reserveSwarmMemory({
    memoryMax: 32 * 1024 * 1024,
    peerTimeout: 2700,
    downloadsTimeout: 86400,
    threads: false,
  });
  return new Tracker(memory, new ArrayBuffer(200 * 24));
}

/** An HTTP side over `core`, whose clock stands at 7 seconds and whose intervals do not jitter. */
export function open(core: Core, changes: Partial<HttpSettings> = {}, ready = () => true) {
  const counters = new Counters(counterMemory(1), 0);
  const intervals = new Intervals({ interval: 1800, jitterPercent: 0, minimum: 900 });
  const settings = { ...SETTINGS, ...changes };
  const http = createHttp({ tracker: core, counters, intervals, now: () => 7, ready, settings });
  const ask = (target: string, from: string | null = "192.0.2.1", init: RequestInit = {}) =>
    http.fetch(new Request(`http://tracker.example${target}`, init), {
      requestIP: () => (from === null ? null : { address: from }),
    }) as Response;
  const read = async (...args: Parameters<typeof ask>): Promise<BencodedDictionary> =>
    bdecodeDictionary(await ask(...args).bytes());
  return { http, counters, ask, read };
}

/** Bytes of hexadecimal text as the decoder shows them. */
export function latin1(hex: string): string {
  return Buffer.from(hex, "hex").toString("latin1");
}
