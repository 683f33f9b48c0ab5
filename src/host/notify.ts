/**
 * Reports the state to systemd: ready, reloading, stopping, alive, and one line for people.
 *
 * Messages are lines of NAME=value, sent as one datagram to the Unix socket that NOTIFY_SOCKET
 * names. Bun has no such sockets, so the C library is called. Without the library or without
 * NOTIFY_SOCKET nothing is sent. Sending never waits and ignores errors.
 *
 *   sockaddr_un   family 0 · path 2, up to 108 bytes; an abstract name begins with a zero byte
 *
 * sd_notify(3), unix(7)
 */
import { dlopen, FFIType, ptr } from "bun:ffi";

import { findLibc } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1;
const PATH_BYTES_MAX = 108;
const MESSAGE_BYTES_MAX = 2048;

const SYMBOLS = {
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64,
  },
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

  /** `env` is the environment of the process `pid`. Never throws. */
  constructor(env: NotifyEnvironment, pid: number = process.pid) {
    this.watchdogSeconds = watchdogSeconds(env, pid);
    this.#addressSize = writeUnixAddress(env["NOTIFY_SOCKET"] ?? "", this.#address);
    const path = this.#addressSize === 0 ? undefined : findLibc();
    if (path === undefined) return;
    try {
      this.#calls = dlopen(path, SYMBOLS).symbols;
      this.#fd = this.#calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
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
