/**
 * Replaces a file atomically: a reader finds the old file or the new one, never a part.
 *
 * The new bytes are written to a draft in the same folder and synced to the disk; then the draft is
 * renamed. If the disk is full, the old file stays as it was. A symbolic link stays a link: its
 * target is replaced, if the link belongs to root or to the tracker's user.
 *
 *   replaceFile     the old file must be there, and gives its mode and its owner to the new one
 *   writePrivate    whatever plain file is there: the new one is the tracker's, for its owner alone
 *
 * If two programs replace the same file, the last one wins, and each file is whole: a program waits
 * while the other one's draft grows, and does not rename a draft that is no longer its own.
 *
 * A link of another user is refused. In a folder where others may write, they could link to a file
 * that only the tracker, perhaps as root, may change: the tracker would add a line to it, and they
 * could read its content in the new file. For the same reason the old file is opened once, never
 * through a link, and owner, mode and bytes are taken from the open file. There is no protection
 * against others who replace a parent folder during the write.
 */
import { constants, lstatSync, type Stats } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { NO_PLAIN_FILE, OTHER_PROGRAM } from "../host/file-errors.ts";
import { followLinks, notThis, READ_FLAGS } from "../host/plain-file.ts";

/** Suffix of the draft. A draft left by a crash is overwritten. */
export const DRAFT_SUFFIX = ".new";

/** A draft that has not been written to for this long was left by a crash. */
const LEFT_MILLISECONDS = 2000;
/** How long another program's draft is waited for, and how often it is looked at. */
const WAIT_MILLISECONDS_MAX = 10_000;
const LOOK_MILLISECONDS = 100;

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
    await putInPlace(target, async (draft) => {
      await fill(old, (bytes) => draft.writeFile(bytes));
      const { mode, uid, gid } = await old.stat();
      const own = await draft.stat();
      if (own.uid !== uid || own.gid !== gid) await draft.chown(uid, gid);
      await draft.chmod(mode & 0o777);
    });
  } finally {
    await old.close();
  }
  return true;
}

/**
 * Writes a file that only its owner may read. Rejects with the system's error or that of `fill`;
 * then what was there stays.
 */
export async function writePrivate(
  path: string,
  fill: (write: Write) => Promise<void>,
): Promise<void> {
  const target = followLinks(path, { mayBeMissing: true });
  const found = lstatSync(target, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) throw notThis(NO_PLAIN_FILE);
  // An open file is not freed when it is replaced, which would keep the event loop for 8 ms with
  // 104 MB, but when it is closed, and that is done beside it.
  const old = await open(target, READ_FLAGS | (constants.O_NOFOLLOW ?? 0)).catch(() => undefined);
  try {
    await putInPlace(target, (draft) => fill((bytes) => draft.writeFile(bytes)));
  } finally {
    await old?.close();
  }
}

/** Puts a file in the place of `target`, if any; `fill` writes it. */
async function putInPlace(
  target: string,
  fill: (draft: FileHandle) => Promise<void>,
): Promise<void> {
  const path = `${target}${DRAFT_SUFFIX}`;
  const draft = await openDraft(path);
  const own = await draft.stat();
  try {
    await fill(draft);
    await draft.sync();
    if (!isAt(path, own)) throw notThis(OTHER_PROGRAM);
    // Not at once in the event loop: a disk that is busy kept it for a tenth of a second.
    await rename(path, target);
  } catch (error) {
    if (isAt(path, own)) await rm(path, { force: true }).catch(() => {});
    throw error;
  } finally {
    await draft.close();
  }
  await syncFolder(dirname(target));
}

async function openDraft(path: string): Promise<FileHandle> {
  let size = -1;
  let grown = 0;
  for (let waited = 0; ; waited += LOOK_MILLISECONDS) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && found.size !== size) [size, grown] = [found.size, waited];
    // One that is touched and never grows is no draft, and would hold up the end of the tracker.
    const left = waited - grown >= LEFT_MILLISECONDS;
    if (found === undefined || left || !isGrowing(found)) {
      await rm(path, { force: true });
      try {
        return await open(path, "wx", 0o600);
      } catch (error) {
        // Another program was faster.
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
    }
    if (waited >= WAIT_MILLISECONDS_MAX) throw notThis(OTHER_PROGRAM);
    await Bun.sleep(LOOK_MILLISECONDS);
  }
}

function isGrowing(found: Stats): boolean {
  return found.isFile() && Math.abs(Date.now() - found.mtimeMs) < LEFT_MILLISECONDS;
}

/** True if the path still names our file. */
function isAt(path: string, own: Stats): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.dev === own.dev && found.ino === own.ino;
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
