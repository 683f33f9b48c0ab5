/**
 * Imports a state file: the download counters that opentracker wrote with `mode=statedump`.
 *
 *   7E9903517DD792130E2A7A1AE9A62CF2DEE3CB80:29354321:17
 *   └─────────── info hash, 40 digits ─────┘ └minutes┘ └ downloads
 *
 * Hexadecimal in upper or lower case. The minutes are ignored: swarms get the time of the start.
 * Any other line is skipped, and its number is logged. A counter is raised to the number in the
 * file and never lowered, so importing the file again at every start changes nothing. The file may
 * be compressed by gzip, as opentracker in Debian always sends it. A file with bad lines only is
 * refused: it is some other file.
 *
 * The file is read in pieces without making strings: it may be larger than the memory.
 */
import { stat } from "node:fs/promises";
import { eachPieceUnpacked } from "../access/pieces.ts";
import { DIGIT_VALUES, NO_DIGIT } from "../access/hash-file.ts";
import { noGoodLine } from "../access/list-files.ts";
import { INFO_HASH_SIZE } from "../constants.ts";
import { now } from "../host/clock.ts";
import { codeOf, notRead, readRemedy } from "../host/file-errors.ts";
import type { Log } from "../host/log.ts";
import { StartError } from "../host/start-error.ts";
import { DOWNLOADS_MAX } from "../swarm/blocks.ts";
import type { Store } from "../swarm/store.ts";

/** The lines of all swarms that fit the largest memory take 4 GiB. */
const STATE_GIB_MAX = 16;

/** The most bad lines whose number is logged. */
const BAD_LINES_MAX = 10;
/** Digits of the largest counter that a number holds exactly. */
const DOWNLOADS_DIGITS_MAX = 15;

const TAB = 9;
const LINE_END = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const COLON = 58;

/** The result of an import. */
export interface Imported {
  /** Valid lines that were stored. */
  restored: number;
  /** Stored lines whose counter exceeds DOWNLOADS_MAX, and was limited to it. */
  cut: number;
  /** Valid lines for which there was no memory. */
  withoutRoom: number;
  skipped: number;
  /** Numbers of the first lines that were skipped. */
  badLines: number[];
}

/**
 * Restores the counters in the file and logs the result; throws a StartError if it is unreadable or
 * has bad lines only.
 */
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
    log.warn(
      "counters of the state file exceed the limit, which replaces them",
      fields,
      "state_cut",
    );
  }
  if (withoutRoom > 0) {
    const fields = { file: path, lost: withoutRoom, remedy: "a larger TRACKER_MEMORY_MAX" };
    log.warn("not all counters of the state file fit the memory", fields, "state_room");
  }
  if (skipped === 0) return;
  const fields = {
    ...{ file: path, bad: skipped, line_numbers: badLines.join(" ") },
    remedy: "their counters are lost: correct the lines and start again, if they matter",
  };
  log.warn("bad lines of the state file are skipped", fields, "state_lines");
}

/**
 * The number of bad lines of a state file; throws a StartError if it is unreadable or has no other
 * lines. A pipe is not read, since the start could then no longer read its lines.
 */
export async function countBadStateLines(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFIFO() === true) return 0;
  return (await readState(path, () => true)).skipped;
}

/**
 * Passes each valid line to `restore`, which returns whether there was memory for it. Throws a
 * StartError if the file is unreadable or has bad lines only.
 */
async function readState(path: string, restore: (line: StateLine) => boolean): Promise<Imported> {
  const reader = new StateReader(restore);
  const take = async (bytes: Uint8Array) => reader.take(bytes);
  await eachPieceUnpacked(path, STATE_GIB_MAX, take).catch((error: unknown) => {
    const code = codeOf(error);
    // Names of zlib's errors, such as Z_BUF_ERROR.
    const problem = code.startsWith("Z_") ? `cannot be unpacked: ${code}` : notRead(code);
    const hint = "check TRACKER_STATE_IMPORT, and whether the file may be read";
    const remedy = readRemedy(code, hint);
    throw new StartError(`the state file ${path} ${problem}`, remedy);
  });
  const { restored, withoutRoom, skipped, badLines } = reader.imported;
  if (restored + withoutRoom === 0 && skipped > 0) {
    throw noGoodLine(`the state file ${path}`, { count: skipped, first: badLines });
  }
  return reader.imported;
}

/** One line, reused for the next one. */
class StateLine {
  readonly infoHashHalves = new Uint16Array(INFO_HASH_SIZE / 2);
  readonly infoHash = new Uint8Array(this.infoHashHalves.buffer);
  downloads = 0;

  /** Parses the bytes from `from` to `to`; false if they are not a line of a state file. */
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

/** Reads the pieces of a state file; each piece ends with the end of a line. */
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

  /** `restore` gets each valid line and returns whether there was memory for it. */
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

  /** White space around a line and blank lines are ignored. */
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

/** True if a colon is before and behind the minutes, which have at least one digit. */
function hasColons(bytes: Uint8Array, before: number, behind: number, to: number): boolean {
  if (behind >= to || behind === before + 1) return false;
  return bytes[before] === COLON && bytes[behind] === COLON;
}

/** The end of the decimal digits that begin at `from`. */
function skipDecimals(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && DIGIT_VALUES[bytes[at]] <= 9) at++;
  return at;
}
