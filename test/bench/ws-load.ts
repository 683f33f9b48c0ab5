/**
 * Load over WebSocket: peers that announce with offers, and answer each offer that they get.
 *
 * The claim it defends: a cycle costs buntracker no more of its processor than it costs wt-tracker,
 * and far less than it costs the others.
 *
 *   bun test/bench/ws-load.ts --port 6969 --pid PID --seconds 5 --offers 10 --sdp 560
 *   bun test/bench/ws-load.ts --port 6969 --pid PID --connections 10000 --settle 30
 *
 *   announce with k offers ─► reply, and k offers to others ─► k answers ─► k answers to the first
 *   └──────────────────────────────── a cycle: 2 + 3 k messages ──────────────────────────────┘
 *
 * One thread over epoll, through FFI. All connections announce once before the time begins; then
 * `window` cycles are under way. With `settle` other than 0 nothing is asked after that, pings are
 * answered, as browsers do, and the report tells how much memory of `pid` the idle connections take
 * after so many seconds, and how much anonymous memory at the moment when that was most.
 */
import type { Pointer } from "bun:ffi";
import { OPCODE_BINARY, OPCODE_PING } from "../../src/ws/frames.ts";
import { wordOf } from "../ws/some-words.ts";
import { upgradeText } from "../ws/upgrade.ts";
import { Latencies } from "./latencies.ts";
import { readOptions, type Report, tellReport } from "./options.ts";
import { anonymousBytes, cpuSeconds, residentBytes } from "./processes.ts";
import {
  addressOf,
  calls,
  EAGAIN,
  EPOLL_CTL_ADD,
  EPOLL_DATA,
  EPOLL_EVENT,
  EPOLLIN,
  errno,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  openTcp,
  pinned,
  SocketAddress,
} from "./syscalls.ts";

const WS_DEFAULTS = {
  host: "127.0.0.1",
  port: 6969,
  /** Process whose CPU time and memory are told; 0 for none. */
  pid: 0,
  seconds: 5,
  connections: 1000,
  swarms: 50,
  /** Announces under way. */
  window: 64,
  /** Offers of an announce, and the characters of the text of each. */
  offers: 10,
  sdp: 560,
  /** Seconds after which the memory of idle connections is told; 0 for cycles. */
  settle: 0,
};

const RECEIVE_BYTES = 64 * 1024;
const SEND_BYTES = 128 * 1024;
const EVENTS = 256;
const WAIT_MILLISECONDS = 1;
const SETTLE_WAIT_MILLISECONDS = 100;
/** How often the memory of idle connections is looked at. */
const LOOK_MILLISECONDS = 100;
/** Handshakes under way: a wave fills the backlog. */
const HANDSHAKES_MAX = 64;
/** All connections must have joined by then. */
const JOIN_MILLISECONDS = 60_000;
/** A cycle that lacks an answer for so long is given up. */
const STALE_MILLISECONDS = 2000;
/** One peer in this number is a seeder. */
const SEEDER_EVERY = 4;

/** A frame of 126 to 65,535 bytes: its head, with the key of the mask, has 8. */
const HEAD_SIZE = 8;
const KEY = 0x3d5a17c9;

const UPGRADE = upgradeText({ Origin: "https://video.example" });

/** A pong without a payload, masked. */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

const NEW = 0;
const UPGRADING = 1;
const JOINING = 2;
const IDLE = 3;
const CYCLING = 4;

interface Connection {
  number: number;
  fd: number;
  state: number;
  /** Received bytes that are not read. */
  received: number;
  /** Of its cycle: when it began, whether the reply is there, and answers that lack. */
  begun: number;
  replied: boolean;
  awaited: number;
}

/** The text of an offer, as long as it was asked for, with line ends as SDP has them. */
function sdpText(size: number): string {
  const line = "a=candidate:1 1 udp 2113937151 192.0.2.77 50000 typ host generation 0\r\n";
  return `v=0\r\n${line.repeat(Math.ceil(size / line.length))}`.slice(0, size);
}

class Generator {
  readonly #options: typeof WS_DEFAULTS;
  readonly #server: SocketAddress;
  readonly #sdp: string;
  readonly #connections: Connection[];
  readonly #epoll = calls.epoll_create1(0);
  readonly #latencies = new Latencies();
  readonly #events = new DataView(pinned(EVENTS * EPOLL_EVENT));
  readonly #eventsAt = addressOf(this.#events.buffer as ArrayBuffer) as Pointer;
  readonly #change = new DataView(pinned(EPOLL_EVENT));
  readonly #changeAt = addressOf(this.#change.buffer as ArrayBuffer) as Pointer;
  readonly #out = Buffer.from(pinned(SEND_BYTES));
  readonly #outWords = new Uint32Array(this.#out.buffer);
  readonly #outAt = addressOf(this.#out.buffer as ArrayBuffer) as Pointer;
  readonly #in: Buffer;
  readonly #inAt: number;
  #joined = 0;
  #next = 0;
  #under = 0;
  #measuring = false;
  #cycles = 0;
  #lost = 0;
  #messages = 0;

  constructor(options: typeof WS_DEFAULTS) {
    this.#options = options;
    this.#server = new SocketAddress(options.host, options.port);
    this.#sdp = JSON.stringify(sdpText(options.sdp));
    const memory = pinned(options.connections * RECEIVE_BYTES);
    this.#in = Buffer.from(memory);
    this.#inAt = addressOf(memory);
    this.#connections = Array.from({ length: options.connections }, (_, number) => {
      return { number, fd: -1, state: NEW, received: 0, begun: 0, replied: false, awaited: 0 };
    });
  }

  run(): Report {
    const { pid, seconds, settle } = this.#options;
    const before = pid === 0 ? 0 : residentBytes(pid);
    const anonymousBefore = pid === 0 ? 0 : anonymousBytes(pid);
    this.#join();
    if (settle > 0) return this.#idle(before, anonymousBefore);
    const cpu = cpuSeconds(pid);
    const ownCpu = cpuSeconds(process.pid);
    const start = performance.now();
    this.#measuring = true;
    let now = start;
    for (let swept = now; now - start < seconds * 1000; now = performance.now()) {
      this.#beginCycles(now);
      this.#turn();
      if (now - swept < STALE_MILLISECONDS) continue;
      this.#giveUpStale(now);
      swept = now;
    }
    const elapsed = (now - start) / 1000;
    const cycles = this.#cycles;
    if (cycles === 0) throw new Error("no cycle was completed");
    return {
      rps: cycles / elapsed,
      cpu_us: ((cpuSeconds(pid) - cpu) * 1e6) / cycles,
      own_cpu_us: ((cpuSeconds(process.pid) - ownCpu) * 1e6) / cycles,
      lost: this.#lost,
      messages_per_cycle: this.#messages / cycles,
      peak_mb: pid === 0 ? 0 : residentBytes(pid) / 1e6,
      seconds: elapsed,
      ...this.#latencies.summary(),
    };
  }

  /** Answers pings; tells what the connections take. */
  #idle(before: number, anonymousBefore: number): Report {
    const { pid, settle, connections } = this.#options;
    const each = (bytes: number): number => bytes / connections / 1024;
    const until = performance.now() + settle * 1000;
    let most = 0;
    for (let looked = 0, now = 0; now < until; now = performance.now()) {
      this.#turn(SETTLE_WAIT_MILLISECONDS);
      if (now - looked < LOOK_MILLISECONDS) continue;
      looked = now;
      most = Math.max(most, anonymousBytes(pid) - anonymousBefore);
    }
    const resident = residentBytes(pid);
    return {
      connections,
      kib_each: each(resident - before),
      anonymous_kib_each: each(most),
      resident_mb: resident / 1e6,
    };
  }

  /** Opens all connections and lets each announce once, without offers. */
  #join(): void {
    const deadline = performance.now() + JOIN_MILLISECONDS;
    const all = this.#connections;
    for (let opened = 0; this.#joined < all.length;) {
      for (; opened < all.length && opened - this.#joined < HANDSHAKES_MAX; opened++) {
        this.#open(all[opened]!);
      }
      this.#turn();
      if (performance.now() > deadline) throw new Error(`${this.#joined} connections have joined`);
    }
  }

  #open(connection: Connection): void {
    connection.fd = openTcp(this.#server, connection.number, false);
    if (connection.fd < 0) throw new Error(`no socket: errno ${errno()}`);
    this.#change.setUint32(0, EPOLLIN, true);
    this.#change.setUint32(EPOLL_DATA, connection.number, true);
    calls.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, connection.fd, this.#changeAt);
    connection.state = UPGRADING;
    this.#send(connection, this.#out.write(UPGRADE, 0, "latin1"));
  }

  /** On loopback a connection is made before `connect` returns, unless the backlog is full. */
  #send({ fd }: Connection, size: number): void {
    const sent = calls.send(fd, this.#outAt, size, MSG_NOSIGNAL);
    if (sent !== size) throw new Error(`${sent} of ${size} bytes were sent: errno ${errno()}`);
  }

  /** Sends a text of 126 to 65,535 characters, masked. */
  #say(connection: Connection, text: string): void {
    const size = this.#out.write(text, HEAD_SIZE, "latin1");
    const words = this.#outWords;
    const to = (HEAD_SIZE + size + 3) >>> 2;
    for (let i = HEAD_SIZE >>> 2; i < to; i++) words[i] ^= KEY;
    this.#out[0] = 0x81;
    this.#out[1] = 0xfe;
    this.#out.writeUInt16BE(size, 2);
    words[1] = KEY;
    if (this.#measuring) this.#messages += 1;
    this.#send(connection, HEAD_SIZE + size);
  }

  #announce(connection: Connection, event: string, offers: string): void {
    const { number } = connection;
    const left = number % SEEDER_EVERY === 0 ? 0 : 1000;
    this.#say(
      connection,
      `{"action":"announce","numwant":${this.#options.offers},"uploaded":0,"downloaded":0,` +
        `"left":${left},${event}"info_hash":"${this.#hashOf(number)}",` +
        `"peer_id":"${wordOf("-", number)}","offers":[${offers}]}`,
    );
  }

  #hashOf(number: number): string {
    return wordOf("h", number % this.#options.swarms);
  }

  #beginCycles(now: number): void {
    const all = this.#connections;
    const { window, offers } = this.#options;
    for (let looks = all.length; looks > 0 && this.#under < window; looks--) {
      const connection = all[this.#next++ % all.length]!;
      if (connection.state !== IDLE) continue;
      connection.state = CYCLING;
      connection.begun = now;
      connection.replied = false;
      connection.awaited = offers;
      this.#under += 1;
      let texts = "";
      for (let i = 0; i < offers; i++) {
        if (i > 0) texts += ",";
        texts += `{"offer":{"type":"offer","sdp":${this.#sdp}},"offer_id":"${wordOf("o", i)}"}`;
      }
      this.#announce(connection, "", texts);
    }
  }

  #giveUpStale(now: number): void {
    for (const connection of this.#connections) {
      if (connection.state !== CYCLING || now - connection.begun < STALE_MILLISECONDS) continue;
      connection.state = IDLE;
      this.#under -= 1;
      this.#lost += 1;
    }
  }

  #turn(milliseconds = WAIT_MILLISECONDS): void {
    const count = calls.epoll_wait(this.#epoll, this.#eventsAt, EVENTS, milliseconds);
    for (let i = 0; i < count; i++) {
      const number = this.#events.getUint32(i * EPOLL_EVENT + EPOLL_DATA, true);
      this.#receive(this.#connections[number]!);
    }
  }

  #receive(connection: Connection): void {
    const slot = connection.number * RECEIVE_BYTES;
    const at = (this.#inAt + slot + connection.received) as Pointer;
    const room = RECEIVE_BYTES - connection.received;
    const count = calls.recv(connection.fd, at, room, MSG_DONTWAIT);
    if (count < 0 && errno() === EAGAIN) return;
    if (count <= 0) throw new Error("the tracker closed a connection");
    connection.received += count;
    const from = this.#read(connection, slot, slot + connection.received);
    connection.received = slot + connection.received - from;
    if (from > slot) this.#in.copyWithin(slot, from, from + connection.received);
  }

  /** Reads what is complete between `from` and `to`; returns its end. */
  #read(connection: Connection, from: number, to: number): number {
    let at = from;
    if (connection.state === UPGRADING) {
      const end = this.#in.subarray(at, to).indexOf("\r\n\r\n");
      if (end < 0) return at;
      const head = this.#in.toString("latin1", at, at + end);
      if (!head.startsWith("HTTP/1.1 101")) throw new Error(`no WebSocket: ${head}`);
      at += end + 4;
      connection.state = JOINING;
      this.#announce(connection, '"event":"started",', "");
    }
    while (to - at >= 2) {
      let size = this.#in[at + 1]!;
      let payload = at + 2;
      if (size === 126) [size, payload] = [this.#in.readUInt16BE(at + 2), at + 4];
      else if (size === 127) throw new Error("a frame of more than 64 KiB came");
      if (payload + size > to) break;
      const opcode = this.#in[at]! & 0x0f;
      at = payload + size;
      if (opcode === OPCODE_PING) this.#send(connection, PONG.copy(this.#out));
      if (opcode <= OPCODE_BINARY) {
        this.#take(connection, this.#in.toString("latin1", payload, at));
      }
    }
    return at;
  }

  #take(connection: Connection, text: string): void {
    if (this.#measuring) this.#messages += 1;
    const id = valueOf(text, "offer_id");
    if (id === "") {
      if (text.includes('"failure reason"')) throw new Error(text);
      if (connection.state === JOINING) {
        connection.state = IDLE;
        this.#joined += 1;
      }
      connection.replied = true;
    } else if (text.includes('"answer":{')) {
      connection.awaited -= 1;
    } else {
      this.#answer(connection, valueOf(text, "peer_id"), id);
      return;
    }
    if (connection.state !== CYCLING || !connection.replied || connection.awaited > 0) return;
    this.#cycles += 1;
    this.#under -= 1;
    this.#latencies.record((performance.now() - connection.begun) * 1000);
    connection.state = IDLE;
  }

  #answer(connection: Connection, to: string, id: string): void {
    const { number } = connection;
    this.#say(
      connection,
      `{"action":"announce","info_hash":"${this.#hashOf(number)}",` +
        `"peer_id":"${wordOf("-", number)}","to_peer_id":"${to}",` +
        `"answer":{"type":"answer","sdp":${this.#sdp}},"offer_id":"${id}"}`,
    );
  }
}

/** The text of a member that is one of 20 characters; "" if it is missing. */
function valueOf(text: string, name: string): string {
  const at = text.indexOf(`"${name}":"`);
  return at < 0 ? "" : text.slice(at + name.length + 4, at + name.length + 24);
}

if (import.meta.main) {
  tellReport(() => new Generator(readOptions(WS_DEFAULTS)).run());
}
