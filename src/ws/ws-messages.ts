/**
 * Messages: the text of a frame becomes one checked record, or the sentence that says what is
 * wrong with it.
 *
 *   {"action":"announce","info_hash":"…","peer_id":"…","left":0,"event":"started","offers":[…]}
 *   {"action":"announce","info_hash":"…","peer_id":"…","to_peer_id":"…","offer_id":"…",
 *    "answer":{"type":"answer","sdp":"…"}}
 *   {"action":"scrape","info_hash":"…" or ["…", …]}
 *
 * 20 bytes are a string of 20 characters from U+0000 to U+00FF. There is no specification: what
 * clients send and trackers do decides. Only `left: 0` is a seeder: browsers send null for a
 * magnet, and some leave it out. What is not known here is ignored, and never sent on.
 */
import { EVENT_COMPLETED, EVENT_NONE, EVENT_STARTED, EVENT_STOPPED } from "../constants.ts";
import { RawTexts } from "./raw-texts.ts";

export const KIND_ANNOUNCE = 1;
export const KIND_ANSWER = 2;
export const KIND_SCRAPE = 3;

/** An offer that may be passed on. */
export interface Offer {
  id: string;
  /** As it is in JSON, valid until the next message is read: see raw-texts.ts. */
  sdp: Uint8Array;
}

/** Events that matter; all others are plain announces, `paused` [BEP 21] among them. */
const EVENTS = new Map([
  ["started", EVENT_STARTED],
  ["completed", EVENT_COMPLETED],
  ["stopped", EVENT_STOPPED],
]);

const WORDS = "must be a string of 20 characters from U+0000 to U+00FF";

const NOTHING = new Uint8Array(0);

/** The message that was read last; reused for each. */
export class Message {
  /** KIND_ number; of a wrong message what was found of it. */
  kind = 0;
  /** The action, if it is one; "" if not. */
  action = "";
  /** The info hash of an announce or answer; "" if it is not valid. */
  infoHash = "";
  peerId = "";
  event = EVENT_NONE;
  isSeeder = false;
  /** The offers that may be passed on, and the number of those that may not. */
  offers: Offer[] = [];
  skippedOffers = 0;
  /** Of an answer. */
  toPeerId = "";
  offerId = "";
  sdp: Uint8Array = NOTHING;
  /** Of a scrape. */
  infoHashes: string[] = [];

  readonly #rawTexts = new RawTexts();

  /**
   * Reads a payload, which is UTF-8. Returns "" and sets all fields of its kind, or says what is
   * wrong with it.
   */
  read(payload: Buffer, offersMax: number): string {
    this.kind = 0;
    this.action = this.infoHash = "";
    let value: unknown;
    try {
      value = JSON.parse(this.#rawTexts.leaveOut(payload));
    } catch {
      return "the message is not JSON";
    }
    if (!isObject(value)) return "the message must be a JSON object";
    const { action } = value;
    if (action === "scrape") return this.#readScrape(value);
    if (action !== "announce") return "action must be announce or scrape";
    this.action = action;
    if (!isWord(value["info_hash"])) return `info_hash ${WORDS}`;
    this.infoHash = value["info_hash"];
    if (!isWord(value["peer_id"])) return `peer_id ${WORDS}`;
    this.peerId = value["peer_id"];
    if (value["answer"] !== undefined && value["answer"] !== null) return this.#readAnswer(value);
    this.kind = KIND_ANNOUNCE;
    this.isSeeder = value["left"] === 0;
    this.event = EVENTS.get(value["event"] as string) ?? EVENT_NONE;
    this.#readOffers(value["offers"], offersMax);
    return "";
  }

  #readAnswer({ answer, to_peer_id, offer_id }: Members): string {
    this.kind = KIND_ANSWER;
    if (!isWord(to_peer_id)) return `to_peer_id ${WORDS}`;
    if (!isOfferId(offer_id)) return `offer_id ${WORDS}`;
    const sdp = this.#sdpOf(answer, "answer");
    if (sdp === undefined) return "answer must have the type answer and a text as sdp";
    this.toPeerId = to_peer_id;
    this.offerId = offer_id;
    this.sdp = sdp;
    return "";
  }

  /** What is no offer is skipped: one bad one must not cost the others. */
  #readOffers(offers: unknown, most: number): void {
    this.offers = [];
    this.skippedOffers = 0;
    if (!Array.isArray(offers) || this.event === EVENT_STOPPED) return;
    for (const each of offers) {
      const sdp = isObject(each) ? this.#sdpOf(each["offer"], "offer") : undefined;
      const id = isObject(each) ? each["offer_id"] : undefined;
      if (sdp === undefined || !isOfferId(id) || this.offers.length >= most) {
        this.skippedOffers += 1;
      } else {
        this.offers.push({ id, sdp });
      }
    }
  }

  /** The SDP of an offer or answer; undefined if the value has another type or is too long. */
  #sdpOf(value: unknown, type: string): Uint8Array | undefined {
    return isObject(value) && value["type"] === type ? this.#rawTexts.of(value["sdp"]) : undefined;
  }

  #readScrape({ info_hash }: Members): string {
    this.action = "scrape";
    this.kind = KIND_SCRAPE;
    const hashes: unknown[] = Array.isArray(info_hash) ? info_hash : [info_hash];
    if (info_hash === undefined) return "info_hash is missing";
    if (!hashes.every(isWord)) return `info_hash, or each of a list, ${WORDS}`;
    this.infoHashes = hashes;
    return "";
  }
}

type Members = Record<string, unknown>;

function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True for 20 characters that stand for bytes. */
function isWord(value: unknown): value is string {
  if (typeof value !== "string" || value.length !== 20) return false;
  for (let i = 0; i < 20; i++) if (value.charCodeAt(i) > 0xff) return false;
  return true;
}

/** Its characters are not read here, only compared and passed on. */
function isOfferId(value: unknown): value is string {
  return typeof value === "string" && value.length === 20;
}
