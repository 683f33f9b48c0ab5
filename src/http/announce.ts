/**
 * One HTTP announce, from its target to its reply.
 *
 *   read the query -> find the client's address -> the gates (gates/gates.ts), the core among them
 *   -> write the reply, or the sentence of the first gate that refuses
 *
 * The reply is written into the send buffer. Nothing is allocated, except for the text of an
 * address in the rare `ip` parameter, proxy header or list form.
 *
 * https://www.bittorrent.org/beps/bep_0003.html, 7, 23 and 24
 */
import type { Gates } from "../gates/gates.ts";
import { VERDICT_ADDRESS_PROXY, VERDICT_OK } from "../gates/verdicts.ts";
import { EVENT_STOPPED, PEER_SIZE_IPV4, PEER_SIZE_IPV6 } from "../constants.ts";
import { readEndpoint } from "../net/addresses.ts";
import { COUNT } from "../counters/counters.ts";
import type { Intervals } from "../limits/intervals.ts";
import type { Notes } from "../notes/notes.ts";
import { answerVerdict } from "./answer.ts";
import { AnnounceExtras, writeAnnounce } from "../net/bencode.ts";
import type { Client } from "../gates/client.ts";
import type { Exchange } from "./exchange.ts";
import { AnnounceQuery, valueText } from "./query.ts";
import type { Core, HttpDeps, HttpSettings } from "./parts.ts";

/** Buffer for an address that a client claims. */
const CLAIM = new Uint8Array(16);

/** The warning if the peer was not stored, by reason: see NOT_STORED_REASONS. */
const WARNINGS_NOT_STORED = [
  "",
  "the tracker is full: other peers will not see you",
  "this swarm is full: other peers will not see you",
  "your address is in too many swarms: other peers will not see you in this one",
  "the tracker is nearly full, and your network holds much of it: other peers will not see you",
  "another client has the claimed address, or too many are claimed: other peers will not see you",
];

/** Answers announces; one per thread, because it reuses the core's records and its own buffer. */
export class HttpAnnounces {
  readonly #tracker: Core;
  readonly #row: Float64Array;
  readonly #intervals: Intervals;
  readonly #now: () => number;
  readonly #settings: HttpSettings;
  readonly #gates: Gates;
  readonly #notes: Notes | undefined;
  readonly #unclearProxy: HttpDeps["unclearProxy"];
  readonly #client: Client;
  readonly #query: AnnounceQuery;
  /** The core's reply buffer as a Buffer, whose `copy` is fast. */
  readonly #replies: Buffer;
  readonly #extras: AnnounceExtras;

  /** Throws an Error if the core's reply buffer is smaller than `repliesSize` of the settings. */
  constructor(deps: HttpDeps, gates: Gates, client: Client) {
    const { numwantMax } = deps.settings;
    if (deps.tracker.replies.length < repliesSize(numwantMax)) {
      throw new Error(`the reply buffer needs ${repliesSize(numwantMax)} bytes`);
    }
    this.#tracker = deps.tracker;
    this.#row = deps.counters.row;
    this.#intervals = deps.intervals;
    this.#now = deps.now;
    this.#settings = deps.settings;
    this.#gates = gates;
    this.#notes = deps.notes;
    this.#unclearProxy = deps.unclearProxy;
    this.#client = client;
    this.#query = new AnnounceQuery(deps.tracker.request.infoHash);
    gates.asked.peerId = this.#query.peerId;
    gates.asked.mayClaim = deps.settings.allowIpParameter;
    const { buffer, byteOffset, length } = deps.tracker.replies;
    this.#replies = Buffer.from(buffer, byteOffset, length);
    this.#extras = new AnnounceExtras(client.address);
  }

  /** Answers the announce whose query begins at `queryAt`; returns the bytes of the reply. */
  answer(exchange: Exchange, queryAt: number): number {
    const size = this.#answer(exchange, queryAt);
    this.#row[COUNT.httpSentBytes] += size;
    return size;
  }

  #answer(exchange: Exchange, queryAt: number): number {
    const verdict = this.#judge(exchange, this.#client.read(exchange), queryAt);
    return verdict === VERDICT_OK
      ? this.#write(exchange)
      : answerVerdict(exchange, this.#gates, verdict);
  }

  /** Passes the gates. Reads the query after the gate of rates, so that a flood costs little. */
  #judge({ head }: Exchange, located: number, queryAt: number): number {
    const gates = this.#gates;
    const { asked } = gates;
    const query = this.#query;
    const nowSeconds = this.#now();
    let verdict: number = VERDICT_OK;
    if (located === VERDICT_OK) {
      asked.family = this.#client.family;
      asked.head = head;
      verdict = gates.judgeRate(nowSeconds);
      if (verdict !== VERDICT_OK) return verdict;
    }
    verdict = query.read(head.text, queryAt, head.targetTo);
    if (verdict !== VERDICT_OK) return gates.refuse(verdict);
    this.#notes?.noteHead(head);
    if (located === VERDICT_ADDRESS_PROXY) this.#unclearProxy?.(head);
    if (located !== VERDICT_OK) return gates.refuse(located);
    asked.port = query.port;
    asked.peerIdAt = query.hasPeerId ? 0 : -1;
    verdict = gates.judgeRules();
    if (verdict !== VERDICT_OK) return verdict;
    this.#readPeer(head.text);
    this.#readWishes();
    return gates.announce(nowSeconds);
  }

  /** Puts address and port of the peer into the core's request. */
  #readPeer(url: string): void {
    const { request } = this.#tracker;
    request.family = this.#client.family;
    for (let i = 0; i < 16; i++) request.peer[i] = this.#client.address[i];
    if (this.#settings.allowIpParameter) this.#believe(url);
    const portAt = request.family === 4 ? 4 : 16;
    request.peer[portAt] = this.#query.port >> 8;
    request.peer[portAt + 1] = this.#query.port & 0xff;
  }

  /** Believes `ip`, or else `ipv4` and `ipv6`, that of the family the client came by first. */
  #believe(url: string): void {
    const query = this.#query;
    const ipv4 = valueText(url, query.ipv4From, query.ipv4To);
    const ipv6 = valueText(url, query.ipv6From, query.ipv6To);
    const [own, other] = this.#client.family === 4 ? [ipv4, ipv6] : [ipv6, ipv4];
    if (this.#claim(valueText(url, query.ipFrom, query.ipTo))) return;
    if (!this.#claim(own)) this.#claim(other);
  }

  /** Makes the address in `text` the peer's; false if it is malformed or not believed. */
  #claim(text: string): boolean {
    const { request } = this.#tracker;
    const { peer, asked } = this.#gates;
    const family = readEndpoint(text, CLAIM, 0);
    if (family === 0 || !peer.believesClaim(CLAIM, 0, family, asked)) return false;
    request.family = family;
    request.peer.set(CLAIM);
    return true;
  }

  /** Behind our NAT the client's external address is that of the NAT. [BEP 24] */
  #tellExternal(): void {
    const { address, family } = this.#client;
    const { request } = this.#tracker;
    if (family !== request.family) return;
    for (let i = 0; i < (family === 4 ? 4 : 16); i++) address[i] = request.peer[i];
  }

  /** Puts the wishes of the client into the core's request. */
  #readWishes(): void {
    const { request } = this.#tracker;
    const query = this.#query;
    const { numwantDefault, numwantMax } = this.#settings;
    request.seeder = query.seeder;
    request.event = query.event;
    request.wanted = Math.min(query.wanted < 0 ? numwantDefault : query.wanted, numwantMax);
    request.bothFamilies = true;
    request.offsetIpv4 = 0;
    request.offsetIpv6 = numwantMax * PEER_SIZE_IPV4;
  }

  /** Writes the reply; returns its length. */
  #write(exchange: Exchange): number {
    const { request, reply } = this.#tracker;
    const extras = this.#extras;
    const portAt = request.family === 4 ? 4 : 16;
    const hasPort = (request.peer[portAt] | request.peer[portAt + 1]) !== 0;
    const storable = hasPort && request.event !== EVENT_STOPPED;
    const notStored = storable ? WARNINGS_NOT_STORED[reply.notStored] : "";
    extras.family = this.#client.family;
    if (this.#gates.isExternal) this.#tellExternal();
    const drawn = this.#intervals.draw(reply.seeders + reply.leechers);
    extras.intervalSeconds = this.#gates.interval(drawn);
    extras.minIntervalSeconds = this.#intervals.minimum(extras.intervalSeconds);
    extras.compact = this.#query.compact;
    extras.warning = notStored || (this.#settings.warningMessage ?? "");
    const { out, at } = exchange;
    return writeAnnounce(out, request, reply, this.#replies, extras, at) - at;
  }
}

/** Bytes that the core's reply buffer needs for HTTP: all peers of both families. */
export function repliesSize(numwantMax: number): number {
  return numwantMax * (PEER_SIZE_IPV4 + PEER_SIZE_IPV6);
}
