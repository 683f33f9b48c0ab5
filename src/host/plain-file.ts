/**
 * Which files may be read, as certificates, keys, tokens, secrets, rules or lists.
 *
 *   a folder, device, socket or pipe    refused: some never end, and some block the thread
 *   a file that changes during reading  refused: the bytes read may be a mix of old and new
 *   a file that is replaced by rename   allowed: the file that was opened does not change
 *
 * Small files are read here, in one call and up to a limit; large ones in pieces
 * (access/pieces.ts). Errors have a `code` for people: that of the system, or a text from here.
 */
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import { readFileSync, readlinkSync, readSync, statSync } from "node:fs";
import { dirname, join, parse, resolve, sep } from "node:path";

/** Far more than a chain of certificates or a thousand rules take. */
const SMALL_MIB_MAX = 1;

/** The most links in one path; more are a circle. */
const LINKS_MAX = 40;

/** Opening does not wait for the writer of a pipe; an open pipe is recognised and refused. */
export const READ_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** An error with a code for people, where the system reports no error. */
export const notThis = (code: string): Error => Object.assign(new Error(code), { code });

/** The code of a file that changed while it was read. */
export const CHANGED = "it changed while it was read";

/** Throws if the file changed between these two looks at it. */
export function mustBeSteady(before: BigIntStats, after: BigIntStats): void {
  const same = before.size === after.size && before.mtimeNs === after.mtimeNs;
  if (!same) throw notThis(CHANGED);
}

/**
 * The text of a small file. Throws an error with a `code` if it cannot be read or is not a file.
 */
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

/** Reads to the end of the file or of the buffer. Returns the number of bytes. */
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
 * The path with all links resolved: where to write. Throws an error with a `code` if nothing is
 * there, unless only the file `mayBeMissing`; or if a link in the path belongs to neither root nor
 * our own user.
 */
export function followLinks(path: string, { mayBeMissing = false } = {}): string {
  const full = resolve(path);
  let at = parse(full).root;
  let rest = full.slice(at.length).split(sep);
  for (let links = 0; rest.length > 0;) {
    const next = join(at, rest[0]);
    rest = rest.slice(1);
    const found = lstatSync(next, { throwIfNoEntry: !(mayBeMissing && rest.length === 0) });
    if (found === undefined) return next;
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

/**
 * True if this path, where something is and whose links are resolved, is a mount, such as a single
 * file of the host in a container: nothing can be renamed to it. Another device than that of its
 * folder proves nothing on Linux: files of an overlay over two disks have one.
 */
export function isMount(path: string): boolean {
  let mounts: string;
  try {
    mounts = readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    // Not Linux.
    return statSync(dirname(path)).dev !== statSync(path).dev;
  }
  const octal = (character: string): string =>
    `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`;
  const shown = path.replaceAll(/[ \t\n\\]/g, octal);
  return mounts.split("\n").some((line) => line.split(" ")[4] === shown);
}
