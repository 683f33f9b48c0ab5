/**
 * The fast source of datagrams on Linux: up to 64 received and 64 sent by one system call each.
 *
 * The kernel reads and writes the memory of `Datagrams` directly. The headers and vectors that
 * point to this memory are built once; later only lengths change. The struct layouts, in bytes:
 *
 *   mmsghdr, 64   name pointer 0 · name length 8 · iov pointer 16 · iov count 24
 *                 control pointer 32 · control length 40 · flags 48 · bytes received 56
 *   iovec, 16     pointer 0 · length 8
 *   sockaddr      family 0 · port 2 · IPv4 address 4 · IPv6 address 8
 *   control       length 0 · level 8 · type 12 · then
 *                   in_pktinfo: interface 16 · local address 20 · destination 24
 *                   in6_pktinfo: destination 16 · interface 32
 *
 * The control data has the local address that a datagram was sent to. The reply carries it back, so
 * a machine with many addresses replies from the right one. The interface is removed from it,
 * because routing chooses a better one.
 *
 * Nothing here allocates after construction. One object belongs to one thread and one socket.
 */
import { ptr, type Pointer } from "bun:ffi";
import { now } from "../host/clock.ts";
import { COUNT } from "../counters/counters.ts";
import type { Answering } from "./answering.ts";
import { ADDRESS_SLOT, BATCH_SIZE, REPLY_SLOT, REQUEST_SLOT } from "./datagrams.ts";
import {
  AF_INET,
  AF_INET6,
  EAGAIN,
  EBADF,
  EFAULT,
  EINTR,
  EINVAL,
  EMSGSIZE,
  ENOSYS,
  ENOTSOCK,
  type Libc,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_WAITFORONE,
  SystemError,
} from "../host/libc.ts";
import { REPLY_BYTES_CUT } from "./packet.ts";

const HEADER = 64;
const NAME_LENGTH = 8;
const IOV = 16;
const IOV_COUNT = 24;
const CONTROL = 32;
const CONTROL_LENGTH = 40;
const RECEIVED = 56;

const IOVEC = 16;
const IOVEC_LENGTH = 8;

const NAME_SLOT = 32;
const NAME_SIZE = 28;
const CONTROL_SLOT = 64;
const CONTROL_LEVEL = 8;
const CONTROL_DATA = 16;
const CONTROL_INTERFACE_IPV6 = CONTROL_DATA + 16;
const SOL_IPV6 = 41;

/** Errors that a retry cannot solve: the socket or the arguments are wrong. */
const FINAL = [EBADF, EFAULT, EINVAL, ENOSYS, ENOTSOCK];
/** Out of memory is tolerated for this long, with this pause before each retry. */
const FAILING_SECONDS_MAX = 10;
const FAILURE_PAUSE_MILLISECONDS = 1;

/** The calls of the C library that carry datagrams. */
export type SocketCalls = Pick<Libc, "receive" | "send" | "errno">;

export class Batches {
  readonly #libc: SocketCalls;
  readonly #fd: number;
  readonly #answering: Answering;
  readonly #counts: Float64Array;
  readonly #controlSize: number;
  /** Time of the first failure to receive since the last success; 0 if there is none. */
  #failingSince = 0;

  // All are larger than 1,000 bytes: the engine moves smaller typed arrays, and breaks pointers.
  readonly #received = new Uint32Array(new ArrayBuffer(BATCH_SIZE * HEADER));
  readonly #sent = new Uint32Array(new ArrayBuffer(BATCH_SIZE * HEADER));
  readonly #requestVectors = new Uint32Array(new ArrayBuffer(BATCH_SIZE * IOVEC));
  readonly #replyVectors = new Uint32Array(new ArrayBuffer(BATCH_SIZE * IOVEC));
  readonly #names = new Uint8Array(new ArrayBuffer(BATCH_SIZE * NAME_SLOT));
  readonly #controls = new Uint8Array(new ArrayBuffer(BATCH_SIZE * CONTROL_SLOT));
  readonly #controlWords = new Uint32Array(this.#controls.buffer);
  readonly #receivedPointer: Pointer;
  readonly #sentPointer: number;
  readonly #replyVectorsPointer: number;

  /** `wildcard`: the socket is bound to all addresses, so each reply must set its source. */
  constructor(libc: SocketCalls, fd: number, wildcard: boolean, answering: Answering) {
    this.#libc = libc;
    this.#fd = fd;
    this.#answering = answering;
    this.#counts = answering.counters.row;
    this.#controlSize = wildcard ? CONTROL_SLOT : 0;
    this.#receivedPointer = ptr(this.#received);
    this.#sentPointer = ptr(this.#sent);
    this.#replyVectorsPointer = ptr(this.#replyVectors);
    this.#layOut();
  }

  #layOut(): void {
    const { requests, replies } = this.#answering.datagrams;
    const pointers = {
      requests: ptr(requests),
      replies: ptr(replies),
      requestVectors: ptr(this.#requestVectors),
      names: ptr(this.#names),
      controls: ptr(this.#controls),
    };
    for (let slot = 0; slot < BATCH_SIZE; slot++) {
      const header = slot * HEADER;
      const vector = slot * IOVEC;
      putPointer(this.#received, header, pointers.names + slot * NAME_SLOT);
      putPointer(this.#received, header + IOV, pointers.requestVectors + vector);
      this.#received[(header + IOV_COUNT) >>> 2] = 1;
      putPointer(this.#received, header + CONTROL, pointers.controls + slot * CONTROL_SLOT);
      putPointer(this.#requestVectors, vector, pointers.requests + slot * REQUEST_SLOT);
      this.#requestVectors[(vector + IOVEC_LENGTH) >>> 2] = REQUEST_SLOT;
      putPointer(this.#replyVectors, vector, pointers.replies + slot * REPLY_SLOT);
      this.#sent[(header + IOV_COUNT) >>> 2] = 1;
      this.#resetLengths(slot);
    }
  }

  /** Resets two lengths that the kernel overwrites with the size it used. */
  #resetLengths(slot: number): void {
    this.#received[(slot * HEADER + NAME_LENGTH) >>> 2] = NAME_SIZE;
    this.#received[(slot * HEADER + CONTROL_LENGTH) >>> 2] = this.#controlSize;
  }

  /**
   * Waits for datagrams until the socket's receive timeout, then answers the queued ones, at most a
   * batch. Returns their number. Throws a SystemError if the socket cannot be used any more.
   */
  turn(): number {
    return this.#turn(MSG_WAITFORONE);
  }

  /** Answers queued datagrams without waiting. Returns their number. */
  drain(): number {
    return this.#turn(MSG_DONTWAIT);
  }

  #turn(flags: number): number {
    this.#counts[COUNT.udpTurns] += 1;
    const count = this.#libc.receive(this.#fd, this.#receivedPointer, BATCH_SIZE, flags);
    if (count <= 0) {
      if (count < 0) this.#handleError(this.#libc.errno());
      return 0;
    }
    this.#failingSince = 0;
    for (let slot = 0; slot < count; slot++) this.#readHeader(slot);
    this.#answering.answer(count);
    this.#reply(count);
    this.#answering.finish(count);
    return count;
  }

  #handleError(errno: number): void {
    if (errno === EINTR) return;
    if (errno === EAGAIN) {
      this.#failingSince = 0;
      return;
    }
    const seconds = now();
    if (this.#failingSince === 0) this.#failingSince = seconds;
    const failing = seconds - this.#failingSince;
    if (FINAL.includes(errno) || failing > FAILING_SECONDS_MAX) {
      throw new SystemError("recvmmsg", errno);
    }
    Bun.sleepSync(FAILURE_PAUSE_MILLISECONDS);
  }

  /** Copies length, family and address of a datagram from the kernel's header to `Datagrams`. */
  #readHeader(slot: number): void {
    const { datagrams } = this.#answering;
    const names = this.#names;
    const name = slot * NAME_SLOT;
    const address = slot * ADDRESS_SLOT;
    datagrams.requestLengths[slot] = this.#received[(slot * HEADER + RECEIVED) >>> 2];
    const family = names[name] | (names[name + 1] << 8);
    if (names[name + 2] === 0 && names[name + 3] === 0) {
      datagrams.families[slot] = 0; // A reply to port 0 cannot be sent.
    } else if (family === AF_INET) {
      copy(names, name + 4, datagrams.addresses, address, 4);
      datagrams.families[slot] = 4;
    } else if (family !== AF_INET6) {
      datagrams.families[slot] = 0;
    } else if (isMapped(names, name + 8)) {
      copy(names, name + 20, datagrams.addresses, address, 4);
      datagrams.families[slot] = 4;
    } else {
      copy(names, name + 8, datagrams.addresses, address, 16);
      datagrams.families[slot] = 6;
    }
  }

  /** Sends the replies of a batch together. */
  #reply(count: number): void {
    const { replyLengths } = this.#answering.datagrams;
    let replies = 0;
    for (let slot = 0; slot < count; slot++) {
      if (replyLengths[slot] > 0) this.#prepare(slot, replies++, replyLengths[slot]);
      this.#resetLengths(slot);
    }
    for (let done = 0; done < replies;) {
      const at = (this.#sentPointer + done * HEADER) as Pointer;
      const sent = this.#libc.send(this.#fd, at, replies - done, MSG_NOSIGNAL);
      if (sent > 0) {
        done += sent;
        continue;
      }
      const errno = this.#libc.errno();
      // No reply can ever be sent, for example because of a seccomp filter.
      if (errno === ENOSYS) throw new SystemError("sendmmsg", errno);
      if (errno === EINTR || (errno === EMSGSIZE && this.#cut(done))) continue;
      // Only the first reply could not be sent: skip it and send the others.
      this.#counts[COUNT.udpSendFailures] += 1;
      done += 1;
    }
  }

  /** Cuts the reply of header `index`, so that any way carries it; false if it is as short. */
  #cut(index: number): boolean {
    const pointer = this.#sent[(index * HEADER + IOV) >>> 2];
    const vector = (pointer - (this.#replyVectorsPointer % 0x1_0000_0000)) >>> 0;
    const length = (vector + IOVEC_LENGTH) >>> 2;
    if (this.#replyVectors[length] <= REPLY_BYTES_CUT) return false;
    this.#replyVectors[length] = REPLY_BYTES_CUT;
    return true;
  }

  /**
   * Fills header `index` for the reply of a slot: to its sender, from the address it was sent to.
   */
  #prepare(slot: number, index: number, length: number): void {
    const received = this.#received;
    const sent = this.#sent;
    const from = (slot * HEADER) >>> 2;
    const to = (index * HEADER) >>> 2;
    sent[to] = received[from];
    sent[to + 1] = received[from + 1];
    sent[to + (NAME_LENGTH >>> 2)] = received[from + (NAME_LENGTH >>> 2)];
    this.#replyVectors[(slot * IOVEC + IOVEC_LENGTH) >>> 2] = length;
    const vector = this.#replyVectorsPointer + slot * IOVEC;
    putPointer(sent, index * HEADER + IOV, vector);
    if (this.#controlSize === 0) return;
    sent[to + (CONTROL >>> 2)] = received[from + (CONTROL >>> 2)];
    sent[to + (CONTROL >>> 2) + 1] = received[from + (CONTROL >>> 2) + 1];
    sent[to + (CONTROL_LENGTH >>> 2)] = received[from + (CONTROL_LENGTH >>> 2)];
    this.#forgetInterface(slot * CONTROL_SLOT);
  }

  /** Removes the interface, which only a link-local address needs. */
  #forgetInterface(control: number): void {
    const words = this.#controlWords;
    if (words[(control + CONTROL_LEVEL) >>> 2] !== SOL_IPV6) {
      words[(control + CONTROL_DATA) >>> 2] = 0;
      return;
    }
    const bytes = this.#controls;
    const data = control + CONTROL_DATA;
    if (bytes[data] === 0xfe && (bytes[data + 1] & 0xc0) === 0x80) return;
    words[(control + CONTROL_INTERFACE_IPV6) >>> 2] = 0;
  }
}

/** Writes a pointer, little-endian, at a byte offset. A pointer has at most 53 bits. */
function putPointer(words: Uint32Array, at: number, pointer: number): void {
  words[at >>> 2] = pointer % 0x1_0000_0000;
  words[(at >>> 2) + 1] = Math.floor(pointer / 0x1_0000_0000);
}

function copy(from: Uint8Array, at: number, to: Uint8Array, toAt: number, count: number): void {
  for (let i = 0; i < count; i++) to[toAt + i] = from[at + i];
}

/** True for ::ffff:0:0/96: IPv4 addresses on a dual-stack socket. [RFC 4291 2.5.5.2] */
function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}
