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
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { now } from "../ops/clock.ts";
import type { Log } from "../ops/log.ts";
import { StartError } from "../ops/start-error.ts";
import type { SwarmMemory } from "../swarm/memory.ts";
import { restoreDownloads } from "../swarm/restore.ts";
import { Tracker } from "../swarm/tracker.ts";

const LINE = /^([0-9a-f]{40}):\d+:(\d{1,15})$/i;

/** Lines told of at most. */
const BAD_LINES_MAX = 10;

/** What came of an import. */
export interface Imported {
  /** Lines that were good and had room. */
  restored: number;
  /** Lines for which there was no memory. */
  withoutRoom: number;
  skipped: number;
  /** Numbers of the first lines that were skipped. */
  badLines: number[];
}

/** Restores what the file at `path` holds and logs it; throws a StartError if it is unreadable. */
export function restoreAtStart(
  path: string,
  memory: SwarmMemory,
  log: Pick<Log, "info" | "warn">,
): void {
  const text = readState(path);
  const tracker = new Tracker(memory, new ArrayBuffer(2));
  const { badLines, restored, withoutRoom, skipped } = importState(text, tracker, memory, now());
  log.info("download counters restored", { file: path, restored, withoutRoom, skipped });
  if (withoutRoom > 0) {
    const fields = { file: path, lost: withoutRoom, remedy: "a larger TRACKER_MEMORY_MAX" };
    log.warn("there is no room for all of the state file", fields, "state_room");
  }
  if (skipped === 0) return;
  const fields = { file: path, first: badLines.join(" ") };
  log.warn("lines of the state file make no sense", fields, "state_lines");
}

/** The text of the file, unpacked; throws a StartError if it is unreadable. */
export function readState(path: string): string {
  let step = "read";
  try {
    const bytes = readFileSync(path);
    step = "unpacked";
    const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return (packed ? gunzipSync(bytes) : bytes).toString("latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const hint = "check TRACKER_STATE_IMPORT, and whether the file may be read";
    throw new StartError(`the state file ${path} cannot be ${step}: ${code}`, hint);
  }
}

/** Restores what the text of a state file holds. */
export function importState(
  text: string,
  tracker: Tracker,
  memory: SwarmMemory,
  nowSeconds: number,
): Imported {
  const imported: Imported = { restored: 0, withoutRoom: 0, skipped: 0, badLines: [] };
  let number = 0;
  for (const line of linesOf(text)) {
    number += 1;
    if (line === "") continue;
    const match = LINE.exec(line);
    if (match === null) {
      imported.skipped += 1;
      if (imported.badLines.length < BAD_LINES_MAX) imported.badLines.push(number);
      continue;
    }
    tracker.request.infoHash.setFromHex(match[1]);
    const room = restoreDownloads(tracker, memory, Number(match[2]), nowSeconds);
    imported[room ? "restored" : "withoutRoom"] += 1;
  }
  return imported;
}

/** Lines of a state file that make no sense, without importing any. */
export function countBadStateLines(text: string): number {
  let bad = 0;
  for (const line of linesOf(text)) if (line !== "" && !LINE.test(line)) bad += 1;
  return bad;
}

/** The lines without the white space around them, one after another: there may be millions. */
function* linesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length;) {
    const end = text.indexOf("\n", from);
    const to = end < 0 ? text.length : end;
    yield text.slice(from, to).trim();
    from = to + 1;
  }
}
