/**
 * Errors of files: their code for people, and what helps against each when a file is read or
 * written. An error without a remedy of its own gets that of the caller, or the usual one.
 */

/** The name of a system error, such as ENOENT or ENOSPC, or a text that says what is wrong. */
export function codeOf(error: unknown): string {
  return (error as { code?: string } | undefined)?.code ?? String(error);
}

/** The codes of a path at which nothing is. */
const MISSING: readonly string[] = ["ENOENT", "ENOTDIR"];

/** What is wrong with a file that was to be read, as the end of a sentence. */
export function notRead(code: string): string {
  return MISSING.includes(code) ? "is not there" : `cannot be read (${code})`;
}

const TOO_MANY_FILES = "raise LimitNOFILE in the unit of systemd, or ulimit -n";
const DISK_FAILS = "the disk fails or is gone: see dmesg";

/** Against errors both of reading and of writing. */
const REMEDIES: Record<string, string | undefined> = {
  EIO: DISK_FAILS,
  ESTALE: DISK_FAILS,
  EMFILE: TOO_MANY_FILES,
  ENFILE: "too many files are open on this machine: see sysctl fs.file-max",
  ENOMEM: "the machine is out of memory",
};

const READ_REMEDIES: Record<string, string | undefined> = {
  ...REMEDIES,
  EACCES: "let the user of the tracker read it and search the folders above it",
  EPERM: "a rule of the machine forbids it, such as AppArmor or SELinux: see dmesg",
};

/** The code of an error: a device, a FIFO or a folder, which no file may replace. */
export const NO_PLAIN_FILE = "it is no plain file";

/** The code of an error: a program replaces a file, and meets another one that does. */
export const OTHER_PROGRAM = "another program writes the same file";

/** Against errors when a file is written anew beside the old one, and renamed. */
const WRITE_REMEDIES: Record<string, string | undefined> = {
  ...REMEDIES,
  ENOSPC: "make room on that disk: the file is written anew beside the old one",
  EDQUOT: "raise the quota of the tracker's user: the file is written anew beside the old one",
  EROFS: "it is read-only: put the file where the tracker may write, such as /var/lib/buntracker",
  EFBIG: "raise LimitFSIZE in the unit of systemd, or ulimit -f",
  EPERM:
    "the tracker's user must own the file, and be allowed to write to its folder; neither may be " +
    "immutable: see lsattr",
  EBUSY: "the file is a mount of its own: mount its folder instead, so that it can be replaced",
  [OTHER_PROGRAM]:
    "give each program a file of its own: see which one writes the file with .new behind its name",
  [NO_PLAIN_FILE]: "name a file that is not there yet, or a plain one",
  ENOENT: "the file or its folder is gone: create it again; it may be empty",
  ENAMETOOLONG: "choose a shorter name: the file is written anew with .new behind its name",
  ERR_FS_EISDIR: "a folder has the name of the draft, the file's with .new behind it: remove it",
};

/** Where systemd puts credentials while a service runs. */
const CREDENTIALS = "/run/credentials/";

/** What helps if a file cannot be read; `usual` if there is no special remedy. */
export function readRemedy(code: string, usual?: string): string {
  const missing = "correct the path, or create the file";
  const common = MISSING.includes(code) ? missing : "check the path and its permissions";
  return READ_REMEDIES[code] ?? usual ?? common;
}

/** Likewise, for a file that systemd may hand over. */
export function handOverRemedy(file: string, code: string): string {
  const isHandedOver = MISSING.includes(code) && file.startsWith(CREDENTIALS);
  return isHandedOver
    ? "it is there while the service runs, with LoadCredential"
    : readRemedy(code);
}

/** What helps if a file cannot be replaced. */
export function writeRemedy(code: string): string {
  return (
    WRITE_REMEDIES[code] ??
    "the tracker's user must own the file, and be allowed to write to its folder"
  );
}
