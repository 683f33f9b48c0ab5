import { describe, expect, test } from "bun:test";
import { EVENT_COMPLETED, EVENT_NONE, EVENT_STARTED, EVENT_STOPPED } from "../../src/constants.ts";
import { KIND_ANNOUNCE, KIND_ANSWER, KIND_SCRAPE, Message } from "../../src/ws/ws-messages.ts";
import { HASH, type Json, offersOf } from "./fixture.ts";

const ID = "-WW0208-123456789012";
const ANNOUNCE = { action: "announce", info_hash: HASH, peer_id: ID };
const ANSWER = {
  ...ANNOUNCE,
  to_peer_id: "-WW0208-abcdefabcdef",
  offer_id: "o".repeat(20),
  answer: { type: "answer", sdp: "v=0" },
};

const payloadOf = (value: unknown): Buffer =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value));

function read(value: unknown): Message {
  const message = new Message();
  expect(message.read(payloadOf(value), 10)).toBe("");
  return message;
}

const wrong = (value: unknown): string => new Message().read(payloadOf(value), 10);

describe("an announce", () => {
  test("has an info hash and a peer id of 20 bytes each, written as characters", () => {
    const bytes = String.fromCharCode(...Array.from({ length: 20 }, (_, i) => i * 13));
    const message = read({ ...ANNOUNCE, info_hash: bytes });
    expect([message.kind, message.infoHash, message.peerId]).toEqual([KIND_ANNOUNCE, bytes, ID]);
  });

  test("is one of a seeder only if left is the number 0", () => {
    expect(read({ ...ANNOUNCE, left: 0 }).isSeeder).toBe(true);
    for (const left of [null, undefined, 1, "0", "", false, [], [0], {}, -1, 1e300]) {
      expect(read({ ...ANNOUNCE, left }).isSeeder).toBe(false);
    }
  });

  test("is plain unless its event is started, completed or stopped", () => {
    const event = (value: unknown): number => read({ ...ANNOUNCE, event: value }).event;
    expect(event("started")).toBe(EVENT_STARTED);
    expect(event("completed")).toBe(EVENT_COMPLETED);
    expect(event("stopped")).toBe(EVENT_STOPPED);
    for (const plain of ["update", "paused", "", null, undefined, "Started", 2, {}, "__proto__"]) {
      expect(event(plain)).toBe(EVENT_NONE);
    }
  });

  test("has the offers that may be passed on; the others are counted and cost them nothing", () => {
    const [good, other] = offersOf(2);
    const bad: unknown[] = [
      null,
      1,
      "x",
      [],
      {},
      { ...good, offer: null },
      { ...good, offer: { type: "answer", sdp: "" } },
      { ...good, offer: { type: "offer", sdp: 1 } },
      { ...good, offer: { type: "offer", sdp: "x".repeat(16 * 1024 + 1) } },
      { ...good, offer_id: "x" },
      { ...good, offer_id: 12 },
    ];
    const message = read({ ...ANNOUNCE, numwant: 0, offers: [good, ...bad, other] });
    expect(message.offers.map(({ id, sdp }) => [id, String(sdp)])).toEqual([
      [good!["offer_id"], "sdp of o0"],
      [other!["offer_id"], "sdp of o1"],
    ]);
    expect(message.skippedOffers).toBe(bad.length);
  });

  test("has no more offers than the setting allows, and none if it stops", () => {
    expect(read({ ...ANNOUNCE, offers: offersOf(30) }).offers.length).toBe(10);
    expect(read({ ...ANNOUNCE, offers: offersOf(3), event: "stopped" }).offers).toEqual([]);
    for (const offers of [null, undefined, {}, "x", 3]) {
      expect(read({ ...ANNOUNCE, offers }).offers).toEqual([]);
    }
  });
});

test("an answer names its receiver and its offer", () => {
  const { kind, toPeerId, offerId, sdp, infoHash } = read(ANSWER);
  expect([kind, toPeerId, offerId, String(sdp), infoHash]).toEqual([
    KIND_ANSWER,
    ANSWER.to_peer_id,
    ANSWER.offer_id,
    "v=0",
    HASH,
  ]);
});

test("a scrape has one info hash or a list, which may be empty", () => {
  const hashes = (info_hash: unknown): string[] => {
    const message = read({ action: "scrape", info_hash });
    expect(message.kind).toBe(KIND_SCRAPE);
    return message.infoHashes;
  };
  expect(hashes(HASH)).toEqual([HASH]);
  expect(hashes([HASH, ID])).toEqual([HASH, ID]);
  expect(hashes([])).toEqual([]);
});

describe("a wrong message has a sentence", () => {
  const WORD = /must be a string of 20 characters from U\+0000 to U\+00FF$/;
  const SHAPES: [name: string, value: unknown, sentence: RegExp | string][] = [
    ["no JSON", "{", "the message is not JSON"],
    ["an empty text", "", "the message is not JSON"],
    ["null", "null", "the message must be a JSON object"],
    ["a number", "7", "the message must be a JSON object"],
    ["a text", '"x"', "the message must be a JSON object"],
    ["a list", [], "the message must be a JSON object"],
    ["nested lists", "[".repeat(30_000) + "]".repeat(30_000), "the message must be a JSON object"],
    ["an empty object", {}, "action must be announce or scrape"],
    ["another action", { action: "connect" }, "action must be announce or scrape"],
    ["an action in __proto__", '{"__proto__":{"action":"scrape"}}', /^action must be/],
    ["an action that is a list", { action: ["announce"] }, /^action must be/],
    ["no info hash", { action: "announce", peer_id: ID }, WORD],
    ["19 characters", { ...ANNOUNCE, info_hash: HASH.slice(1) }, WORD],
    ["21 characters", { ...ANNOUNCE, peer_id: `${ID}1` }, WORD],
    ["a wide character", { ...ANNOUNCE, peer_id: `${ID.slice(1)}\u0100` }, WORD],
    ["a number as peer id", { ...ANNOUNCE, peer_id: 12345678901234567000 }, WORD],
    ["a list as info hash", { ...ANNOUNCE, info_hash: [HASH] }, WORD],
    ["an answer without an offer", { ...ANSWER, offer_id: null }, /^offer_id/],
    ["an answer to nobody", { ...ANSWER, to_peer_id: "" }, /^to_peer_id/],
    ["an answer that is a text", { ...ANSWER, answer: "v=0" }, /^answer must/],
    ["an answer of type offer", { ...ANSWER, answer: { type: "offer", sdp: "" } }, /^answer must/],
    ["a full scrape", { action: "scrape" }, "info_hash is missing"],
    ["a scrape of null", { action: "scrape", info_hash: null }, WORD],
    ["a scrape of a list with a number", { action: "scrape", info_hash: [HASH, 1] }, WORD],
  ];
  for (const [name, value, sentence] of SHAPES) {
    test(`: ${name}`, () => {
      if (typeof sentence === "string") expect(wrong(value)).toBe(sentence);
      else expect(wrong(value)).toMatch(sentence);
    });
  }

  test(", with the action and the info hash as far as they are known", () => {
    const message = new Message();
    const of = (value: Json): string[] => {
      message.read(payloadOf(value), 10);
      return [message.action, message.infoHash];
    };
    expect(of({ ...ANNOUNCE, peer_id: 1 })).toEqual(["announce", HASH]);
    expect(of({ action: "announce", info_hash: 1 })).toEqual(["announce", ""]);
    expect(of({ action: "scrape" })).toEqual(["scrape", ""]);
    expect(of({})).toEqual(["", ""]);
  });
});
