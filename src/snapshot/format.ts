/**
 * The format of a snapshot: the bytes around the records of swarms (swarm/records.ts).
 *
 *   header, 32 bytes                                  chunk, 16 bytes and its records; repeated
 *     0  8  "btswarms"                                  0  4  bytes of records, 2 to 524,288, even
 *     8  4  version of the format                       4  4  seconds since `begun`
 *    12  4  begun: seconds since 1970                   8  4  the tick at that moment, 0 to 127
 *    16  4  seconds a tick of a peer's age lasts       12  4  crc
 *    20  4  stretch of the intervals, in thousandths   16  …  records, each whole
 *    24  4  how much longer peers were kept, likewise
 *    28  4  crc                                       end, 16 bytes, then nothing
 *   of version 2 only:                                  0  4  0
 *    32  4  bytes of notes, 2 to 4,096                  4  4  records in all
 *    36  …  notes                                       8  4  peers in all
 *     …  4  crc of both                                12  4  crc
 *
 * Numbers are little-endian, as in the records. A crc is CRC-32 (IEEE) of the bytes of the header
 * before it, then of the records. There is no compression: hashes and addresses are noise, and zstd
 * would save a sixth. Name, version and crc of the header lie at these places in each version, so
 * that a damaged file is told from a later one. A new layout of the core needs no new version; a
 * new field of a peer does.
 * The notes are those of a tracker that shares its peers: what the peers in the file are worth to
 * the others (cluster/kept.ts). A tracker that is alone has none to make, and writes version 1,
 * which an earlier program reads as well. Each version must read the ones before it, so that an
 * upgrade forgets nothing, and the file that a downgrade wrote beside it (snapshots.ts).
 */
import { crc32 } from "node:zlib";
import { META_TICK } from "../swarm/blocks.ts";

/** The versions that are read. */
export const VERSIONS: readonly number[] = [1, 2];
/** That of a file with notes. */
export const WITH_NOTES = 2;
export const NOTES_BYTES_MAX = 4096;
export const HEADER_BYTES = 32;
export const CHUNK_HEADER_BYTES = 16;
export const RECORDS_BYTES_MAX = 512 * 1024;

const MAGIC = new TextEncoder().encode("btswarms");
const THOUSANDTHS = 1000;

/** The header of a snapshot. */
export interface SnapshotHeader {
  /** When the writing began, in seconds since 1970. */
  begunSeconds: number;
  tickSeconds: number;
  /** The factors by which intervals, and the peer timeout, were longer than usual: see load.ts. */
  stretch: number;
  kept: number;
}

/** The header of a chunk: bytes of its records, when it was written, and its crc. */
export interface ChunkHeader {
  bytes: number;
  seconds: number;
  tick: number;
  crc: number;
}

/** What the end of a snapshot tells. */
export interface Totals {
  records: number;
  peers: number;
}

/** True if these are the first bytes of a snapshot, of any version. */
export const isSnapshot = (bytes: Uint8Array): boolean =>
  MAGIC.every((byte, at) => bytes[at] === byte);

/** The version in a header. */
export const versionOf = (header: Uint8Array): number => viewOf(header).getUint32(8, true);

/** A header, and the notes behind it if there are any. */
export function headerBytes(header: SnapshotHeader, notes?: Uint8Array): Uint8Array {
  const { begunSeconds, tickSeconds, stretch, kept } = header;
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = viewOf(bytes);
  bytes.set(MAGIC);
  view.setUint32(8, notes === undefined ? 1 : WITH_NOTES, true);
  view.setUint32(12, begunSeconds, true);
  view.setUint32(16, tickSeconds, true);
  view.setUint32(20, Math.round(stretch * THOUSANDTHS), true);
  view.setUint32(24, Math.round(kept * THOUSANDTHS), true);
  view.setUint32(28, crc32(bytes.subarray(0, 28)), true);
  return notes === undefined ? bytes : Buffer.concat([bytes, notesBytes(notes)]);
}

function notesBytes(notes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(notes.length + 8);
  const view = viewOf(bytes);
  view.setUint32(0, notes.length, true);
  bytes.set(notes, 4);
  view.setUint32(4 + notes.length, crc32(bytes.subarray(0, 4 + notes.length)), true);
  return bytes;
}

/** The notes in the bytes behind a header; undefined if they are damaged. */
export function readNotes(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < 8) return undefined;
  const view = viewOf(bytes);
  const end = 4 + view.getUint32(0, true);
  if (end > 4 + NOTES_BYTES_MAX || end + 4 > bytes.length) return undefined;
  return view.getUint32(end, true) === crc32(bytes.subarray(0, end))
    ? bytes.slice(4, end)
    : undefined;
}

/** Reads a header; undefined if it is damaged. Of another version only its crc is known. */
export function readHeader(bytes: Uint8Array): SnapshotHeader | undefined {
  const view = viewOf(bytes);
  const tickSeconds = view.getUint32(16, true);
  if (view.getUint32(28, true) !== crc32(bytes.subarray(0, 28))) return undefined;
  if (tickSeconds === 0 && VERSIONS.includes(versionOf(bytes))) return undefined;
  return {
    begunSeconds: view.getUint32(12, true),
    tickSeconds,
    stretch: view.getUint32(20, true) / THOUSANDTHS,
    kept: view.getUint32(24, true) / THOUSANDTHS,
  };
}

/** The header of a chunk with these records. */
export function chunkBytes(seconds: number, tick: number, records: Uint8Array): Uint8Array {
  const bytes = numbers(records.length, seconds, tick);
  viewOf(bytes).setUint32(12, crcOf(bytes, records), true);
  return bytes;
}

export function endBytes(records: number, peers: number): Uint8Array {
  const bytes = numbers(0, records, peers);
  viewOf(bytes).setUint32(12, crcOf(bytes), true);
  return bytes;
}

function numbers(first: number, second: number, third: number): Uint8Array {
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, first, true);
  view.setUint32(4, second, true);
  view.setUint32(8, third, true);
  return bytes;
}

/** Reads the header of a chunk, or an end; undefined if it is neither. */
export function readChunkHeader(header: Uint8Array): ChunkHeader | Totals | undefined {
  const view = viewOf(header);
  const bytes = view.getUint32(0, true);
  const second = view.getUint32(4, true);
  const third = view.getUint32(8, true);
  const crc = view.getUint32(12, true);
  if (bytes === 0) return crc === crcOf(header) ? { records: second, peers: third } : undefined;
  if (bytes > RECORDS_BYTES_MAX || bytes % 2 !== 0 || third > META_TICK) return undefined;
  return { bytes, seconds: second, tick: third, crc };
}

/** The crc of a chunk: of its header, up to the crc, and of its records. */
export function crcOf(header: Uint8Array, records?: Uint8Array): number {
  const crc = crc32(header.subarray(0, 12));
  return records === undefined ? crc : crc32(records, crc);
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset);
