/**
 * Datagrams with a source that no socket would give them, for root on Linux with glibc.
 *
 *   IPv4 header, 20 bytes     version and length 0 · total length 2 · time to live 8 · protocol 9
 *                             source 12 · destination 16; the kernel fills in the checksum
 *   UDP header, 8 bytes       source port 0 · destination port 2 · length 4 · checksum 6, 0 = none
 *
 * https://www.rfc-editor.org/rfc/rfc791, https://www.rfc-editor.org/rfc/rfc768
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { existsSync } from "node:fs";

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_RAW = 255;
const PROTOCOL_UDP = 17;
const HEADERS = 28;

/** True where `sendFrom` can work. */
export const RAW_SOCKETS =
  process.platform === "linux" &&
  process.getuid?.() === 0 &&
  !existsSync("/etc/alpine-release") &&
  process.arch === "x64";

/** Sends one datagram to 127.0.0.1; returns what sendto(2) returned, -1 if the kernel refused. */
export function sendFrom(
  source: string,
  sourcePort: number,
  port: number,
  payload: Uint8Array,
): number {
  const { symbols, close } = dlopen("libc.so.6", {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    sendto: {
      args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
      returns: FFIType.i32,
    },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  });
  const length = HEADERS + payload.length;
  // Larger than 1,000 bytes, so that the pointers stay good.
  const bytes = new Uint8Array(new ArrayBuffer(4096));
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x45;
  view.setUint16(2, length);
  bytes[8] = 64;
  bytes[9] = PROTOCOL_UDP;
  bytes.set(source.split(".").map(Number), 12);
  bytes.set([127, 0, 0, 1], 16);
  view.setUint16(20, sourcePort);
  view.setUint16(22, port);
  view.setUint16(24, 8 + payload.length);
  bytes.set(payload, HEADERS);
  const address = 4096 - 16;
  view.setUint16(address, AF_INET, true);
  bytes.set([127, 0, 0, 1], address + 4);
  const fd = symbols.socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  const sent = symbols.sendto(fd, ptr(bytes), length, 0, ptr(bytes, address), 16);
  symbols.close(fd);
  close();
  return sent;
}
