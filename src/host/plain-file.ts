/**
 * What may be read as a file: certificates, keys, tokens, secrets, rules and lists alike.
 *
 *   a folder, a device, a socket, a pipe    refused: some never end, and some block the thread
 *   one that changes while it is read       refused: half of it is not what anybody wrote
 *   one that is replaced by another name    fine: what was opened stays as it was
 *
 * Small files are read here, at once and up to a limit; large ones in pieces (access/pieces.ts).
 * Errors have a `code` for people: that of the system, or one of the above.
 */
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import { readlinkSync, readSync } from "node:fs";
import { join, parse, resolve, sep } from "node:path";

/** Far more than a chain of certificates or a thousand rules take. */
const SMALL_MIB_MAX = 1;

/** Links in one path; more are a circle. */
const LINKS_MAX = 40;

/** Without waiting for the other end of a pipe, which is told from a file once it is open. */
export const READ_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** What is thrown where the system sees no error. */
export const notThis = (code: string): Error => Object.assign(new Error(code), { code });

/** The code of a file that changed while it was read. */
export const CHANGED = "it changed while it was read";

/** Throws unless this is what was read, from its beginning to its end. */
export function mustBeSteady(before: BigIntStats, after: BigIntStats): void {
  const same = before.size === after.size && before.mtimeNs === after.mtimeNs;
  if (!same) throw notThis(CHANGED);
}

/** The text of a small file. Throws an error with a `code` if it cannot be read, or is none. */
export function readSmallFile(path: string): string {
  const fd = openSync(path, READ_FLAGS);
  try {
    const before = fstatSync(fd, { bigint: true });
    if (!before.isFile()) throw notThis("not a file");
    const bytes = Buffer.alloc(SMALL_MIB_MAX * 2 ** 20 + 1);
    const size = readToEnd(fd, bytes);
    if (size === bytes.length) throw notThis(`over ${SMALL_MIB_MAX}MiB`);
    mustBeSteady(before, fstatSync(fd, { bigint: true }));
    return bytes.toString("utf8", 0, size);
  } finally {
    closeSync(fd);
  }
}

/** Fills the buffer as far as there is something to read. Returns how far. */
function readToEnd(fd: number, bytes: Buffer): number {
  let size = 0;
  while (size < bytes.length) {
    const read = readSync(fd, bytes, size, bytes.length - size, null);
    if (read === 0) break;
    size += read;
  }
  return size;
}

/**
 * What the path leads to, free of links: where to write. Throws an error with a `code` if nothing
 * is there, or if a link on the way is neither root's nor our own.
 */
export function followLinks(path: string): string {
  const full = resolve(path);
  let at = parse(full).root;
  let rest = full.slice(at.length).split(sep);
  for (let links = 0; rest.length > 0;) {
    const next = join(at, rest[0]);
    rest = rest.slice(1);
    const found = lstatSync(next);
    if (!found.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (found.uid !== 0 && found.uid !== process.geteuid?.()) {
      throw notThis("there is a symbolic link of another user");
    }
    if (++links > LINKS_MAX) throw notThis("ELOOP");
    const target = resolve(at, readlinkSync(next));
    at = parse(target).root;
    rest = [...target.slice(at.length).split(sep), ...rest];
  }
  return at;
}
