/**
 * The life of the snapshot: read once at the start, written while the tracker runs and when it
 * ends. It is not deleted after it was read: a crash a minute later would lose everything.
 *
 *   start     file there? may be read? whole? ─► old? ─► restored
 *               │ no: one warning, and empty       │ yes: deleted
 *   running   every interval, give or take a tenth, in turns of the event loop; first when the file
 *             is an interval old, so that a tracker that crashes again and again keeps its swarms;
 *             and soon after the wall clock was set, since the file has its time
 *   ending    once more, exact, since nobody announces any more
 *
 * A file of a later version, one that others own or may write to, or one that is no snapshot, is
 * left alone, and another name beside it is used: so neither a downgrade nor the way back loses
 * anything, nor a mistake in the settings. On the way back both are restored, as one, and the one
 * beside goes once a new one is written. No address and no info hash is ever logged.
 */
import { accessSync, constants, existsSync, lstatSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DRAFT_SUFFIX } from "../access/replace-file.ts";
import { now } from "../host/clock.ts";
import { codeOf, NO_PLAIN_FILE, writeRemedy } from "../host/file-errors.ts";
import { garbage } from "../host/garbage.ts";
import type { Log } from "../host/log.ts";
import { followLinks, isMount, notThis } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";
import type { Load } from "../limits/load.ts";
import { takeCensus } from "../swarm/census.ts";
import { setPeerTimeout } from "../swarm/memory.ts";
import { type Judge, PutBack } from "../swarm/put-back.ts";
import { Store } from "../swarm/store.ts";
import { RECORDS_BYTES_MAX } from "./format.ts";
import { SnapshotReader, Unusable } from "./reader.ts";
import { GIVEN_UP, writeSnapshot } from "./writer.ts";

/** Intervals differ by up to this share, so that trackers of one machine do not write at once. */
const JITTER = 0.1;

/**
 * How long the first snapshot waits at least, unless the interval is shorter: not much, since a
 * tracker that crashes before it loses what came. If swarms were left out, a setting or the clock
 * may be wrong, and there is time to put it right before the file of the earlier run is replaced.
 */
const FIRST_SECONDS_MIN = 1;
const FIX_SECONDS = 10;

/**
 * How often the wall clock is looked at, and from which step on the file is written again. A file
 * of 1970, as a machine without a battery writes it in its first seconds, would be deleted at the
 * next start as too old, and one of the future would keep its peers too long. Ages are exact to a
 * tick of some 45 s, so two seconds do no harm.
 */
const LOOK_SECONDS = 10;
const STEP_SECONDS = 2;

/** The parts that snapshots need. */
export interface SnapshotNeeds {
  path: string;
  /** 0 to write only at the end. */
  intervalSeconds: number;
  /** The id of the user that root becomes, if any. */
  user?: number | undefined;
  store: Store;
  load: Pick<Load, "stretch" | "kept" | "resume">;
  log: Pick<Log, "info" | "debug" | "warn">;
  /** Seconds since 1970; for tests. */
  wall?: () => number;
}

/** What is known of the snapshots since the start. */
export interface SnapshotFigures {
  intervalSeconds: number;
  /**
   * When the swarms of the file were stored, in seconds since the start of the process, negative
   * before it; undefined if there is no file.
   */
  keptSeconds: number | undefined;
  /** Of the last writing. */
  bytes: number;
  peers: number;
  durationSeconds: number;
  written: number;
  failed: number;
  /** Of the start. */
  restoredPeers: number;
  restoredSwarms: number;
}

/** A snapshot that was restored, as a tracker that shares its peers must know it. */
export interface Restored {
  /** What was noted in it; undefined where nothing was, or not all of it was put back. */
  notes: Uint8Array | undefined;
  /** When it was begun, in seconds since the start of the process; -Infinity if not known. */
  begunAt: number;
}

/** What lies at one of the two names: a whole snapshot, one that is not used, or none. */
interface FoundFile {
  path: string;
  reader?: SnapshotReader | undefined;
  unusable?: Unusable;
  isDeleted?: boolean;
}

export class Snapshots {
  readonly figures: SnapshotFigures;
  /** The latest of the files that were restored; undefined without one. */
  restored: Restored | undefined;
  /** What to note in a snapshot that begins now. */
  notes: (() => Uint8Array) | undefined;
  readonly #needs: SnapshotNeeds;
  readonly #wall: () => number;
  /** Kept, since garbage of this size would cost a collection of some milliseconds. */
  readonly #chunk = new Uint8Array(RECORDS_BYTES_MAX);
  #path: string;
  /** Of the next writing; undefined while one goes on. */
  #timer: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  /** Seconds since 1970 at the start of the process, by the clock that the latest file has. */
  #startedSeconds: number;
  #writing = Promise.resolve();
  #ended = false;
  /** True if the file that was read is of a later time than now. */
  #isOfFuture = false;
  /** True if there is a file whose swarms were not all restored, or none. */
  #leftOut = false;
  /** The snapshot beside the file, once the file is to take its place. */
  #superseded: string | undefined;
  /** The code of the last error; each is logged once in a row. */
  #failure: string | undefined;

  constructor(needs: SnapshotNeeds) {
    this.#needs = needs;
    this.#path = needs.path;
    this.#wall = needs.wall ?? (() => Date.now() / 1000);
    this.#startedSeconds = this.#wall() - now();
    this.figures = {
      intervalSeconds: needs.intervalSeconds,
      keptSeconds: undefined,
      bytes: 0,
      peers: 0,
      durationSeconds: 0,
      written: 0,
      failed: 0,
      restoredPeers: 0,
      restoredSwarms: 0,
    };
  }

  /**
   * Restores the swarms of the file, as far as `judge` admits them. Call it once, before any other
   * thread uses the store. Whatever the file holds, the tracker can start. Throws a StartError only
   * if the name beside it is that of another file, too.
   */
  restore(judge: Judge): void {
    const file = this.#find(this.#path);
    const path = besideOf(this.#path);
    const beside = isSameFile(this.#path, path) ? { path } : this.#find(path);
    try {
      this.#restore(file, beside, judge);
    } finally {
      for (const { reader } of [file, beside]) {
        if (reader === undefined) continue;
        reader.close();
        garbage.note(RECORDS_BYTES_MAX);
      }
    }
  }

  /** Looks at a file, and deletes it if it is a snapshot that is too old. */
  #find(path: string): FoundFile {
    let reader: SnapshotReader | undefined;
    try {
      reader = SnapshotReader.open(path, this.#needs.user);
      reader?.verify();
      if (reader === undefined || !this.#isOld(reader)) return { path, reader };
      this.#delete(path, "the snapshot is older than every timeout, it is deleted");
      reader.close();
      return { path, isDeleted: true };
    } catch (error) {
      reader?.close();
      if (!(error instanceof Unusable)) throw error;
      return { path, unusable: error };
    }
  }

  /** Restores what may be used, and decides which of both is written from now on. */
  #restore(file: FoundFile, beside: FoundFile, judge: Judge): void {
    const { log } = this.#needs;
    const { unusable } = file;
    const isOfOthers = unusable?.isOfOthers === true;
    if (unusable !== undefined) {
      this.#tellUnused(unusable, isOfOthers || beside.reader ? beside.path : undefined);
    } else if (beside.reader !== undefined) {
      log.info("the snapshot beside the file is used, too", { file: beside.path });
    }
    if (isOfOthers) {
      this.#path = beside.path;
      if (beside.unusable?.isOfOthers === true) throw nowhereToWrite(beside.unusable);
      if (beside.unusable !== undefined) this.#tellUnused(beside.unusable);
    } else if (beside.reader !== undefined || beside.unusable?.isOfOthers === false) {
      this.#superseded = beside.path;
    }
    const readers = [file.reader, beside.reader].filter((reader) => reader !== undefined);
    // The later one first: its peers have the room, and its intervals go on.
    readers.sort((one, other) => writtenAt(other) - writtenAt(one));
    for (const reader of readers) this.#putBack(reader, judge, reader === readers[0]);
    const isTold = file.isDeleted === true || beside.isDeleted === true;
    const used = isOfOthers ? beside : file;
    if (readers.length > 0 || isTold || used.unusable !== undefined) return;
    const message = "there is no snapshot of swarms, the tracker starts empty";
    log.info(message, { file: used.path });
  }

  #tellUnused({ message: reason, remedy, isOfOthers }: Unusable, beside?: string): void {
    this.#leftOut ||= !isOfOthers;
    const instead = beside === undefined ? "the tracker starts empty" : "the file beside it is";
    const fields = { reason, ...(beside === undefined ? {} : { file: beside }), remedy };
    this.#needs.log.warn(`the snapshot is not used, ${instead}`, fields, "snapshot_unused");
  }

  /** True if neither a peer nor a download counter of the file would be restored. */
  #isOld({ header, lastSeconds }: SnapshotReader): boolean {
    const { settings } = this.#needs.store.memory;
    const { peerTimeout, peerTimeoutMax = peerTimeout, downloadsTimeout } = settings;
    const kept = Math.min(peerTimeout * Math.max(1, header.kept), peerTimeoutMax);
    const age = this.#wall() - header.begunSeconds - lastSeconds;
    return age > Math.max(kept, downloadsTimeout);
  }

  #delete(file: string, message: string): void {
    const { log } = this.#needs;
    try {
      rmSync(followLinks(file));
      log.info(message, { file });
    } catch (error) {
      const fields = { file, reason: codeOf(error), remedy: "delete it: it holds addresses" };
      log.warn("an old snapshot could not be deleted", fields, "snapshot_unused");
    }
  }

  #putBack(reader: SnapshotReader, judge: Judge, isLatest: boolean): void {
    const { store, load, log } = this.#needs;
    const { memory } = store;
    const start = now();
    const { begunSeconds, stretch, kept } = reader.header;
    const elapsed = this.#wall() - begunSeconds;
    const since = Math.round(elapsed - reader.lastSeconds);
    const age = Math.max(0, since);
    // Its time says nothing: the clock was set, and the next start may find that it is old.
    this.#isOfFuture ||= since < 0;
    if (isLatest) load.resume(stretch, kept, age);
    setPeerTimeout(memory, memory.settings.peerTimeout * load.kept);
    // No other thread is there yet: without locks a peer takes a tenth less.
    const settings = { ...memory.settings, threads: false, restoring: true };
    const alone = new Store({ ...memory, settings });
    const back = new PutBack(alone, judge);
    alone.table.expect(reader.totals.records);
    // Its time says nothing if it lies ahead of the clock.
    const begunAt = since < 0 ? -Infinity : start - elapsed;
    if (isLatest) this.restored = { notes: reader.notes, begunAt };
    try {
      reader.restore(back, elapsed, start);
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      this.#leftOut = true;
      this.restored = { notes: undefined, begunAt };
      const { message: reason, remedy } = error;
      const message = "the snapshot could not be read to its end, a part of it is used";
      log.warn(message, { reason, remedy }, "snapshot_unused");
    }
    this.#tellRestored(back.counts, age, start);
    if (isLatest) this.figures.keptSeconds = start - age;
  }

  #tellRestored(counts: PutBack["counts"], age: number, start: number): void {
    const { store, log } = this.#needs;
    const { swarms, peers } = takeCensus(store.memory);
    const { expired, refused, crowded, withoutRoom, countersWithoutRoom: counters } = counts;
    const seconds = Math.round((now() - start) * 1000) / 1000;
    const told = { swarms, peers, expired, refused, crowded, withoutRoom, age, seconds };
    log.info("swarms restored", told);
    this.figures.restoredPeers = peers;
    this.figures.restoredSwarms = swarms;
    this.#leftOut ||= refused + crowded + withoutRoom > 0 || expired > peers;
    if (withoutRoom + counters === 0) return;
    const fields = { peers: withoutRoom, counters, remedy: "a larger TRACKER_MEMORY_MAX" };
    log.warn("not all swarms of the snapshot fit the memory", fields, "snapshot_room");
  }

  /** Writes from now on: first when the file of the earlier run is an interval old. */
  begin(): void {
    const { intervalSeconds } = this.#needs;
    const { keptSeconds = -Infinity } = this.figures;
    const left = this.#isOfFuture ? 0 : keptSeconds + intervalSeconds - now();
    const isWrong = this.#leftOut || this.#isOfFuture;
    const least = Math.min(isWrong ? FIX_SECONDS : FIRST_SECONDS_MIN, intervalSeconds);
    this.#writeAfter(Math.min(Math.max(left, least), intervalSeconds));
    if (intervalSeconds <= LOOK_SECONDS) return;
    this.#looking = setInterval(() => this.#look(), LOOK_SECONDS * 1000);
    this.#looking.unref();
  }

  /** Writes soon if the clock was set; the clock of the process does not run with it. */
  #look(): void {
    const startedSeconds = this.#wall() - now();
    const seconds = startedSeconds - this.#startedSeconds;
    if (Math.abs(seconds) < STEP_SECONDS || this.#timer === undefined || this.#ended) return;
    this.#startedSeconds = startedSeconds;
    const told = { seconds: Math.round(seconds) };
    this.#needs.log.info("the clock was set, the snapshot is written again", told);
    clearTimeout(this.#timer);
    this.#writeAfter(0);
  }

  #writeAfter(seconds: number): void {
    const { intervalSeconds } = this.#needs;
    if (intervalSeconds === 0 || this.#ended) return;
    const factor = 1 + JITTER * (2 * Math.random() - 1);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#writing = this.#write(false).finally(() => this.#writeAfter(intervalSeconds));
      },
      seconds * factor * 1000,
    );
    this.#timer.unref();
  }

  /** Writes the last snapshot, once all requests are answered. Never rejects. */
  async end(): Promise<void> {
    this.#ended = true;
    clearInterval(this.#looking);
    clearTimeout(this.#timer);
    await this.#writing;
    await this.#write(true);
  }

  async #write(last: boolean): Promise<void> {
    const { store, load, log } = this.#needs;
    const { figures } = this;
    const file = this.#path;
    const wall = this.#wall();
    const begunSeconds = Math.floor(wall);
    const start = now();
    this.#startedSeconds = wall - start;
    try {
      const { bytes, peers } = await writeSnapshot({
        path: file,
        store,
        chunk: this.#chunk,
        begunSeconds,
        stretch: load.stretch,
        kept: load.kept,
        notes: this.notes?.(),
        turns: !last,
        isEnded: () => this.#ended && !last,
      });
      const seconds = Math.round((now() - start) * 1000) / 1000;
      this.#failure = undefined;
      Object.assign(figures, { bytes, peers, durationSeconds: seconds });
      figures.keptSeconds = start;
      figures.written += 1;
      const told = { peers, bytes, seconds };
      if (last) log.info("swarms written to the snapshot", told);
      else log.debug("swarms written to the snapshot", told);
      if (this.#superseded === undefined) return;
      this.#delete(
        this.#superseded,
        "the snapshot beside the file is no longer needed, it is deleted",
      );
      this.#superseded = undefined;
    } catch (error) {
      if (error !== GIVEN_UP) this.#tellUnwritten(codeOf(error), last);
    }
  }

  #tellUnwritten(reason: string, last: boolean): void {
    this.figures.failed += 1;
    if (reason === this.#failure && !last) return;
    this.#failure = reason;
    const which = last ? "the last snapshot" : "a snapshot";
    const isThere = this.figures.keptSeconds !== undefined && existsSync(this.#path);
    const before = isThere ? "the one before stays" : "and no earlier one exists";
    const { peers } = takeCensus(this.#needs.store.memory);
    const fields = { file: this.#path, peers, reason, remedy: writeRemedy(reason) };
    this.#needs.log.warn(`${which} could not be written, ${before}`, fields, "snapshot_unwritten");
  }
}

/** When a file that is verified was written, in seconds since 1970. */
function writtenAt({ header, lastSeconds }: SnapshotReader): number {
  return header.begunSeconds + lastSeconds;
}

/** True if one name is a link to the other, or both are to the same file, which may be missing. */
function isSameFile(one: string, other: string): boolean {
  try {
    const [first, second] = [one, other].map((path) => followLinks(path, { mayBeMissing: true }));
    return first === second;
  } catch {
    return false;
  }
}

/**
 * The name of the file that is used while the one of the settings is left alone. It is the same in
 * each version, so that what a downgrade wrote there is found on the way back.
 */
export const besideOf = (path: string): string => `${path}.v1`;

/** What ends the start if both are left alone. */
export function nowhereToWrite({ message }: Unusable): StartError {
  const hint = "name a file that is not there yet in TRACKER_SNAPSHOT_FILE, or move both away";
  return new StartError(`TRACKER_SNAPSHOT_FILE cannot be written: ${message}, too`, hint);
}

/** Throws a StartError if no snapshot could be written: its folder is not there, or not ours. */
export function mustBeWritable(path: string): void {
  try {
    const target = followLinks(path, { mayBeMissing: true });
    const folder = dirname(target);
    accessSync(folder, constants.W_OK | constants.X_OK);
    const found = statSync(target, { throwIfNoEntry: false });
    if (found !== undefined && isMount(target)) throw notThis("EBUSY");
    if (found !== undefined && !found.isFile()) throw notThis(NO_PLAIN_FILE);
    // Throws if the name of the draft is too long.
    lstatSync(target + DRAFT_SUFFIX, { throwIfNoEntry: false });
  } catch (error) {
    const code = codeOf(error);
    const missing = code === "ENOENT" || code === "ENOTDIR";
    const problem = missing ? "whose folder does not exist" : `which cannot be written (${code})`;
    const create = "create it for the tracker's user; the unit of systemd makes /run/buntracker";
    const hint = missing ? create : writeRemedy(code);
    throw new StartError(`TRACKER_SNAPSHOT_FILE is ${path}, ${problem}`, hint);
  }
}
