/**
 * Exports: all swarms with their counts, as a stream in one of six formats.
 *
 *   format   one swarm
 *   ben      20:<info hash>d8:completei1e10:downloadedi0e10:incompletei2ee   in d5:filesd … ee
 *   bin      20 bytes of info hash, seeders and leechers as big-endian 32-bit numbers
 *   txt      <HEX>:<seeders>:<leechers>
 *   txtp     <HEX>:<seeders>:<leechers>:<downloads>
 *   url      <%-encoded>:<seeders>:<leechers>
 *   dump     <HEX>:<minutes since 1970 of the last announce, estimated>:<downloads>
 *
 * The next chunk is made when the client has read the last one: a slow reader costs one chunk of
 * memory and no lock. Work is done a millisecond at a time. The keys of the bencoded dictionary are
 * in ascending order, each once (see sorted-swarms.ts); the other formats have no order.
 */
import { INFO_HASH_SIZE } from "../constants.ts";
import { writeScraped } from "../net/bencode.ts";
import { now } from "../host/clock.ts";
import { nextTurn, TURN_SECONDS } from "../host/turns.ts";
import { garbage } from "../host/garbage.ts";
import { FLAG_EMPTY, SWARM_EMPTY_SINCE, SWARM_FLAGS, SWARM_INFO_HASH } from "../swarm/blocks.ts";
import { AnnounceReply } from "../swarm/requests.ts";
import type { Store } from "../swarm/store.ts";
import { Walk, WALK_SLICE_UNITS } from "../swarm/walk.ts";
import {
  RECORD_DOWNLOADS,
  RECORD_LEECHERS,
  RECORD_SEEDERS,
  RECORD_WORDS,
  SortedSwarms,
} from "./sorted-swarms.ts";

export const FORMATS = ["ben", "bin", "txt", "txtp", "url", "dump"] as const;
export type Format = (typeof FORMATS)[number];

/** Size of a chunk, about; compressing 100 kB takes some milliseconds and cannot be interrupted. */
const CHUNK_BYTES = 32 * 1024;
/** The longest record, bencoded with three counts of ten digits, takes 88 bytes. */
const RECORD_BYTES_MAX = 128;

/** Garbage for each byte of an export: its chunk and texts of numbers. HTTP notes what it sends. */
const GARBAGE_PER_BYTE = 1.5;

const HEX = new TextEncoder().encode("0123456789ABCDEF");
const LOWER_HEX = new TextEncoder().encode("0123456789abcdef");
const UNRESERVED = Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte)),
);
const COLON = 58;
const LINE_END = 10;
const PERCENT = 37;

/** The current swarm, for the writers. */
export class Swarm {
  readonly infoHash = new Uint8Array(INFO_HASH_SIZE);
  readonly counts = new AnnounceReply();
  /** Minutes since 1970. */
  lastMinutes = 0;
}

/** Collects bytes of the next chunk. */
export class Sink {
  bytes = new Uint8Array(2 * CHUNK_BYTES);
  size = 0;

  /** Makes room for one record. */
  makeRoom(): void {
    if (this.size + RECORD_BYTES_MAX <= this.bytes.length) return;
    const larger = new Uint8Array(2 * this.bytes.length);
    larger.set(this.bytes);
    this.bytes = larger;
  }

  take(): Uint8Array<ArrayBuffer> {
    const taken = this.bytes.slice(0, this.size);
    this.size = 0;
    return taken;
  }
}

/** Appends the record of a swarm in a format. */
export function writeRecord(sink: Sink, format: Format, swarm: Swarm): void {
  sink.makeRoom();
  const { bytes } = sink;
  const { infoHash, counts } = swarm;
  let at = sink.size;
  if (format === "ben") {
    sink.size = writeScraped(bytes, at, infoHash, 0, counts);
    return;
  }
  if (format === "bin") {
    bytes.set(infoHash, at);
    at = writeWord(bytes, at + INFO_HASH_SIZE, counts.seeders);
    sink.size = writeWord(bytes, at, counts.leechers);
    return;
  }
  at = format === "url" ? writeEscaped(bytes, at, infoHash) : writeHex(bytes, at, infoHash);
  at = writeField(bytes, at, format === "dump" ? swarm.lastMinutes : counts.seeders);
  at = writeField(bytes, at, format === "dump" ? counts.downloads : counts.leechers);
  if (format === "txtp") at = writeField(bytes, at, counts.downloads);
  bytes[at] = LINE_END;
  sink.size = at + 1;
}

function writeHex(out: Uint8Array, at: number, infoHash: Uint8Array): number {
  for (const byte of infoHash) {
    out[at++] = HEX[byte >>> 4];
    out[at++] = HEX[byte & 15];
  }
  return at;
}

/** Escapes all bytes except the unreserved characters of RFC 3986. */
function writeEscaped(out: Uint8Array, at: number, infoHash: Uint8Array): number {
  for (const byte of infoHash) {
    if (UNRESERVED[byte]) {
      out[at++] = byte;
      continue;
    }
    out[at] = PERCENT;
    out[at + 1] = LOWER_HEX[byte >>> 4];
    out[at + 2] = LOWER_HEX[byte & 15];
    at += 3;
  }
  return at;
}

function writeField(out: Uint8Array, at: number, value: number): number {
  out[at++] = COLON;
  const text = String(value);
  for (let i = 0; i < text.length; i++) out[at++] = text.charCodeAt(i);
  return at;
}

function writeWord(out: Uint8Array, at: number, value: number): number {
  for (let shift = 24; shift >= 0; shift -= 8) out[at++] = value >>> shift;
  return at;
}

/** Makes the bytes of one export in turns. */
interface Source {
  /** Adds to the sink for about a millisecond; true at the end of the export. */
  turn(sink: Sink): boolean;
}

/** All swarms in the order of the table. */
class Unsorted implements Source {
  readonly #store: Store;
  readonly #format: Format;
  readonly #walk: Walk;
  readonly #swarm = new Swarm();
  #sink = new Sink();

  constructor(store: Store, format: Format) {
    this.#store = store;
    this.#format = format;
    this.#walk = new Walk(store);
  }

  turn(sink: Sink): boolean {
    const end = now() + TURN_SECONDS;
    this.#sink = sink;
    while (!this.#walk.done && sink.size < CHUNK_BYTES && now() < end) {
      this.#walk.slice(WALK_SLICE_UNITS, this.#visit);
    }
    return this.#walk.done;
  }

  readonly #visit = (at: number): number => {
    const { arena, swarms } = this.#store;
    const { infoHash, counts } = this.#swarm;
    for (let i = 0; i < INFO_HASH_SIZE; i++) infoHash[i] = arena.bytes[at + SWARM_INFO_HASH + i];
    counts.seeders = swarms.seeders(at);
    counts.leechers = swarms.leechers(at);
    counts.downloads = swarms.downloads(at);
    if (this.#format === "dump") this.#swarm.lastMinutes = this.#lastMinutes(at);
    writeRecord(this.#sink, this.#format, this.#swarm);
    // Writing a swarm costs about five times as much as visiting it.
    return 5;
  };

  /** For a swarm with peers, this minute; for one without, the minute it lost its last peer. */
  #lastMinutes(at: number): number {
    const { arena, emptyTicks } = this.#store;
    const minutes = Math.floor(Date.now() / 60_000);
    if ((arena.bytes[at + SWARM_FLAGS] & FLAG_EMPTY) === 0) return minutes;
    const ticks = emptyTicks.between(arena.bytes[at + SWARM_EMPTY_SINCE], emptyTicks.at(now()));
    return minutes - Math.floor((ticks * emptyTicks.seconds) / 60);
  }
}

/** A bencoded dictionary of all swarms. */
class Sorted implements Source {
  readonly #sorted: SortedSwarms;
  readonly #swarm = new Swarm();
  #collected = false;
  /** The last info hash written; not valid while `#first`. */
  readonly #previous = new Uint32Array(INFO_HASH_SIZE / 4);
  #first = true;

  constructor(store: Store, swarms: number, sink: Sink) {
    this.#sorted = new SortedSwarms(store, swarms);
    append(sink, "d5:filesd");
  }

  turn(sink: Sink): boolean {
    const sorted = this.#sorted;
    const end = now() + TURN_SECONDS;
    if (!this.#collected) {
      this.#collected = sorted.collect(end);
      return false;
    }
    while (sink.size < CHUNK_BYTES && now() < end) {
      const taken = sorted.take();
      if (taken === undefined) return this.#endPass(sink);
      for (const record of taken) this.#write(sink, record * RECORD_WORDS);
    }
    return false;
  }

  #endPass(sink: Sink): boolean {
    if (this.#sorted.last) {
      sink.makeRoom();
      append(sink, "ee");
      return true;
    }
    this.#sorted.next();
    this.#collected = false;
    return false;
  }

  #write(sink: Sink, at: number): void {
    const { records } = this.#sorted;
    const { infoHash, counts } = this.#swarm;
    const previous = this.#previous;
    let same = !this.#first;
    for (let i = 0; i < previous.length; i++) {
      const word = records[at + i];
      if (word !== previous[i]) same = false;
      previous[i] = word;
      writeWord(infoHash, 4 * i, word);
    }
    // A swarm that was removed and came back during the pass may be collected twice.
    if (same) return;
    this.#first = false;
    counts.seeders = records[at + RECORD_SEEDERS];
    counts.leechers = records[at + RECORD_LEECHERS];
    counts.downloads = records[at + RECORD_DOWNLOADS];
    writeRecord(sink, "ben", this.#swarm);
  }
}

function append(sink: Sink, text: string): void {
  for (let i = 0; i < text.length; i++) sink.bytes[sink.size++] = text.charCodeAt(i);
}

/** Events of an export. */
export interface ExportEvents {
  /** Bytes were made; `bytes` is their number before compression. */
  made(bytes: number): void;
  /** The export ended: the client read all, read nothing for `stallSeconds`, or disconnected. */
  over(): void;
}

/**
 * The stream of an export. `swarms` is the approximate number of swarms. If the client reads
 * nothing for `stallSeconds`, the stream ends with an error, and the connection is closed.
 */
export function openExport(
  store: Store,
  format: Format,
  swarms: number,
  stallSeconds: number,
  events: ExportEvents,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const sink = new Sink();
  const source = format === "ben" ? new Sorted(store, swarms, sink) : new Unsorted(store, format);
  let timer: Timer | undefined;
  let over = false;
  const end = (): void => {
    clearTimeout(timer);
    if (over) return;
    over = true;
    events.over();
  };
  return new ReadableStream(
    {
      async pull(controller) {
        clearTimeout(timer);
        let ended = false;
        while (!ended && !over && sink.size < CHUNK_BYTES / 2) {
          await nextTurn();
          ended = source.turn(sink);
        }
        if (over) return;
        events.made(sink.size);
        garbage.note(GARBAGE_PER_BYTE * sink.size, true);
        if (sink.size > 0) controller.enqueue(sink.take());
        if (ended) {
          end();
          controller.close();
          return;
        }
        timer = setTimeout(() => {
          end();
          controller.error(new Error("the client has stopped reading"));
        }, stallSeconds * 1000);
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}
