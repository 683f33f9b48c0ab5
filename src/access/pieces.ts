/**
 * Reads a large file in pieces, each of which ends with the end of a line.
 *
 * A list of a million hashes is 41 MB. Allocating and freeing that much at once blocks the event
 * loop for some 20 ms; a piece costs nothing. A line that is longer than a piece enlarges the
 * buffer, up to a limit.
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { mustBeSteady, notThis, READ_FLAGS } from "../host/plain-file.ts";
import { garbage } from "../host/garbage.ts";

const PIECE_BYTES = 128 * 1024;
/** A file with a longer line is not a list, but perhaps a disk image. */
const LINE_MIB_MAX = 16;
const LINE_END = 10;
/** The first two bytes of a gzip file. [RFC 1952 2.3.1] */
const GZIP = [0x1f, 0x8b];
const NOTHING = new Uint8Array(0);

/** Receives a piece, which ends with the end of a line. */
type Take = (bytes: Uint8Array) => Promise<void>;

/**
 * Passes the bytes of a file to `take`, piece by piece; they are valid until `take` has resolved.
 * Rejects with the system's error, or one with a `code`, if the path cannot be read, is not a file,
 * changes while it is read, or has a line that is too long.
 */
export async function eachPiece(path: string, take: Take): Promise<void> {
  const file = await open(path, READ_FLAGS);
  try {
    await eachPieceOf(file, take);
  } finally {
    await file.close();
  }
}

/** Like `eachPiece`, for an open file; reads from its beginning, whatever its current position. */
export async function eachPieceOf(file: FileHandle, take: Take): Promise<void> {
  const before = await file.stat({ bigint: true });
  if (!before.isFile()) throw notThis("not a file");
  const pieces = new Pieces(take);
  await pieces.addAll(bytesOf(file));
  mustBeSteady(before, await file.stat({ bigint: true }));
  await pieces.end();
}

/**
 * Like `eachPiece`, for a file or a pipe, plain or compressed by gzip. Also rejects if zlib cannot
 * decompress it, or if it is longer than `gibMax`. A pipe is read until its writer closes it.
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
      // Loaded here, because both modules take 7 MB.
      const { pipeline } = await import("node:stream/promises");
      const { createGunzip } = await import("node:zlib");
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

/** The bytes of the file, in one buffer that is reused. */
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

/**
 * Reads from the current position: pipes cannot seek. New buffers: zlib may still read the last.
 */
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

/** Collects bytes, and passes on those up to the last line end. */
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
        // The buffer is never full here.
        const part = bytes.subarray(from, from + this.#buffer.length - this.#kept);
        this.#buffer.set(part, this.#kept);
        from += part.length;
        await this.#added(part.length);
      }
    }
  }

  /** `count` bytes have been added to those that were kept. */
  async #added(count: number): Promise<void> {
    const buffer = this.#buffer;
    const end = this.#kept + count;
    // The kept bytes have no line end, so only the new bytes are searched.
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

  /** Passes on the rest: the last line may have no line end. */
  async end(): Promise<void> {
    if (this.#kept > 0) await this.#take(this.#buffer.subarray(0, this.#kept));
  }
}
