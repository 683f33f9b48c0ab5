/**
 * Reading a large file without holding it: in pieces that end where a line does.
 *
 * A list of a million hashes is 41 MB. To have it in memory at once keeps the event loop for some
 * 20 ms, while that memory is taken and given back; a piece costs nothing. Only a line that is
 * longer than a piece makes that grow, up to a limit.
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";

const PIECE_BYTES = 128 * 1024;
/** A file with a longer line is no list of anything: an image of a disk, say. */
const LINE_MIB_MAX = 16;
const LINE_END = 10;
/** The first two bytes of a file that gzip has packed. [RFC 1952 2.3.1] */
const GZIP = [0x1f, 0x8b];

/**
 * Hands over the bytes of a file, piece by piece; they are good until `take` has resolved. With
 * `unpack` it may be one that gzip has packed. Rejects with the system's error, or zlib's, if the
 * file cannot be read, is no regular file (a pipe might never end), or has a line without end.
 */
export async function eachPiece(
  path: string,
  take: (bytes: Uint8Array) => Promise<void>,
  unpack = false,
): Promise<void> {
  const found = await stat(path);
  if (!found.isFile()) throw notThis("not a file");
  const file = await open(path, "r");
  try {
    const pieces = new Pieces(take);
    if (unpack && (await isPacked(file))) await unpackAll(file, pieces);
    else await readAll(file, pieces);
    await pieces.end();
  } finally {
    await file.close();
  }
}

async function isPacked(file: FileHandle): Promise<boolean> {
  const first = new Uint8Array(GZIP.length);
  const { bytesRead } = await file.read(first, 0, first.length, 0);
  return bytesRead === first.length && GZIP.every((byte, i) => byte === first[i]);
}

async function readAll(file: FileHandle, pieces: Pieces): Promise<void> {
  for (let position = 0; ;) {
    const room = pieces.room();
    const { bytesRead } = await file.read(room, 0, room.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    await pieces.add(bytesRead);
  }
}

async function unpackAll(file: FileHandle, pieces: Pieces): Promise<void> {
  const source = file.createReadStream({ start: 0, autoClose: false });
  await pipeline(source, createGunzip(), async (unpacked: AsyncIterable<Uint8Array>) => {
    for await (const bytes of unpacked) {
      for (let from = 0; from < bytes.length;) {
        const room = pieces.room();
        const part = bytes.subarray(from, from + room.length);
        room.set(part);
        from += part.length;
        await pieces.add(part.length);
      }
    }
  });
}

/** What `eachPiece` rejects with where the system sees no error. */
const notThis = (code: string): Error => Object.assign(new Error(code), { code });

/** Bytes as they come, handed on up to the last end of a line among them. */
class Pieces {
  readonly #take: (bytes: Uint8Array) => Promise<void>;
  #buffer = new Uint8Array(PIECE_BYTES);
  #kept = 0;

  constructor(take: (bytes: Uint8Array) => Promise<void>) {
    this.#take = take;
  }

  /** Where the next bytes go; there is always some. */
  room(): Uint8Array {
    return this.#buffer.subarray(this.#kept);
  }

  /** So many bytes have been put there. */
  async add(count: number): Promise<void> {
    const buffer = this.#buffer;
    const end = this.#kept + count;
    // What was kept has no end of a line: only what is new is looked at, however long a line is.
    const last = buffer.subarray(this.#kept, end).lastIndexOf(LINE_END);
    const whole = last < 0 ? 0 : this.#kept + last + 1;
    if (whole > 0) await this.#take(buffer.subarray(0, whole));
    buffer.copyWithin(0, whole, end);
    this.#kept = end - whole;
    if (this.#kept < buffer.length) return;
    if (end >= LINE_MIB_MAX * 2 ** 20) throw notThis(`a line of over ${LINE_MIB_MAX} MiB`);
    const larger = new Uint8Array(2 * buffer.length);
    larger.set(buffer);
    this.#buffer = larger;
  }

  /** The last line may have no end. */
  async end(): Promise<void> {
    if (this.#kept > 0) await this.#take(this.#buffer.subarray(0, this.#kept));
  }
}
