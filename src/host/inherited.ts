/**
 * Sockets that the process is given at its start: already bound, with requests that wait in them.
 *
 * systemd passes those of a `.socket` unit, and those that an earlier run has left in its store
 * (see notify.ts), as descriptors 3, 4, …:
 *
 *   LISTEN_PID       the process they are for
 *   LISTEN_FDS       how many there are
 *   LISTEN_FDNAMES   their names, with a colon between two
 *
 * What they are is read from the sockets, since names may be anything:
 *
 *   sockaddr, 28     family 0 · port 2 · IPv4 address 4 · IPv6 address 8 · number of interface 24
 *
 * This is loaded only if there are such sockets. sd_listen_fds(3)
 */
import { dlopen, FFIType, ptr, type Pointer } from "bun:ffi";
import { fstatSync } from "node:fs";
import { readAddress, writeAddress } from "../net/addresses.ts";
import { AF_INET, AF_INET6 } from "./libc.ts";
import { findLibc } from "./mapped.ts";

const FD_FIRST = 3;
const COUNT = /^\d{1,5}$/;

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_ACCEPTCONN = 30;
const SOL_IPV6 = 41;
const IPV6_V6ONLY = 26;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const POLLRDHUP = 0x2000;

/** Bytes of the largest socket address. The length of a result is behind it. */
const ADDRESS_SIZE = 28;
const LENGTH_AT = 32;

const SYMBOLS = {
  getsockname: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  getpeername: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  getsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr],
    returns: FFIType.i32,
  },
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  poll: { args: [FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
} as const;

/** It takes datagrams of one peer only, which is no client. */
const CONNECTED = "is connected";
/** It receives nothing any more, and a read returns at once. */
const SHUT = "is shut down";

/** A socket that answers requests. */
export interface ServerSocket {
  protocol: "udp" | "tcp";
  /** Its address, as `addressText` writes it; with ` only` behind `[::]` if it leaves out IPv4. */
  at: string;
  /** Why it would answer nobody, "" if it would; in a sentence that begins with "it". */
  flaw: "" | typeof CONNECTED | typeof SHUT;
  /** The same for all descriptors of a socket. */
  inode: number;
}

/** A socket that somebody else has bound. */
export interface InheritedSocket extends ServerSocket {
  fd: number;
  /** Its name, or "" if it has none. */
  name: string;
}

/**
 * The sockets given to the process `pid`, each once: a second descriptor of a socket is closed.
 * What is not a socket for requests over UDP or TCP is left out, and stays open. Never throws.
 */
export function inheritedSockets(
  env: Record<string, string | undefined>,
  calls: Pick<SocketCalls, "look" | "close">,
  pid: number = process.pid,
): InheritedSocket[] {
  const { LISTEN_PID, LISTEN_FDS = "", LISTEN_FDNAMES = "" } = env;
  if (LISTEN_PID !== String(pid) || !COUNT.test(LISTEN_FDS)) return [];
  const names = LISTEN_FDNAMES.split(":");
  const seen = new Set<number>();
  const sockets: InheritedSocket[] = [];
  for (let index = 0; index < Number(LISTEN_FDS); index++) {
    const fd = FD_FIRST + index;
    const socket = calls.look(fd);
    if (socket === undefined) continue;
    if (seen.has(socket.inode)) {
      calls.close(fd);
      continue;
    }
    seen.add(socket.inode);
    sockets.push({ ...socket, fd, name: names[index] ?? "" });
  }
  return sockets;
}

/**
 * An address as text that is the same for the same address: `[fe80::1%2]:6969` has the number of
 * its interface.
 */
export function addressText(host: string, port: number, scope: number): string {
  const address = new Uint8Array(16);
  const family = readAddress(host, address, 0) || 4;
  const text = writeAddress(address, 0, family);
  return family === 4 ? `${text}:${port}` : `[${text}${scope === 0 ? "" : `%${scope}`}]:${port}`;
}

/** Opens the calls; undefined on other systems. Never throws. */
export function openSocketCalls(): SocketCalls | undefined {
  const path = findLibc();
  try {
    return path === undefined ? undefined : new SocketCalls(path);
  } catch {
    return undefined;
  }
}

/** The calls of the C library for sockets that somebody else has bound. */
export class SocketCalls {
  readonly #calls: ReturnType<typeof dlopen<typeof SYMBOLS>>["symbols"];
  /** Arguments passed by address. Larger than 1,000 bytes, so that the engine does not move it. */
  readonly #argument = new Uint8Array(new ArrayBuffer(2048));
  readonly #view = new DataView(this.#argument.buffer);
  readonly #pointer: Pointer = ptr(this.#argument);
  readonly #lengthPointer: Pointer = ptr(this.#argument, LENGTH_AT);

  /** `path` is the file of the library; throws if it lacks a call. */
  constructor(path: string) {
    this.#calls = dlopen(path, SYMBOLS).symbols;
  }

  /**
   * What the socket answers, which is closed in programs that this one starts; undefined if it is
   * neither a socket for UDP nor one that accepts connections over TCP.
   */
  look(fd: number): ServerSocket | undefined {
    const type = this.#option(fd, SOL_SOCKET, SO_TYPE);
    const listens = type === SOCK_STREAM && this.#option(fd, SOL_SOCKET, SO_ACCEPTCONN) === 1;
    if (type !== SOCK_DGRAM && !listens) return undefined;
    const ipv6Only = this.#option(fd, SOL_IPV6, IPV6_V6ONLY) === 1;
    const at = this.#readName(fd);
    if (at === undefined) return undefined;
    this.#calls.fcntl(fd, F_SETFD, FD_CLOEXEC);
    const partial = ipv6Only && at.startsWith("[::]") ? " only" : "";
    return {
      protocol: listens ? "tcp" : "udp",
      at: at + partial,
      flaw: this.#isConnected(fd) ? CONNECTED : this.#isShut(fd) ? SHUT : "",
      inode: fstatSync(fd).ino,
    };
  }

  /**
   * Makes a UDP socket take no more datagrams of clients; those that wait in it stay. A socket that
   * is connected takes those of its peer only, and its peer becomes the socket itself.
   */
  takeNoMore(fd: number): void {
    if (this.#readName(fd) === undefined) return;
    this.#calls.connect(fd, this.#pointer, this.#view.getUint32(LENGTH_AT, true));
  }

  close(fd: number): void {
    this.#calls.close(fd);
  }

  /** The address of a socket, whose bytes `#argument` has then; undefined if it is not of IP. */
  #readName(fd: number): string | undefined {
    const [bytes, view] = [this.#argument, this.#view];
    view.setUint32(LENGTH_AT, ADDRESS_SIZE, true);
    if (this.#calls.getsockname(fd, this.#pointer, this.#lengthPointer) !== 0) return undefined;
    const family = view.getUint16(0, true);
    const port = view.getUint16(2);
    if (family === AF_INET) return addressText(writeAddress(bytes, 4, 4), port, 0);
    if (family !== AF_INET6) return undefined;
    return addressText(writeAddress(bytes, 8, 6), port, view.getUint32(24, true));
  }

  /** A socket that accepts connections has no peer. */
  #isConnected(fd: number): boolean {
    this.#view.setUint32(LENGTH_AT, ADDRESS_SIZE, true);
    return this.#calls.getpeername(fd, this.#pointer, this.#lengthPointer) === 0;
  }

  /** Of a socket that accepts connections it is known already: it would accept none. */
  #isShut(fd: number): boolean {
    this.#view.setInt32(0, fd, true);
    this.#view.setInt32(4, POLLRDHUP, true);
    const ready = this.#calls.poll(this.#pointer, 1, 0) > 0;
    return ready && (this.#view.getUint16(6, true) & POLLRDHUP) !== 0;
  }

  /** The value of an option; undefined if the descriptor does not have it. */
  #option(fd: number, level: number, option: number): number | undefined {
    this.#view.setInt32(0, 0, true);
    this.#view.setInt32(LENGTH_AT, 4, true);
    const [value, length] = [this.#pointer, this.#lengthPointer];
    const failed = this.#calls.getsockopt(fd, level, option, value, length) !== 0;
    return failed ? undefined : this.#view.getInt32(0, true);
  }
}
