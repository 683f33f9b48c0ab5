/**
 * The system calls of the load generators, for Linux on x64 and arm64: sockets, batches, epoll.
 *
 * A generator must cost less than what it drives, so it talks to the kernel from memory laid out
 * once: nothing is allocated by a call. All memory given to the kernel comes from `pinned`, which
 * keeps it alive and in place. Struct layouts are those glibc and musl share:
 *
 *   mmsghdr, 64   name pointer 0 · name length 8 · iov pointer 16 · iov count 24
 *                 control pointer 32 · control length 40 · received 56
 *   iovec, 16     pointer 0 · length 8
 *   pollfd, 8     fd 0 · events 4 · revents 6
 *   epoll_event   events 0 · data 4 on x64 (12 bytes), 8 elsewhere (16 bytes)
 */
import { dlopen, FFIType, ptr, read, type Pointer } from "bun:ffi";
import { readFileSync } from "node:fs";
import { readAddress } from "../../src/net/addresses.ts";

const { i32, u32 } = FFIType;
const pointer = FFIType.ptr;

const SYMBOLS = {
  socket: { args: [i32, i32, i32], returns: i32 },
  bind: { args: [i32, pointer, u32], returns: i32 },
  connect: { args: [i32, pointer, u32], returns: i32 },
  close: { args: [i32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
  send: { args: [i32, pointer, u32, i32], returns: i32 },
  recv: { args: [i32, pointer, u32, i32], returns: i32 },
  recvmmsg: { args: [i32, pointer, u32, i32, pointer], returns: i32 },
  sendmmsg: { args: [i32, pointer, u32, i32], returns: i32 },
  poll: { args: [pointer, u32, i32], returns: i32 },
  epoll_create1: { args: [i32], returns: i32 },
  epoll_ctl: { args: [i32, i32, i32, pointer], returns: i32 },
  epoll_wait: { args: [i32, pointer, i32, i32], returns: i32 },
  __errno_location: { args: [], returns: pointer },
} as const;

export const { symbols: calls } = dlopen(mappedLibc(), SYMBOLS);

export const EAGAIN = 11;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
export const POLLIN = 1;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_MOD = 3;
export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLL_DATA = process.arch === "x64" ? 4 : 8;
export const EPOLL_EVENT = EPOLL_DATA + 8;

export const HEADER = 64;
const HEADER_NAME = 0;
const HEADER_NAME_LENGTH = 8;
const HEADER_IOV = 16;
const HEADER_IOV_COUNT = 24;
const HEADER_CONTROL = 32;
const HEADER_CONTROL_LENGTH = 40;
const HEADER_RECEIVED = 56;
export const IOVEC = 16;
export const IOVEC_LENGTH = 8;

const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_LINGER = 13;
const SO_RCVBUFFORCE = 33;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const IP_BIND_ADDRESS_NO_PORT = 24;
const RECEIVE_BUFFER_BYTES = 8 * 2 ** 20;

const kept: ArrayBuffer[] = [];

/** Zeroed memory that the kernel may be told of: it never moves and never goes away. */
export function pinned(size: number): ArrayBuffer {
  // Smaller typed arrays than 1,000 bytes move.
  const buffer = new ArrayBuffer(Math.max(size, 2048));
  kept.push(buffer);
  return buffer;
}

/** Where pinned memory lies. */
export function addressOf(buffer: ArrayBuffer): number {
  return ptr(new Uint8Array(buffer));
}

/** Writes a pointer, little-endian, at a byte offset. */
export function putPointer(words: Uint32Array, at: number, value: number): void {
  words[at >>> 2] = value % 0x1_0000_0000;
  words[(at >>> 2) + 1] = Math.floor(value / 0x1_0000_0000);
}

/** The error of the call made last. */
export function errno(): number {
  return read.i32(calls.__errno_location()!, 0);
}

/** What a header vector of a batch needs: `count` headers, one vector each, over fixed slots. */
export class Batch {
  readonly pointer: Pointer;
  readonly headers: Uint32Array;
  readonly vectors: Uint32Array;
  readonly slots: ArrayBuffer;

  constructor(count: number, slotBytes: number) {
    const headers = pinned(count * HEADER);
    const vectors = pinned(count * IOVEC);
    this.slots = pinned(count * slotBytes);
    this.headers = new Uint32Array(headers);
    this.vectors = new Uint32Array(vectors);
    this.pointer = addressOf(headers) as Pointer;
    for (let i = 0; i < count; i++) {
      putPointer(this.headers, i * HEADER + HEADER_IOV, addressOf(vectors) + i * IOVEC);
      this.headers[(i * HEADER + HEADER_IOV_COUNT) >>> 2] = 1;
      putPointer(this.vectors, i * IOVEC, addressOf(this.slots) + i * slotBytes);
      this.setLength(i, slotBytes);
    }
  }

  setLength(slot: number, bytes: number): void {
    this.vectors[(slot * IOVEC + IOVEC_LENGTH) >>> 2] = bytes;
  }

  /** Where the datagram of a slot goes, over an unconnected socket, with this control data. */
  setDestination(slot: number, to: SocketAddress, control: number, controlBytes: number): void {
    const at = slot * HEADER;
    putPointer(this.headers, at + HEADER_NAME, to.pointer);
    this.headers[(at + HEADER_NAME_LENGTH) >>> 2] = to.size;
    putPointer(this.headers, at + HEADER_CONTROL, control);
    this.headers[(at + HEADER_CONTROL_LENGTH) >>> 2] = controlBytes;
  }

  /** Bytes of the datagram the kernel put into a slot. */
  received(slot: number): number {
    return this.headers[(slot * HEADER + HEADER_RECEIVED) >>> 2];
  }
}

const argument = pinned(2048);
const argumentView = new DataView(argument);
const argumentPointer = addressOf(argument) as Pointer;

/** A server's address in the kernel's form, to be connected to many times. */
export class SocketAddress {
  readonly ipv6: boolean;
  readonly pointer: Pointer;
  readonly size: number;
  readonly view: DataView;

  /** Throws if `host` is no IP address. */
  constructor(host: string, port: number) {
    const bytes = new Uint8Array(16);
    const family = readAddress(host, bytes, 0);
    if (family === 0) throw new Error(`not an IP address: ${host}`);
    this.ipv6 = family === 6;
    const buffer = pinned(28);
    this.view = new DataView(buffer);
    this.pointer = addressOf(buffer) as Pointer;
    this.size = this.ipv6 ? 28 : 16;
    this.view.setUint16(0, this.ipv6 ? 10 : 2, true);
    this.view.setUint16(2, port);
    new Uint8Array(buffer).set(this.ipv6 ? bytes : bytes.subarray(0, 4), this.ipv6 ? 8 : 4);
  }
}

/** The only loopback address of IPv6 is ::1; of IPv4, client `n` has a network of its own. */
function clientAddress(n: number): SocketAddress {
  return new SocketAddress(`127.1.${n}.2`, 0);
}
const clients = Array.from({ length: 200 }, (_, n) => clientAddress(n));

/** A UDP socket without an address. Throws if there is none to be had. */
export function openUnbound(server: SocketAddress): number {
  const fd = calls.socket(server.ipv6 ? 10 : 2, 2 | SOCK_NONBLOCK, 0);
  if (fd < 0) throw new Error(`no socket: errno ${errno()}`);
  setInt(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
  setInt(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
  return fd;
}

/** A UDP socket of client `n`, connected to the server. Throws if there is none to be had. */
export function openUdp(server: SocketAddress, n: number): number {
  const fd = openUnbound(server);
  const client = clients[n % clients.length];
  if (!server.ipv6) calls.bind(fd, client.pointer, client.size);
  if (calls.connect(fd, server.pointer, server.size) === 0) return fd;
  throw new Error(`cannot connect: errno ${errno()}`);
}

/** From now on the kernel cuts what is sent into datagrams of `bytes` each: UDP_SEGMENT. */
export function cutDatagrams(fd: number, bytes: number): void {
  if (!setInt(fd, SOL_UDP, UDP_SEGMENT, bytes)) throw new Error(`no UDP_SEGMENT: ${errno()}`);
}

/**
 * A TCP socket of client `n`, being connected to the server; below 0 if there is none to be had.
 * With `reset` it leaves no TIME_WAIT behind, or a minute of load would use up all ports.
 */
export function openTcp(server: SocketAddress, n: number, reset: boolean): number {
  const fd = calls.socket(server.ipv6 ? 10 : 2, 1 | SOCK_NONBLOCK, 0);
  if (fd < 0) return fd;
  if (reset) {
    argumentView.setInt32(0, 1, true);
    argumentView.setInt32(4, 0, true);
    calls.setsockopt(fd, SOL_SOCKET, SO_LINGER, argumentPointer, 8);
  }
  if (!server.ipv6) {
    setInt(fd, 0, IP_BIND_ADDRESS_NO_PORT, 1);
    const client = clients[n % clients.length];
    calls.bind(fd, client.pointer, client.size);
  }
  calls.connect(fd, server.pointer, server.size);
  return fd;
}

function setInt(fd: number, level: number, option: number, value: number): boolean {
  argumentView.setInt32(0, value, true);
  return calls.setsockopt(fd, level, option, argumentPointer, 4) === 0;
}

/** The C library that is already in this process; another name might be found in the folder. */
function mappedLibc(): string {
  const maps = readFileSync("/proc/self/maps", "utf8");
  const found = /\s(\/\S*\/(?:libc\.so\.6|(?:ld|libc)[.-]musl-\w+\.so\.1))$/m.exec(maps);
  if (found === null) throw new Error("the load generators need Linux with glibc or musl");
  return found[1];
}
