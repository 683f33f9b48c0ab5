/**
 * One announce over WebSocket: the shared gates, its effect on the swarm, its reply, its offers.
 *
 *   rate ─► rules ─► maintenance, lists, peer id (gates/gates.ts) ─► stored, renewed or removed
 *        ─► reply, or the sentence of the gate that refuses ─► offers are passed on
 *
 * Peer ids are public, so an announce from another address does not take the place of a living
 * peer: it is refused, and the holder is asked whether it lives. A client that changed networks is
 * back after one retry. From the same address the peer moves: such a client has reconnected.
 */
import { EVENT_COMPLETED, EVENT_STOPPED, INFO_HASH_SIZE, PEER_ID_SIZE } from "../constants.ts";
import { COUNT, type Counters } from "../counters/counters.ts";
import { type Core, Gates, type GateParts } from "../gates/gates.ts";
import { isSilent, VERDICT_OK, VERDICT_PEER_ID_TAKEN, VERDICTS } from "../gates/verdicts.ts";
import type { Intervals } from "../limits/intervals.ts";
import { PORT_NONE } from "../limits/request-rules.ts";
import { AnnounceReply, AnnounceRequest } from "../swarm/requests.ts";
import type { Tracker } from "../swarm/tracker.ts";
import type { Offers } from "./offers.ts";
import { KIND_ANNOUNCE, type Message } from "./ws-messages.ts";
import { type Peer, type PeerHolder, peerOf, type Swarms } from "./ws-swarms.ts";

/** A peer is forgotten after this many intervals, and a minute. */
const INTERVALS_KEPT = 2;
const KEPT_SECONDS = 60;

/** No place, and no IPv6 /48, may have more than this share of all peers. */
const SHARE_OF_PLACE = 16;
const SHARE_OF_SITE = 4;

const WARNING_FULL = "the tracker is full: other peers will not see you";
const WARNING_PLACE = "your address or network is in too many swarms: other peers will not see you";

/** The part of the core that is used. */
export type SharedCore = Pick<Tracker, "request" | "reply" | "scrape" | "countDownload">;

export interface WsAnnounceParts {
  swarms: Swarms;
  offers: Offers;
  /** The swarms of HTTP and UDP. */
  core: SharedCore;
  counters: Counters;
  intervals: Pick<Intervals, "draw">;
  gates: Omit<GateParts, "transport" | "core" | "counters" | "judgePeerId">;
  /** Called for each download that was counted, with its info hash. */
  tellDownload?: ((infoHashHalves: Uint16Array) => void) | undefined;
  peersMax: number;
  /** True if counts include the peers of HTTP and UDP. */
  countsAll: boolean;
  warningMessage: string;
}

export class WsAnnounces implements Core {
  readonly request = new AnnounceRequest();
  readonly reply = new AnnounceReply();
  readonly gates: Gates;
  readonly #parts: WsAnnounceParts;
  readonly #row: Float64Array;
  readonly #peerId = new Uint8Array(PEER_ID_SIZE);
  /** Of the client of the message at hand. */
  readonly #address = new Uint8Array(16);
  // The announce at hand.
  #announcer!: PeerHolder;
  #message!: Message;
  #peer: Peer | undefined;
  #warning = "";

  constructor(parts: WsAnnounceParts) {
    const { counters } = parts;
    this.#parts = parts;
    this.#row = counters.row;
    this.gates = new Gates({
      ...parts.gates,
      transport: "websocket",
      core: this,
      counters,
      judgePeerId: () => this.#judgePeerId(),
    });
  }

  /** The gate that every message passes, also one that is wrong. */
  judgeRate(holder: PeerHolder, now: number): number {
    const { asked } = this.gates;
    holder.writeAddress(this.#address);
    asked.address = this.#address;
    asked.family = holder.family;
    asked.head = undefined;
    return this.gates.judgeRate(now);
  }

  /**
   * The gates of every message that can be read: an announce, an answer or a scrape. The network is
   * judged here for the latter two: it may have been denied after the upgrade.
   */
  judge(holder: PeerHolder, { kind, peerId }: Message, now: number): number {
    const { gates } = this;
    const { asked } = gates;
    const verdict = this.judgeRate(holder, now);
    if (verdict !== VERDICT_OK) return verdict;
    writeWord(peerId, this.#peerId);
    asked.peerId = this.#peerId;
    asked.peerIdAt = peerId === "" ? -1 : 0;
    asked.port = PORT_NONE;
    const ruled = gates.judgeRules();
    if (ruled !== VERDICT_OK || kind === KIND_ANNOUNCE) return ruled;
    const network = gates.peer.judgeNetwork(asked.address, 0, asked.family);
    return network === VERDICT_OK ? VERDICT_OK : gates.refuse(network);
  }

  /** True if the network of a peer that is stored is denied by now, or a rule refuses it. */
  refuses({ id, holder }: Peer): boolean {
    const { gates } = this;
    const address = this.#address;
    const { family } = holder;
    holder.writeAddress(address);
    if (gates.peer.judgeNetwork(address, 0, family) !== VERDICT_OK) return true;
    const { rules } = this.#parts.gates.limits;
    if (rules.empty) return false;
    writeWord(id, this.#peerId);
    const asked = { address, addressAt: 0, family, peerId: this.#peerId, peerIdAt: 0 };
    return rules.refuses({ ...asked, port: PORT_NONE, head: undefined });
  }

  /** Takes the announce, which `judge` has let through. Returns the text of the reply. */
  answer(announcer: PeerHolder, message: Message, now: number): string {
    const { request } = this;
    this.#announcer = announcer;
    this.#message = message;
    this.#peer = undefined;
    this.#warning = this.#parts.warningMessage;
    writeWord(message.infoHash, request.infoHash);
    announcer.writeAddress(request.peer);
    request.family = announcer.family;
    request.event = message.event;
    request.seeder = message.isSeeder;
    const verdict = this.gates.announce(now);
    return verdict === VERDICT_OK ? this.#write() : this.failure(message, verdict);
  }

  /** Passes the offers of the last announce on; call it when its reply is written. */
  passOffers(now: number): void {
    if (this.#peer === undefined) return;
    const passed = this.#parts.offers.pass(this.#peer, this.#message, now);
    this.#row[COUNT.websocketOffers] += passed;
  }

  /** The text for a message that got this verdict; "" for none. */
  failure(message: Message, verdict: number): string {
    if (isSilent(verdict)) return "";
    return failureText(message, this.gates.sentence(verdict), VERDICTS[verdict].retryIn);
  }

  #judgePeerId(): number {
    const { infoHash, peerId, event } = this.#message;
    const holder = this.#parts.swarms.get(infoHash)?.find(peerId)?.holder;
    // To stop concerns only the peer of this connection.
    if (holder === undefined || event === EVENT_STOPPED) return VERDICT_OK;
    if (holder === this.#announcer || holder.isBeside(this.#announcer)) return VERDICT_OK;
    holder.challenge();
    return VERDICT_PEER_ID_TAKEN;
  }

  /** The effect on the swarm; called by the gates. */
  announce(nowSeconds: number): void {
    const { swarms } = this.#parts;
    const { infoHash, peerId, event } = this.#message;
    this.reply.clear();
    const own = peerOf(this.#announcer, infoHash);
    if (event === EVENT_STOPPED) {
      if (own?.id === peerId) swarms.remove(own);
    } else {
      this.#remember(own, nowSeconds);
    }
    this.#count(swarms.get(infoHash));
  }

  /** Stores, renames, moves or renews the peer. */
  #remember(own: Peer | undefined, nowSeconds: number): void {
    const { swarms } = this.#parts;
    const { infoHash, peerId, event, isSeeder } = this.#message;
    const announcer = this.#announcer;
    let peer = own;
    let wasLeecher = own !== undefined && !own.isSeeder;
    if (own?.id !== peerId) {
      const named = swarms.get(infoHash)?.find(peerId);
      if (named !== undefined) {
        if (own !== undefined) swarms.remove(own);
        swarms.move(named, announcer);
        peer = named;
        wasLeecher = !named.isSeeder;
      } else if (own !== undefined) {
        own.swarm.rename(own, peerId);
      } else {
        peer = this.#hasRoom() ? swarms.add(announcer, infoHash, peerId) : undefined;
      }
    }
    if (peer === undefined) return;
    swarms.setSeeder(peer, isSeeder);
    const { length } = peer.swarm.peers;
    this.reply.stored = true;
    this.#peer = peer;
    this.#interval = this.#parts.intervals.draw(length);
    peer.expires = nowSeconds + INTERVALS_KEPT * this.#interval + KEPT_SECONDS;
    if (event !== EVENT_COMPLETED || !wasLeecher || peer.counted) return;
    peer.counted = true;
    this.#countDownload(nowSeconds);
  }

  #interval = 0;

  #hasRoom(): boolean {
    const { swarms, peersMax } = this.#parts;
    const { place } = this.#announcer;
    if (swarms.peers >= peersMax) this.#warning = WARNING_FULL;
    else if (place.peers >= Math.max(1, peersMax / SHARE_OF_PLACE)) this.#warning = WARNING_PLACE;
    else if (place.sitePeers >= Math.max(1, peersMax / SHARE_OF_SITE))
      this.#warning = WARNING_PLACE;
    else return true;
    return false;
  }

  /** The core counts one download for an address and port; here the port is a hash of the id. */
  #countDownload(nowSeconds: number): void {
    const { core } = this.#parts;
    const { request } = core;
    const { infoHash, peer, family } = this.request;
    request.infoHash.set(infoHash);
    request.peer.set(peer);
    request.family = family;
    let hash = 0;
    for (const byte of this.#peerId) hash = Math.imul(hash ^ byte, 0x85ebca6b) ^ (hash >>> 13);
    const portAt = family === 4 ? 4 : 16;
    request.peer[portAt] = hash >>> 8;
    request.peer[portAt + 1] = hash;
    if (core.countDownload(nowSeconds)) this.#parts.tellDownload?.(request.infoHashHalves);
  }

  #count(swarm: { seeders: number; leechers: number } | undefined): void {
    const { reply } = this;
    const { core, countsAll } = this.#parts;
    core.request.infoHash.set(this.request.infoHash);
    core.scrape();
    reply.downloads = core.reply.downloads;
    reply.seeders = (swarm?.seeders ?? 0) + (countsAll ? core.reply.seeders : 0);
    reply.leechers = (swarm?.leechers ?? 0) + (countsAll ? core.reply.leechers : 0);
  }

  /** The counts of an info hash, as a member of the reply to a scrape. */
  scrape(infoHash: string): { complete: number; incomplete: number; downloaded: number } {
    const { reply } = this;
    writeWord(infoHash, this.request.infoHash);
    this.#count(this.#parts.swarms.get(infoHash));
    const { seeders, leechers, downloads } = reply;
    return { complete: seeders, incomplete: leechers, downloaded: downloads };
  }

  #write(): string {
    const { reply } = this;
    const interval =
      this.#peer === undefined
        ? this.#parts.intervals.draw(reply.seeders + reply.leechers)
        : this.#interval;
    const warning = this.#warning === "" ? {} : { "warning message": this.#warning };
    return JSON.stringify({
      action: "announce",
      interval,
      info_hash: this.#message.infoHash,
      complete: reply.seeders,
      incomplete: reply.leechers,
      downloaded: reply.downloads,
      ...warning,
    });
  }
}

/** The text of a failure: clients look for the info hash, and ignore what does not name it. */
export function failureText(
  { action, infoHash }: Pick<Message, "action" | "infoHash">,
  sentence: string,
  retryIn = "",
): string {
  const known = { ...(action && { action }), ...(infoHash && { info_hash: infoHash }) };
  const retry = retryIn && { "retry in": retryIn };
  return JSON.stringify({ ...known, "failure reason": sentence, ...(retry || {}) });
}

/** Writes the 20 bytes that the characters stand for; zeros for "". */
function writeWord(word: string, bytes: Uint8Array): void {
  for (let i = 0; i < INFO_HASH_SIZE; i++) bytes[i] = word.charCodeAt(i);
}
