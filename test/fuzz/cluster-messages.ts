/**
 * A campaign against what other trackers say: messages of every kind, most of them damaged, some
 * of whole exchanges in which the records of a pull come from a stranger. An input is a message.
 *
 * Nothing is thrown, the core stays whole, and what is remembered of trackers stays bounded.
 */
import { Access } from "../../src/access/access.ts";
import { Applying } from "../../src/cluster/applying.ts";
import { Outboxes, outboxMemory } from "../../src/cluster/outbox.ts";
import { Sharing } from "../../src/cluster/sharing.ts";
import {
  type Ask,
  askMessage,
  deltaBytes,
  deltasMessage,
  type Had,
  helloMessage,
  KIND_ASK,
  readMessage,
  stateMessage,
} from "../../src/cluster/wire.ts";
import { PeerGate } from "../../src/gates/peer-gate.ts";
import { VERDICT_OK } from "../../src/gates/verdicts.ts";
import { Limits } from "../../src/limits/limits.ts";
import { chunkBytes, CHUNK_HEADER_BYTES } from "../../src/snapshot/format.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { makeMemory, MIB, trackerOver } from "../swarm/fixture.ts";
import { brokenInvariants } from "../swarm/invariants.ts";
import { must } from "./oracle.ts";
import type { Random } from "./random.ts";
import type { Campaign } from "./readers.ts";
import { recordOf } from "./snapshots.ts";

const SELF = "0000000000000000";
const ORIGINS_MAX = 1024;
const MESSAGES_A_TRACKER = 2048;
const KEPT_SECONDS = 2700;
const DELTAS_MAX = 12;

const originOf = (random: Random): string =>
  random
    .below(random.oneIn(8) ? 2000 : 4)
    .toString(16)
    .padStart(16, "0");

const numberOf = (random: Random): number =>
  random.oneIn(4) ? random.word() >>> 0 : random.below(50);

function hadOf(random: Random): Had[] {
  return Array.from({ length: random.below(6) }, () => ({
    ...{ origin: originOf(random), number: numberOf(random), heard: numberOf(random) },
    ...(random.oneIn(2) ? {} : { ageSeconds: random.below(20_000) }),
  }));
}

function recordsOf(random: Random): Uint8Array {
  const parts = Array.from({ length: random.below(DELTAS_MAX) }, () => {
    const flags = random.below(32);
    const bytes = new Uint8Array(deltaBytes(flags));
    random.fill(bytes, 0, bytes.length);
    // Mostly of few swarms and peers, so that they meet.
    if (!random.oneIn(4)) bytes.fill(0, 3, bytes.length - 4);
    bytes[0] = flags;
    bytes[1] = random.oneIn(8) ? random.below(256) : 0;
    return bytes;
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** A chunk with a right checksum. */
function chunkOf(random: Random): Uint8Array {
  const records = new Uint8Array(
    Buffer.concat(Array.from({ length: 1 + random.below(8) }, () => recordOf(random))),
  );
  const chunk = new Uint8Array(CHUNK_HEADER_BYTES + records.length);
  chunk.set(chunkBytes(random.oneIn(4) ? random.word() >>> 0 : 0, random.below(128), records));
  chunk.set(records, CHUNK_HEADER_BYTES);
  return chunk;
}

/** A sound message; if this tracker has asked for something, often an answer to it. */
function messageOf(random: Random, asked: { giver: string; ask: Ask } | undefined): Uint8Array {
  const isAnswer = asked !== undefined && !random.oneIn(3);
  const sender = { origin: isAnswer ? asked.giver : originOf(random), number: numberOf(random) };
  const session = isAnswer ? asked.ask.session : random.below(4);
  if (isAnswer || random.oneIn(6)) {
    const chunk = random.oneIn(8) ? undefined : chunkOf(random);
    const tickSeconds = random.pick([45, 45, 60, 1, 0, 65_535]);
    const number = random.below(3);
    return stateMessage(sender, { session, tickSeconds, number, chunk, had: hadOf(random) });
  }
  if (random.oneIn(3)) return deltasMessage(sender, recordsOf(random));
  if (random.oneIn(2)) {
    const sinceSeconds = random.pick([0, 60, 65_534, Infinity]);
    const credit = random.pick([0, 1, 16, 65_535]);
    return askMessage(sender, { session, begins: random.oneIn(2), sinceSeconds, credit });
  }
  const flags = { drains: random.oneIn(4), behind: random.oneIn(4), partial: random.oneIn(4) };
  const keepsSeconds = random.below(65_535);
  const [upSeconds, clockSeconds] = [random.below(20_000), random.word() >>> 0];
  const times = { keepsSeconds, upSeconds, clockSeconds };
  return helloMessage(sender, { ...times, ...flags, had: hadOf(random), name: "x" });
}

/** Half of the messages lose an end, gain one, or have some bytes changed. */
function damage(random: Random, bytes: Uint8Array): Uint8Array {
  if (random.oneIn(2)) return bytes;
  if (random.oneIn(3)) return bytes.subarray(0, random.below(bytes.length + 1));
  const longer = new Uint8Array(bytes.length + (random.oneIn(3) ? random.below(40) : 0));
  random.fill(longer, bytes.length, longer.length);
  longer.set(bytes);
  for (let changes = random.below(4); changes > 0; changes--) {
    longer[random.below(longer.length)] = random.below(256);
  }
  return longer;
}

/** One tracker that hears `count` messages. */
function listen(random: Random, count: number): void {
  const tracker = trackerOver(makeMemory(4 * MIB, false));
  const { store } = tracker;
  const gate = new PeerGate(new Access(), new Limits(), random.oneIn(2));
  let asked: { giver: string; ask: Ask } | undefined;
  const sharing = new Sharing({
    ...{ origin: SELF, node: "self", startedAt: 9000, store, random: () => 0.5 },
    applying: new Applying(new Tracker(store, new ArrayBuffer(64)), gate),
    outboxes: new Outboxes(outboxMemory(1)),
    link: {
      up: true,
      sendAll: (bytes) => typeof readMessage(bytes) !== "string",
      sendTo(giver, bytes) {
        const message = readMessage(bytes);
        must(typeof message !== "string", "an own message cannot be read");
        if (typeof message !== "string" && message.kind === KIND_ASK)
          asked = { giver, ask: message };
        return true;
      },
    },
    judge: () => ({
      maySwarm: (hash) => gate.judgeSwarm(hash) === VERDICT_OK,
      mayPeer: (peer, at, family, port) => gate.passes(peer, at, family, port),
    }),
    keptSeconds: () => KEPT_SECONDS,
    ownKeptSeconds: () => KEPT_SECONDS,
    ended: () => (asked = undefined),
    forged: () => {},
    otherVersion: () => {},
  });
  let now = 10_000;
  for (let i = 0; i < count; i++) {
    sharing.heard(damage(random, messageOf(random, asked)), now);
    now += random.oneIn(200) ? random.below(6000) : 0.02;
    if (random.oneIn(4)) sharing.turn(now);
    if (random.oneIn(50)) sharing.hello(now);
    for (let slices = 0; slices < 4 && sharing.works; slices++) sharing.slice(now);
    if (random.oneIn(500)) sharing.cutOff(now);
  }
  must([...sharing.ledger.origins].length <= ORIGINS_MAX, "too many trackers are remembered");
  const broken = brokenInvariants(tracker);
  must(broken.length === 0, broken.slice(0, 3).join("; "));
}

export function clusterCampaign(): Campaign {
  return {
    name: "messages of a cluster, most of them damaged",
    run(random, count) {
      for (let done = 0; done < count; done += MESSAGES_A_TRACKER)
        listen(random, MESSAGES_A_TRACKER);
    },
  };
}
