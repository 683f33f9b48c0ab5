/**
 * Writes a snapshot: the dump of all swarms (swarm/dump.ts) in the format of format.ts, to a file
 * that takes the place of the one before only when it is complete and on the disk.
 *
 *   dump ─► chunk is full ─► header with its crc ─► file.new ─► … ─► end ─► fsync ─► rename
 *
 * While the tracker answers, slices of the dump take a millisecond of each turn of the event loop:
 * ten million peers took 0.3 s, and no turn was 5 ms late (`make stalls`). The last snapshot takes
 * no turns, but still waits for the disk between chunks, so that a second signal is heard.
 */
import { writePrivate } from "../access/replace-file.ts";
import { now } from "../host/clock.ts";
import { nextTurn, TURN_SECONDS } from "../host/turns.ts";
import { Dump } from "../swarm/dump.ts";
import type { Store } from "../swarm/store.ts";
import { WALK_SLICE_UNITS } from "../swarm/walk.ts";
import { chunkBytes, endBytes, headerBytes } from "./format.ts";

/** Options of a writing. */
export interface Writing {
  path: string;
  store: Store;
  /** RECORDS_BYTES_MAX bytes, which the next writing can use again. */
  chunk: Uint8Array;
  /** When it begins, in seconds since 1970. */
  begunSeconds: number;
  stretch: number;
  kept: number;
  /** What to note in the header of a tracker that shares its peers. */
  notes?: Uint8Array | undefined;
  /** True to leave the event loop its turns. */
  turns: boolean;
  /** True once the snapshot is no longer wanted; it is then given up. */
  isEnded?: () => boolean;
  /** The clock of the store, in seconds; for tests. */
  clock?: () => number;
}

/** The result of a writing. */
export interface Written {
  bytes: number;
  peers: number;
}

/** Thrown when the snapshot was no longer wanted. */
export const GIVEN_UP = new Error("the snapshot was given up");

/** Writes a snapshot. Rejects with the system's error, and then the file before stays. */
export async function writeSnapshot(writing: Writing): Promise<Written> {
  const { store, begunSeconds, stretch, kept, notes, turns, isEnded, clock = now } = writing;
  const dump = new Dump(store, writing.chunk);
  const start = clock();
  let bytes = 0;
  await writePrivate(writing.path, async (write) => {
    const put = (part: Uint8Array): Promise<void> => {
      bytes += part.length;
      return write(part);
    };
    const tickSeconds = store.peerTicks.seconds;
    await put(headerBytes({ begunSeconds, tickSeconds, stretch, kept }, notes));
    let turnEnds = 0;
    while (!dump.done) {
      if (turns && now() >= turnEnds) {
        await nextTurn();
        turnEnds = now() + TURN_SECONDS;
      }
      if (isEnded?.() === true) throw GIVEN_UP;
      const seconds = clock();
      dump.slice(seconds, WALK_SLICE_UNITS);
      if (dump.size === 0 || !(dump.isFull || dump.done)) continue;
      const records = dump.chunk.subarray(0, dump.size);
      await put(chunkBytes(Math.floor(seconds - start), dump.tick, records));
      await put(records);
      dump.clear();
      turnEnds = 0;
    }
    await put(endBytes(dump.records, dump.peers));
  });
  return { bytes, peers: dump.peers };
}
