/**
 * Reads the files of the access lists. The result is the list and its bad lines, or a StartError
 * that names the variable, the path and the remedy.
 *
 *   no line but blanks and comments    an empty list
 *   good lines and bad ones            the good ones
 *   bad lines only                     refused: it is some other file, such as the error page of a
 *                                      web server, and would empty the list
 *
 * The work is done in turns, between which the event loop answers requests: a list may have
 * millions of lines.
 */
import { EXIT_FAILED } from "../constants.ts";
import { codeOf, notRead, readRemedy } from "../host/file-errors.ts";
import { CHANGED } from "../host/plain-file.ts";
import { StartError } from "../host/start-error.ts";
import { type BadLines, type LinesReader, readHashes, showBadLines } from "./hash-file.ts";
import type { HashList } from "./hash-list.ts";
import { readNetworks } from "./network-file.ts";
import type { NetworkList } from "./network-list.ts";
import { runInTurns } from "../host/turns.ts";
import { eachPiece } from "./pieces.ts";

const LIST_UNREADABLE = "check the path and its permissions; the file may be empty";
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

async function read<List extends { size: number }>(
  variable: string,
  path: string | undefined,
  reader: LinesReader<List>,
): Promise<ListFile<List> | undefined> {
  if (path === undefined) return undefined;
  const reading = eachPiece(path, (bytes) => runInTurns(reader.take(bytes)));
  await reading.catch((error: unknown) => {
    const code = codeOf(error);
    const problem = `${variable} is ${path}, which ${notRead(code)}`;
    // The next start may find the complete file.
    if (code === CHANGED) throw new StartError(problem, WRITE_BESIDE, EXIT_FAILED);
    throw new StartError(problem, readRemedy(code, LIST_UNREADABLE));
  });
  const { list, bad } = await runInTurns(reader.finish());
  if (list.size === 0 && bad.count > 0) throw noGoodLine(`${variable} is ${path}, which`, bad);
  return { path, list, bad };
}

/** The error for a file that has bad lines and no good one; `subject` begins its sentence. */
export function noGoodLine(subject: string, bad: BadLines): StartError {
  const message = `${subject} has bad lines only: ${bad.count}, namely ${showBadLines(bad)}`;
  return new StartError(
    message,
    "check whether it is the right file; one that is empty is allowed",
  );
}
