/**
 * Reports the state to systemd: ready, reloading, stopping, alive, and one line for people; and
 * gives it the sockets, which it keeps for the next run.
 *
 * Messages are lines of NAME=value, sent as one datagram to the Unix socket that NOTIFY_SOCKET
 * names. Bun has no such sockets, so the C library is called. Without the library or without
 * NOTIFY_SOCKET nothing is sent. Sending ignores errors, and waits only with descriptors.
 *
 *   sockaddr_un   family 0 · path 2, up to 108 bytes; an abstract name begins with a zero byte
 *   msghdr, 56    name pointer 0 · name length 8 · iov pointer 16 · iov count 24
 *                 control pointer 32 · control length 40
 *   iovec, 16     pointer 0 · length 8
 *   control       length 0 · level 8 · type 12 · descriptors 16, 4 bytes each
 *
 * sd_notify(3), sd_pid_notify_with_fds(3), unix(7)
 */
import { dlopen, FFIType, ptr } from "bun:ffi";

import { findLibc } from "./mapped.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1;
const PATH_BYTES_MAX = 108;
const MESSAGE_BYTES_MAX = 2048;

const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const SCM_RIGHTS = 1;
/** Descriptors in one message: the kernel takes 253. [SCM_MAX_FD] */
const DESCRIPTORS_MAX = 128;

/** Offsets in the memory of a message with descriptors, and its size. */
const HEADER = 0;
const VECTOR = 56;
const CONTROL = 72;
const CONTROL_HEADER = 16;
const RIGHTS_BYTES = 2048;

/** How long a message with descriptors waits for room in the supervisor's queue. */
const SEND_SECONDS_MAX = 2;
/** How long `barrier` waits. */
const BARRIER_MILLISECONDS_MAX = 5000;

const SYMBOLS = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64,
  },
  sendmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i64 },
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
  pipe2: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  poll: { args: [FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
} as const;

/** The environment variables. */
export type NotifyEnvironment = Record<string, string | undefined>;

export class Notifier {
  /** How often `alive` must be called, in seconds; 0 without a watchdog. */
  readonly watchdogSeconds: number;
  readonly #calls: ReturnType<typeof dlopen<typeof SYMBOLS>>["symbols"] | undefined;
  readonly #fd: number = -1;
  // Larger than 1,000 bytes, so that the engine does not move them.
  readonly #address = new Uint8Array(new ArrayBuffer(1024));
  readonly #addressSize: number;
  readonly #message = new Uint8Array(new ArrayBuffer(MESSAGE_BYTES_MAX));
  readonly #rights = new Uint8Array(new ArrayBuffer(RIGHTS_BYTES));
  readonly #view = new DataView(this.#rights.buffer);

  /** `env` is the environment of the process `pid`. Never throws. */
  constructor(env: NotifyEnvironment, pid: number = process.pid) {
    this.watchdogSeconds = watchdogSeconds(env, pid);
    this.#addressSize = writeUnixAddress(env["NOTIFY_SOCKET"] ?? "", this.#address);
    const path = this.#addressSize === 0 ? undefined : findLibc();
    if (path === undefined) return;
    try {
      this.#calls = dlopen(path, SYMBOLS).symbols;
      this.#fd = this.#calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      this.#view.setBigInt64(0, BigInt(SEND_SECONDS_MAX), true);
      this.#calls.setsockopt(this.#fd, SOL_SOCKET, SO_SNDTIMEO, ptr(this.#rights), 16);
    } catch {
      this.#calls = undefined;
    }
  }

  /** Whether messages are sent. */
  get listening(): boolean {
    return this.#fd >= 0;
  }

  /** All addresses are bound and requests are answered. */
  ready(status: string): void {
    this.#send(`READY=1\nSTATUS=${oneLine(status)}`);
  }

  /** One line for `systemctl status`. */
  status(status: string): void {
    this.#send(`STATUS=${oneLine(status)}`);
  }

  /** The event loop turns. */
  alive(): void {
    this.#send("WATCHDOG=1");
  }

  /** Files are read again; `ready` is sent afterwards. */
  reloading(): void {
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${this.#monotonicMicroseconds()}`);
  }

  /** No new requests are accepted. */
  stopping(): void {
    this.#send("STOPPING=1");
  }

  /**
   * Gives descriptors under a name to the supervisor, if its unit has a store. It passes them to
   * the next process of the unit, also after a crash. It does not look for errors on them: an ICMP
   * error would make it drop a UDP socket. The same socket is stored once. Returns false if not
   * sent.
   */
  store(name: string, fds: readonly number[]): boolean {
    for (let from = 0; from < fds.length; from += DESCRIPTORS_MAX) {
      const some = fds.slice(from, from + DESCRIPTORS_MAX);
      if (!this.#sendWith(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, some)) return false;
    }
    return true;
  }

  /** Takes all descriptors of a name out of the supervisor's store. Returns false if not sent. */
  forget(name: string): boolean {
    return this.#sendWith(`FDSTOREREMOVE=1\nFDNAME=${name}`, []);
  }

  /** Waits until the supervisor has processed all earlier messages, for some seconds at most. */
  barrier(): void {
    if (this.#fd < 0 || this.#calls!.pipe2(ptr(this.#rights), SOCK_CLOEXEC) !== 0) return;
    const [read, write] = [this.#view.getInt32(0, true), this.#view.getInt32(4, true)];
    // The supervisor closes its end when it comes to this message.
    const sent = this.#sendWith("BARRIER=1", [write]);
    this.#calls!.close(write);
    this.#view.setInt32(0, read, true);
    this.#view.setInt32(4, 0, true);
    if (sent) this.#calls!.poll(ptr(this.#rights), 1, BARRIER_MILLISECONDS_MAX);
    this.#calls!.close(read);
  }

  /** Sends a message with descriptors, and waits if the queue is full. */
  #sendWith(text: string, fds: readonly number[]): boolean {
    if (this.#fd < 0) return false;
    const { written } = new TextEncoder().encodeInto(text, this.#message);
    this.#layOut(written, fds);
    return Number(this.#calls!.sendmsg(this.#fd, ptr(this.#rights), MSG_NOSIGNAL)) === written;
  }

  #layOut(messageSize: number, fds: readonly number[]): void {
    const [view, start] = [this.#view, ptr(this.#rights)];
    this.#rights.fill(0);
    const controlSize = fds.length === 0 ? 0 : CONTROL_HEADER + 4 * fds.length;
    view.setBigUint64(HEADER, BigInt(ptr(this.#address)), true);
    view.setUint32(HEADER + 8, this.#addressSize, true);
    view.setBigUint64(HEADER + 16, BigInt(start + VECTOR), true);
    view.setBigUint64(HEADER + 24, 1n, true);
    if (controlSize > 0) view.setBigUint64(HEADER + 32, BigInt(start + CONTROL), true);
    view.setBigUint64(HEADER + 40, BigInt(controlSize), true);
    view.setBigUint64(VECTOR, BigInt(ptr(this.#message)), true);
    view.setBigUint64(VECTOR + 8, BigInt(messageSize), true);
    view.setBigUint64(CONTROL, BigInt(controlSize), true);
    view.setInt32(CONTROL + 8, SOL_SOCKET, true);
    view.setInt32(CONTROL + 12, SCM_RIGHTS, true);
    fds.forEach((fd, index) => view.setInt32(CONTROL + CONTROL_HEADER + 4 * index, fd, true));
  }

  #send(text: string): void {
    if (this.#fd < 0) return;
    const { written } = new TextEncoder().encodeInto(text, this.#message);
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const [message, address] = [ptr(this.#message), ptr(this.#address)];
    this.#calls!.sendto(this.#fd, message, written, flags, address, this.#addressSize);
  }

  /** systemd compares this with its own clock. Seconds at 0, nanoseconds at 8. */
  #monotonicMicroseconds(): bigint {
    if (this.#calls === undefined) return 0n;
    this.#calls.clock_gettime(CLOCK_MONOTONIC, ptr(this.#message));
    const view = new DataView(this.#message.buffer);
    return view.getBigInt64(0, true) * 1_000_000n + view.getBigInt64(8, true) / 1000n;
  }
}

/** Half of systemd's watchdog timeout; 0 if it does not watch this process. */
function watchdogSeconds(env: NotifyEnvironment, pid: number): number {
  const watched = env["WATCHDOG_PID"];
  if (watched !== undefined && watched !== "" && watched !== String(pid)) return 0;
  const microseconds = Number(env["WATCHDOG_USEC"] ?? "");
  return Number.isFinite(microseconds) && microseconds > 0 ? microseconds / 2e6 : 0;
}

/** Returns the size of the address; 0 if the name is neither a path nor `@` and a name. */
function writeUnixAddress(name: string, out: Uint8Array): number {
  const abstract = name.startsWith("@");
  if (!abstract && !name.startsWith("/")) return 0;
  const bytes = new TextEncoder().encode(name);
  if (bytes.length >= PATH_BYTES_MAX) return 0;
  new DataView(out.buffer).setUint16(0, AF_UNIX, true);
  out.set(bytes, 2);
  // In an abstract name a zero byte stands for the @, and no zero byte ends it.
  if (abstract) out[2] = 0;
  return 2 + bytes.length + (abstract ? 0 : 1);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").slice(0, 200);
}
