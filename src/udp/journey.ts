/**
 * The journey of one datagram: from the bytes received to the bytes sent back. [BEP 15]
 *
 * The first checks belong to UDP. A datagram that fails one is counted and dropped. Only a client
 * that has proven its address gets a reply longer than its request:
 *
 *   source address is valid → 16 bytes → connect: reply with an id
 *       → connection id is valid → the gates of all transports (gates/gates.ts) → announce
 *                                                                             → scrape
 *                                                                             → else: an error
 *
 * Allocates nothing, never throws, never waits. The sources of datagrams receive and send: they
 * fill `Datagrams`, and send the replies whose `replyLengths` are not 0.
 */
import { Access } from "../access/access.ts";
import { type Family, PEER_SIZE_IPV4, PEER_SIZE_IPV6 } from "../constants.ts";
import { externalAddresses } from "../gates/external-addresses.ts";
import { Gates, type Teller } from "../gates/gates.ts";
import { isSilent, VERDICT_ACTION, VERDICT_OK, VERDICT_RATE } from "../gates/verdicts.ts";
import { Limits } from "../limits/limits.ts";
import { PORT_NONE } from "../limits/request-rules.ts";
import { isUnusableSource } from "../net/addresses.ts";
import { COUNT, type Counters } from "../counters/counters.ts";
import type { Intervals } from "../limits/intervals.ts";
import type { Notes } from "../notes/notes.ts";
import type { Tracker } from "../swarm/tracker.ts";
import { type ConnectionIds, PROOF_FRESH, PROOF_NETWORK, PROOF_NONE } from "./connection-ids.ts";
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
  errorSize,
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
  /** Public addresses of peers behind our NAT, one of each family at most. */
  externalAddresses?: readonly string[];
}

/** The parts of a journey. Without the optional parts nothing is limited or noted. */
export interface JourneyParts {
  datagrams: Datagrams;
  /** Must write its replies to `datagrams.replyMemory`. */
  tracker: Tracker;
  ids: ConnectionIds;
  intervals: Intervals;
  counters: Counters;
  settings: UdpSettings;
  /** Access lists; without them every client is served. */
  access?: Access;
  /** Notes announces for the statistics; without it nothing is noted. */
  notes?: Notes | undefined;
  /** Limits of requests; without them nothing is limited. */
  limits?: Limits;
  /** Tells other trackers what announces changed; without it this one is alone. */
  outbox?: Teller | undefined;
}

/** Bytes of a URL's path that are noted. */
const URL_DATA_BYTES = 64;

export class Journey {
  readonly #datagrams: Datagrams;
  readonly #tracker: Tracker;
  readonly #ids: ConnectionIds;
  readonly #intervals: Intervals;
  readonly #counts: Float64Array;
  readonly #settings: UdpSettings;
  readonly #gates: Gates;
  readonly #notes: Notes | undefined;
  readonly #urlData = new Uint8Array(URL_DATA_BYTES);
  readonly #wantedMaxIpv4: number;
  readonly #wantedMaxIpv6: number;
  readonly #scrapeMax: number;
  /** What the connection id of the request at hand proves. */
  #proof = PROOF_NONE;

  constructor(parts: JourneyParts) {
    const { settings } = parts;
    this.#datagrams = parts.datagrams;
    this.#tracker = parts.tracker;
    this.#ids = parts.ids;
    this.#intervals = parts.intervals;
    this.#counts = parts.counters.row;
    this.#settings = settings;
    this.#notes = parts.notes;
    this.#gates = new Gates({
      transport: "udp",
      core: parts.tracker,
      counters: parts.counters,
      access: parts.access ?? new Access(),
      limits: parts.limits ?? new Limits(),
      notes: parts.notes,
      outbox: parts.outbox,
      refusePrivate: settings.refusePrivate,
      external: externalAddresses(settings.externalAddresses ?? []),
    });
    const { asked } = this.#gates;
    asked.address = parts.datagrams.addresses;
    asked.peerId = parts.datagrams.requests;
    asked.mayClaim = settings.allowIpField;
    this.#wantedMaxIpv4 = Math.min(settings.numwantMax, peersFitting(settings.replyBytes, 4));
    this.#wantedMaxIpv6 = Math.min(settings.numwantMax, peersFitting(settings.replyBytes, 6));
    const fitting = Math.floor((settings.replyBytes - SCRAPE_REPLY_SIZE_MIN) / SCRAPE_ENTRY_SIZE);
    this.#scrapeMax = Math.min(settings.scrapeMax, fitting);
  }

  /**
   * Answers the datagram in a slot: writes the length of the reply to `replyLengths`, 0 for no
   * reply. `nowSeconds` is monotonic; `idSeconds` is the clock of connection ids.
   */
  answer(slot: number, nowSeconds: number, idSeconds: number): void {
    const datagrams = this.#datagrams;
    const length = datagrams.requestLengths[slot];
    this.#counts[COUNT.udpReceivedBytes] += length;
    const reply = this.#judge(slot, length, nowSeconds, idSeconds);
    datagrams.replyLengths[slot] = reply;
    this.#counts[COUNT.udpSentBytes] += reply;
  }

  #judge(slot: number, length: number, nowSeconds: number, idSeconds: number): number {
    const { requests, addresses, families, replies } = this.#datagrams;
    const counts = this.#counts;
    const at = slot * REQUEST_SLOT;
    const from = slot * ADDRESS_SLOT;
    const family = families[slot] as Family | 0;

    // The source address is valid.
    if (family === 0 || isUnusableSource(addresses, from, family)) {
      return this.#drop(COUNT["udp:address"]);
    }
    // The datagram is long enough for any request.
    if (length < REQUEST_SIZE_MIN) return this.#drop(COUNT["udp:short"]);

    const action = readAction(requests, at);
    if (action === ACTION_CONNECT) {
      if (!hasConnectMagic(requests, at)) return this.#drop(COUNT["udp:magic"]);
      const out = slot * REPLY_SLOT;
      writeReplyHead(replies, out, ACTION_CONNECT, requests, at);
      this.#ids.write(addresses, from, family, idSeconds, replies, out + 8);
      counts[family === 4 ? COUNT.udpConnectsIpv4 : COUNT.udpConnectsIpv6] += 1;
      return CONNECT_REPLY_SIZE;
    }

    // The connection id was issued to this address, or to one of its network, and has not expired.
    const proof = this.#ids.proofOf(addresses, from, family, idSeconds, requests, at);
    if (proof === PROOF_NONE) return this.#drop(COUNT["udp:connection_id"]);
    this.#proof = proof;
    // The rate limit comes after the id: otherwise a spoofed flood could lock out a victim.
    const { asked } = this.#gates;
    asked.addressAt = from;
    asked.family = family;
    const verdict = this.#gates.judgeRate(nowSeconds, slot);
    if (verdict !== VERDICT_OK) return this.#tell(slot, verdict);
    if (action === ACTION_ANNOUNCE) {
      if (length < ANNOUNCE_REQUEST_SIZE_MIN) return this.#drop(COUNT["udp:short"]);
      return this.#announce(slot, family, nowSeconds);
    }
    if (action === ACTION_SCRAPE) return this.#scrape(slot, length, family);
    // Two programs that reply to errors with errors would never stop.
    if (action === ACTION_ERROR) return this.#drop(COUNT["udp:action"]);
    return this.#tell(slot, this.#gates.refuse(VERDICT_ACTION));
  }

  #announce(slot: number, family: Family, nowSeconds: number): number {
    const { requests, replies } = this.#datagrams;
    const { asked } = this.#gates;
    const { request, reply } = this.#tracker;
    const at = slot * REQUEST_SLOT;
    const out = slot * REPLY_SLOT;
    asked.port = readPort(requests, at);
    asked.peerIdAt = at + OFFSET_PEER_ID;
    let verdict = this.#gates.judgeRules();
    if (verdict !== VERDICT_OK) return this.#tell(slot, verdict);

    // A peer without a port is answered, but it is not stored and stops no other.
    if (this.#proof === PROOF_NETWORK) asked.port = 0;
    readInfoHash(requests, at, 0, request.infoHash);
    this.#readPeer(slot, family);
    request.family = family;
    request.seeder = isNothingLeft(requests, at);
    request.event = readEvent(requests, at);
    request.wanted = this.#wanted(slot, readNumWant(requests, at), family);
    request.bothFamilies = false;
    request.offsetIpv4 = out + ANNOUNCE_REPLY_SIZE_MIN;
    request.offsetIpv6 = out + ANNOUNCE_REPLY_SIZE_MIN;
    verdict = this.#gates.announce(nowSeconds);
    if (verdict !== VERDICT_OK) return this.#tell(slot, verdict);
    this.#notePath(slot);

    writeReplyHead(replies, out, ACTION_ANNOUNCE, requests, at);
    const drawn = this.#intervals.draw(reply.seeders + reply.leechers);
    const interval = this.#gates.interval(drawn);
    writeAnnounceNumbers(replies, out, interval, reply.leechers, reply.seeders);
    return (
      ANNOUNCE_REPLY_SIZE_MIN + reply.peersIpv4 * PEER_SIZE_IPV4 + reply.peersIpv6 * PEER_SIZE_IPV6
    );
  }

  /** Notes the path of the URL, if the announce has options and notes are taken. */
  #notePath(slot: number): void {
    const { requests, requestLengths } = this.#datagrams;
    const length = requestLengths[slot];
    if (this.#notes === undefined || length === ANNOUNCE_REQUEST_SIZE_MIN) return;
    const size = readUrlData(requests, slot * REQUEST_SLOT, length, this.#urlData);
    if (size > 0) this.#notes.notePath(this.#urlData, size);
  }

  /** Address of the peer: source of the packet, or claimed in it. The port is in the packet. */
  #readPeer(slot: number, family: Family): void {
    const { requests, addresses } = this.#datagrams;
    const { peer } = this.#tracker.request;
    const at = slot * REQUEST_SLOT;
    const size = family === 4 ? 4 : 16;
    const mayClaim = this.#settings.allowIpField && family === 4 && hasIp(requests, at);
    const believed =
      mayClaim && this.#gates.peer.believesClaim(requests, ipAt(at), 4, this.#gates.asked);
    const source = believed ? requests : addresses;
    const from = believed ? ipAt(at) : slot * ADDRESS_SLOT;
    for (let i = 0; i < size; i++) peer[i] = source[from + i];
    peer[size] = requests[at + OFFSET_PORT];
    peer[size + 1] = requests[at + OFFSET_PORT + 1];
  }

  #wanted(slot: number, numWant: number, family: Family): number {
    if (this.#proof === PROOF_NETWORK) return 0;
    let most = family === 4 ? this.#wantedMaxIpv4 : this.#wantedMaxIpv6;
    if (this.#proof !== PROOF_FRESH) {
      most = Math.min(most, peersFitting(this.#datagrams.requestLengths[slot], family));
    }
    return Math.min(numWant < 0 ? this.#settings.numwantDefault : numWant, most);
  }

  #scrape(slot: number, length: number, family: Family): number {
    const { requests, replies } = this.#datagrams;
    const tracker = this.#tracker;
    const { reply } = tracker;
    const at = slot * REQUEST_SLOT;
    const out = slot * REPLY_SLOT;
    const { asked } = this.#gates;
    asked.port = PORT_NONE;
    asked.peerIdAt = -1;
    const verdict = this.#gates.judgeRules();
    if (verdict !== VERDICT_OK) return this.#tell(slot, verdict);
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

  /**
   * Writes the error packet of a verdict. A client over its rate limit gets no packet, because that
   * would cost as much as answering its request, nor does one that would get more than it sent
   * without having proven its address lately.
   */
  #tell(slot: number, verdict: number): number {
    if (verdict === VERDICT_RATE || isSilent(verdict)) return 0;
    const { requests, requestLengths, replies } = this.#datagrams;
    const sentence = this.#gates.sentenceBytes(verdict);
    const tooLong = errorSize(sentence) > requestLengths[slot];
    if (tooLong && this.#proof !== PROOF_FRESH) return 0;
    return writeError(replies, slot * REPLY_SLOT, requests, slot * REQUEST_SLOT, sentence);
  }

  #drop(column: number): 0 {
    this.#counts[column] += 1;
    return 0;
  }
}
