/** Snapshots of small trackers, in a folder of their own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { RECORDS_BYTES_MAX } from "../../src/snapshot/format.ts";
import { SnapshotReader } from "../../src/snapshot/reader.ts";
import { writeSnapshot, type Writing, type Written } from "../../src/snapshot/writer.ts";
import { type Judge, PutBack } from "../../src/swarm/put-back.ts";
import type { Store } from "../../src/swarm/store.ts";

export const ALL: Judge = { maySwarm: () => true, mayPeer: () => true };

/** When the snapshots of tests begin, in seconds since 1970. */
export const BEGUN = 1_800_000_000;

/** A folder that is removed at the end of the block. */
export function makeFolder(): Disposable & { path: string; file: string } {
  const path = mkdtempSync(join(tmpdir(), "buntracker-snapshot-"));
  return {
    path,
    file: join(path, "swarms"),
    [Symbol.dispose]: () => rmSync(path, { recursive: true }),
  };
}

/** Changes the version in a header, whose crc then is right. */
export function setVersion(bytes: Uint8Array, version: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(8, version, true);
  view.setUint32(28, crc32(bytes.subarray(0, 28)), true);
}

export function write(
  store: Store,
  path: string,
  options: Partial<Writing> = {},
): Promise<Written> {
  const chunk = new Uint8Array(RECORDS_BYTES_MAX);
  const usual = { chunk, begunSeconds: BEGUN, stretch: 1, kept: 1, turns: false, clock: () => 0 };
  return writeSnapshot({ path, store, ...usual, ...options });
}

/** Reads a whole snapshot into a store. Throws `Unusable`. */
export function readInto(store: Store, path: string, elapsed = 0, now = 0, judge = ALL): PutBack {
  const reader = SnapshotReader.open(path)!;
  try {
    reader.verify();
    const back = new PutBack(store, judge, new Int32Array([1, 2, 3, 4]));
    reader.restore(back, elapsed, now);
    return back;
  } finally {
    reader.close();
  }
}
