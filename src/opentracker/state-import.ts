/**
 * Importing a state file: the download counters that opentracker wrote with `mode=statedump`.
 *
 *   7E9903517DD792130E2A7A1AE9A62CF2DEE3CB80:29354321:17
 *   └─────────── info hash, 40 digits ─────┘ └minutes┘ └ downloads
 *
 * Hexadecimal of any case; the minutes are not used: what is restored is as fresh as the start. A
 * line that is none of these is skipped and its number told. Counters only ever rise to what the
 * file says, so importing it again, at every start, changes nothing. A file may be compressed by
 * gzip: so it comes from opentracker as Debian has it, whatever the client asked for.
 *
 * The file is read in pieces, and no text is made of a line: it may be larger than the memory.
 */
import { stat } from "node:fs/promises";
import { eachPieceUnpacked } from "../access/pieces.ts";
import { DIGIT_VALUES, NO_DIGIT } from "../access/hash-file.ts";
import { codeOf } from "../access/list-files.ts";
import { INFO_HASH_SIZE } from "../constants.ts";
import { now } from "../host/clock.ts";
import type { Log } from "../host/log.ts";
import { StartError } from "../host/start-error.ts";
import { DOWNLOADS_MAX } from "../swarm/blocks.ts";
import type { Store } from "../swarm/store.ts";

/** The swarms that the largest memory holds have 4 GiB of lines. */
const STATE_GIB_MAX = 16;

/** Lines told of at most. */
const BAD_LINES_MAX = 10;
/** Digits of the largest counter that a number holds exactly. */
const DOWNLOADS_DIGITS_MAX = 15;

const TAB = 9;
const LINE_END = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const COLON = 58;

/** What came of an import. */
export interface Imported {
  /** Lines that were good and had room. */
  restored: number;
  /** Those of them whose counter is more than we can count. */
  cut: number;
  /** Lines for which there was no memory. */
  withoutRoom: number;
  skipped: number;
  /** Numbers of the first lines that were skipped. */
  badLines: number[];
}

/** Restores what the file at `path` holds and logs it; throws a StartError if it is unreadable. */
export async function restoreAtStart(
  path: string,
  store: Store,
  log: Pick<Log, "info" | "warn">,
): Promise<void> {
  const nowSeconds = now();
  const { badLines, restored, cut, withoutRoom, skipped } = await readState(path, (line) => {
    return store.raiseDownloads(line.infoHashHalves, line.downloads, nowSeconds);
  });
  log.info("download counters restored", { file: path, restored, withoutRoom, skipped });
  if (cut > 0) {
    const fields = { file: path, counters: cut, most: DOWNLOADS_MAX };
    log.warn("counters of the state file are larger than can be counted", fields, "state_cut");
  }
  if (withoutRoom > 0) {
    const fields = { file: path, lost: withoutRoom, remedy: "a larger TRACKER_MEMORY_MAX" };
    log.warn("there is no room for all of the state file", fields, "state_room");
  }
  if (skipped === 0) return;
  const fields = { file: path, first: badLines.join(" ") };
  log.warn("lines of the state file make no sense", fields, "state_lines");
}

/**
 * Lines of a state file that make no sense; throws a StartError if it is unreadable. Of a pipe none
 * are read: they would be gone, and the start is to have them.
 */
export async function countBadStateLines(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFIFO() === true) return 0;
  return (await readState(path, () => true)).skipped;
}

/** Hands each good line to `restore`, which says whether there was room for it. */
async function readState(path: string, restore: (line: StateLine) => boolean): Promise<Imported> {
  const reader = new StateReader(restore);
  const take = async (bytes: Uint8Array) => reader.take(bytes);
  await eachPieceUnpacked(path, STATE_GIB_MAX, take).catch((error: unknown) => {
    const code = codeOf(error);
    // Names of zlib's errors, such as Z_BUF_ERROR.
    const step = code.startsWith("Z_") ? "unpacked" : "read";
    const hint = "check TRACKER_STATE_IMPORT, and whether the file may be read";
    throw new StartError(`the state file ${path} cannot be ${step}: ${code}`, hint);
  });
  return reader.imported;
}

/** One line, reused for the next one. */
class StateLine {
  readonly infoHashHalves = new Uint16Array(INFO_HASH_SIZE / 2);
  readonly infoHash = new Uint8Array(this.infoHashHalves.buffer);
  downloads = 0;

  /** Reads the bytes from `from` to `to`; false if they are no line of a state file. */
  read(bytes: Uint8Array, from: number, to: number): boolean {
    let at = from;
    for (let i = 0; i < INFO_HASH_SIZE; i++, at += 2) {
      const high = DIGIT_VALUES[bytes[at]];
      const low = DIGIT_VALUES[bytes[at + 1]];
      if (at + 2 > to || high === NO_DIGIT || low === NO_DIGIT) return false;
      this.infoHash[i] = high * 16 + low;
    }
    const minutesEnd = skipDecimals(bytes, at + 1, to);
    if (!hasColons(bytes, at, minutesEnd, to)) return false;
    const downloadsEnd = skipDecimals(bytes, minutesEnd + 1, to);
    const digits = downloadsEnd - minutesEnd - 1;
    if (downloadsEnd !== to || digits < 1 || digits > DOWNLOADS_DIGITS_MAX) return false;
    this.downloads = 0;
    for (let i = minutesEnd + 1; i < to; i++) {
      this.downloads = this.downloads * 10 + DIGIT_VALUES[bytes[i]];
    }
    return true;
  }
}

/** Reads the pieces of a state file, each of which ends where a line does. */
export class StateReader {
  readonly imported: Imported = {
    restored: 0,
    cut: 0,
    withoutRoom: 0,
    skipped: 0,
    badLines: [],
  };
  readonly #restore: (line: StateLine) => boolean;
  readonly #line = new StateLine();
  #number = 0;

  /** `restore` is given each good line and says whether there was room for it. */
  constructor(restore: (line: StateLine) => boolean) {
    this.#restore = restore;
  }

  take(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const end = bytes.indexOf(LINE_END, from);
      const next = end < 0 ? bytes.length : end + 1;
      this.#number += 1;
      this.#takeLine(bytes, from, end < 0 ? bytes.length : end);
      from = next;
    }
  }

  /** White space around a line does not matter, and neither do lines of nothing else. */
  #takeLine(bytes: Uint8Array, from: number, to: number): void {
    while (from < to && isBlank(bytes[from])) from++;
    while (to > from && isBlank(bytes[to - 1])) to--;
    if (from === to) return;
    const { imported } = this;
    const line = this.#line;
    if (!line.read(bytes, from, to)) {
      imported.skipped += 1;
      if (imported.badLines.length < BAD_LINES_MAX) imported.badLines.push(this.#number);
    } else if (this.#restore(line)) {
      imported.restored += 1;
      if (line.downloads > DOWNLOADS_MAX) imported.cut += 1;
    } else {
      imported.withoutRoom += 1;
    }
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || (byte >= TAB && byte <= CARRIAGE_RETURN);
}

/** One before the minutes, one behind them, and at least a digit between. */
function hasColons(bytes: Uint8Array, before: number, behind: number, to: number): boolean {
  if (behind >= to || behind === before + 1) return false;
  return bytes[before] === COLON && bytes[behind] === COLON;
}

/** Where the decimal digits that begin at `from` end. */
function skipDecimals(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && DIGIT_VALUES[bytes[at]] <= 9) at++;
  return at;
}
