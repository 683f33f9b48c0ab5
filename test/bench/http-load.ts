/**
 * Load over HTTP: announces on connections that are kept, or on a new one for each, as most clients
 * of BitTorrent do.
 *
 * The claim it defends: on one core buntracker takes as many connections as the C tracker, whose
 * limit is the kernel's, and answers several times as many announces where connections are kept.
 *
 *   bun test/bench/http-load.ts --port 6969 --pid PID --seconds 5 --keep 1
 *
 * One thread over epoll, through FFI and without allocation; each connection has one request under
 * way. `rate` other than 0 bounds the announces per second of all connections together. Prints one
 * line: requests answered per second, CPU time of the process `pid` per answer, failures, bytes per
 * reply, latencies from before the connection is made (or the request is sent) to the last byte.
 */
import type { Pointer } from "bun:ffi";
import { Latencies } from "./latencies.ts";
import { readOptions, type Report, tellReport } from "./options.ts";
import { cpuSeconds } from "./processes.ts";
import {
  addressOf,
  calls,
  EAGAIN,
  EPOLL_CTL_ADD,
  EPOLL_CTL_MOD,
  EPOLL_DATA,
  EPOLL_EVENT,
  EPOLLERR,
  EPOLLIN,
  EPOLLOUT,
  errno,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  openTcp,
  pinned,
  SocketAddress,
} from "./syscalls.ts";
import { INFO_HASH_WORDS, mix, putInfoHash, Workload } from "./workload.ts";

const HTTP_DEFAULTS = {
  host: "127.0.0.1",
  port: 6969,
  /** Process whose CPU time is told; 0 for none. */
  pid: 0,
  seconds: 5,
  connections: 64,
  /** 1 keeps connections, 0 makes a new one for each announce. */
  keep: 0,
  /** Announces per second of all connections; 0 for as many as are answered. */
  rate: 0,
  swarms: 100_000,
  peers: 1_000_000,
  skew: 1,
  wanted: 50,
};

const REQUEST_SLOT = 1024;
const REPLY_SLOT = 16_384;
const EVENTS = 256;
const WAIT_MILLISECONDS = 1;
/** A connection without an answer for so long is given up. */
const STALE_MILLISECONDS = 2000;

const CR = 13;
const LF = 10;
const ZERO = 48;
const HEX = new TextEncoder().encode("0123456789ABCDEF");
const CONTENT_LENGTH = new TextEncoder().encode("content-length:");

const IDLE = 0;
const SENDING = 1;
const RECEIVING = 2;

interface Connection {
  number: number;
  /** -1 while there is none. */
  fd: number;
  state: number;
  received: number;
  /** Where its reply ends; 0 while that is not known. */
  end: number;
  /** When its request was begun, in milliseconds. */
  begun: number;
}

/** A request with gaps, and where they are. */
class Template {
  readonly bytes: Uint8Array;
  readonly infoHash: number;
  readonly peerId: number;
  readonly port: number;
  readonly left: number;

  constructor(host: string, port: number, wanted: number, keep: boolean) {
    const hole = "%00".repeat(20);
    const text =
      `GET /announce?info_hash=${hole}&peer_id=${hole}&port=00000` +
      `&uploaded=0&downloaded=0&left=0000&numwant=${wanted}&key=3b9aca07&compact=1` +
      `&supportcrypto=1&event=started HTTP/1.1\r\nHost: ${host}:${port}\r\n` +
      `User-Agent: Transmission/3.00\r\nAccept: */*\r\nAccept-Encoding: deflate, gzip\r\n` +
      `${keep ? "" : "Connection: close\r\n"}\r\n`;
    this.bytes = new TextEncoder().encode(text);
    this.infoHash = text.indexOf("info_hash=") + 10;
    this.peerId = text.indexOf("peer_id=") + 8;
    this.port = text.indexOf("port=") + 5;
    this.left = text.indexOf("left=") + 5;
  }
}

class Generator {
  readonly #options: typeof HTTP_DEFAULTS;
  readonly #workload: Workload;
  readonly #server: SocketAddress;
  readonly #template: Template;
  readonly #connections: Connection[];
  readonly #epoll = calls.epoll_create1(0);
  readonly #latencies = new Latencies();
  readonly #requests: Uint8Array;
  readonly #replies: Uint8Array;
  readonly #requestsAt: number;
  readonly #repliesAt: number;
  readonly #events = pinned(EVENTS * EPOLL_EVENT);
  readonly #eventView = new DataView(this.#events);
  readonly #eventsAt = addressOf(this.#events) as Pointer;
  readonly #change = pinned(EPOLL_EVENT);
  readonly #changeView = new DataView(this.#change);
  readonly #changeAt = addressOf(this.#change) as Pointer;
  readonly #words = new Uint32Array(INFO_HASH_WORDS);
  readonly #wordBytes = new Uint8Array(this.#words.buffer);

  #announced = 0;
  #opened = 0;
  #good = 0;
  #bad = 0;
  #failed = 0;
  #bytes = 0;
  #start = 0;
  #begun = 0;

  constructor(options: typeof HTTP_DEFAULTS) {
    const { host, port, connections } = options;
    this.#options = options;
    this.#workload = new Workload(options.swarms, options.peers, options.skew);
    this.#server = new SocketAddress(host, port);
    const shown = this.#server.ipv6 ? `[${host}]` : host;
    this.#template = new Template(shown, port, options.wanted, options.keep !== 0);
    const requests = pinned(connections * REQUEST_SLOT);
    const replies = pinned(connections * REPLY_SLOT);
    this.#requests = new Uint8Array(requests);
    this.#replies = new Uint8Array(replies);
    this.#requestsAt = addressOf(requests);
    this.#repliesAt = addressOf(replies);
    this.#connections = Array.from({ length: connections }, (_, number) => {
      this.#requests.set(this.#template.bytes, number * REQUEST_SLOT);
      return { number, fd: -1, state: IDLE, received: 0, end: 0, begun: 0 };
    });
  }

  run(): Report {
    const { pid, seconds } = this.#options;
    const cpu = cpuSeconds(pid);
    const ownCpu = cpuSeconds(process.pid);
    this.#start = performance.now();
    const end = this.#start + seconds * 1000;
    let now = this.#start;
    for (let sweep = now; now < end; now = performance.now()) {
      this.#beginDue(now);
      this.#turn();
      if (now - sweep < STALE_MILLISECONDS) continue;
      this.#giveUpStale(now);
      sweep = now;
    }
    const elapsed = (now - this.#start) / 1000;
    const answered = this.#good + this.#bad;
    if (this.#good === 0) throw new Error("no good answers");
    return {
      rps: answered / elapsed,
      cpu_us: ((cpuSeconds(pid) - cpu) * 1e6) / answered,
      own_cpu_us: ((cpuSeconds(process.pid) - ownCpu) * 1e6) / answered,
      good: this.#good,
      bad: this.#bad,
      failed: this.#failed,
      bytes_per_reply: this.#bytes / answered,
      seconds: elapsed,
      ...this.#latencies.summary(),
    };
  }

  /** Begins a request on each idle connection, or on as many as the rate allows. */
  #beginDue(now: number): void {
    const { rate } = this.#options;
    let due = rate === 0 ? Infinity : ((now - this.#start) * rate) / 1000 - this.#begun;
    for (let i = 0; i < this.#connections.length && due >= 1; i++) {
      const connection = this.#connections[i];
      if (connection.state !== IDLE) continue;
      this.#begin(connection);
      due -= 1;
    }
  }

  #turn(): void {
    const count = calls.epoll_wait(this.#epoll, this.#eventsAt, EVENTS, WAIT_MILLISECONDS);
    for (let i = 0; i < count; i++) {
      const events = this.#eventView.getUint32(i * EPOLL_EVENT, true);
      const number = this.#eventView.getUint32(i * EPOLL_EVENT + EPOLL_DATA, true);
      const connection = this.#connections[number];
      if (connection.fd < 0) continue;
      if ((events & EPOLLERR) !== 0) this.#fail(connection);
      else if (connection.state === SENDING) this.#send(connection);
      else this.#receive(connection);
    }
  }

  #giveUpStale(now: number): void {
    for (const connection of this.#connections) {
      const { state, begun } = connection;
      if (state !== IDLE && now - begun > STALE_MILLISECONDS) this.#fail(connection);
    }
  }

  // The life of a request.

  #begin(connection: Connection): void {
    this.#begun += 1;
    connection.begun = performance.now();
    connection.received = 0;
    connection.end = 0;
    this.#write(connection.number * REQUEST_SLOT);
    if (connection.fd < 0) {
      connection.fd = openTcp(this.#server, this.#opened++, this.#options.keep === 0);
      if (connection.fd < 0) throw new Error(`no socket: errno ${errno()}`);
      this.#watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
    // On loopback a connection is made before `connect` returns, unless the queue is full.
    this.#send(connection);
  }

  #watch(connection: Connection, operation: number, events: number): void {
    this.#changeView.setUint32(0, events, true);
    this.#changeView.setUint32(EPOLL_DATA, connection.number, true);
    calls.epoll_ctl(this.#epoll, operation, connection.fd, this.#changeAt);
  }

  /** The request is small and the socket's buffer empty: it goes in one piece or not at all. */
  #send(connection: Connection): void {
    const at = (this.#requestsAt + connection.number * REQUEST_SLOT) as Pointer;
    const { length } = this.#template.bytes;
    const sent = calls.send(connection.fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent === length) {
      if (connection.state === SENDING) this.#watch(connection, EPOLL_CTL_MOD, EPOLLIN);
      connection.state = RECEIVING;
    } else if (errno() === EAGAIN) {
      connection.state = SENDING;
      this.#watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
    } else {
      this.#fail(connection);
    }
  }

  #receive(connection: Connection): void {
    const from = connection.number * REPLY_SLOT + connection.received;
    const room = REPLY_SLOT - connection.received;
    const at = (this.#repliesAt + from) as Pointer;
    const count = calls.recv(connection.fd, at, room, MSG_DONTWAIT);
    if (count < 0) {
      if (errno() !== EAGAIN) this.#fail(connection);
      return;
    }
    connection.received += count;
    this.#bytes += count;
    if (connection.end === 0) connection.end = this.#endOf(connection);
    const complete = connection.end > 0 && connection.received >= connection.end;
    if (complete) this.#finish(connection, count === 0);
    else if (count === 0) this.#fail(connection);
  }

  #finish(connection: Connection, closed: boolean): void {
    const status = connection.number * REPLY_SLOT + 9;
    const bytes = this.#replies;
    const good =
      bytes[status] === ZERO + 2 && bytes[status + 1] === ZERO && bytes[status + 2] === ZERO;
    if (good && this.#hasPeers(connection)) this.#good += 1;
    else this.#bad += 1;
    this.#latencies.record((performance.now() - connection.begun) * 1000);
    if (closed || this.#options.keep === 0) this.#close(connection);
    connection.state = IDLE;
    if (this.#options.rate === 0) this.#begin(connection);
  }

  #fail(connection: Connection): void {
    this.#failed += 1;
    this.#close(connection);
    connection.state = IDLE;
  }

  #close(connection: Connection): void {
    calls.close(connection.fd);
    connection.fd = -1;
  }

  // Bytes.

  /** Fills the gaps of a request with the next peer's. */
  #write(at: number): void {
    const workload = this.#workload;
    const { infoHash, peerId, port, left } = this.#template;
    const peer = this.#announced++ % workload.peers;
    putInfoHash(this.#words, 0, workload.swarmOf(peer));
    this.#putEscaped(at + infoHash);
    for (let i = 0; i < INFO_HASH_WORDS; i++) this.#words[i] = i < 4 ? 0x30304242 : mix(peer);
    this.#words[3] = peer;
    this.#putEscaped(at + peerId);
    this.#putDecimal(at + port, 5, workload.portOf(peer));
    this.#putDecimal(at + left, 4, workload.isSeeder(peer) ? 0 : 1000);
  }

  #putEscaped(at: number): void {
    const requests = this.#requests;
    for (let i = 0; i < 20; i++) {
      requests[at + i * 3 + 1] = HEX[this.#wordBytes[i] >>> 4];
      requests[at + i * 3 + 2] = HEX[this.#wordBytes[i] & 15];
    }
  }

  #putDecimal(at: number, digits: number, value: number): void {
    for (let i = digits - 1; i >= 0; i--) {
      this.#requests[at + i] = ZERO + (value % 10);
      value = Math.floor(value / 10);
    }
  }

  /** Bytes of the whole reply, once its head is there; else 0. */
  #endOf(connection: Connection): number {
    const bytes = this.#replies;
    const start = connection.number * REPLY_SLOT;
    const end = start + connection.received;
    let length = 0;
    for (let i = start; i + 3 < end; i++) {
      if (bytes[i] !== CR || bytes[i + 1] !== LF) continue;
      if (bytes[i + 2] === CR && bytes[i + 3] === LF) return i + 4 - start + length;
      if (this.#isContentLength(i + 2)) {
        length = this.#readDecimal(i + 2 + CONTENT_LENGTH.length, end);
      }
    }
    return 0;
  }

  #isContentLength(at: number): boolean {
    for (let i = 0; i < CONTENT_LENGTH.length; i++) {
      // Letters in either case; the dash and the colon have the bit anyway.
      if ((this.#replies[at + i] | 32) !== CONTENT_LENGTH[i]) return false;
    }
    return true;
  }

  #readDecimal(at: number, end: number): number {
    while (at < end && this.#replies[at] === 32) at++;
    let value = 0;
    for (; at < end && this.#replies[at] !== CR; at++)
      value = value * 10 + this.#replies[at] - ZERO;
    return value;
  }

  /** True if the reply holds "5:peers": no other answer of a tracker does. */
  #hasPeers(connection: Connection): boolean {
    const bytes = this.#replies;
    const start = connection.number * REPLY_SLOT;
    const end = start + connection.received - 6;
    for (let i = start; i < end; i++) {
      if (bytes[i] !== 0x35 || bytes[i + 1] !== 0x3a || bytes[i + 2] !== 0x70) continue;
      if (bytes[i + 3] === 0x65 && bytes[i + 4] === 0x65 && bytes[i + 5] === 0x72) return true;
    }
    return false;
  }
}

if (import.meta.main) {
  tellReport(() => new Generator(readOptions(HTTP_DEFAULTS)).run());
}
