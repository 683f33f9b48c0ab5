/**
 * Load over UDP: BEP 15 announces, connects and scrapes, in batches, from several clients at once.
 *
 * The claim it defends: buntracker answers UDP with fewer CPU microseconds per request than the C
 * tracker. It must itself cost less than what it measures, or it would measure itself.
 *
 *   bun test/bench/udp-load.ts --port 6969 --pid PID --seconds 5
 *
 * Modes: `closed` keeps `window` requests in flight and so finds the capacity; `fill` announces
 * every peer once, or as many as `seconds` allow; `rate` sends `rate` requests a second whatever
 * comes back, so that half of the capacity shows latencies; `flood` does so with many by one system
 * call, since no generator could else send twice what the server answers: all of one size, so that
 * connects have an end and scrapes four hashes; `queue` stops the process `pid`, queues `queued`
 * announces in its sockets, lets it go on and waits until they are gone. Its rates and its CPU time
 * are those of the server alone: on a small machine every other mode measures its generator, too.
 *
 * Prints one line: requests answered per second, CPU time of the process `pid` per answer, peers
 * per announce, losses, latencies. A request's latency runs from the system call that sent its
 * batch to the one that received its reply, so in `rate` mode it includes all queueing at the
 * server.
 */
import type { Pointer } from "bun:ffi";
import { Latencies } from "./latencies.ts";
import { readOptions, type Report, tellReport } from "./options.ts";
import { answeringSeconds, cpuSeconds, waitingAt } from "./processes.ts";
import {
  addressOf,
  Batch,
  calls,
  cutDatagrams,
  MSG_DONTWAIT,
  openUdp,
  openUnbound,
  pinned,
  POLLIN,
  SocketAddress,
} from "./syscalls.ts";
import { Sources, SOURCES_MAX } from "./sources.ts";
import { INFO_HASH_WORDS, mix, putInfoHash, Workload } from "./workload.ts";

const UDP_DEFAULTS = {
  host: "127.0.0.1",
  port: 6969,
  /** Process whose CPU time is told; 0 for none. */
  pid: 0,
  mode: "closed",
  seconds: 5,
  rate: 100_000,
  sockets: 8,
  /** Source addresses, each of a network of its own, at most 65,536; 0 for one of each socket. */
  networks: 0,
  window: 512,
  swarms: 100_000,
  peers: 1_000_000,
  skew: 1,
  /** The share of peers that are all in one swarm. */
  hot: 0,
  wanted: 30,
  /** How the requests are mixed, and the info hashes of a scrape at most. */
  connects: 50,
  announces: 50,
  scrapes: 1,
  hashes: 10,
  /** Announces of the mode `queue`. */
  queued: 150_000,
};

const BATCH = 64;
const REQUEST_SLOT = 256;
const REPLY_SLOT = 2048;

/** Requests whose time of sending is remembered: more than can be under way. */
const STAMPS = 2 ** 20;

/** A reply that takes longer than this is lost. */
const LOST_MILLISECONDS = 250;
/** When filling, one is waited for much longer: asking for more would only lose more. */
const FILL_LOST_MILLISECONDS = 3000;
const POLL_MILLISECONDS = 1;
/** Queued datagrams are answered within this time, or the server has stopped. */
const QUEUE_MILLISECONDS_MAX = 30_000;
/** In `rate` mode nothing is sent before so many requests are due, or this long has passed. */
const RATE_BATCH = 16;

/** An announce of a flood: 98 bytes and two options of BEP 41 that say nothing. */
const FLOOD_SLOT = 100;
/** As many hashes as a scrape of that size holds; the four bytes behind them mean nothing. */
const FLOOD_HASHES = 4;
const NO_OPTIONS = 0x0101;

const ACTION_ANNOUNCE = swap(1);
const ACTION_SCRAPE = swap(2);
const PROTOCOL_HIGH = swap(0x417);
const PROTOCOL_LOW = swap(0x27101980);
const EVENT_COMPLETED = swap(1);
const EVENT_STARTED = swap(2);
const BYTES_LEFT = swap(50);
const PEER_ID_START = 0x30304242;

/** The number whose little-endian bytes are the big-endian bytes of `x`. */
function swap(x: number): number {
  return ((x >>> 24) | ((x >>> 8) & 0xff00) | ((x << 8) & 0xff0000) | (x << 24)) >>> 0;
}

/** One client: a connected socket at an address of its own. */
interface Client {
  number: number;
  fd: number;
  /** Its connection id. */
  high: number;
  low: number;
  inFlight: number;
  /** When it last heard from the server, in milliseconds. */
  heard: number;
  /** Announces so far: the next is for peer `number + announced × clients`. */
  announced: number;
  /** Its share of all peers. */
  peers: number;
}

class Generator {
  readonly #options: typeof UDP_DEFAULTS;
  readonly #workload: Workload;
  readonly #clients: Client[];
  readonly #ipv6: boolean;
  readonly #sources: Sources | undefined;
  readonly #requests = new Batch(BATCH, REQUEST_SLOT);
  readonly #replies = new Batch(BATCH, REPLY_SLOT);
  readonly #words = new Uint32Array(this.#requests.slots);
  readonly #halves = new Uint16Array(this.#requests.slots);
  readonly #floodBytes = pinned(BATCH * FLOOD_SLOT);
  readonly #floodWords = new Uint32Array(this.#floodBytes);
  readonly #floodHalves = new Uint16Array(this.#floodBytes);
  readonly #floodPointer = addressOf(this.#floodBytes) as Pointer;
  readonly #replyWords = new Uint32Array(this.#replies.slots);
  readonly #polls: Int32Array;
  readonly #pollPointer: Pointer;
  readonly #stamps = new Float64Array(STAMPS);
  readonly #latencies = new Latencies();
  readonly #wanted: number;
  readonly #patience: number;
  #random = 2463534242;
  #sequence = 0;

  #sent = 0;
  #received = 0;
  #lost = 0;
  #connects = 0;
  #announces = 0;
  #scrapes = 0;
  #errors = 0;
  #peerBytes = 0;

  constructor(options: typeof UDP_DEFAULTS) {
    this.#options = options;
    this.#workload = new Workload(options.swarms, options.peers, options.skew, options.hot);
    this.#wanted = swap(options.wanted);
    this.#patience = options.mode === "fill" ? FILL_LOST_MILLISECONDS : LOST_MILLISECONDS;
    const server = new SocketAddress(options.host, options.port);
    this.#ipv6 = server.ipv6;
    const { sockets, peers, networks } = options;
    if (networks > SOURCES_MAX || (networks > 0 && (server.ipv6 || options.mode === "flood"))) {
      throw new Error(`--networks is at most ${SOURCES_MAX}, with IPv4 and no flood`);
    }
    this.#sources =
      networks === 0 ? undefined : new Sources(networks, this.#requests, BATCH, server);
    this.#clients = Array.from({ length: sockets }, (_, number) => ({
      number,
      fd: networks === 0 ? openUdp(server, number) : openUnbound(server),
      high: 0,
      low: 0,
      inFlight: 0,
      heard: 0,
      announced: 0,
      peers: Math.floor(peers / sockets) + (number < peers % sockets ? 1 : 0),
    }));
    const polls = pinned(sockets * 8);
    this.#polls = new Int32Array(polls);
    this.#pollPointer = addressOf(polls) as Pointer;
    for (const { number, fd } of this.#clients) this.#polls.set([fd, POLLIN], number * 2);
  }

  /** Runs to the end and returns the report. */
  run(): Report {
    for (const client of this.#clients) this.#introduce(client);
    if (this.#options.mode === "queue") return this.#queue();
    if (this.#options.mode === "flood") {
      for (const { fd } of this.#clients) cutDatagrams(fd, FLOOD_SLOT);
    }
    this.#connects = 0;
    this.#received = 0;
    this.#sent = 0;
    const { mode, pid } = this.#options;
    const cpu = cpuSeconds(pid);
    const ownCpu = cpuSeconds(process.pid);
    const start = performance.now();
    if (mode === "closed") this.#closed(start);
    else if (mode === "fill") this.#fill(start);
    else if (mode === "rate") this.#rate(start, false);
    else if (mode === "flood") this.#rate(start, true);
    else throw new Error(`--mode is closed, fill, rate, flood or queue, not ${mode}`);
    const seconds = (performance.now() - start) / 1000;
    const used = cpuSeconds(pid) - cpu;
    const own = cpuSeconds(process.pid) - ownCpu;
    const answered = this.#received;
    if (mode === "rate" || mode === "flood") this.#drain();
    if (answered === 0) throw new Error("no answers");
    return {
      rps: answered / seconds,
      offered: this.#sent / seconds,
      cpu_us: (used * 1e6) / answered,
      own_cpu_us: (own * 1e6) / answered,
      connects: this.#connects,
      announces: this.#announces,
      scrapes: this.#scrapes,
      errors: this.#errors,
      lost: this.#lost,
      peers_per_announce: this.#peerBytes / (this.#ipv6 ? 18 : 6) / Math.max(1, this.#announces),
      seconds,
      ...this.#latencies.summary(),
    };
  }

  /** Gets the first connection id of a client. Throws if the server does not answer. */
  #introduce(client: Client): void {
    if (this.#sources !== undefined) {
      if (client.number > 0) return;
      const connect = (slot: number, transaction: number): void => {
        this.#connect(slot);
        this.#words[((slot * REQUEST_SLOT) >>> 2) + 3] = transaction;
      };
      const { fd } = client;
      const mailbox = { fd, requests: this.#requests, replies: this.#replies, connect };
      this.#sources.introduce(mailbox, BATCH);
      return;
    }
    for (let attempt = 0; attempt < 50; attempt++) {
      this.#connect(0);
      this.#send(client, 1);
      calls.poll(this.#pollPointer, this.#clients.length, 100);
      this.#receive(client, performance.now());
      client.inFlight = 0;
      if ((client.high | client.low) !== 0) return;
    }
    throw new Error(`nothing answers on ${this.#options.host} port ${this.#options.port}`);
  }

  // The modes.

  #closed(start: number): void {
    const end = start + this.#options.seconds * 1000;
    const share = Math.max(1, Math.floor(this.#options.window / this.#clients.length));
    // A batch that is worth its system call.
    const worth = share < 16 ? 1 : share >> 2;
    for (let now = start; now < end; now = performance.now()) {
      let progress = 0;
      for (const client of this.#clients) {
        const room = Math.min(BATCH, share - client.inFlight);
        if (room >= worth) {
          for (let slot = 0; slot < room; slot++) this.#build(client, slot);
          progress += this.#send(client, room);
        }
        progress += this.#receiveOrGiveUp(client, now);
      }
      if (progress === 0) this.#wait();
    }
  }

  #fill(start: number): void {
    const end = start + this.#options.seconds * 1000;
    const share = Math.max(1, Math.floor(this.#options.window / this.#clients.length));
    const isBusy = (client: Client) => client.announced < client.peers || client.inFlight > 0;
    for (let now = start; now < end && this.#clients.some(isBusy); now = performance.now()) {
      let progress = 0;
      for (const client of this.#clients) {
        const left = client.peers - client.announced;
        const room = Math.min(BATCH, share - client.inFlight, left);
        if (room >= Math.min(left, share >> 2) && room > 0) {
          for (let slot = 0; slot < room; slot++) this.#announce(client, slot);
          progress += this.#send(client, room);
        }
        progress += this.#receiveOrGiveUp(client, now);
      }
      if (progress === 0) this.#wait();
    }
  }

  #rate(start: number, flood: boolean): void {
    const { seconds, rate } = this.#options;
    const end = start + seconds * 1000;
    let turn = 0;
    for (let now = start; now < end; now = performance.now()) {
      const due = Math.floor(((now - start) * rate) / 1000) - this.#sent;
      if (due >= (flood ? BATCH : RATE_BATCH)) {
        const client = this.#clients[turn++ % this.#clients.length];
        if (flood) this.#flood(client);
        else this.#sendDue(client, Math.min(due, BATCH));
        // Behind with sending: only this client's replies are taken in, so as to catch up.
        if (due > 4 * BATCH) {
          this.#receive(client, now);
          continue;
        }
      }
      for (const client of this.#clients) this.#receive(client, now);
    }
  }

  /** Stops the server, queues announces, and measures how it answers them. */
  #queue(): Report {
    const { pid, port, queued } = this.#options;
    const dropped = waitingAt(port).dropped;
    process.kill(pid, "SIGSTOP");
    for (let sent = 0, turn = 0; sent < queued; sent += BATCH, turn++) {
      const client = this.#clients[turn % this.#clients.length];
      for (let slot = 0; slot < BATCH; slot++) this.#announce(client, slot);
      this.#send(client, BATCH);
    }
    const cpu = answeringSeconds(pid);
    const start = performance.now();
    process.kill(pid, "SIGCONT");
    let seconds = 0;
    do {
      Bun.sleepSync(1);
      seconds = (performance.now() - start) / 1000;
      if (seconds * 1000 > QUEUE_MILLISECONDS_MAX) throw new Error("the queue does not end");
    } while (waitingAt(port).bytes > 0);
    const lost = waitingAt(port).dropped - dropped;
    const answered = this.#sent - lost;
    // The last batch has left the queue, but is not answered yet.
    Bun.sleepSync(10);
    const cpu_us = ((answeringSeconds(pid) - cpu) * 1e6) / answered;
    return { rps: answered / seconds, cpu_us, announces: answered, lost, seconds };
  }

  #sendDue(client: Client, count: number): void {
    for (let slot = 0; slot < count; slot++) this.#build(client, slot);
    this.#send(client, count);
  }

  /** One large datagram, which the kernel cuts into requests only when it delivers them. */
  #flood(client: Client): void {
    const { connects, announces, scrapes } = this.#options;
    const words = this.#floodWords;
    for (let i = 0; i < BATCH; i++) {
      const at = (i * FLOOD_SLOT) >>> 2;
      const drawn = this.#draw(connects + announces + scrapes);
      if (drawn < connects) this.#putConnect(words, at);
      else if (drawn >= connects + announces) this.#putScrape(client, words, at, FLOOD_HASHES);
      else {
        this.#putAnnounce(client, words, this.#floodHalves, at);
        this.#floodHalves[at * 2 + 49] = NO_OPTIONS;
      }
    }
    this.#remember(BATCH);
    calls.send(client.fd, this.#floodPointer, BATCH * FLOOD_SLOT, MSG_DONTWAIT);
    this.#sent += BATCH;
  }

  /** Takes in what is still under way; the rest is lost. */
  #drain(): void {
    const end = performance.now() + LOST_MILLISECONDS;
    for (let now = 0; now < end; now = performance.now()) {
      for (const client of this.#clients) this.#receive(client, now);
      this.#wait();
    }
    this.#lost = this.#sent - this.#received;
  }

  #wait(): void {
    calls.poll(this.#pollPointer, this.#clients.length, POLL_MILLISECONDS);
  }

  // Requests.

  /** Xorshift, so that every run asks the same. */
  #draw(below: number): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return (x >>> 0) % below;
  }

  #stamp(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }

  #build(client: Client, slot: number): void {
    const { connects, announces, scrapes } = this.#options;
    const drawn = this.#draw(connects + announces + scrapes);
    if (drawn < connects) {
      this.#connect(slot);
      this.#sources?.use(slot, this.#draw(this.#sources.count));
    } else if (drawn < connects + announces) this.#announce(client, slot);
    else this.#scrape(client, slot);
  }

  #connect(slot: number): void {
    this.#putConnect(this.#words, (slot * REQUEST_SLOT) >>> 2);
    this.#requests.setLength(slot, 16);
  }

  #putConnect(words: Uint32Array, at: number): void {
    words[at] = PROTOCOL_HIGH;
    words[at + 1] = PROTOCOL_LOW;
    words[at + 2] = 0;
    words[at + 3] = this.#stamp();
  }

  #announce(client: Client, slot: number): void {
    const at = (slot * REQUEST_SLOT) >>> 2;
    this.#putAnnounce(client, this.#words, this.#halves, at);
    this.#requests.setLength(slot, 98);
    // A peer always announces from the same source.
    if (this.#sources !== undefined) this.#sendFrom(slot, mix(this.#words[at + 22]));
  }

  #putAnnounce(client: Client, words: Uint32Array, halves: Uint16Array, at: number): void {
    const workload = this.#workload;
    const turn = client.announced % client.peers;
    const peer = client.number + turn * this.#clients.length;
    const seeder = workload.isSeeder(peer);
    client.announced += 1;
    words[at] = client.high;
    words[at + 1] = client.low;
    words[at + 2] = ACTION_ANNOUNCE;
    words[at + 3] = this.#stamp();
    putInfoHash(words, at + 4, workload.swarmOf(peer));
    words[at + 9] = PEER_ID_START;
    words[at + 10] = PEER_ID_START;
    words[at + 11] = peer;
    words[at + 12] = PEER_ID_START;
    words[at + 13] = mix(peer);
    words[at + 14] = 0;
    words[at + 15] = BYTES_LEFT;
    words[at + 16] = 0;
    words[at + 17] = seeder ? 0 : BYTES_LEFT;
    words[at + 18] = 0;
    words[at + 19] = BYTES_LEFT;
    words[at + 20] = seeder ? EVENT_COMPLETED : EVENT_STARTED;
    words[at + 21] = 0;
    words[at + 22] = peer;
    words[at + 23] = this.#wanted;
    halves[(at + 24) * 2] = swap(workload.portOf(peer)) >>> 16;
  }

  #scrape(client: Client, slot: number): void {
    const hashes = 1 + this.#draw(this.#options.hashes);
    this.#putScrape(client, this.#words, (slot * REQUEST_SLOT) >>> 2, hashes);
    this.#requests.setLength(slot, 16 + 20 * hashes);
    if (this.#sources !== undefined) this.#sendFrom(slot, this.#draw(this.#sources.count));
  }

  /** The request in a slot comes from this source, and has its connection id. */
  #sendFrom(slot: number, drawn: number): void {
    const sources = this.#sources!;
    const source = drawn % sources.count;
    const at = (slot * REQUEST_SLOT) >>> 2;
    sources.use(slot, source);
    this.#words[at] = sources.high[source];
    this.#words[at + 1] = sources.low[source];
  }

  #putScrape(client: Client, words: Uint32Array, at: number, hashes: number): void {
    words[at] = client.high;
    words[at + 1] = client.low;
    words[at + 2] = ACTION_SCRAPE;
    words[at + 3] = this.#stamp();
    for (let i = 0; i < hashes; i++) {
      putInfoHash(words, at + 4 + i * INFO_HASH_WORDS, this.#draw(this.#options.swarms));
    }
  }

  /** The last `count` requests are about to be sent. */
  #remember(count: number): void {
    const now = performance.now();
    const last = this.#sequence;
    for (let i = 0; i < count; i++) this.#stamps[(last - i) & (STAMPS - 1)] = now;
  }

  /** Sends the first `count` slots and returns `count`; what the kernel does not take is lost. */
  #send(client: Client, count: number): number {
    this.#remember(count);
    const sent = calls.sendmmsg(client.fd, this.#requests.pointer, count, MSG_DONTWAIT);
    this.#sent += count;
    if (sent < count) this.#lost += count - Math.max(0, sent);
    client.inFlight += Math.max(0, sent);
    return count;
  }

  // Replies.

  #receiveOrGiveUp(client: Client, now: number): number {
    const count = this.#receive(client, now);
    if (count > 0 || client.inFlight === 0) return count;
    if (now - client.heard < this.#patience) return 0;
    this.#lost += client.inFlight;
    client.inFlight = 0;
    client.heard = now;
    return 0;
  }

  #receive(client: Client, now: number): number {
    const { pointer } = this.#replies;
    const count = calls.recvmmsg(client.fd, pointer, BATCH, MSG_DONTWAIT, null);
    if (count <= 0) return 0;
    client.heard = now;
    client.inFlight = Math.max(0, client.inFlight - count);
    this.#received += count;
    const received = performance.now();
    for (let slot = 0; slot < count; slot++) this.#take(client, slot, received);
    return count;
  }

  #take(client: Client, slot: number, now: number): void {
    const words = this.#replyWords;
    const at = (slot * REPLY_SLOT) >>> 2;
    const length = this.#replies.received(slot);
    const action = words[at];
    this.#latencies.record((now - this.#stamps[words[at + 1] & (STAMPS - 1)]) * 1000);
    if (action === 0 && length === 16) {
      this.#connects += 1;
      client.high = words[at + 2];
      client.low = words[at + 3];
    } else if (action === ACTION_ANNOUNCE && length >= 20) {
      this.#announces += 1;
      this.#peerBytes += length - 20;
    } else if (action === ACTION_SCRAPE) {
      this.#scrapes += 1;
    } else {
      this.#errors += 1;
    }
  }
}

if (import.meta.main) {
  tellReport(() => new Generator(readOptions(UDP_DEFAULTS)).run());
}
