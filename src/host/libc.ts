/**
 * The calls to the C library that Bun's own sockets do not offer, for Linux on x64 and arm64.
 *
 * `openLibc` finds the library that is already mapped into the process, glibc or musl, and opens
 * exactly that file: a name that is not found would be searched in the working directory. If it
 * returns undefined, the program uses Bun's sockets only.
 *
 * Both libraries share the struct layouts on 64-bit Linux; see netinet/in.h and sys/socket.h.
 */
import { dlopen, FFIType, ptr, read, type Pointer } from "bun:ffi";
import type { Family } from "../constants.ts";
import { readAddress, unmapped } from "../net/addresses.ts";
import { findLibc, type MappedPart, ownCode } from "./mapped.ts";

export const AF_INET = 2;
export const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const O_NONBLOCK = 0o4000;

const SOL_IP = 0;
const SOL_SOCKET = 1;
const SOL_IPV6 = 41;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_REUSEPORT = 15;
const SO_RCVTIMEO = 20;
const SO_TIMESTAMP = 29;
const SO_RCVBUFFORCE = 33;
const IP_PKTINFO = 8;
const IP_MTU_DISCOVER = 10;
const [PMTU_WANT, PMTU_DO] = [1, 2];
const IP_RECVERR = 11;
const IP_RECVTOS = 13;
const IPV6_RECVERR = 25;
const IPV6_V6ONLY = 26;
const IPV6_RECVPKTINFO = 49;
const IPV6_RECVTCLASS = 66;

/** Options that add control data to datagrams: an earlier owner of the socket may have set them. */
const CONTROL_OPTIONS = [
  [SOL_IP, IP_PKTINFO],
  [SOL_IP, IP_RECVTOS],
  [SOL_IPV6, IPV6_RECVPKTINFO],
  [SOL_IPV6, IPV6_RECVTCLASS],
  [SOL_SOCKET, SO_TIMESTAMP],
] as const;

export const MSG_DONTWAIT = 0x40;
export const MSG_WAITFORONE = 0x10000;
export const MSG_NOSIGNAL = 0x4000;

/** The longest name of an interface, in bytes. [net/if.h, IFNAMSIZ minus the zero byte] */
const INTERFACE_SIZE_MAX = 15;

const EPERM = 1;
const EACCES = 13;
const ENODEV = 19;
export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const EFAULT = 14;
export const EINVAL = 22;
export const ENOSYS = 38;
export const ENOTSOCK = 88;
export const EMSGSIZE = 90;
const EAFNOSUPPORT = 97;

/** Of an IPv6 address; one of IPv4 is shorter. */
const SOCKET_ADDRESS_SIZE = 28;

const RLIMIT_CORE = 4; // [sys/resource.h]
const PR_SET_THP_DISABLE = 41; // [sys/prctl.h]

/** Names of the errors that an operator can fix; others are shown by number. */
const ERROR_CODES: Record<number, string> = {
  1: "EPERM",
  12: "ENOMEM",
  13: "EACCES",
  19: "ENODEV",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  38: "ENOSYS",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  105: "ENOBUFS",
};

const SYMBOLS = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
  listen: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  getpeername: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
  getsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i32,
  },
  recvmmsg: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u32, FFIType.i32, FFIType.ptr],
    returns: FFIType.i32,
  },
  sendmmsg: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u32, FFIType.i32],
    returns: FFIType.i32,
  },
  madvise: { args: [FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  getpagesize: { args: [], returns: FFIType.i32 },
  setrlimit: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
  prctl: {
    args: [FFIType.i32, FFIType.u64, FFIType.u64, FFIType.u64, FFIType.u64],
    returns: FFIType.i32,
  },
  if_nametoindex: { args: [FFIType.ptr], returns: FFIType.u32 },
  __errno_location: { args: [], returns: FFIType.ptr },
} as const;

const MADV_DONTNEED = 4;

/** A failed call. `code` is the name of the error, such as EADDRINUSE, or its number. */
export class SystemError extends Error {
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = ERROR_CODES[errno] ?? `errno ${errno}`;
    super(`${call}: ${code}`);
    this.code = code;
  }
}

/** Opens the C library; undefined if no known library is found. Never throws. */
export function openLibc(path = findLibc()): Libc | undefined {
  try {
    return path === undefined ? undefined : new Libc(path);
  } catch {
    return undefined;
  }
}

/**
 * True if the system lets the engine compile no code, which it does not say: hot code is then some
 * twenty times as slow. `bun:ffi` opens no library then, and says why (Bun 1.4.5).
 */
export function compilerIsOff(): boolean {
  const path = findLibc();
  try {
    if (path !== undefined) dlopen(path, { getpagesize: SYMBOLS.getpagesize });
    return false;
  } catch (error) {
    return /\bJIT\b/.test(String(error));
  }
}

export class Libc {
  /** The file of the library, for other threads. */
  readonly path: string;
  readonly #calls: ReturnType<typeof dlopen<typeof SYMBOLS>>["symbols"];
  /** Arguments passed by address. Larger than 1,000 bytes, so that the engine does not move it. */
  readonly #argument = new Uint8Array(new ArrayBuffer(2048));
  readonly #view = new DataView(this.#argument.buffer);
  readonly #pointer: Pointer = ptr(this.#argument);
  readonly #sizePointer: Pointer = ptr(this.#argument, SOCKET_ADDRESS_SIZE);
  /** Our own code and constants, which do not move; undefined until they were found. */
  #code: MappedPart[] | undefined;

  /** `path` is the file of the library; throws if it lacks a call. */
  constructor(path: string) {
    this.path = path;
    this.#calls = dlopen(path, SYMBOLS).symbols;
  }

  /** The error of the last call on this thread. */
  errno(): number {
    return read.i32(this.#calls.__errno_location()!, 0);
  }

  /** recvmmsg(2) without a timeout; -1 if it failed. */
  receive(fd: number, headers: Pointer, count: number, flags: number): number {
    return this.#calls.recvmmsg(fd, headers, count, flags, null);
  }

  /** sendmmsg(2); -1 if it failed. */
  send(fd: number, headers: Pointer, count: number, flags: number): number {
    return this.#calls.sendmmsg(fd, headers, count, flags);
  }

  /** Sends a few bytes on a connection, as many as its send buffer takes; never waits or fails. */
  sendBytes(fd: number, bytes: Uint8Array): void {
    const argument = this.#argument;
    const size = Math.min(bytes.length, argument.length);
    argument.set(bytes.subarray(0, size));
    this.#calls.send(fd, this.#pointer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  /**
   * Those of both calls that a filter forbids; they are called without headers, which does nothing.
   * On the way EPERM proves nothing: a firewall that drops a reply causes it as well.
   */
  forbiddenCalls(fd: number): string[] {
    const calls = {
      recvmmsg: () => this.#calls.recvmmsg(fd, null, 0, MSG_DONTWAIT, null),
      sendmmsg: () => this.#calls.sendmmsg(fd, null, 0, MSG_DONTWAIT),
    };
    const forbidden = [EPERM, EACCES, ENOSYS];
    return Object.entries(calls).flatMap(([name, call]) =>
      call() < 0 && forbidden.includes(this.errno()) ? name : [],
    );
  }

  close(fd: number): void {
    this.#calls.close(fd);
  }

  /** A second descriptor of the socket, which stays open until both close. Throws a SystemError. */
  duplicate(fd: number): number {
    const other = this.#calls.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (other < 0) throw new SystemError("fcntl", this.errno());
    return other;
  }

  /** Sets the backlog of connections, up to net.core.somaxconn. */
  listen(fd: number, backlog: number): void {
    this.#calls.listen(fd, backlog);
  }

  /** Sets the send buffer of connections that a listener accepts, in bytes. */
  setSendBuffer(fd: number, bytes: number): void {
    this.#setInt(fd, SOL_SOCKET, SO_SNDBUF, bytes);
  }

  /** Whether calls on the socket wait. It is a property of the socket, not of the descriptor. */
  setBlocking(fd: number, blocking: boolean): void {
    const flags = this.#calls.fcntl(fd, F_GETFL, 0) & ~O_NONBLOCK;
    this.#calls.fcntl(fd, F_SETFL, blocking ? flags : flags | O_NONBLOCK);
  }

  /** Whether other sockets of this user may bind the address of this one. */
  setShared(fd: number, shared: boolean): void {
    this.#setInt(fd, SOL_SOCKET, SO_REUSEPORT, shared ? 1 : 0);
  }

  /**
   * A UDP socket bound to an address; `::` takes IPv4 as well, and `fe80::1%eth0` names the
   * interface. With `shared` several sockets may bind the same address, and the kernel spreads
   * datagrams over them. Throws a SystemError, ENODEV if there is no such interface.
   */
  bindUdp(host: string, port: number, shared: boolean): number {
    const address = new Uint8Array(16);
    const family = readAddress(host, address, 0) || 4;
    const scope = this.scopeOf(host);
    const fd = this.#calls.socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new SystemError("socket", this.errno());
    if (family === 6) this.#setInt(fd, SOL_IPV6, IPV6_V6ONLY, 0);
    if (shared) this.#setInt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    const size = this.#writeSocketAddress(address, family, port, scope);
    if (this.#calls.bind(fd, this.#pointer, size) === 0) return fd;
    const error = new SystemError("bind", this.errno());
    this.close(fd);
    throw error;
  }

  /** False if the kernel has no IPv6, or a filter such as a service's forbids it. */
  hasIpv6(): boolean {
    const fd = this.#calls.socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const missing = fd < 0 && this.errno() === EAFNOSUPPORT;
    if (fd >= 0) this.close(fd);
    return !missing;
  }

  /** The receive buffer that a UDP socket would get, in bytes; see `setReceiveBuffer`. */
  receiveBufferFor(bytes: number): number {
    const fd = this.#calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw new SystemError("socket", this.errno());
    const granted = this.setReceiveBuffer(fd, bytes);
    this.close(fd);
    return granted;
  }

  /** The number of the interface behind `%` in an address; 0 without `%`. */
  scopeOf(host: string): number {
    const zone = host.split("%")[1];
    if (zone === undefined) return 0;
    if (/^\d{1,9}$/.test(zone)) return Number(zone);
    this.#argument.set(new TextEncoder().encode(`${zone.slice(0, INTERFACE_SIZE_MAX)}\0`));
    const scope = this.#calls.if_nametoindex(this.#pointer);
    if (scope === 0) throw new SystemError("if_nametoindex", ENODEV);
    return scope;
  }

  /**
   * Writes the address of the other end of a connection to the first 4 or 16 bytes; 0 if it has
   * none, or is gone. A socket of Bun that was asked for it as text keeps the text.
   */
  peerAddress(fd: number, out: Uint8Array): Family | 0 {
    const bytes = this.#argument;
    this.#view.setUint32(SOCKET_ADDRESS_SIZE, SOCKET_ADDRESS_SIZE, true);
    if (this.#calls.getpeername(fd, this.#pointer, this.#sizePointer) !== 0) return 0;
    const kind = this.#view.getUint16(0, true);
    if (kind === AF_INET) {
      for (let i = 0; i < 4; i++) out[i] = bytes[4 + i];
      return 4;
    }
    if (kind !== AF_INET6) return 0;
    for (let i = 0; i < 16; i++) out[i] = bytes[8 + i];
    return unmapped(out, 0);
  }

  /** Bytes: family 2, port 2, then IPv4: address 4; IPv6: flow 4, address 16, scope 4. */
  #writeSocketAddress(address: Uint8Array, family: Family, port: number, scope: number): number {
    this.#argument.fill(0, 0, 28);
    this.#view.setUint16(0, family === 4 ? AF_INET : AF_INET6, true);
    this.#view.setUint16(2, port);
    this.#argument.set(family === 4 ? address.subarray(0, 4) : address, family === 4 ? 4 : 8);
    if (family === 6) this.#view.setUint32(24, scope, true);
    return family === 4 ? 16 : 28;
  }

  /**
   * Turns off ICMP errors. With them, which Bun turns on, the kernel reports the "port unreachable"
   * of one client on the next send, even if that goes to another client.
   */
  ignoreUnreachable(fd: number): void {
    this.#setInt(fd, SOL_IP, IP_RECVERR, 0);
    this.#setInt(fd, SOL_IPV6, IPV6_RECVERR, 0);
  }

  /** Whether IPv4 datagrams are sent whole, or fail with EMSGSIZE if their way carries less. */
  setWhole(fd: number, whole: boolean): void {
    this.#setInt(fd, SOL_IP, IP_MTU_DISCOVER, whole ? PMTU_DO : PMTU_WANT);
  }

  /**
   * Asks the kernel for the destination address of each datagram, so that the reply leaves from it.
   * One option only: with both, a socket for both families reports an IPv4 datagram twice.
   */
  askForDestination(fd: number, family: Family): void {
    for (const [level, option] of CONTROL_OPTIONS) this.#setInt(fd, level, option, 0);
    if (family === 4) this.#setInt(fd, SOL_IP, IP_PKTINFO, 1);
    else this.#setInt(fd, SOL_IPV6, IPV6_RECVPKTINFO, 1);
  }

  /** Limits how long a receive blocks, so that its thread can read messages. */
  setReceiveTimeout(fd: number, milliseconds: number): void {
    this.#view.setBigInt64(0, BigInt(Math.floor(milliseconds / 1000)), true);
    this.#view.setBigInt64(8, BigInt((milliseconds % 1000) * 1000), true);
    this.#calls.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, this.#pointer, 16);
  }

  /**
   * Asks for a receive buffer of `bytes` and returns the size granted. Beyond the system's
   * limit it grants more only to a privileged process.
   */
  setReceiveBuffer(fd: number, bytes: number): number {
    if (!this.#setInt(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes)) {
      this.#setInt(fd, SOL_SOCKET, SO_RCVBUF, bytes);
    }
    this.#view.setInt32(0, 0, true);
    this.#view.setInt32(8, 4, true);
    const length = ptr(this.#argument, 8);
    if (this.#calls.getsockopt(fd, SOL_SOCKET, SO_RCVBUF, this.#pointer, length) !== 0) return 0;
    return this.#view.getInt32(0, true) / 2; // The kernel doubles it, for its own book-keeping.
  }

  /**
   * Releases the pages of our own code and constants: most are needed only to start or to compile,
   * and the kernel reads those that are needed again from the file. Saves about 30 MiB of resident
   * memory (measured, Bun 1.4.5, 2026-11). Releases read-only pages only.
   */
  forgetStartupCode(): void {
    this.#code ??= ownCode();
    for (const { start, size } of this.#code ?? []) {
      this.#calls.madvise(start, size, MADV_DONTNEED);
    }
  }

  /** Turns off core dumps of this process: they would hold tokens and keys. */
  refuseCoreDumps(): void {
    this.#argument.fill(0, 0, 16);
    this.#calls.setrlimit(RLIMIT_CORE, this.#pointer);
  }

  /**
   * From now on memory of this process comes in pages of the usual size. Where the system makes
   * pages of 2 MiB without being asked, as Debian does, one byte of a reservation makes 2 MiB
   * resident: a tracker with a million peers took 260 MB, not 68. They made no request cheaper.
   */
  refuseHugePages(): void {
    this.#calls.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  }

  /** Size of a page of the system, in bytes. */
  get pageSize(): number {
    return this.#calls.getpagesize();
  }

  /**
   * Gives `size` bytes of memory from `from` on back to the system; they then read as zeros. Both
   * are multiples of the page size. Returns false if the call failed.
   */
  discard(bytes: Uint8Array, from: number, size: number): boolean {
    return this.#calls.madvise(ptr(bytes, from), size, MADV_DONTNEED) === 0;
  }

  /** The same for all whole pages of a buffer that nothing reads any more. */
  discardAll(memory: SharedArrayBuffer): void {
    const bytes = new Uint8Array(memory);
    const { pageSize } = this;
    const before = (pageSize - (ptr(bytes) % pageSize)) % pageSize;
    const size = Math.floor((bytes.length - before) / pageSize) * pageSize;
    if (size > 0) this.discard(bytes, before, size);
  }

  #setInt(fd: number, level: number, option: number, value: number): boolean {
    this.#view.setInt32(0, value, true);
    return this.#calls.setsockopt(fd, level, option, this.#pointer, 4) === 0;
  }
}
