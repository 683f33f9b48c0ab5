/**
 * What mutation starts from: the corpus, taken apart into what each reader reads.
 *
 * UDP packets get zeros for their transaction id and connection id; whoever sends them writes both.
 */
import { readFileSync } from "node:fs";

const FOLDER = `${import.meta.dir}/../corpus`;

interface HttpLine {
  raw?: string;
  parts?: [bytes: string, times: number][];
}

interface UdpLine {
  steps: { send?: string; parts?: [hex: string, times: number][] }[];
}

/** Longest seed: megabytes of header are for the tests that send them whole. */
const SEED_BYTES_MAX = 20_000;

/** Whole requests over HTTP, as bytes. */
export function httpRequests(): Uint8Array[] {
  const requests = linesOf<HttpLine>("http_requests.jsonl").map(({ raw, parts }) => {
    const pieces: [string, number][] = raw === undefined ? (parts ?? []) : [[raw, 1]];
    const long = pieces.some(([bytes, times]) => bytes.length * times > SEED_BYTES_MAX);
    return long ? new Uint8Array() : Buffer.concat(pieces.flatMap(repeated));
  });
  return requests.filter((request) => request.length > 0);
}

function repeated([bytes, times]: [string, number]): Uint8Array[] {
  return Array.from({ length: times }, () => new Uint8Array(Buffer.from(bytes, "base64")));
}

/** Request targets: `/announce?info_hash=…`. */
export function httpTargets(): string[] {
  const targets = httpRequests().flatMap((request) => {
    const line = Buffer.from(request).toString("latin1").split("\r\n", 1)[0]!;
    const target = line.split(" ")[1];
    return target?.startsWith("/") ? [target] : [];
  });
  return [...new Set(targets)];
}

/** Datagrams, 2,048 bytes at most. */
export function udpPackets(): Uint8Array[] {
  const packets = linesOf<UdpLine>("udp_packets.jsonl").flatMap(({ steps }) =>
    steps.map(({ send, parts }) => {
      const pieces = send === undefined ? (parts ?? []) : ([[send, 1]] as [string, number][]);
      const hex = pieces.map(([text, times]) => text.repeat(Math.min(times, 4096))).join("");
      return Uint8Array.fromHex(
        hex.replace("{TX}", "0".repeat(8)).replace("{CONN}", "0".repeat(16)),
      );
    }),
  );
  return packets.map((packet) => packet.slice(0, 2048));
}

function linesOf<Line>(name: string): Line[] {
  const lines = readFileSync(`${FOLDER}/${name}`, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Line);
}
