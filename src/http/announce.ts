/**
 * One HTTP announce, from its target to its reply.
 *
 *   query read? -> a host of ours? -> client known? -> address fit for a peer?
 *   -> nothing against it on the lists? -> the core decides -> reply written
 *
 * Each step is a gate: the first that is shut answers with its sentence, and nothing is stored.
 * The reply is written where it is sent from, and nothing is allocated on the way, except where
 * the rare `ip` parameter, proxy header or list form makes text of an address.
 *
 * https://www.bittorrent.org/beps/bep_0003.html, 7, 23 and 24
 */
import { Access, ACCESS_OK, REFUSALS } from "../access/access.ts";
import { EVENT_STOPPED, PEER_SIZE_IPV4, PEER_SIZE_IPV6 } from "../constants.ts";
import { Limits } from "../limits/limits.ts";
import { readEndpoint } from "../net/addresses.ts";
import { COUNT } from "../counters/counters.ts";
import type { Intervals } from "../limits/intervals.ts";
import type { AllowedHosts } from "../notes/hosts.ts";
import type { Notes } from "../notes/notes.ts";
import { answerBytes, answerFailure } from "./answer.ts";
import { AnnounceExtras, failureBody, writeAnnounce } from "../net/bencode.ts";
import { type Client, judgeAddress } from "./client.ts";
import type { Exchange } from "./exchange.ts";
import { answerLimited, HttpLimits } from "./limiting.ts";
import { AnnounceQuery, valueText } from "./query.ts";
import type { Core, HttpDeps, HttpSettings } from "./parts.ts";
import { VERDICT_ADDRESS_UNKNOWN, VERDICT_HOST, VERDICT_OK } from "./verdict.ts";

/** Where an address that a client claims to have is read into. */
const CLAIM = new Uint8Array(16);

/** What the reply says when the peer could not be stored, by reason: see NOT_STORED_REASONS. */
const WARNINGS_NOT_STORED = [
  "",
  "the tracker is full: other peers will not see you",
  "this swarm is full: other peers will not see you",
  "your address is in too many swarms: other peers will not see you in this one",
  "the tracker is nearly full, and your network holds much of it: other peers will not see you",
];

/** Column of each event's counter, by EVENT_ number. */
const EVENT_COLUMNS = [
  COUNT.eventNone,
  COUNT.eventCompleted,
  COUNT.eventStarted,
  COUNT.eventStopped,
  COUNT.eventPaused,
];

/** Column of the announces refused, by verdict of the access lists, and what their clients read. */
const REFUSED_COLUMNS = [
  -1,
  COUNT.httpRefusedMaintenance,
  COUNT.httpRefusedDenied,
  COUNT.httpRefusedUnlisted,
  COUNT.httpRefusedNetworks,
  COUNT.httpRefusedClients,
];
const REFUSED_BODIES = REFUSALS.map(({ reason, retryIn }) => failureBody(reason, retryIn));

/** Answers announces; one per thread, because it reuses the core's records and its own buffer. */
export class HttpAnnounces {
  readonly #tracker: Core;
  readonly #row: Float64Array;
  readonly #intervals: Intervals;
  readonly #now: () => number;
  readonly #settings: HttpSettings;
  readonly #access: Access;
  readonly #notes: Notes | undefined;
  readonly #hosts: AllowedHosts | undefined;
  readonly #limits: Limits;
  readonly #limiting: HttpLimits;
  readonly #client: Client;
  readonly #query: AnnounceQuery;
  /** The core's reply buffer, as what copies fast. */
  readonly #replies: Buffer;
  readonly #extras: AnnounceExtras;

  /** Throws an Error if the core's reply buffer is smaller than `repliesSize` of the settings. */
  constructor(deps: HttpDeps, client: Client) {
    const { numwantMax } = deps.settings;
    if (deps.tracker.replies.length < repliesSize(numwantMax)) {
      throw new Error(`the reply buffer needs ${repliesSize(numwantMax)} bytes`);
    }
    this.#tracker = deps.tracker;
    this.#row = deps.counters.row;
    this.#intervals = deps.intervals;
    this.#now = deps.now;
    this.#settings = deps.settings;
    this.#access = deps.access ?? new Access();
    this.#notes = deps.notes;
    this.#hosts = deps.allowedHosts?.all === false ? deps.allowedHosts : undefined;
    this.#limits = deps.limits ?? new Limits();
    this.#limiting = new HttpLimits(this.#limits, deps.counters.row);
    this.#client = client;
    this.#query = new AnnounceQuery(deps.tracker.request.infoHash);
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
    const { head } = exchange;
    let verdict = this.#query.read(head.text, queryAt, head.targetTo);
    if (verdict === VERDICT_OK) this.#notes?.noteHead(head);
    if (verdict === VERDICT_OK && this.#hosts?.allowHead(head) === false) verdict = VERDICT_HOST;
    if (verdict !== VERDICT_OK) return this.#refuseUnread(exchange, verdict);
    verdict = this.#client.read(exchange);
    if (verdict !== VERDICT_OK) return this.#refuse(exchange, verdict);
    const nowSeconds = this.#now();
    let limited = this.#limit(exchange, nowSeconds);
    if (limited !== undefined) return answerLimited(exchange, limited);
    verdict = this.#placePeer(head.text);
    if (verdict !== VERDICT_OK) return this.#refuse(exchange, verdict);
    const refused = this.#judge();
    if (refused !== ACCESS_OK) return this.#deny(exchange, refused);
    this.#ask(nowSeconds);
    limited = this.#limiting.judgeEarly(this.#tracker.reply.ticksSinceLast, this.#query.event);
    if (limited !== undefined) return answerLimited(exchange, limited);
    this.#notes?.noteAnnounce(this.#tracker.request, this.#tracker.reply);
    this.#count();
    return this.#write(exchange);
  }

  /** What limits requests, whoever sends them. */
  #limit(exchange: Exchange, nowSeconds: number): Uint8Array | undefined {
    const { port, hasPeerId, peerId } = this.#query;
    const known = hasPeerId ? peerId : undefined;
    return this.#limiting.judge(this.#client, nowSeconds, port, known, exchange.head);
  }

  /** Puts address and port of the peer into the core's request, if they may be a peer's. */
  #placePeer(url: string): number {
    const { request } = this.#tracker;
    request.family = this.#client.family;
    for (let i = 0; i < 16; i++) request.peer[i] = this.#client.address[i];
    if (this.#settings.allowIpParameter) this.#believe(url);
    const portAt = request.family === 4 ? 4 : 16;
    // Who announces a port that nobody should be sent to is answered as one without a port.
    const port = this.#query.port < this.#limits.portMin || this.#isOwn() ? 0 : this.#query.port;
    request.peer[portAt] = port >> 8;
    request.peer[portAt + 1] = port & 0xff;
    return judgeAddress(request.peer, request.family, this.#settings.refusePrivate);
  }

  /** True if nobody should be sent to the address either, because it is one of this machine. */
  #isOwn(): boolean {
    const { request } = this.#tracker;
    if (!this.#limits.own.has(request.peer, 0, request.family)) return false;
    this.#row[COUNT.httpOwnAddresses] += 1;
    return true;
  }

  /** `ip` may change the family; `ipv4` and `ipv6` only say more of the one the client came by. */
  #believe(url: string): void {
    const { request } = this.#tracker;
    const query = this.#query;
    const claimed = readEndpoint(valueText(url, query.ipFrom, query.ipTo), CLAIM, 0);
    const own =
      request.family === 4
        ? valueText(url, query.ipv4From, query.ipv4To)
        : valueText(url, query.ipv6From, query.ipv6To);
    const family = claimed !== 0 ? claimed : readEndpoint(own, CLAIM, 0);
    if (family === 0 || (claimed === 0 && family !== request.family)) return;
    request.family = family;
    request.peer.set(CLAIM);
  }

  /** What the access lists say. An address that is only claimed must pass as the real one does. */
  #judge(): number {
    const { request } = this.#tracker;
    const { address, family } = this.#client;
    const query = this.#query;
    const access = this.#access;
    let verdict = access.judgeHash(request.infoHashHalves, 0);
    if (verdict === ACCESS_OK) verdict = access.judgeAddress(address, 0, family);
    if (verdict === ACCESS_OK && this.#settings.allowIpParameter) {
      verdict = access.judgeAddress(request.peer, 0, request.family);
    }
    if (verdict === ACCESS_OK && query.hasPeerId) verdict = access.judgeClient(query.peerId, 0);
    return verdict;
  }

  #ask(nowSeconds: number): void {
    const { request } = this.#tracker;
    const query = this.#query;
    const { numwantDefault, numwantMax } = this.#settings;
    request.seeder = query.seeder;
    request.event = query.event;
    request.wanted = Math.min(query.wanted < 0 ? numwantDefault : query.wanted, numwantMax);
    request.bothFamilies = true;
    request.offsetIpv4 = 0;
    request.offsetIpv6 = numwantMax * PEER_SIZE_IPV4;
    request.earlyTicks = this.#limits.earlyTicksFor(query.event);
    this.#tracker.announce(nowSeconds);
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
    extras.intervalSeconds = this.#intervals.draw(reply.seeders + reply.leechers);
    extras.minIntervalSeconds = this.#intervals.minimum(extras.intervalSeconds);
    extras.compact = this.#query.compact;
    extras.warning = notStored || (this.#settings.warningMessage ?? "");
    const { out, at } = exchange;
    return writeAnnounce(out, request, reply, this.#replies, extras, at) - at;
  }

  #count(): void {
    const row = this.#row;
    row[this.#client.family === 4 ? COUNT.httpAnnouncesIpv4 : COUNT.httpAnnouncesIpv6] += 1;
    row[EVENT_COLUMNS[this.#query.event]] += 1;
  }

  #deny(exchange: Exchange, verdict: number): number {
    this.#row[REFUSED_COLUMNS[verdict]] += 1;
    return answerBytes(exchange, REFUSED_BODIES[verdict]);
  }

  /** An announce that is wrong counts for the rate as well, or a flood of them would not. */
  #refuseUnread(exchange: Exchange, verdict: number): number {
    const limited = this.#limiting.judgeUnread(exchange, this.#client, this.#now());
    if (limited !== undefined) return answerLimited(exchange, limited);
    return this.#refuse(exchange, verdict);
  }

  #refuse(exchange: Exchange, verdict: number): number {
    const aboutAddress = verdict >= VERDICT_ADDRESS_UNKNOWN;
    this.#row[aboutAddress ? COUNT.httpRefusedAddresses : COUNT.httpFailures] += 1;
    return answerFailure(exchange, verdict);
  }
}

/** Bytes the core's reply buffer must have for announces over HTTP: all peers of either family. */
export function repliesSize(numwantMax: number): number {
  return numwantMax * (PEER_SIZE_IPV4 + PEER_SIZE_IPV6);
}
