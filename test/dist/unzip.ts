/**
 * Reads zip archives the long way round, from the directory at the end, as any unzip program does.
 * Strict: what the local headers say must be what the directory says. Throws on anything odd.
 */
import { crc32, inflateRawSync } from "node:zlib";

export interface Unzipped {
  path: string;
  bytes: Uint8Array;
  /** Permission bits. */
  mode: number;
  /** Year, month, day, hours, minutes, seconds (even). */
  time: [number, number, number, number, number, number];
}

const END_BYTES = 22;

export function unzip(archive: Uint8Array): Unzipped[] {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const end = bytes.length - END_BYTES;
  demand(bytes.toString("latin1", end, end + 4) === "PK\x05\x06", "no end of the directory");
  const count = bytes.readUInt16LE(end + 10);
  let at = bytes.readUInt32LE(end + 16);
  demand(at + bytes.readUInt32LE(end + 12) === end, "the directory has another size");
  return Array.from({ length: count }, () => {
    demand(bytes.toString("latin1", at, at + 4) === "PK\x01\x02", "no entry of the directory");
    const nameSize = bytes.readUInt16LE(at + 28);
    const entry = readEntry(bytes, at, nameSize);
    at += 46 + nameSize;
    return entry;
  });
}

function readEntry(bytes: Buffer, at: number, nameSize: number): Unzipped {
  const local = bytes.readUInt32LE(at + 42);
  const facts = bytes.subarray(at + 6, at + 32);
  const path = bytes.toString("latin1", at + 46, at + 46 + nameSize);
  const start = local + 30 + nameSize;
  demand(bytes.toString("latin1", local, local + 4) === "PK\x03\x04", `${path} has no header`);
  demand(bytes.subarray(local + 4, local + 30).equals(facts), `${path} has two descriptions`);
  demand(bytes.toString("latin1", local + 30, start) === path, `${path} has two names`);
  const content = inflateRawSync(bytes.subarray(start, start + facts.readUInt32LE(14)));
  demand(content.length === facts.readUInt32LE(18), `${path} has another size`);
  demand(crc32(content) === facts.readUInt32LE(10), `${path} has another checksum`);
  const [time, date] = [facts.readUInt16LE(6), facts.readUInt16LE(8)];
  return {
    path,
    bytes: content,
    mode: (bytes.readUInt32LE(at + 38) >>> 16) & 0o777,
    time: [
      1980 + (date >> 9),
      (date >> 5) & 15,
      date & 31,
      time >> 11,
      (time >> 5) & 63,
      2 * (time & 31),
    ],
  };
}

function demand(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}
