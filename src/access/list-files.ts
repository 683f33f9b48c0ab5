/**
 * Reads the files of the access lists. The result is the list and its bad lines, or a StartError
 * that names the variable, the path and the remedy.
 *
 * The work is done in turns, between which the event loop answers requests: a list may have
 * millions of lines.
 */
import { EXIT_FAILED } from "../constants.ts";
import { CHANGED } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";
import { type BadLines, type LinesReader, readHashes } from "./hash-file.ts";
import type { HashList } from "./hash-list.ts";
import { readNetworks } from "./network-file.ts";
import type { NetworkList } from "./network-list.ts";
import { runInTurns } from "../host/turns.ts";
import { eachPiece } from "./pieces.ts";

const WRITE_BESIDE = "write the new list to another file, then rename it with mv";

/** The result of reading a file. */
export interface ListFile<List> {
  path: string;
  list: List;
  bad: BadLines;
}

/** The info hashes in the file that `variable` names; undefined if it names none. */
export function readHashList(
  variable: string,
  path: string | undefined,
  keys: Int32Array,
): Promise<ListFile<HashList> | undefined> {
  return read(variable, path, readHashes(keys));
}

/** The networks in the file that `variable` names; undefined if it names none. */
export function readNetworkList(
  variable: string,
  path: string | undefined,
): Promise<ListFile<NetworkList> | undefined> {
  return read(variable, path, readNetworks());
}

async function read<List>(
  variable: string,
  path: string | undefined,
  reader: LinesReader<List>,
): Promise<ListFile<List> | undefined> {
  if (path === undefined) return undefined;
  const reading = eachPiece(path, (bytes) => runInTurns(reader.take(bytes)));
  await reading.catch((error: unknown) => {
    const code = codeOf(error);
    const problem = `${variable} is ${path}, which cannot be read (${code})`;
    // The next start may find the complete file.
    if (code === CHANGED) throw new StartError(problem, WRITE_BESIDE, EXIT_FAILED);
    throw new StartError(problem, "check the path and its permissions; the file may be empty");
  });
  return { path, ...(await runInTurns(reader.finish())) };
}

/** The name of a system error, such as ENOENT or ENOSPC. */
export function codeOf(error: unknown): string {
  return (error as { code?: string } | undefined)?.code ?? String(error);
}
