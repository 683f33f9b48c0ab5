/**
 * Archives whose bytes depend only on their content: tar (ustar) and zip.
 *
 * The same entries and the same time give the same bytes on every machine: entries are sorted by
 * path, belong to root, and all have the same given time. The programs `tar` and `zip` are not
 * used, because they may be missing and their output depends on their version.
 *
 *   tar   per entry a header of 512 bytes and the content, padded to 512; then 1024 zeros
 *   zip   per entry a local header and the content; then the directory; then its end
 *
 * Only regular files; paths are ASCII, relative, and at most 100 bytes. Throws on an entry that
 * does not fit.
 * [POSIX.1-2017 pax, "ustar Interchange Format"; PKWARE APPNOTE 6.3]
 */
import { crc32, deflateRawSync } from "node:zlib";

/** A file in an archive. */
export interface Entry {
  /** With slashes, relative. */
  path: string;
  bytes: Uint8Array;
  /** The permissions. */
  mode: number;
}

const TAR_BLOCK_BYTES = 512;
const TAR_PATH_BYTES_MAX = 100;
const TAR_SIZE_BYTES_MAX = 8 ** 11;

const ZIP_VERSION_DEFLATE = 20;
const ZIP_MADE_ON_UNIX = 3 << 8;
const ZIP_DEFLATED = 8;
const ZIP_LEVEL = 9;
const ZIP_LOCAL_BYTES = 30;
const ZIP_CENTRAL_BYTES = 46;
const ZIP_END_BYTES = 22;
/** The earliest DOS date, in seconds since 1970. */
const DOS_EPOCH_SECONDS = Date.UTC(1980, 0, 1) / 1000;

/** The permissions of files, and of programs. */
export const FILE_MODE = 0o644;
export const PROGRAM_MODE = 0o755;

/**
 * The entries as a tar archive; `mtime` is in seconds since 1970. Paths may be absolute only where
 * that is asked for.
 */
export function tarArchive(entries: Entry[], mtime: number, absolute = false): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const entry of sorted(entries, absolute)) {
    const padding = -entry.bytes.length & (TAR_BLOCK_BYTES - 1);
    parts.push(tarHeader(entry, mtime), entry.bytes, new Uint8Array(padding));
  }
  parts.push(new Uint8Array(2 * TAR_BLOCK_BYTES));
  return Buffer.concat(parts);
}

/** The entries as a zip archive, deflated; `mtime` is in seconds since 1970, kept as UTC. */
export function zipArchive(entries: Entry[], mtime: number): Uint8Array {
  const files: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const entry of sorted(entries)) {
    const packed = deflateRawSync(entry.bytes, { level: ZIP_LEVEL });
    const facts = zipFacts(entry, packed.length, mtime);
    const name = Buffer.from(entry.path);
    const local = zipLocalHeader(facts, name);
    files.push(local, packed);
    directory.push(zipCentralHeader(facts, name, entry.mode, offset));
    offset += local.length + packed.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([...files, ...directory, zipEnd(directory.length, size, offset)]);
}

/** Sorts by the bytes of the path; throws on a path that is not valid or repeated. */
function sorted(entries: Entry[], absolute = false): Entry[] {
  for (const { path } of entries) {
    const misplaced = path.startsWith("/") && !absolute;
    if (!/^[!-~]+$/.test(path) || misplaced || path.length > TAR_PATH_BYTES_MAX) {
      throw new Error(`${JSON.stringify(path)} cannot be a path in an archive`);
    }
  }
  const order = [...entries].sort((one, other) => (one.path < other.path ? -1 : 1));
  const twice = order.find(({ path }, at) => order[at + 1]?.path === path);
  if (twice !== undefined) throw new Error(`${twice.path} would be in the archive twice`);
  return order;
}

function tarHeader({ path, bytes, mode }: Entry, mtime: number): Uint8Array {
  if (bytes.length >= TAR_SIZE_BYTES_MAX) throw new Error(`${path} is too large for an archive`);
  const header = Buffer.alloc(TAR_BLOCK_BYTES);
  const octal = (value: number, at: number, size: number) =>
    header.write(`${value.toString(8).padStart(size - 1, "0")}\0`, at, "latin1");
  header.write(path, 0, "latin1");
  octal(mode, 100, 8);
  octal(0, 108, 8); // owner
  octal(0, 116, 8); // group
  octal(bytes.length, 124, 12);
  octal(mtime, 136, 12);
  header.write(" ".repeat(8), 148, "latin1"); // the checksum counts itself as spaces
  header.write("0", 156, "latin1"); // a regular file
  header.write("ustar\x0000", 257, "latin1");
  header.write("root", 265, "latin1");
  header.write("root", 297, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** The common fields of the two headers of a file in a zip archive, in order. */
function zipFacts({ path, bytes }: Entry, packedSize: number, mtime: number): Buffer {
  const facts = Buffer.alloc(26);
  const date = new Date(Math.max(mtime, DOS_EPOCH_SECONDS) * 1000);
  const [hours, minutes, seconds] = [
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
  facts.writeUInt16LE(ZIP_VERSION_DEFLATE, 0);
  facts.writeUInt16LE(0, 2); // flags
  facts.writeUInt16LE(ZIP_DEFLATED, 4);
  facts.writeUInt16LE((hours << 11) | (minutes << 5) | (seconds >> 1), 6);
  facts.writeUInt16LE(((year - 1980) << 9) | (month << 5) | day, 8);
  facts.writeUInt32LE(crc32(bytes), 10);
  facts.writeUInt32LE(packedSize, 14);
  facts.writeUInt32LE(bytes.length, 18);
  facts.writeUInt16LE(path.length, 22);
  facts.writeUInt16LE(0, 24); // extra fields
  return facts;
}

function zipLocalHeader(facts: Buffer, name: Buffer): Uint8Array {
  const header = Buffer.alloc(ZIP_LOCAL_BYTES);
  header.write("PK\x03\x04", 0, "latin1");
  facts.copy(header, 4);
  return Buffer.concat([header, name]);
}

function zipCentralHeader(
  facts: Buffer,
  name: Buffer,
  permissions: number,
  offset: number,
): Uint8Array {
  const header = Buffer.alloc(ZIP_CENTRAL_BYTES);
  const mode = 0o100000 | permissions;
  header.write("PK\x01\x02", 0, "latin1");
  header.writeUInt16LE(ZIP_MADE_ON_UNIX | ZIP_VERSION_DEFLATE, 4);
  facts.copy(header, 6);
  header.writeUInt32LE(mode * 0x10000, 38);
  header.writeUInt32LE(offset, 42);
  return Buffer.concat([header, name]);
}

function zipEnd(count: number, size: number, offset: number): Uint8Array {
  const end = Buffer.alloc(ZIP_END_BYTES);
  end.write("PK\x05\x06", 0, "latin1");
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return end;
}
