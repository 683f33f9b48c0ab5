/**
 * Examines the snapshot for `buntracker check`, as the start would: whether its folder can be
 * written to, and whether the file there can be used. It changes nothing.
 */
import { SnapshotReader, Unusable } from "./reader.ts";
import { mustBeWritable } from "./snapshots.ts";

/**
 * What the start would warn of, as sentences. Throws a StartError if it would not start. A file
 * that is not there is no mistake: the first start has none.
 */
export function examineSnapshot(path: string): string[] {
  mustBeWritable(path);
  try {
    const reader = SnapshotReader.open(path);
    try {
      reader?.verify();
    } finally {
      reader?.close();
    }
    return [];
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    return [`the snapshot would not be used: ${error.message} (remedy: ${error.remedy})`];
  }
}
