/**
 * The campaign against the reader of WebSocket messages, which leaves the texts of offers and
 * answers out of what JSON.parse reads.
 *
 * What is promised: it says of every text what a slow reader says, which reads the whole with
 * JSON.parse; and what it passes on is the same text.
 */
import { isUtf8 } from "node:buffer";
import { EVENT_STOPPED } from "../../src/constants.ts";
import { KIND_ANNOUNCE, KIND_ANSWER, KIND_SCRAPE, Message } from "../../src/ws/ws-messages.ts";
import { HASH } from "../ws/fixture.ts";
import { mutateText } from "./mutations.ts";
import { must } from "./oracle.ts";
import type { Random } from "./random.ts";
import { type Campaign, judge } from "./readers.ts";

const OFFERS_MAX = 3;
/** Of an SDP, in characters. */
const SDP_SIZE_MAX = 16 * 1024;

const PEER_ID = "-WW0208-123456789012";
const common = { action: "announce", info_hash: HASH, peer_id: PEER_ID };
const offer = (sdp: unknown) => ({ offer: { type: "offer", sdp }, offer_id: "o".repeat(20) });
const SEEDS = [
  { ...common, left: 0, offers: [offer("v=0\r\no=- 1"), offer('"sdp":"\\'), offer("é😀\ud800")] },
  { ...common, offers: [offer(1), { sdp: "x" }, offer("a".repeat(20)), offer(""), offer("b")] },
  { ...common, event: "stopped", offers: [offer("v=0")] },
  {
    ...common,
    to_peer_id: PEER_ID,
    offer_id: "o".repeat(20),
    answer: { type: "answer", sdp: "v=0\r\n\u0000\u2028" },
  },
  { action: "scrape", info_hash: [HASH, HASH], sdp: "v=0" },
].map((each) => JSON.stringify(each));

const CHARACTERS = '{}[]",:\\0n1.eu é\u0100\ud800\u0000';
const PIECES = [
  '"sdp":"',
  "\\x",
  '"sdp" : "',
  '","',
  "\\u00",
  "\\ud83d",
  "\\\\",
  '\\"',
  "1e9",
  "é",
];

function someText(random: Random): Buffer {
  let text = random.pick(SEEDS);
  for (let changes = random.below(4); changes > 0; changes--) {
    const at = random.below(text.length + 1);
    if (random.oneIn(2)) text = mutateText(random, text, CHARACTERS);
    else text = text.slice(0, at) + random.pick(PIECES) + text.slice(at + random.below(3));
  }
  if (random.oneIn(64)) text = text.replace("v=0", "x".repeat(SDP_SIZE_MAX - 8 + random.below(16)));
  const bytes = Buffer.from(text);
  if (random.oneIn(4) && bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
  return bytes;
}

type Members = Record<string, unknown>;
const isObject = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is string => typeof value === "string" && value.length === 20;
const isWord = (value: unknown): value is string =>
  isId(value) && [...value].every((each) => each.codePointAt(0)! < 0x100);

/** The text of a valid offer or answer. */
function textOf(value: unknown, type: string): string | undefined {
  if (!isObject(value) || value["type"] !== type) return undefined;
  const { sdp } = value;
  return typeof sdp === "string" && sdp.length <= SDP_SIZE_MAX ? sdp : undefined;
}

/** What matters of the message; undefined if it is wrong. */
function readSlowly(bytes: Buffer): unknown[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { action, info_hash, peer_id, left, event, answer, offers } = value;
  if (action === "scrape") {
    const hashes = Array.isArray(info_hash) ? info_hash : [info_hash];
    return hashes.every(isWord) ? [KIND_SCRAPE, hashes] : undefined;
  }
  if (action !== "announce" || !isWord(info_hash) || !isWord(peer_id)) return undefined;
  if (answer !== undefined && answer !== null) {
    const { to_peer_id, offer_id } = value;
    const sdp = textOf(answer, "answer");
    if (!isWord(to_peer_id) || !isId(offer_id) || sdp === undefined) return undefined;
    return [KIND_ANSWER, info_hash, peer_id, to_peer_id, offer_id, sdp];
  }
  const all: unknown[] = Array.isArray(offers) && event !== "stopped" ? offers : [];
  const right = all.flatMap((each) => {
    const sdp = isObject(each) ? textOf(each["offer"], "offer") : undefined;
    return sdp !== undefined && isId((each as Members)["offer_id"])
      ? [[(each as Members)["offer_id"], sdp]]
      : [];
  });
  const passed = right.slice(0, OFFERS_MAX);
  const plain = [info_hash, peer_id, left === 0, event === "stopped"];
  return [KIND_ANNOUNCE, ...plain, passed, all.length - passed.length];
}

const parse = (sdp: Uint8Array): unknown => JSON.parse(`"${Buffer.from(sdp).toString("utf8")}"`);

function readIt(message: Message, bytes: Buffer): unknown[] | undefined {
  if (message.read(bytes, OFFERS_MAX) !== "") return undefined;
  const { kind, infoHash, peerId, isSeeder, event, offers, skippedOffers } = message;
  if (kind === KIND_SCRAPE) return [kind, message.infoHashes];
  if (kind === KIND_ANSWER) {
    const { toPeerId, offerId, sdp } = message;
    return [kind, infoHash, peerId, toPeerId, offerId, parse(sdp)];
  }
  const passed = offers.map(({ id, sdp }) => [id, parse(sdp)]);
  return [kind, infoHash, peerId, isSeeder, event === EVENT_STOPPED, passed, skippedOffers];
}

export function webSocketMessageCampaign(): Campaign {
  const message = new Message();
  return {
    name: "WebSocket messages, beside a slow reader",
    run(random, count) {
      for (let i = 0; i < count; i++) {
        const bytes = someText(random);
        if (!isUtf8(bytes)) continue;
        judge(bytes.toString("utf8"), () => {
          const [read, slowly] = [readIt(message, bytes), readSlowly(bytes)];
          must(
            Bun.deepEquals(read, slowly),
            `${JSON.stringify(read)}, not ${JSON.stringify(slowly)}`,
          );
        });
      }
    },
  };
}
