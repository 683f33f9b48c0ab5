/**
 * Examines the snapshot for `buntracker check`, as the start would: whether its folder can be
 * written to, and whether the file there can be used. It changes nothing.
 */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { SnapshotReader, Unusable } from "./reader.ts";
import { besideOf, mustBeWritable, nowhereToWrite } from "./snapshots.ts";

/** The folders that the unit of systemd makes when it starts the tracker. */
const FOLDERS_OF_UNIT = ["/run/buntracker", "/var/lib/buntracker"];

/**
 * What the start would warn of, as sentences. `user` is the id of the user that root becomes, if
 * any. Throws a StartError if it would not start. A file that is not there is no mistake: the first
 * start has none.
 */
export function examineSnapshot(path: string, user?: number): string[] {
  const folder = dirname(resolve(path));
  if (FOLDERS_OF_UNIT.includes(folder) && !existsSync(folder)) {
    const makes = "the unit of systemd makes it when it starts the tracker";
    return [
      `${folder} does not exist: ${makes}; without the unit, create it for the tracker's user`,
    ];
  }
  mustBeWritable(path);
  const error = problemOf(path, user);
  if (error === undefined) return [];
  const beside = error.isOfOthers ? problemOf(besideOf(path), user) : undefined;
  if (beside?.isOfOthers === true) throw nowhereToWrite(beside);
  return [`the snapshot would not be used: ${error.message} (remedy: ${error.remedy})`];
}

/** Why a file would not be used; undefined if it would, or is not there. */
function problemOf(path: string, user: number | undefined): Unusable | undefined {
  let reader: SnapshotReader | undefined;
  try {
    reader = SnapshotReader.open(path, user);
    reader?.verify();
    return undefined;
  } catch (error) {
    if (!(error instanceof Unusable)) throw error;
    return error;
  } finally {
    reader?.close();
  }
}
