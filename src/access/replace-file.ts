/**
 * Replacing a file so that nobody, whatever happens, finds half of one.
 *
 * The new bytes go to a file beside it, to the disk, and only then to the name; a disk that is full
 * leaves the old file as it was. The new file has the mode and the owner of the old one. A symbolic
 * link stays one: what it leads to is replaced, if the link is root's or our own.
 *
 * Another user's link is refused. Where others may write to the folder, they could lead us, who may
 * be root, to a file that they may not change: it would get a line, and they could read the rest of
 * it in its successor. For the same reason the old file is opened once, never through a link, and
 * owner, mode and bytes are all of what was opened. A folder above, which others could exchange
 * while we write, is not guarded against.
 */
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { followLinks, READ_FLAGS } from "../host/plain-file.ts";

/** What the new file is called until it is complete. One left behind by a crash is overwritten. */
const SUFFIX = ".new";

/** Writes a piece behind the others. */
export type Write = (bytes: Uint8Array) => Promise<void>;

/** Reads the old file, and writes the new one from its beginning to its end, a piece at a time. */
export type Fill = (old: FileHandle, write: Write) => Promise<void>;

/**
 * Puts what `fill` writes in the place of the file, unless `wanted` says of the old one that it may
 * stay; returns what that said. Rejects with the system's error, or that of `fill`, if it fails.
 */
export async function replaceFile(
  path: string,
  fill: Fill,
  wanted: (old: FileHandle) => Promise<boolean> = () => Promise.resolve(true),
): Promise<boolean> {
  const target = followLinks(path);
  const old = await open(target, READ_FLAGS | (constants.O_NOFOLLOW ?? 0));
  try {
    if (!(await wanted(old))) return false;
    const draft = `${target}${SUFFIX}`;
    await rm(draft, { force: true });
    try {
      await write(draft, fill, old);
      await rename(draft, target);
    } catch (error) {
      await rm(draft, { force: true }).catch(() => {});
      throw error;
    }
  } finally {
    await old.close();
  }
  await syncFolder(dirname(target));
  return true;
}

async function write(draft: string, fill: Fill, old: FileHandle): Promise<void> {
  const { mode, uid, gid } = await old.stat();
  const file = await open(draft, "wx", 0o600);
  try {
    await fill(old, (bytes) => file.writeFile(bytes));
    const own = await file.stat();
    if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid);
    await file.chmod(mode & 0o777);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The name itself must reach the disk; not every file system knows how, and then that is that. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    // The file is complete under either name.
  }
}
