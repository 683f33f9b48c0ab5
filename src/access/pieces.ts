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
const NOTHING = new Uint8Array(0);

/**
 * Hands over the bytes of a file, piece by piece; they are good until `take` has resolved. With
 * `unpack` it may be one that gzip has packed, or a pipe. Rejects with the system's error, or
 * zlib's, if the file cannot be read, is none (a pipe might never end), or has an endless line.
 */
export async function eachPiece(
  path: string,
  take: (bytes: Uint8Array) => Promise<void>,
  unpack = false,
): Promise<void> {
  const found = await stat(path);
  if (!found.isFile() && !(unpack && found.isFIFO())) throw notThis("not a file");
  const file = await open(path, "r");
  try {
    const pieces = new Pieces(take);
    const source = bytesOf(file, unpack);
    const first = (await source.next()).value ?? NOTHING;
    if (unpack && GZIP.every((byte, i) => byte === first[i])) {
      await pipeline(startingWith(first, source), createGunzip(), (unpacked) =>
        pieces.addAll(unpacked),
      );
    } else {
      await pieces.addAll(startingWith(first, source));
    }
    await pieces.end();
  } finally {
    await file.close();
  }
}

/** What the file holds from where it stands: a pipe stands nowhere else. */
async function* bytesOf(file: FileHandle, unpack: boolean): AsyncGenerator<Uint8Array, undefined> {
  let bytes = new Uint8Array(PIECE_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(bytes, 0, bytes.length, null);
    if (bytesRead === 0) return undefined;
    yield bytes.subarray(0, bytesRead);
    // Who unpacks may still read the last one.
    if (unpack) bytes = new Uint8Array(PIECE_BYTES);
  }
}

async function* startingWith(
  first: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield first;
  yield* rest;
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

  async addAll(source: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const bytes of source) {
      for (let from = 0; from < bytes.length;) {
        // There is always some room.
        const part = bytes.subarray(from, from + this.#buffer.length - this.#kept);
        this.#buffer.set(part, this.#kept);
        from += part.length;
        await this.#added(part.length);
      }
    }
  }

  /** So many bytes have been put behind those that were kept. */
  async #added(count: number): Promise<void> {
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
