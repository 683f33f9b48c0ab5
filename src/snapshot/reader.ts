/**
 * Reads a snapshot, in two passes over one open file.
 *
 *   open     a plain file that nobody else may write to, of a version that is known
 *   verify   every crc, every record's end, the totals: then the file is whole
 *   restore  the records, chunk by chunk, to `PutBack`
 *
 * A file that is not whole is refused as a whole, with one sentence; nothing of it is used. It is
 * read before the tracker answers, so this waits for the disk: 104 MB are verified in 0.03 s.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { codeOf, notRead, readRemedy } from "../host/file-errors.ts";
import { followLinks, notThis, READ_FLAGS } from "../host/plain-file.ts";
import type { PutBack } from "../swarm/put-back.ts";
import { recordEnd, recordPeers } from "../swarm/records.ts";
import {
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  crcOf,
  HEADER_BYTES,
  isSnapshot,
  NOTES_BYTES_MAX,
  readChunkHeader,
  readHeader,
  readNotes,
  RECORDS_BYTES_MAX,
  type SnapshotHeader,
  type Totals,
  VERSIONS,
  versionOf,
  WITH_NOTES,
} from "./format.ts";

/** Bits of a mode: the group, or others, may write. */
const OTHERS_WRITE = 0o022;

/** Why a snapshot is not used, and what helps. */
export class Unusable extends Error {
  readonly remedy: string;
  /**
   * True for the file of a later version, or perhaps of something else, and for one that others may
   * write to, which the operator may still want: it is never replaced.
   */
  readonly isOfOthers: boolean;

  constructor(reason: string, remedy: string, isOfOthers = false) {
    super(reason);
    this.remedy = remedy;
    this.isOfOthers = isOfOthers;
  }
}

const REPLACED = "none is needed: the next snapshot takes its place";
const MOVED_AWAY = "it is left alone: move it away, or name another file";

export class SnapshotReader {
  readonly header: SnapshotHeader;
  /** What the tracker noted in it; undefined where it has none. */
  readonly notes: Uint8Array | undefined;
  /** Bytes of the file. */
  readonly size: number;
  /** When the last chunk was written, in seconds since `header.begunSeconds`; once verified. */
  lastSeconds = 0;
  /** What its end tells; once verified. */
  totals: Totals = { records: 0, peers: 0 };
  readonly #path: string;
  readonly #fd: number;
  /** Where the first chunk begins. */
  readonly #chunksAt: number;
  readonly #chunkHeader = new Uint8Array(CHUNK_HEADER_BYTES);
  readonly #records = new Uint8Array(RECORDS_BYTES_MAX);
  readonly #halves = new Uint16Array(this.#records.buffer);

  private constructor(path: string, fd: number, owners: readonly (number | undefined)[]) {
    this.#path = path;
    this.#fd = fd;
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw notThis("it is not a file");
    this.size = stats.size;
    const bytes = new Uint8Array(HEADER_BYTES);
    const read = readSync(fd, bytes, 0, HEADER_BYTES, 0);
    if (!isSnapshot(bytes)) {
      const reason = `${path} is no snapshot of swarms`;
      throw read === 0 ? new Unusable(reason, REPLACED) : new Unusable(reason, MOVED_AWAY, true);
    }
    if (process.platform !== "win32" && (stats.mode & OTHERS_WRITE) !== 0) {
      const remedy = `it is left alone: chmod 600 ${path} and start again, or move it away`;
      throw new Unusable(`others may write to ${path}`, remedy, true);
    }
    if (process.platform !== "win32" && !owners.includes(stats.uid)) {
      const remedy = "it is left alone: give it to the tracker's user, or move it away";
      throw new Unusable(`another user owns ${path}`, remedy, true);
    }
    if (read < HEADER_BYTES) throw this.#damaged(read);
    const header = readHeader(bytes);
    if (header === undefined) throw this.#damaged(0);
    const version = versionOf(bytes);
    if (!VERSIONS.includes(version)) {
      const known = VERSIONS.join(" and ");
      const reason = `${path} is of format ${version}, this version reads ${known}`;
      throw new Unusable(reason, "use a version that reads it; it is left alone", true);
    }
    this.header = header;
    this.notes = version === WITH_NOTES ? this.#readNotes() : undefined;
    this.#chunksAt = HEADER_BYTES + (this.notes === undefined ? 0 : 8 + this.notes.length);
  }

  #readNotes(): Uint8Array {
    const bytes = new Uint8Array(8 + NOTES_BYTES_MAX);
    const read = readSync(this.#fd, bytes, 0, bytes.length, HEADER_BYTES);
    const notes = readNotes(bytes.subarray(0, read));
    if (notes === undefined) throw this.#damaged(HEADER_BYTES);
    return notes;
  }

  /**
   * Opens a snapshot; undefined if there is no file. It must belong to root, to us, to `user` if
   * that is who root becomes, or to the owner of its folder, who could replace it anyway: in a
   * folder such as /tmp anybody may lay one. Throws `Unusable`.
   */
  static open(path: string, user?: number): SnapshotReader | undefined {
    let fd: number;
    let folderOwner: number;
    try {
      const target = followLinks(path, { mayBeMissing: true });
      folderOwner = statSync(dirname(target)).uid;
      fd = openSync(target, READ_FLAGS | (constants.O_NOFOLLOW ?? 0));
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw unreadable(path, error);
    }
    try {
      return new SnapshotReader(path, fd, [0, process.geteuid?.(), user, folderOwner]);
    } catch (error) {
      closeSync(fd);
      throw error instanceof Unusable ? error : unreadable(path, error);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Reads the whole file and checks it. Throws `Unusable` if anything is not as it was written. */
  verify(): void {
    let records = 0;
    let peers = 0;
    for (const { at, bytes, crc, seconds } of this.#chunks()) {
      if (crc !== crcOf(this.#chunkHeader, this.#records.subarray(0, bytes))) {
        throw this.#damaged(at);
      }
      for (let from = 0; from < bytes; records++) {
        const end = recordEnd(this.#halves, from, bytes);
        if (end === 0) throw this.#damaged(at + CHUNK_HEADER_BYTES + from);
        peers += recordPeers(this.#halves, from, 4) + recordPeers(this.#halves, from, 6);
        from = end;
      }
      this.lastSeconds = seconds;
    }
    const { totals } = this;
    if (totals.records !== records || totals.peers !== peers) {
      throw this.#damaged(this.size - CHUNK_HEADER_BYTES);
    }
  }

  /**
   * Puts the swarms of a file that is verified back. `elapsedSeconds` is the time since the file
   * was begun, `nowSeconds` that of the store. Throws `Unusable` if the file has changed since.
   */
  restore(back: PutBack, elapsedSeconds: number, nowSeconds: number): void {
    this.#putBack(back, elapsedSeconds, nowSeconds);
    if (back.passedOver === 0) return;
    back.countersOnly = true;
    // It meets each counter again.
    back.counts.countersWithoutRoom = 0;
    this.#putBack(back, elapsedSeconds, nowSeconds);
  }

  #putBack(back: PutBack, elapsedSeconds: number, nowSeconds: number): void {
    const { tickSeconds } = this.header;
    for (const { at, bytes, seconds, tick } of this.#chunks()) {
      const elapsed = Math.max(0, elapsedSeconds - seconds);
      const dumped = { tick, tickSeconds, elapsedSeconds: elapsed };
      back.open(this.#records.subarray(0, bytes), dumped, nowSeconds);
      while (back.next());
      if (back.at !== bytes) throw this.#damaged(at + CHUNK_HEADER_BYTES + back.at);
    }
  }

  /** Reads chunk by chunk; the header and the records of each are then in their buffers. */
  *#chunks(): Generator<ChunkHeader & { at: number }, void> {
    for (let at = this.#chunksAt; ;) {
      this.#read(this.#chunkHeader, CHUNK_HEADER_BYTES, at);
      const header = readChunkHeader(this.#chunkHeader);
      if (header === undefined) throw this.#damaged(at);
      const from = at + CHUNK_HEADER_BYTES;
      if ("records" in header) {
        if (from !== this.size) throw this.#damaged(from);
        this.totals = header;
        return;
      }
      this.#read(this.#records, header.bytes, from);
      yield { at, ...header };
      at = from + header.bytes;
    }
  }

  /** Reads bytes of the file; throws if it ends before. */
  #read(bytes: Uint8Array, count: number, position: number): void {
    for (let done = 0; done < count;) {
      const read = this.#readOnce(bytes, done, count, position);
      if (read === 0) throw this.#damaged(position + done);
      done += read;
    }
  }

  #readOnce(bytes: Uint8Array, done: number, count: number, position: number): number {
    try {
      return readSync(this.#fd, bytes, done, count - done, position + done);
    } catch (error) {
      throw unreadable(this.#path, error);
    }
  }

  #damaged(at: number): Unusable {
    return new Unusable(`${this.#path} is damaged at byte ${at}`, REPLACED);
  }
}

function unreadable(path: string, error: unknown): Unusable {
  const code = codeOf(error);
  const usual = "check TRACKER_SNAPSHOT_FILE, and whether the tracker's user may read it";
  return new Unusable(`${path} ${notRead(code)}`, readRemedy(code, usual), true);
}
