/**
 * Offers: to which peers they are passed on, and which answers to them are let through.
 *
 *   offer    a run of peers from a random place: of a seeder to leechers, of a leecher to all
 *   answer   let through once, within 60 s, from the connection that got the offer
 *
 * Peer ids are public, since each peer that gets an offer learns one. Without the second rule any
 * stranger could send a browser a connection that it did not ask for. What is expected is kept with
 * the peer that made the offer, so nobody can use up the room of another:
 *
 *   expected   [ hash of offer id and receiver │ last second ] × 2 × offers of an announce
 *
 * The hash is keyed. Without a free place an offer is not passed on, so a peer has at most that
 * many unanswered offers a minute, also if it stops and starts again on its connection. The newest
 * taking the place of the oldest lost 0.5 to 1.3 % of honest answers under load.
 */
import type { Message } from "./ws-messages.ts";
import {
  forgetLeft,
  type Peer,
  type PeerHolder,
  SWARMS_LEFT_MAX,
  swarmsLeftBy,
} from "./ws-swarms.ts";

/** Browsers throw their offers away after 50 s. */
const ANSWER_SECONDS = 60;

/** Announces whose offers can be unanswered at a time. */
const ANNOUNCES_OPEN = 2;

/** Receivers that are looked at for each offer: some may not take what was sent to them. */
const LOOKS_PER_OFFER = 4;

const WORDS_PER_OFFER = 2;

// What stands before the SDP of what is passed on.
const BEFORE_OFFER = '{"action":"announce","offer":{"type":"offer","sdp":"';
const BEFORE_ANSWER = '{"action":"announce","answer":{"type":"answer","sdp":"';

export class Offers {
  readonly #words: number;
  readonly #key = crypto.getRandomValues(new Int32Array(2));

  constructor(offersMax: number) {
    this.#words = WORDS_PER_OFFER * ANNOUNCES_OPEN * offersMax;
  }

  /** Passes the offers of `peer` on, one to a receiver. Returns the number. */
  pass(peer: Peer, { offers }: Message, nowSeconds: number): number {
    const { peers, seeders } = peer.swarm;
    const from = peer.isSeeder ? seeders : 0;
    const candidates = peers.length - from;
    if (candidates === 0 || offers.length === 0) return 0;
    const looks = Math.min(candidates, LOOKS_PER_OFFER * offers.length);
    let at = Math.floor(Math.random() * candidates);
    let passed = 0;
    let ids = "";
    for (let look = 0; look < looks && passed < offers.length; look++) {
      const receiver = peers[from + at];
      // To send may close connections that hold too much, with their peers.
      if (receiver === undefined) break;
      at = at + 1 === candidates ? 0 : at + 1;
      if (receiver === peer || receiver.holder.isFull) continue;
      const { id, sdp } = offers[passed];
      if (!this.#expect(peer, this.#hash(id, receiver.holder), nowSeconds)) break;
      if (ids === "") ids = idsOf(peer);
      receiver.holder.relay(BEFORE_OFFER, sdp, `"},"offer_id":${JSON.stringify(id)}${ids}`);
      passed += 1;
    }
    return passed;
  }

  /** Passes the answer of `peer` on, if it is expected. */
  answer(peer: Peer, { toPeerId, offerId, sdp }: Message, nowSeconds: number): boolean {
    const { swarm, holder } = peer;
    const receiver = swarm.find(toPeerId);
    if (receiver === undefined || receiver === peer || receiver.holder.isFull) return false;
    if (!this.#take(receiver, this.#hash(offerId, holder), nowSeconds)) return false;
    const after = `"},"offer_id":${JSON.stringify(offerId)}${idsOf(peer)}`;
    receiver.holder.relay(BEFORE_ANSWER, sdp, after);
    return true;
  }

  /** Gives back what holds no offer that may still be answered. */
  forgetOld(peer: Peer, nowSeconds: number): void {
    if (peer.expected !== undefined && isOver(peer.expected, nowSeconds)) peer.expected = undefined;
  }

  /** The same for the swarms that a connection has left. */
  forgetLeft(holder: PeerHolder, nowSeconds: number): void {
    if (swarmsLeftBy(holder) > 0) forgetLeft(holder, (expected) => isOver(expected, nowSeconds));
  }

  #expect(peer: Peer, hash: number, nowSeconds: number): boolean {
    const { holder } = peer;
    if (peer.expected === undefined && swarmsLeftBy(holder) >= SWARMS_LEFT_MAX) {
      this.forgetLeft(holder, nowSeconds);
      if (swarmsLeftBy(holder) >= SWARMS_LEFT_MAX) return false;
    }
    const expected = (peer.expected ??= new Int32Array(this.#words));
    for (let at = 0; at < expected.length; at += WORDS_PER_OFFER) {
      if (expected[at + 1] >= nowSeconds) continue;
      expected[at] = hash;
      expected[at + 1] = Math.floor(nowSeconds) + ANSWER_SECONDS;
      return true;
    }
    return false;
  }

  #take({ expected }: Peer, hash: number, nowSeconds: number): boolean {
    if (expected === undefined) return false;
    for (let at = 0; at < expected.length; at += WORDS_PER_OFFER) {
      if (expected[at] !== hash || expected[at + 1] < nowSeconds) continue;
      expected[at + 1] = 0;
      return true;
    }
    return false;
  }

  /** The keyed hash of an offer id and its receiver. */
  #hash(offerId: string, { number }: PeerHolder): number {
    let hash = Math.imul(number, 0x9e3779b1) ^ this.#key[0];
    for (let i = 0; i < offerId.length; i++) {
      hash = Math.imul(hash ^ offerId.charCodeAt(i), 0x85ebca6b);
      hash ^= (hash >>> 15) ^ this.#key[1];
    }
    return hash | 0;
  }
}

/** The end of what is passed on of a peer. */
function idsOf({ id, swarm }: Peer): string {
  return `,"peer_id":${JSON.stringify(id)},"info_hash":${JSON.stringify(swarm.infoHash)}}`;
}

/** True if none of these offers may be answered any more. */
function isOver(expected: Int32Array, nowSeconds: number): boolean {
  for (let at = 1; at < expected.length; at += WORDS_PER_OFFER) {
    if (expected[at] >= nowSeconds) return false;
  }
  return true;
}
