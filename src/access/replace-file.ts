/**
 * Replaces a file atomically: a reader finds the old file or the new one, never a part.
 *
 * The new bytes are written to a file in the same folder and synced to the disk; then that file is
 * renamed. If the disk is full, the old file stays as it was. The new file has the mode and the
 * owner of the old one. A symbolic link stays a link: its target is replaced, if the link belongs
 * to root or to the tracker's user.
 *
 * A link of another user is refused. In a folder where others may write, they could link to a file
 * that only the tracker, perhaps as root, may change: the tracker would add a line to it, and they
 * could read its content in the new file. For the same reason the old file is opened once, never
 * through a link, and owner, mode and bytes are taken from the open file. There is no protection
 * against others who replace a parent folder during the write.
 */
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { followLinks, READ_FLAGS } from "../host/plain-file.ts";

/** Suffix of the new file until it is complete. A file left by a crash is overwritten. */
const SUFFIX = ".new";

/** Appends a piece. */
export type Write = (bytes: Uint8Array) => Promise<void>;

/** Reads the old file and writes the new one, from beginning to end, in pieces. */
export type Fill = (old: FileHandle, write: Write) => Promise<void>;

/**
 * Replaces the file by what `fill` writes, if `wanted` returns true for the old file; returns the
 * result of `wanted`. Rejects with the system's error or that of `fill`.
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

/** The new name must reach the disk too. Not every file system can do that; errors are ignored. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    // The file is complete under either name.
  }
}
