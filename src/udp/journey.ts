/**
 * The journey of one datagram: from the bytes received to the bytes sent back. [BEP 15]
 *
 * It is a staircase of gates. A datagram that does not pass one is dropped without a word, and
 * counted; only a client that has proven its address gets an answer longer than what it sent:
 *
 *   an address that can be answered → 16 bytes → connect: answer with an id
 *       → a good connection id → not too many requests → announce
 *                                                      → scrape
 *                                                      → anything else: an error
 *
 * Allocates nothing, never throws, never waits. Where datagrams come from and go to is the business
 * of the sources, which fill `Datagrams` and send what `replyLengths` says.
 */
import {
  EVENT_COMPLETED,
  EVENT_NONE,
  EVENT_PAUSED,
  EVENT_STARTED,
  EVENT_STOPPED,
  PEER_SIZE_IPV4,
  PEER_SIZE_IPV6,
  type Family,
} from "../constants.ts";
import { Access, ACCESS_OK, REFUSALS } from "../access/access.ts";
import { Limits } from "../limits/limits.ts";
import { RATE_ADDRESS, RATE_OK } from "../limits/rate-limits.ts";
import { PORT_NONE, RULE_NONE } from "../limits/request-rules.ts";
import { isNotPublic, isUnusableSource } from "../net/addresses.ts";
import { COUNT, type Counters } from "../counters/counters.ts";
import type { Intervals } from "../limits/intervals.ts";
import type { Notes } from "../notes/notes.ts";
import type { Tracker } from "../swarm/tracker.ts";
import type { ConnectionIds } from "./connection-ids.ts";
import { ADDRESS_SLOT, REPLY_SLOT, REQUEST_SLOT, type Datagrams } from "./datagrams.ts";
import {
  ACTION_ANNOUNCE,
  ACTION_CONNECT,
  ACTION_ERROR,
  ACTION_SCRAPE,
  ANNOUNCE_REPLY_SIZE_MIN,
  ANNOUNCE_REQUEST_SIZE_MIN,
  CONNECT_REPLY_SIZE,
  hasConnectMagic,
  hasIp,
  ipAt,
  isNothingLeft,
  OFFSET_PEER_ID,
  OFFSET_PORT,
  peersFitting,
  readAction,
  readEvent,
  readInfoHash,
  readNumWant,
  readPort,
  readUrlData,
  REQUEST_SIZE_MIN,
  SCRAPE_ENTRY_SIZE,
  SCRAPE_REPLY_SIZE_MIN,
  scrapeHashes,
  writeAnnounceNumbers,
  writeError,
  writeReplyHead,
  writeScrapeEntry,
} from "./packet.ts";

export interface UdpSettings {
  numwantDefault: number;
  numwantMax: number;
  scrapeMax: number;
  /** Longest reply, in bytes. */
  replyBytes: number;
  /** True to believe the `ip` field of IPv4 announces. */
  allowIpField: boolean;
  /** True to refuse announces from private networks. */
  refusePrivate: boolean;
}

/** What a journey needs; the optional parts are left out where nothing is limited or noted. */
export interface JourneyParts {
  datagrams: Datagrams;
  /** Must write its replies to `datagrams.replyMemory`. */
  tracker: Tracker;
  ids: ConnectionIds;
  intervals: Intervals;
  counters: Counters;
  settings: UdpSettings;
  /** Who is served; everybody if it is left out. */
  access?: Access;
  /** What is noted of announces; nothing if it is left out. */
  notes?: Notes | undefined;
  /** What limits requests; nothing if it is left out. */
  limits?: Limits;
}

const text = (words: string): Uint8Array => new TextEncoder().encode(words);
const ERROR_ACTION = text("unknown action");
const ERROR_ADDRESS = text("your address cannot be a peer's");
const ERROR_PRIVATE = text("announces from private networks are refused here");
const ERROR_EARLY = text("this announce is too early: wait for the interval");

/** Column of the announces refused, by verdict of the access lists, and what their clients read. */
const REFUSED_COLUMNS = [
  -1,
  COUNT.udpRefusedMaintenance,
  COUNT.udpRefusedDenied,
  COUNT.udpRefusedUnlisted,
  COUNT.udpRefusedNetworks,
  COUNT.udpRefusedClients,
];
const REFUSED_TEXTS = REFUSALS.map(({ reason }) => text(reason));

/** As much of a URL's path as is noted. */
const URL_DATA_BYTES = 64;

/** Column of the event counters, by event. */
const EVENT_COLUMNS: number[] = [];
EVENT_COLUMNS[EVENT_NONE] = COUNT.eventNone;
EVENT_COLUMNS[EVENT_COMPLETED] = COUNT.eventCompleted;
EVENT_COLUMNS[EVENT_STARTED] = COUNT.eventStarted;
EVENT_COLUMNS[EVENT_STOPPED] = COUNT.eventStopped;
EVENT_COLUMNS[EVENT_PAUSED] = COUNT.eventPaused;

export class Journey {
  readonly #datagrams: Datagrams;
  readonly #tracker: Tracker;
  readonly #ids: ConnectionIds;
  readonly #intervals: Intervals;
  readonly #counts: Float64Array;
  readonly #settings: UdpSettings;
  readonly #access: Access;
  readonly #notes: Notes | undefined;
  readonly #limits: Limits;
  readonly #urlData = new Uint8Array(URL_DATA_BYTES);
  readonly #wantedMaxIpv4: number;
  readonly #wantedMaxIpv6: number;
  readonly #scrapeMax: number;

  constructor(parts: JourneyParts) {
    const { settings } = parts;
    this.#datagrams = parts.datagrams;
    this.#tracker = parts.tracker;
    this.#ids = parts.ids;
    this.#intervals = parts.intervals;
    this.#counts = parts.counters.row;
    this.#settings = settings;
    this.#access = parts.access ?? new Access();
    this.#notes = parts.notes;
    this.#limits = parts.limits ?? new Limits();
    this.#wantedMaxIpv4 = Math.min(settings.numwantMax, peersFitting(settings.replyBytes, 4));
    this.#wantedMaxIpv6 = Math.min(settings.numwantMax, peersFitting(settings.replyBytes, 6));
    const fitting = Math.floor((settings.replyBytes - SCRAPE_REPLY_SIZE_MIN) / SCRAPE_ENTRY_SIZE);
    this.#scrapeMax = Math.min(settings.scrapeMax, fitting);
  }

  /**
   * Answers the datagram in a slot: leaves the length of the reply in `replyLengths`, 0 for none.
   * `nowSeconds` never goes back; `idSeconds` is the clock of connection ids.
   */
  answer(slot: number, nowSeconds: number, idSeconds: number): void {
    const datagrams = this.#datagrams;
    const length = datagrams.requestLengths[slot];
    this.#counts[COUNT.udpReceivedBytes] += length;
    const reply = this.#gates(slot, length, nowSeconds, idSeconds);
    datagrams.replyLengths[slot] = reply;
    this.#counts[COUNT.udpSentBytes] += reply;
  }

  #gates(slot: number, length: number, nowSeconds: number, idSeconds: number): number {
    const { requests, addresses, families, replies } = this.#datagrams;
    const counts = this.#counts;
    const at = slot * REQUEST_SLOT;
    const from = slot * ADDRESS_SLOT;
    const family = families[slot] as Family | 0;

    // An address that can be answered.
    if (family === 0 || isUnusableSource(addresses, from, family)) {
      return this.#drop(COUNT.udpDroppedAddress);
    }
    // Long enough for any request.
    if (length < REQUEST_SIZE_MIN) return this.#drop(COUNT.udpDroppedShort);

    const action = readAction(requests, at);
    if (action === ACTION_CONNECT) {
      if (!hasConnectMagic(requests, at)) return this.#drop(COUNT.udpDroppedMagic);
      const out = slot * REPLY_SLOT;
      writeReplyHead(replies, out, ACTION_CONNECT, requests, at);
      this.#ids.write(addresses, from, family, idSeconds, replies, out + 8);
      counts[family === 4 ? COUNT.udpConnectsIpv4 : COUNT.udpConnectsIpv6] += 1;
      return CONNECT_REPLY_SIZE;
    }

    // A connection id that was given to this address, not too long ago.
    if (!this.#ids.accepts(addresses, from, family, idSeconds, requests, at)) {
      return this.#drop(COUNT.udpDroppedConnectionId);
    }
    // No more requests than may come from there. Without an id that would lock out a victim.
    if (this.#isTooMuch(from, family, nowSeconds)) return this.#drop(COUNT.udpDroppedRate);
    if (action === ACTION_ANNOUNCE) {
      if (length < ANNOUNCE_REQUEST_SIZE_MIN) return this.#drop(COUNT.udpDroppedShort);
      return this.#announce(slot, family, nowSeconds);
    }
    if (action === ACTION_SCRAPE) return this.#scrape(slot, length, family);
    // Two programs that answer errors with errors would never stop.
    if (action === ACTION_ERROR) return this.#drop(COUNT.udpDroppedAction);
    return this.#refuse(slot, ERROR_ACTION);
  }

  #announce(slot: number, family: Family, nowSeconds: number): number {
    const { requests, replies } = this.#datagrams;
    const settings = this.#settings;
    const counts = this.#counts;
    const tracker = this.#tracker;
    const limits = this.#limits;
    const { request, reply } = tracker;
    const at = slot * REQUEST_SLOT;
    const out = slot * REPLY_SLOT;
    const port = readPort(requests, at);
    const rule = this.#judgeByRules(slot, family, port, at + OFFSET_PEER_ID);
    if (rule !== RULE_NONE) return this.#obey(slot, rule);

    readInfoHash(requests, at, 0, request.infoHash);
    this.#readPeer(slot, family);
    // The address may be a claim, which has passed no gate yet.
    if (settings.allowIpField && isUnusableSource(request.peer, 0, family)) {
      return this.#refuse(slot, ERROR_ADDRESS);
    }
    if (settings.refusePrivate && isNotPublic(request.peer, 0, family)) {
      return this.#refuse(slot, ERROR_PRIVATE);
    }
    request.family = family;
    const refused = this.#judge(slot, family);
    if (refused !== ACCESS_OK) return this.#deny(slot, refused);
    if (port < limits.portMin) this.#clearPort(family);
    else if (limits.own.has(request.peer, 0, family)) this.#clearOwn(family);
    request.seeder = isNothingLeft(requests, at);
    request.event = readEvent(requests, at);
    request.wanted = this.#wanted(readNumWant(requests, at), family);
    request.bothFamilies = false;
    request.offsetIpv4 = out + ANNOUNCE_REPLY_SIZE_MIN;
    request.offsetIpv6 = out + ANNOUNCE_REPLY_SIZE_MIN;
    request.earlyTicks = limits.earlyTicksFor(request.event);
    tracker.announce(nowSeconds);
    if (limits.isEarly(reply.ticksSinceLast, request.event)) {
      counts[COUNT.udpEarly] += 1;
      if (limits.refusesEarly) return this.#refuseEarly(slot);
    } else if (limits.rates.over) {
      counts[COUNT.udpOverRateAnnounces] += 1;
    }
    this.#note(slot);

    counts[family === 4 ? COUNT.udpAnnouncesIpv4 : COUNT.udpAnnouncesIpv6] += 1;
    counts[EVENT_COLUMNS[request.event]] += 1;
    writeReplyHead(replies, out, ACTION_ANNOUNCE, requests, at);
    const interval = this.#intervals.draw(reply.seeders + reply.leechers);
    writeAnnounceNumbers(replies, out, interval, reply.leechers, reply.seeders);
    return (
      ANNOUNCE_REPLY_SIZE_MIN + reply.peersIpv4 * PEER_SIZE_IPV4 + reply.peersIpv6 * PEER_SIZE_IPV6
    );
  }

  /** The path of the URL is only looked for where there may be one. */
  #note(slot: number): void {
    const notes = this.#notes;
    if (notes === undefined) return;
    const { requests, requestLengths } = this.#datagrams;
    notes.noteAnnounce(this.#tracker.request, this.#tracker.reply);
    const length = requestLengths[slot];
    if (length === ANNOUNCE_REQUEST_SIZE_MIN) return;
    const size = readUrlData(requests, slot * REQUEST_SLOT, length, this.#urlData);
    if (size > 0) notes.notePath(this.#urlData, size);
  }

  /** What the access lists say. An address that is only claimed must pass as the real one does. */
  #judge(slot: number, family: Family): number {
    const { requests, addresses } = this.#datagrams;
    const { infoHashHalves, peer } = this.#tracker.request;
    const access = this.#access;
    let verdict = access.judgeHash(infoHashHalves, 0);
    if (verdict === ACCESS_OK)
      verdict = access.judgeAddress(addresses, slot * ADDRESS_SLOT, family);
    if (verdict === ACCESS_OK && this.#settings.allowIpField) {
      verdict = access.judgeAddress(peer, 0, family);
    }
    if (verdict !== ACCESS_OK) return verdict;
    return access.judgeClient(requests, slot * REQUEST_SLOT + OFFSET_PEER_ID);
  }

  /** True if the request is one too many and such are dropped; if they are not it is counted. */
  #isTooMuch(from: number, family: Family, nowSeconds: number): boolean {
    const { rates } = this.#limits;
    const over = rates.judge(this.#datagrams.addresses, from, family, nowSeconds);
    if (over === RATE_OK) return false;
    const column = over === RATE_ADDRESS ? COUNT.udpOverRateAddress : COUNT.udpOverRateNetwork;
    this.#counts[column] += 1;
    return rates.enforced;
  }

  /** The rule against the request in a slot; a scrape names no port and has no peer id. */
  #judgeByRules(slot: number, family: Family, port: number, peerIdAt: number): number {
    const { rules } = this.#limits;
    if (rules.empty) return RULE_NONE;
    const { requests, addresses } = this.#datagrams;
    return rules.judgeDatagram(addresses, slot * ADDRESS_SLOT, family, port, requests, peerIdAt);
  }

  #obey(slot: number, verdict: number): number {
    const { rules } = this.#limits;
    if (rules.rule(verdict).action === "drop") return this.#drop(COUNT.udpDroppedRule);
    this.#counts[COUNT.udpRefusedRule] += 1;
    return this.#error(slot, rules.message(verdict));
  }

  #refuseEarly(slot: number): number {
    this.#counts[COUNT.udpRefusedEarly] += 1;
    return this.#error(slot, ERROR_EARLY);
  }

  /** Who announces a port that nobody should be sent to is answered as one without a port. */
  #clearPort(family: Family): void {
    const { peer } = this.#tracker.request;
    const size = family === 4 ? 4 : 16;
    peer[size] = 0;
    peer[size + 1] = 0;
  }

  /** So is who has an address of this machine, to which nobody should be sent either. */
  #clearOwn(family: Family): void {
    this.#counts[COUNT.udpOwnAddresses] += 1;
    this.#clearPort(family);
  }

  /** The peer is the address the packet came from and the port it names. */
  #readPeer(slot: number, family: Family): void {
    const { requests, addresses } = this.#datagrams;
    const { peer } = this.#tracker.request;
    const at = slot * REQUEST_SLOT;
    const size = family === 4 ? 4 : 16;
    const believed = this.#settings.allowIpField && family === 4 && hasIp(requests, at);
    const source = believed ? requests : addresses;
    const from = believed ? ipAt(at) : slot * ADDRESS_SLOT;
    for (let i = 0; i < size; i++) peer[i] = source[from + i];
    peer[size] = requests[at + OFFSET_PORT];
    peer[size + 1] = requests[at + OFFSET_PORT + 1];
  }

  #wanted(numWant: number, family: Family): number {
    const most = family === 4 ? this.#wantedMaxIpv4 : this.#wantedMaxIpv6;
    return Math.min(numWant < 0 ? this.#settings.numwantDefault : numWant, most);
  }

  #scrape(slot: number, length: number, family: Family): number {
    const { requests, replies } = this.#datagrams;
    const tracker = this.#tracker;
    const { reply } = tracker;
    const at = slot * REQUEST_SLOT;
    const out = slot * REPLY_SLOT;
    const rule = this.#judgeByRules(slot, family, PORT_NONE, -1);
    if (rule !== RULE_NONE) return this.#obey(slot, rule);
    const hashes = Math.min(scrapeHashes(length), this.#scrapeMax);
    writeReplyHead(replies, out, ACTION_SCRAPE, requests, at);
    for (let i = 0; i < hashes; i++) {
      readInfoHash(requests, at, i, tracker.request.infoHash);
      tracker.scrape();
      writeScrapeEntry(replies, out, i, reply.seeders, reply.downloads, reply.leechers);
    }
    this.#counts[family === 4 ? COUNT.udpScrapesIpv4 : COUNT.udpScrapesIpv6] += 1;
    return SCRAPE_REPLY_SIZE_MIN + hashes * SCRAPE_ENTRY_SIZE;
  }

  #deny(slot: number, verdict: number): number {
    this.#counts[REFUSED_COLUMNS[verdict]] += 1;
    return this.#error(slot, REFUSED_TEXTS[verdict]);
  }

  #refuse(slot: number, reason: Uint8Array): number {
    this.#counts[COUNT.udpErrors] += 1;
    return this.#error(slot, reason);
  }

  #error(slot: number, reason: Uint8Array): number {
    const { requests, replies } = this.#datagrams;
    return writeError(replies, slot * REPLY_SLOT, requests, slot * REQUEST_SLOT, reason);
  }

  #drop(column: number): 0 {
    this.#counts[column] += 1;
    return 0;
  }
}
