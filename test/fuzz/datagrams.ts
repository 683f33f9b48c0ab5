/**
 * Campaigns against the journey of a datagram, in process: batches of mutated packets from honest
 * and dishonest senders, and guesses of connection ids.
 */
import type { OwnAddresses } from "../../src/limits/own-addresses.ts";
import { isUnusableSource } from "../../src/net/addresses.ts";
import { Counters, counterMemory, COUNTERS } from "../../src/counters/counters.ts";
import { Intervals } from "../../src/limits/intervals.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import {
  ConnectionIds,
  PROOF_FRESH,
  PROOF_NETWORK,
  PROOF_NONE,
} from "../../src/udp/connection-ids.ts";
import {
  ADDRESS_SLOT,
  BATCH_SIZE,
  Datagrams,
  REPLY_SLOT,
  REQUEST_SLOT,
} from "../../src/udp/datagrams.ts";
import { Journey, type UdpSettings } from "../../src/udp/journey.ts";
import { limitsOf } from "../limits/fixture.ts";
import { MIB, makeMemory } from "../swarm/fixture.ts";
import { brokenInvariants } from "../swarm/invariants.ts";
import { ID_SECONDS, KEY, SETTINGS, TTL } from "../udp/fixture.ts";
import { mutatePacket } from "./mutations.ts";
import { judgeDatagram, MAGIC, must } from "./oracle.ts";
import type { Random } from "./random.ts";
import type { Campaign } from "./readers.ts";
import { udpPackets } from "./seeds.ts";

const INVARIANTS_EVERY = 1000;

/** Everything that answers a datagram, and what is needed to judge it. */
class Range {
  readonly datagrams = new Datagrams();
  readonly counters = new Counters(counterMemory(1), 0);
  readonly tracker: Tracker;
  readonly sweep: Sweep;
  readonly journey: Journey;
  readonly settings: UdpSettings;
  /** A second keeper of ids, so that the oracle does not ask the one under test. */
  readonly ids = new ConnectionIds(KEY, TTL);
  seconds = 0;
  readonly own: OwnAddresses;

  /** Our own addresses among those that announce, of either family. */
  constructor(settings: Partial<UdpSettings>, own: readonly string[]) {
    this.settings = { ...SETTINGS, ...settings };
    const { limits } = limitsOf({ own: [...own] });
    this.own = limits.own;
    const memory = makeMemory(16 * MIB, false, { claims: this.settings.allowIpField });
    this.tracker = new Tracker(new Store(memory), this.datagrams.replyMemory);
    this.sweep = new Sweep(this.tracker.store);
    this.journey = new Journey({
      datagrams: this.datagrams,
      tracker: this.tracker,
      ids: new ConnectionIds(KEY, TTL),
      intervals: new Intervals({ interval: 1800, jitterPercent: 10, minimum: 900 }),
      counters: this.counters,
      settings: this.settings,
      limits,
    });
  }

  /** Puts a mutated packet and a sender into a slot. Returns what its id proves. */
  load(random: Random, slot: number, seed: Uint8Array): number {
    const { requests, requestLengths, addresses, families } = this.datagrams;
    const at = slot * REQUEST_SLOT;
    const packet = requests.subarray(at, at + REQUEST_SLOT);
    packet.set(seed);
    const from = slot * ADDRESS_SLOT;
    this.#place(random, addresses, from);
    families[slot] = random.oneIn(3) ? 6 : 4;
    // A reader of packets is meant to look at the length first: what lies behind it is old.
    const length = mutatePacket(random, packet, seed.length);
    requestLengths[slot] = length;
    random.fill(packet, 12, 16);
    const family = families[slot] as 4 | 6;
    if (packet[11] !== 0 && !random.oneIn(4)) {
      // Some ids are old, and some are those of a neighbour.
      const issued = this.#idSeconds() - (random.oneIn(4) ? random.below(2 * TTL) : 0);
      if (random.oneIn(4)) addresses[from + 15]! ^= 1;
      this.ids.write(addresses, from, family, issued, packet, 0);
      if (random.oneIn(4)) addresses[from + 15]! ^= 1;
      if (random.oneIn(16)) packet[random.below(8)]! ^= 1 << random.below(8);
    } else if (random.oneIn(2)) {
      packet.set(MAGIC);
    }
    return this.ids.proofOf(addresses, from, family, this.#idSeconds(), requests, at);
  }

  /** A few hundred addresses, so that the same peers come back; some that nobody can have. */
  #place(random: Random, addresses: Uint8Array, at: number): void {
    addresses.fill(0, at, at + ADDRESS_SLOT);
    addresses[at] = random.oneIn(32) ? random.pick([0, 127, 224, 255]) : 0x2a;
    addresses[at + 3] = random.below(100);
    addresses[at + 15] = random.below(4);
  }

  #idSeconds(): number {
    return ID_SECONDS + this.seconds;
  }

  answer(slot: number): void {
    this.journey.answer(slot, this.seconds, this.#idSeconds());
  }

  judge(slot: number, proof: number): void {
    const { requests, requestLengths, replies, replyLengths, families, addresses } = this.datagrams;
    if (replyLengths[slot] === 0) return;
    const bytes = requests.subarray(
      slot * REQUEST_SLOT,
      slot * REQUEST_SLOT + requestLengths[slot]!,
    );
    const reply = replies.subarray(slot * REPLY_SLOT, slot * REPLY_SLOT + replyLengths[slot]!);
    const family = families[slot] as 4 | 6;
    const { replyBytes, scrapeMax, refusePrivate } = this.settings;
    const address = addresses.subarray(slot * ADDRESS_SLOT, slot * ADDRESS_SLOT + ADDRESS_SLOT);
    try {
      const limits = { replyBytesMax: replyBytes, scrapeMax, mayRefuse: refusePrivate };
      judgeDatagram({ bytes, proven: proof !== PROOF_NONE, family, ...limits }, reply);
      const grows = reply.length > bytes.length && proof !== PROOF_FRESH;
      must(!grows, "an address that is not proven lately gets more than it sent");
      must(proof !== PROOF_NETWORK || reply[3] !== 1 || reply.length === 20, "a neighbour's peers");
      if (!this.settings.allowIpField) judgeSelf(bytes, family, address, reply);
      judgePeers(family, this.own, reply);
    } catch (error) {
      const what = `${address.toHex()} sent ${bytes.toHex()}\ngot ${reply.toHex()}`;
      throw new Error(`${(error as Error).message}\n${what}`);
    }
  }

  /** What does not hold in the core and the counters after `asked` datagrams. */
  settle(asked: number): void {
    this.seconds += 60;
    for (let slices = 0; slices < 600; slices++) this.sweep.slice(this.seconds, 10_000);
    const broken = brokenInvariants(this.tracker);
    must(broken.length === 0, broken.join("\n"));
    const outcomes = COUNTERS.filter((name) => /^udp(:|Conn|Ann|Scr)/.test(name));
    const counted = outcomes.reduce((sum, name) => sum + this.counters.total(name), 0);
    must(counted === asked, `${asked} datagrams were answered or dropped, ${counted} counted`);
  }
}

/** Nobody is told of themselves. */
function judgeSelf(bytes: Uint8Array, family: 4 | 6, address: Uint8Array, reply: Uint8Array): void {
  if (reply[3] !== 1) return;
  const size = family === 4 ? 4 : 16;
  for (let at = 20; at < reply.length; at += size + 2) {
    let same = bytes[96] === reply[at + size] && bytes[97] === reply[at + size + 1];
    for (let i = 0; same && i < size; i++) same = reply[at + i] === address[i];
    must(!same, "the announcer is told of itself");
  }
}

/** Nobody is told of an address of ours, nor of one that nobody has, nor of port 0. */
function judgePeers(family: 4 | 6, own: OwnAddresses, reply: Uint8Array): void {
  if (reply[3] !== 1) return;
  const size = family === 4 ? 4 : 16;
  for (let at = 20; at < reply.length; at += size + 2) {
    must(!own.has(reply, at, family), "an address of ours is handed out");
    must(!isUnusableSource(reply, at, family), "an address that nobody has is handed out");
    must((reply[at + size]! | reply[at + size + 1]!) !== 0, "a peer with port 0 is handed out");
  }
}

/** Mutated packets through the journey, under settings that reach every branch. */
export function journeyCampaign(
  name: string,
  settings: Partial<UdpSettings>,
  own: readonly string[] = [],
): Campaign {
  const seeds = udpPackets();
  const range = new Range(settings, own);
  const proofs = new Uint8Array(BATCH_SIZE);
  let asked = 0;
  return {
    name: `datagrams (${name})`,
    run(random, count) {
      for (let done = 0; done < count; done += BATCH_SIZE) {
        for (let slot = 0; slot < BATCH_SIZE; slot++) {
          proofs[slot] = range.load(random, slot, random.pick(seeds));
        }
        for (let slot = 0; slot < BATCH_SIZE; slot++) range.answer(slot);
        for (let slot = 0; slot < BATCH_SIZE; slot++) range.judge(slot, proofs[slot]!);
        asked += BATCH_SIZE;
        range.seconds += 0.01;
        if ((done / BATCH_SIZE) % INVARIANTS_EVERY === INVARIANTS_EVERY - 1) range.settle(asked);
      }
      range.settle(asked);
    },
  };
}

/** Guessed connection ids: none may be accepted. */
export function guessCampaign(): Campaign {
  const ids = new ConnectionIds(KEY, TTL);
  const bytes = new Uint8Array(16 + 8);
  const words = new Uint32Array(bytes.buffer);
  return {
    name: "guesses of connection ids",
    run(random, count) {
      random.fill(bytes, 0, 16);
      for (let i = 0; i < count; i++) {
        words[4] = random.word();
        words[5] = random.word();
        // Only guesses whose open bits name a live slot cost the tracker a MAC; all of them count.
        const proof = ids.proofOf(bytes, 0, 4, ID_SECONDS, bytes, 16);
        must(proof === PROOF_NONE, `guessed ${bytes.toHex()}`);
      }
    },
  };
}
