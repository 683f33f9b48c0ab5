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
import { mustBeSteady, notThis, READ_FLAGS } from "../host/plain-file.ts";
import { garbage } from "../host/garbage.ts";

const PIECE_BYTES = 128 * 1024;
/** A file with a longer line is no list of anything: an image of a disk, say. */
const LINE_MIB_MAX = 16;
const LINE_END = 10;
/** The first two bytes of a file that gzip has packed. [RFC 1952 2.3.1] */
const GZIP = [0x1f, 0x8b];
const NOTHING = new Uint8Array(0);

/** Is given a piece, which ends where a line does. */
type Take = (bytes: Uint8Array) => Promise<void>;

/**
 * Hands over the bytes of a file, piece by piece; they are good until `take` has resolved. Rejects
 * with the system's error, or one with a `code`, if it cannot be read, is no file, changes while it
 * is read, or has an endless line.
 */
export async function eachPiece(path: string, take: Take): Promise<void> {
  const file = await open(path, READ_FLAGS);
  try {
    await eachPieceOf(file, take);
  } finally {
    await file.close();
  }
}

/** As `eachPiece`, of a file that is open; from its beginning, wherever it stands. */
export async function eachPieceOf(file: FileHandle, take: Take): Promise<void> {
  const before = await file.stat({ bigint: true });
  if (!before.isFile()) throw notThis("not a file");
  const pieces = new Pieces(take);
  await pieces.addAll(bytesOf(file));
  mustBeSteady(before, await file.stat({ bigint: true }));
  await pieces.end();
}

/**
 * As `eachPiece`, of a file or a pipe, as it is or packed by gzip. Rejects as well if zlib cannot
 * unpack it, or if it goes on beyond `gibMax`. A pipe without an end is waited for.
 */
export async function eachPieceUnpacked(path: string, gibMax: number, take: Take): Promise<void> {
  const found = await stat(path);
  if (!found.isFile() && !found.isFIFO()) throw notThis("not a file");
  const file = await open(path, "r");
  try {
    const before = await file.stat({ bigint: true });
    const pieces = new Pieces(take);
    const source = streamOf(file);
    const first = (await source.next()).value ?? NOTHING;
    const whole = startingWith(first, source);
    if (GZIP.every((byte, i) => byte === first[i])) {
      await pipeline(whole, createGunzip(), (unpacked) => pieces.addAll(atMost(unpacked, gibMax)));
    } else {
      await pieces.addAll(atMost(whole, gibMax));
    }
    if (found.isFile()) mustBeSteady(before, await file.stat({ bigint: true }));
    await pieces.end();
  } finally {
    await file.close();
  }
}

/** What the file holds, in one buffer that is used again and again. */
async function* bytesOf(file: FileHandle): AsyncGenerator<Uint8Array, undefined> {
  const bytes = new Uint8Array(PIECE_BYTES);
  garbage.note(2 * PIECE_BYTES);
  for (let at = 0; ;) {
    const { bytesRead } = await file.read(bytes, 0, bytes.length, at);
    if (bytesRead === 0) return undefined;
    at += bytesRead;
    yield bytes.subarray(0, bytesRead);
  }
}

/** The same from where it stands, for a pipe stands nowhere else; zlib may still read the last. */
async function* streamOf(file: FileHandle): AsyncGenerator<Uint8Array, undefined> {
  for (;;) {
    const bytes = new Uint8Array(PIECE_BYTES);
    garbage.note(PIECE_BYTES);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, null);
    if (bytesRead === 0) return undefined;
    yield bytes.subarray(0, bytesRead);
  }
}

async function* atMost(
  source: AsyncIterable<Uint8Array>,
  gibMax: number,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const bytes of source) {
    size += bytes.length;
    garbage.note(bytes.length);
    if (size > gibMax * 2 ** 30) throw notThis(`over ${gibMax} GiB`);
    yield bytes;
  }
}

async function* startingWith(
  first: Uint8Array,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield first;
  yield* rest;
}

/** Bytes as they come, handed on up to the last end of a line among them. */
class Pieces {
  readonly #take: Take;
  #buffer = new Uint8Array(PIECE_BYTES);
  #kept = 0;

  constructor(take: Take) {
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
    garbage.note(buffer.length);
    this.#buffer = larger;
  }

  /** The last line may have no end. */
  async end(): Promise<void> {
    if (this.#kept > 0) await this.#take(this.#buffer.subarray(0, this.#kept));
  }
}
