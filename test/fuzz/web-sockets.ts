/**
 * The campaign against what a client sends behind the handshake: frames, fragments and messages,
 * whole, cut and mutated.
 *
 * What is promised: nothing throws; what is sent are whole frames, unmasked, of JSON with an action
 * or a failure reason; nothing follows a close; cut at any byte, the bytes end the connection with
 * the same code; and when all have left no peer and no swarm is there.
 */
import { type FakeClient, frame, HASH, openEngine } from "../ws/fixture.ts";
import { mutateText } from "./mutations.ts";
import { must } from "./oracle.ts";
import type { Random } from "./random.ts";
import { type Campaign, judge } from "./readers.ts";

const ID = "-WW0208-123456789012";
const OFFER = '{"offer":{"type":"offer","sdp":"v=0"},"offer_id":"oooooooooooooooooooo"}';
const SEEDS = [
  JSON.stringify({
    action: "announce",
    info_hash: HASH,
    peer_id: ID,
    left: null,
    event: "started",
  }),
  `{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaaa","peer_id":"${ID}","offers":[${OFFER}]}`,
  `{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaaa","peer_id":"${ID}","event":"stopped"}`,
  `{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaaa","peer_id":"${ID}","event":"completed",` +
    '"left":0}',
  `{"action":"announce","info_hash":"aaaaaaaaaaaaaaaaaaaa","peer_id":"${ID}",` +
    `"to_peer_id":"${ID}",` +
    '"offer_id":"oooooooooooooooooooo","answer":{"type":"answer","sdp":"v=0"}}',
  '{"action":"scrape","info_hash":["aaaaaaaaaaaaaaaaaaaa"]}',
  '{"action":"scrape","info_hash":[]}',
  "null",
  "",
];
const CHARACTERS = '{}[]",:\\0n1.é\u0100\ud800\u0000';
const OPCODES = [0, 1, 1, 1, 1, 2, 8, 9, 10, 3, 15];

/** Frames: most of them right, some wrong in one respect. */
function someFrames(random: Random): Buffer {
  const frames = Array.from({ length: 1 + random.below(4) }, () => {
    const seed = random.pick(SEEDS);
    const text = random.below(2) === 0 ? seed : mutateText(random, seed, CHARACTERS);
    const payload = Buffer.from(text, random.below(8) === 0 ? "latin1" : "utf8");
    const opcode = random.below(3) > 0 ? 1 : random.pick(OPCODES);
    const control = opcode >= 8 ? payload.subarray(0, 125) : payload;
    return frame(control, {
      opcode,
      fin: random.below(6) > 0,
      rsv: random.below(40) === 0 ? 0x40 : 0,
      masked: random.below(40) > 0,
      key: [random.below(256), random.below(256), random.below(256), random.below(256)],
    });
  });
  const bytes = Buffer.concat(frames);
  if (random.below(4) === 0) bytes[random.below(bytes.length)] = random.below(256);
  return random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
}

/** Checks what was sent; returns the code of the close, -1 without one. */
function judgeSent(client: FakeClient): number {
  const frames = client.frames();
  for (const { opcode, payload } of frames) {
    if (opcode !== 1) continue;
    const message = JSON.parse(payload.toString("utf8")) as Record<string, unknown>;
    const fails = typeof message["failure reason"] === "string";
    must(fails || message["action"] === "announce" || message["action"] === "scrape", "a message");
  }
  const close = frames.findIndex(({ opcode }) => opcode === 8);
  must(close < 0 || close === frames.length - 1, "nothing follows a close");
  must(client.line.ended === close >= 0, "a close is sent when it ends");
  if (close < 0) return -1;
  const { payload } = frames[close]!;
  return payload.length === 0 ? 0 : payload.readUInt16BE(0);
}

export function webSocketCampaign(): Campaign {
  return {
    name: "WebSocket frames and messages",
    run(random, count) {
      const { join, swarms, bugs, clock } = openEngine();
      for (let i = 0; i < count; i++) {
        const bytes = someFrames(random);
        judge(bytes.toString("latin1"), () => {
          const [whole, cut] = [join(), join("192.0.2.2")];
          whole.bytes(bytes);
          const at = random.below(bytes.length + 1);
          cut.bytes(bytes.subarray(0, at));
          if (!cut.line.ended) cut.bytes(bytes.subarray(at));
          clock.now += 0.1;
          must(judgeSent(whole) === judgeSent(cut), "the same end in pieces");
          must(bugs.length === 0, String(bugs[0]));
          whole.leave();
          cut.leave();
          must(swarms.size === 0 && swarms.peers === 0, "nothing is left");
        });
      }
    },
  };
}
