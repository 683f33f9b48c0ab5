/** The bytes of headers, as they are drawn. */
import { expect, test } from "bun:test";
import { crc32 } from "node:zlib";
import {
  chunkBytes,
  crcOf,
  endBytes,
  headerBytes,
  isSnapshot,
  readChunkHeader,
  NOTES_BYTES_MAX,
  readHeader,
  readNotes,
  versionOf,
} from "../../src/snapshot/format.ts";

const HEADER = { begunSeconds: 0x6b49d200, tickSeconds: 45, stretch: 1.25, kept: 2.5 };

test("the crc is that of IEEE 802.3", () => {
  expect(crc32("123456789")).toBe(0xcbf43926);
});

test("a header has the name, the version, and what is needed to count ages", () => {
  const bytes = headerBytes(HEADER);
  expect(new TextDecoder().decode(bytes.subarray(0, 8))).toBe("btswarms");
  expect(bytes.subarray(8, 28).toHex()).toBe("01000000" + "00d2496b2d000000e2040000c4090000");
  expect(new DataView(bytes.buffer).getUint32(28, true)).toBe(crc32(bytes.subarray(0, 28)));
  expect(bytes.length).toBe(32);
  expect(isSnapshot(bytes)).toBe(true);
  expect(versionOf(bytes)).toBe(1);
  expect(readHeader(bytes)).toEqual(HEADER);
});

test("a header with notes is of version 2, and the notes follow it with a crc of their own", () => {
  const notes = Uint8Array.of(7, 8, 9, 10);
  const bytes = headerBytes(HEADER, notes);
  expect(versionOf(bytes)).toBe(2);
  expect(readHeader(bytes.subarray(0, 32))).toEqual(HEADER);
  expect(bytes.subarray(32, 40).toHex()).toBe("04000000070809" + "0a");
  expect(bytes.length).toBe(32 + 4 + 4 + 4);
  const behind = Buffer.concat([bytes.subarray(32), Buffer.from("a chunk")]);
  expect(readNotes(behind)).toEqual(notes);
  for (let at = 0; at < 12; at++) {
    const changed = Uint8Array.from(behind);
    changed[at] ^= 1;
    expect(readNotes(changed)).toBeUndefined();
    expect(readNotes(behind.subarray(0, at))).toBeUndefined();
  }
  const long = headerBytes(HEADER, new Uint8Array(NOTES_BYTES_MAX + 2)).subarray(32);
  expect(readNotes(long)).toBeUndefined();
});

test("a header with a changed byte, or a tick of no length, is damaged", () => {
  for (let at = 0; at < 32; at++) {
    const bytes = headerBytes(HEADER);
    bytes[at] ^= 1;
    expect(readHeader(bytes)).toBeUndefined();
  }
  expect(readHeader(headerBytes({ ...HEADER, tickSeconds: 0 }))).toBeUndefined();
});

test("a chunk tells its bytes, when it was written, and the tick of that moment", () => {
  const records = new Uint8Array(42).fill(7);
  const header = chunkBytes(300, 127, records);
  expect(header.subarray(0, 12).toHex()).toBe("2a0000002c0100007f000000");
  const crc = crc32(records, crc32(header.subarray(0, 12)));
  expect(readChunkHeader(header)).toEqual({ bytes: 42, seconds: 300, tick: 127, crc });
  expect(crcOf(header, records)).toBe(crc);
});

test("an end tells how many records and peers there are", () => {
  const end = endBytes(3, 10);
  expect(end.subarray(0, 12).toHex()).toBe("00000000030000000a000000");
  expect(readChunkHeader(end)).toEqual({ records: 3, peers: 10 });
  for (let at = 4; at < 16; at++) {
    const changed = end.slice();
    changed[at] ^= 0x80;
    expect(readChunkHeader(changed)).toBeUndefined();
  }
});

test.each([
  ["an odd length", 0, 0x2b],
  ["a length that is more than the longest", 2, 0xff],
  ["a tick that does not exist", 8, 0x80],
])("%s is no chunk", (_name, at, byte) => {
  const header = chunkBytes(300, 5, new Uint8Array(42));
  header[at] = byte;
  expect(readChunkHeader(header)).toBeUndefined();
});
