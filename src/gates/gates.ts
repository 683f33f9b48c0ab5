/**
 * The gates: the checks that the requests of every transport pass, in this order.
 *
 *   gate          judges                                        UDP HTTP WS
 *   rate          requests of the address and of its network     x   x   x
 *   (parsing: the transport reads the request, and may refuse it; WebSocket before the rate,
 *   because a failure that does not name its info hash is ignored by clients)
 *   rules         the operator's rules                           x   x   x    headers: HTTP, and
 *                                                                             the upgrade
 *   host          the host name in the request                   -   x   u    UDP has none
 *   maintenance   whether announces are accepted at all          x   x   x
 *   external      gives a peer behind our NAT its address        x   x   -    WebRTC finds it
 *   address       whether a peer may have it; private ones       x   x   x u
 *   lists         info hash, network, client                     x   x   x u  u: network
 *   peer id       whether another connection has it              -   -   x    only WebSocket finds
 *                                                                             peers by their id
 *   place         answered, but not stored                       x   x   -    WebRTC has no port
 *   core          the announce takes effect                      x   x   x
 *   early         too soon after the last one: gets no peers     x   x   -    clients announce
 *                                                                             after each answer
 *   notes         records the announce for the statistics        x   x   -    no address is told
 *   outbox        tells other trackers what it changed           x   x   -    browsers meet at one
 *                                                                             tracker
 *
 * u: judged at the upgrade too, or only there, since one connection has one host and one address.
 *
 * The first gate that refuses gives the verdict. It is counted here; the transport sends it. A
 * scrape stores nothing, so it passes the gates up to the rules; pages pass the rate only. Answers
 * and scrapes over WebSocket pass the network too, which may be denied after the upgrade. A
 * transport only turns bytes into `asked` and the core's request, and a verdict into bytes. It may
 * leave out only what this table leaves out, with the reason; test/gates/gates.test.ts sends each
 * transport's requests to each gate. Host names are noted once a query is read, so that the report
 * of hosts names those that are refused too.
 *
 * Allocates nothing, never throws, never waits.
 */
import { type Access, ACCESS_CLIENT, ACCESS_OK } from "../access/access.ts";
import type { Family } from "../constants.ts";
import { COUNT, type Counters, rejectedColumn, type Transport } from "../counters/counters.ts";
import type { Limits } from "../limits/limits.ts";
import { RATE_ADDRESS, RATE_OK } from "../limits/rate-limits.ts";
import { RULE_NONE } from "../limits/request-rules.ts";
import type { RequestHead } from "../net/head.ts";
import type { AllowedHosts } from "../notes/hosts.ts";
import type { Notes } from "../notes/notes.ts";
import type { AnnounceReply, AnnounceRequest } from "../swarm/requests.ts";
import type { ExternalAddresses } from "./external-addresses.ts";
import { PeerGate, PLACE_FIT, PLACE_OWN } from "./peer-gate.ts";
import {
  VERDICT_ADDRESS_PRIVATE,
  VERDICT_CLIENT,
  VERDICT_CLIENT_UNLISTED,
  VERDICT_HOST,
  VERDICT_MAINTENANCE,
  VERDICT_OK,
  VERDICT_RATE,
  VERDICT_RULE,
  VERDICT_RULE_DROP,
  VERDICTS,
} from "./verdicts.ts";

/** The part of the core that the gates use. */
export interface Core {
  readonly request: AnnounceRequest;
  readonly reply: AnnounceReply;
  announce(nowSeconds: number): void;
}

/** What the transport reads from a request for the gates; filled anew for each request. */
export class Asked {
  /** The address of the client, not a claimed one, at `address[addressAt]`. */
  address: Uint8Array = NO_BYTES;
  addressAt = 0;
  family: Family = 4;
  /** The port of the peer; PORT_NONE for a scrape. */
  port = 0;
  /** The peer id, at `peerId[peerIdAt]`; no peer id if `peerIdAt` is negative. */
  peerId: Uint8Array = NO_BYTES;
  peerIdAt = -1;
  /** The head of an HTTP request. */
  head: RequestHead | undefined;
  /** True if clients may claim another address for their peer. */
  mayClaim = false;
}

const NO_BYTES = new Uint8Array(0);

/** Tells what an announce changed; see cluster/outbox.ts. */
export interface Teller {
  tell(request: AnnounceRequest, reply: AnnounceReply, nowSeconds: number): void;
}

export interface GateParts {
  /** Judges the peer id of an announce that all other gates accept; without it each is good. */
  judgePeerId?: (() => number) | undefined;
  transport: Transport;
  core: Core;
  counters: Counters;
  access: Access;
  limits: Limits;
  /** Notes announces for the statistics; without it nothing is noted. */
  notes?: Notes | undefined;
  /** Host names that are served over HTTP; without it all are. */
  hosts?: AllowedHosts | undefined;
  /** True to refuse announces from private networks. */
  refusePrivate: boolean;
  /** Tells other trackers what an announce changed; without it this one is alone. */
  outbox?: Teller | undefined;
  /** Public addresses of peers behind our NAT; without it each peer keeps its own. */
  external?: ExternalAddresses | undefined;
}

/** The gates of one thread and transport. */
export class Gates {
  readonly asked = new Asked();
  readonly peer: PeerGate;
  /** True if the peer of the last announce got an external address. */
  isExternal = false;
  /** The rule that gave VERDICT_RULE or VERDICT_RULE_DROP. */
  #rule = RULE_NONE;
  readonly #core: Core;
  readonly #row: Float64Array;
  readonly #access: Access;
  readonly #limits: Limits;
  readonly #notes: Notes | undefined;
  readonly #hosts: AllowedHosts | undefined;
  readonly #judgePeerId: (() => number) | undefined;
  readonly #external: ExternalAddresses | undefined;
  readonly #outbox: Teller | undefined;
  // Columns of this transport's counters.
  readonly #announcesIpv4: number;
  readonly #announcesIpv6: number;
  readonly #overRateAddress: number;
  readonly #overRateNetwork: number;
  readonly #overRateAnnounces: number;
  readonly #early: number;
  readonly #ownAddresses: number;
  /** Column by verdict. */
  readonly #rejected: Int32Array;

  constructor(parts: GateParts) {
    const { transport, access, limits } = parts;
    this.#core = parts.core;
    this.#row = parts.counters.row;
    this.#access = access;
    this.#limits = limits;
    this.#notes = parts.notes;
    this.#hosts = parts.hosts?.all === false ? parts.hosts : undefined;
    this.#judgePeerId = parts.judgePeerId;
    this.#external = parts.external;
    this.#outbox = parts.outbox;
    this.peer = new PeerGate(access, limits, parts.refusePrivate);
    this.#announcesIpv4 = COUNT[`${transport}AnnouncesIpv4`];
    this.#announcesIpv6 = COUNT[`${transport}AnnouncesIpv6`];
    this.#overRateAddress = COUNT[`${transport}OverRateAddress`];
    this.#overRateNetwork = COUNT[`${transport}OverRateNetwork`];
    this.#overRateAnnounces = COUNT[`${transport}OverRateAnnounces`];
    this.#early = COUNT[`${transport}Early`];
    this.#ownAddresses = COUNT[`${transport}OwnAddresses`];
    this.#rejected = Int32Array.from(VERDICTS, ({ reason }) => rejectedColumn(transport, reason));
  }

  /** Counts a refused request. Returns the verdict. */
  refuse(verdict: number): number {
    this.#row[this.#rejected[verdict]] += 1;
    return verdict;
  }

  /**
   * The gate of rate limits. It comes before parsing, so a flood costs as little as possible.
   * `slot` is that of the request in a batch whose cells were fetched.
   */
  judgeRate(nowSeconds: number, slot = 0): number {
    const { address, addressAt, family } = this.asked;
    const { rates } = this.#limits;
    const over = rates.judge(address, addressAt, family, nowSeconds, slot);
    if (over === RATE_OK) return VERDICT_OK;
    this.#row[over === RATE_ADDRESS ? this.#overRateAddress : this.#overRateNetwork] += 1;
    return rates.enforced ? this.refuse(VERDICT_RATE) : VERDICT_OK;
  }

  /** The gate of rules. */
  judgeRules(): number {
    const { rules } = this.#limits;
    if (rules.empty) return VERDICT_OK;
    this.#rule = rules.judge(this.asked);
    if (this.#rule === RULE_NONE) return VERDICT_OK;
    const dropped = rules.rule(this.#rule).action === "drop";
    return this.refuse(dropped ? VERDICT_RULE_DROP : VERDICT_RULE);
  }

  /**
   * All other gates and the core, for the announce in the core's request. Returns VERDICT_OK if the
   * core's reply is to be sent.
   */
  announce(nowSeconds: number): number {
    let refused = this.#judgeAnnounce();
    if (refused === VERDICT_OK && this.#judgePeerId !== undefined) refused = this.#judgePeerId();
    if (refused === VERDICT_ADDRESS_PRIVATE) this.#notes?.notePrivate(this.#core.request);
    if (refused !== VERDICT_OK) return this.refuse(refused);
    const { request, reply } = this.#core;
    const limits = this.#limits;
    const row = this.#row;
    this.#placePeer();
    const { asked } = this;
    if (asked.mayClaim) request.comesFrom(asked.address, asked.addressAt, asked.family);
    request.earlyTicks = limits.earlyTicksFor(request.event);
    this.#core.announce(nowSeconds);
    if (limits.isEarly(reply.ticksSinceLast, request.event)) {
      row[this.#early] += 1;
      if (limits.refusesEarly) reply.peersIpv4 = reply.peersIpv6 = 0;
    } else if (limits.rates.over) {
      row[this.#overRateAnnounces] += 1;
    }
    this.#notes?.noteAnnounce(request, reply);
    this.#outbox?.tell(request, reply, nowSeconds);
    row[asked.family === 4 ? this.#announcesIpv4 : this.#announcesIpv6] += 1;
    row[COUNT.eventNone + request.event] += 1;
    return VERDICT_OK;
  }

  #judgeAnnounce(): number {
    const { asked, peer } = this;
    const { request } = this.#core;
    if (this.#hosts?.allowHead(asked.head!) === false) return VERDICT_HOST;
    if (this.#access.maintenance) return VERDICT_MAINTENANCE;
    if (this.#external !== undefined) this.isExternal = this.#replaceAddress(this.#external);
    let verdict = peer.judgeAddress(request.peer, 0, request.family);
    if (verdict !== VERDICT_OK) return verdict;
    verdict = peer.judgeSwarm(request.infoHashHalves);
    if (verdict !== VERDICT_OK) return verdict;
    verdict = peer.judgeNetwork(asked.address, asked.addressAt, asked.family);
    if (verdict !== VERDICT_OK) return verdict;
    if (asked.mayClaim) verdict = peer.judgeNetwork(request.peer, 0, request.family);
    if (verdict !== VERDICT_OK || !this.#access.judgesClients) return verdict;
    return this.#judgeClient();
  }

  /** Gives a peer behind our NAT the external address; false for any other peer. */
  #replaceAddress(external: ExternalAddresses): boolean {
    const { request } = this.#core;
    if (!external.has(request, this.asked)) return false;
    // A NAT that hides all clients would make them one peer: the warning of that sees it here.
    this.#notes?.notePrivate(request);
    external.replace(request);
    return true;
  }

  #judgeClient(): number {
    const { asked } = this;
    const client = this.#access.judgeClient(asked.peerId, asked.peerIdAt);
    if (client === ACCESS_OK) return VERDICT_OK;
    return client === ACCESS_CLIENT ? VERDICT_CLIENT : VERDICT_CLIENT_UNLISTED;
  }

  /** Sets the port of a peer that must not be handed out to 0: the core stores no such peer. */
  #placePeer(): void {
    const { request } = this.#core;
    const { peer, family } = request;
    const place = this.peer.judgePlace(peer, 0, family, this.asked.port);
    if (place === PLACE_FIT) return;
    if (place === PLACE_OWN) this.#row[this.#ownAddresses] += 1;
    const portAt = family === 4 ? 4 : 16;
    peer[portAt] = 0;
    peer[portAt + 1] = 0;
  }

  /** The sentence for the client of the request that got this verdict. */
  sentence(verdict: number): string {
    if (verdict !== VERDICT_RULE) return VERDICTS[verdict].sentence;
    return this.#limits.rules.rule(this.#rule).message;
  }

  /** The same as bytes. */
  sentenceBytes(verdict: number): Uint8Array {
    return verdict === VERDICT_RULE ? this.#limits.rules.message(this.#rule) : SENTENCES[verdict];
  }

  /**
   * The interval for the reply to the last announce, in seconds: `drawn`, or what is left of it for
   * an announce that was early and got no peers.
   */
  interval(drawn: number): number {
    const { request, reply } = this.#core;
    const early = reply.ticksSinceLast >= 0 && reply.ticksSinceLast < request.earlyTicks;
    return early ? this.#limits.intervalLeft(drawn, reply.ticksSinceLast) : drawn;
  }
}

const SENTENCES = VERDICTS.map(({ sentence }) => new TextEncoder().encode(sentence));
