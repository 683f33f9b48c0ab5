/**
 * Replacing a file so that nobody, whatever happens, finds half of one.
 *
 * The new bytes go to a file beside it, to the disk, and only then to the name; a disk that is full
 * leaves the old file as it was. The new file has the mode and the owner of the old one. A symbolic
 * link stays one: what it leads to is replaced.
 */
import { open, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** What the new file is called until it is complete. One left behind by a crash is overwritten. */
const SUFFIX = ".new";

/** Writes a file from its beginning to its end, a piece at a time. */
export type Fill = (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>;

/**
 * Puts what `fill` writes in the place of the file. Rejects with the system's error, or that of
 * `fill`, if that fails.
 */
export async function replaceFile(path: string, fill: Fill): Promise<void> {
  const target = await realpath(path);
  const { mode, uid, gid } = await stat(target);
  const draft = `${target}${SUFFIX}`;
  await rm(draft, { force: true });
  try {
    await write(draft, fill, mode, uid, gid);
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(target));
}

async function write(
  draft: string,
  fill: Fill,
  mode: number,
  uid: number,
  gid: number,
): Promise<void> {
  const file = await open(draft, "wx", 0o600);
  try {
    await fill((bytes) => file.writeFile(bytes));
    const own = await file.stat();
    if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid);
    await file.chmod(mode & 0o7777);
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
