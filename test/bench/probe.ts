/**
 * A probe: announces one after another, at a modest rate, and tells how long the slowest took.
 *
 *   bun test/bench/probe.ts --transport udp --port 6969 --seconds 3
 *
 * One request is under way at a time and the next follows after `pause` milliseconds, so whatever
 * keeps the server from answering for longer than that is seen, and little else is: the probe
 * sleeps while it waits. It says `ready` once its own code is warm, and at the end one line of
 * latencies. Over HTTP the connection is kept; the event loop answers, so this is its delay.
 */
import type { Pointer } from "bun:ffi";
import { Latencies } from "./latencies.ts";
import { readOptions, showReport } from "./options.ts";
import {
  addressOf,
  calls,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  openTcp,
  openUdp,
  pinned,
  POLLIN,
  SocketAddress,
} from "./syscalls.ts";
import { INFO_HASH_WORDS, putInfoHash, Workload } from "./workload.ts";

const DEFAULTS = {
  transport: "udp",
  port: 6969,
  seconds: 3,
  pause: 0.25,
  swarms: 1_000_000,
  peers: 10_000_000,
};

/** Peers the probe plays; they are among those the server was filled with. */
const PEERS = 4096;
const WARM_SECONDS = 0.5;
const ANSWER_MILLISECONDS_MAX = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;
const POLLOUT = 4;

const options = readOptions(DEFAULTS);
const workload = new Workload(options.swarms, options.peers, 1);
const server = new SocketAddress("127.0.0.1", options.port);
const request = pinned(4096);
const requestView = new DataView(request);
const requestPointer = addressOf(request) as Pointer;
const answer = pinned(ANSWER_BYTES_MAX);
const answerView = new DataView(answer);
const answerPointer = addressOf(answer) as Pointer;
const polls = pinned(2048);
const pollPointer = addressOf(polls) as Pointer;
const hash = new Uint32Array(INFO_HASH_WORDS);
const hashBytes = new Uint8Array(hash.buffer);
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Sends what lies in `request` and waits for bytes to come back; returns how many did. */
function exchange(fd: number, bytes: number): number {
  if (calls.send(fd, requestPointer, bytes, MSG_NOSIGNAL) !== bytes) throw new Error("not sent");
  awaitEvent(fd, POLLIN);
  const received = calls.recv(fd, answerPointer, ANSWER_BYTES_MAX, MSG_DONTWAIT);
  if (received <= 0) throw new Error("the server has hung up");
  return received;
}

function awaitEvent(fd: number, event: number): void {
  new Int32Array(polls).set([fd, event]);
  if (calls.poll(pollPointer, 1, ANSWER_MILLISECONDS_MAX) !== 1) throw new Error("no answer");
}

/** A transport: makes announce number `n` and waits for its answer. */
type Announce = (n: number) => void;

function overUdp(): Announce {
  const fd = openUdp(server, 150);
  requestView.setBigUint64(0, 0x41727101980n);
  exchange(fd, 16);
  const id = answerView.getBigUint64(8);
  return (n) => {
    const peer = n % PEERS;
    requestView.setBigUint64(0, id);
    requestView.setUint32(8, 1);
    requestView.setUint32(12, n);
    putInfoHash(hash, 0, workload.swarmOf(peer));
    new Uint8Array(request).set(hashBytes, 16);
    requestView.setBigUint64(64, 50n);
    requestView.setInt32(92, 30);
    requestView.setUint16(96, workload.portOf(peer));
    // What came too late for its own turn does not count for this one.
    while (exchange(fd, 98) < 20 || answerView.getUint32(4) !== n);
  };
}

function overHttp(): Announce {
  const fd = openTcp(server, 151, false);
  awaitEvent(fd, POLLOUT);
  const encoder = new TextEncoder();
  return (n) => {
    const peer = n % PEERS;
    putInfoHash(hash, 0, workload.swarmOf(peer));
    const escaped = hashBytes.toHex().replaceAll(/../g, "%$&");
    const query = `info_hash=${escaped}&port=${workload.portOf(peer)}&left=1&numwant=30`;
    const text = `GET /announce?${query} HTTP/1.1\r\nHost: a\r\n\r\n`;
    exchange(fd, encoder.encodeInto(text, new Uint8Array(request)).written);
  };
}

/** Announces for some seconds. */
function run(announce: Announce, first: number, seconds: number, latencies: Latencies): number {
  const end = performance.now() + seconds * 1000;
  let n = first;
  for (let start = performance.now(); start < end; start = performance.now()) {
    announce(n++);
    latencies.record((performance.now() - start) * 1000);
    Atomics.wait(sleeper, 0, 0, options.pause);
  }
  return n;
}

const announce = options.transport === "udp" ? overUdp() : overHttp();
const warm = run(announce, 0, WARM_SECONDS, new Latencies());
console.log("ready");
const latencies = new Latencies();
const done = run(announce, warm, options.seconds, latencies);
console.log(showReport({ announces: done - warm, ...latencies.summary() }));
