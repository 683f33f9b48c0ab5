/**
 * One variant of the journey in process, a round at a time: what `metrics-cost.ts` compares.
 *
 *   bun metrics-rounds.ts --notes 1 --histograms 1 --swarms 100000 --peers 1000000
 *
 * No socket: requests are copied into the slots a batch at a time, answered, and thrown away. For
 * every line on standard input one round is run, and one line tells its nanoseconds of CPU time per
 * datagram. All requests are made before the first round and are the same in every variant: a
 * connect and an announce in turn, over IPv4, from addresses whose connection ids are good.
 */
import { readOptions } from "./options.ts";
import { INFO_HASH_WORDS, mix, putInfoHash, Workload } from "./workload.ts";
import { histogramMemory } from "../../src/counters/histograms.ts";
import { counterMemory } from "../../src/counters/counters.ts";
import { notesMemory } from "../../src/notes/notes.ts";
import { Answering } from "../../src/udp/answering.ts";
import { ADDRESS_SLOT, BATCH_SIZE, REPLY_SLOT, REQUEST_SLOT } from "../../src/udp/datagrams.ts";
import { someMemory } from "../swarm/some-memory.ts";

const options = readOptions({ notes: 1, histograms: 1, swarms: 100_000, peers: 1_000_000 });

/** Batches that are made beforehand and gone through again and again, and those of a round. */
const PREPARED = 4096;
const ROUND_BATCHES = 8192;
/** Addresses that announce: each needs a connection id. */
const ADDRESSES = 4096;

const CONNECT_SIZE = 16;
const ANNOUNCE_SIZE = 98;
const WANTED = 30;

const answering = new Answering(
  {
    memory: someMemory({ memoryMax: 2 ** 30, threads: true }),
    counters: counterMemory(2),
    key: new Uint8Array(32).map((_, at) => at * 7 + 1),
    connectionTtlSeconds: 86_400,
    startedSeconds: 1_800_000_000,
    intervals: { interval: 1800, jitterPercent: 10, minimum: 900 },
    settings: {
      numwantDefault: 50,
      numwantMax: 200,
      scrapeMax: 74,
      replyBytes: 1232,
      allowIpField: false,
      refusePrivate: false,
    },
    ...(options.notes ? { notes: notesMemory(2, { tickSeconds: 60, minimumSeconds: 900 }) } : {}),
    ...(options.histograms ? { histograms: histogramMemory(2) } : {}),
  },
  1,
);
const { datagrams } = answering;
const workload = new Workload(options.swarms, options.peers, 1);
const ids = connectionIds();

/** A batch's requests lie one behind the other; a slot of the journey is much longer than they. */
const requests = new Uint8Array(PREPARED * BATCH_SIZE * ANNOUNCE_SIZE);
const sources = new Uint8Array(PREPARED * BATCH_SIZE * ADDRESS_SLOT);

/** A connection id for each address, as the journey gives them. */
function connectionIds(): Uint8Array {
  const out = new Uint8Array(ADDRESSES * 8);
  for (let n = 0; n < ADDRESSES; n++) {
    putAddress(datagrams.addresses, 0, n);
    putConnect(datagrams.requests, 0);
    datagrams.requestLengths[0] = CONNECT_SIZE;
    datagrams.families[0] = 4;
    answering.answer(1);
    out.set(datagrams.replies.subarray(8, 16), n * 8);
  }
  return out;
}

/** Public addresses, as far as the tracker is concerned. */
function putAddress(out: Uint8Array, at: number, n: number): void {
  out[at] = 20 + (n >>> 8);
  out[at + 1] = n & 0xff;
  out[at + 2] = 1;
  out[at + 3] = 1;
}

function putConnect(out: Uint8Array, at: number): void {
  const view = new DataView(out.buffer, out.byteOffset);
  view.setBigUint64(at, 0x41727101980n);
  view.setUint32(at + 8, 0);
  view.setUint32(at + 12, 0xc0ffee01);
}

const hash = new Uint32Array(INFO_HASH_WORDS);
const hashBytes = new Uint8Array(hash.buffer);

function putAnnounce(out: Uint8Array, at: number, peer: number): void {
  const view = new DataView(out.buffer, out.byteOffset);
  const address = peer % ADDRESSES;
  out.set(ids.subarray(address * 8, address * 8 + 8), at);
  view.setUint32(at + 8, 1);
  view.setUint32(at + 12, peer);
  putInfoHash(hash, 0, workload.swarmOf(peer));
  out.set(hashBytes, at + 16);
  view.setBigUint64(at + 64, workload.isSeeder(peer) ? 0n : 50n);
  view.setInt32(at + 92, WANTED);
  view.setUint16(at + 96, workload.portOf(Math.floor(peer / ADDRESSES)));
}

function prepare(): void {
  for (let slot = 0; slot < PREPARED * BATCH_SIZE; slot++) {
    const peer = mix(slot) % options.peers;
    putAddress(sources, slot * ADDRESS_SLOT, peer % ADDRESSES);
    if (slot % 2 === 0) putConnect(requests, slot * ANNOUNCE_SIZE);
    else putAnnounce(requests, slot * ANNOUNCE_SIZE, peer);
  }
}

/** Every peer announces once, so that the swarms are as large in the first round as in the last. */
function fill(): void {
  datagrams.families.fill(4);
  datagrams.requestLengths.fill(ANNOUNCE_SIZE);
  for (let peer = 0; peer < options.peers; peer += BATCH_SIZE) {
    for (let slot = 0; slot < BATCH_SIZE; slot++) {
      putAddress(datagrams.addresses, slot * ADDRESS_SLOT, (peer + slot) % ADDRESSES);
      putAnnounce(datagrams.requests, slot * REQUEST_SLOT, (peer + slot) % options.peers);
    }
    answering.answer(BATCH_SIZE);
  }
  if (datagrams.replyLengths[0] < 20 || datagrams.replyLengths[0] > REPLY_SLOT) {
    throw new Error("the announces are not answered");
  }
}

/** Nanoseconds of CPU time per datagram. */
function round(): number {
  const before = process.cpuUsage();
  for (let batch = 0; batch < ROUND_BATCHES; batch++) {
    const first = (batch % PREPARED) * BATCH_SIZE;
    for (let slot = 0; slot < BATCH_SIZE; slot++) load(first + slot, slot);
    answering.answer(BATCH_SIZE);
    answering.finish(BATCH_SIZE);
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / (ROUND_BATCHES * BATCH_SIZE);
}

/** What the kernel does for the tracker otherwise. */
function load(from: number, slot: number): void {
  const size = slot % 2 === 0 ? CONNECT_SIZE : ANNOUNCE_SIZE;
  const to = slot * REQUEST_SLOT;
  const at = from * ANNOUNCE_SIZE;
  for (let i = 0; i < size; i++) datagrams.requests[to + i] = requests[at + i];
  for (let i = 0; i < 4; i++) {
    datagrams.addresses[slot * ADDRESS_SLOT + i] = sources[from * ADDRESS_SLOT + i];
  }
  datagrams.requestLengths[slot] = size;
  datagrams.families[slot] = 4;
}

prepare();
fill();
for await (const _ of console) console.log(round().toFixed(2));
