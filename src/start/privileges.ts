/**
 * Gives up root after everything that needs it: ports below 1024, large socket buffers.
 *
 * The change holds for all threads and cannot be undone. Rights that the new user lacks for later
 * work are reported at the start, not at the first change.
 */
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";

import type { Config } from "../config/schema.ts";
import { EXIT_FAILED } from "../constants.ts";
import { quote } from "../config/settings.ts";
import { codeOf, writeRemedy } from "../host/file-errors.ts";
import { followLinks, isMount } from "../host/plain-file.ts";
import { HAND_OVER } from "../http/certificate.ts";
import { StartError } from "../host/start-error.ts";

interface Initgroups {
  initgroups: (user: string, group: number) => void;
}

/** A user as /etc/passwd describes it. */
export interface User {
  id: number;
  group: number;
}

/**
 * Becomes the user `name`, with the groups of that user only. Throws a StartError if there is no
 * such user, if it is root by another name, or if the change is not permitted.
 */
export function dropPrivileges(name: string): void {
  const user = readUser(name);
  if (process.getuid?.() === user.id) return;
  try {
    // Missing in the types of Bun, but implemented (Bun 1.4.5).
    (process as unknown as Initgroups).initgroups(name, user.group);
    process.setgid?.(user.group);
    process.setuid?.(user.id);
  } catch {
    const hint = "only root can become another user: start as root, or leave TRACKER_USER out";
    throw new StartError(`not permitted to become the user ${quote(name)}`, hint, EXIT_FAILED);
  }
  if (process.getuid?.() !== user.id || process.geteuid?.() !== user.id) {
    const hint = "run it as that user instead";
    throw new StartError(
      `still not the user ${quote(name)} after changing to it`,
      hint,
      EXIT_FAILED,
    );
  }
}

/** Finds the user to become. Throws a StartError if there is no such user, or if it is root. */
export function readUser(name: string): User {
  const user = findUser(name);
  if (user === undefined) {
    const hint = `create it with useradd --system ${name}, or choose another user`;
    throw new StartError(`TRACKER_USER is ${quote(name)}, and there is no such user`, hint);
  }
  if (user.id === 0) {
    const hint = "choose a user without privileges, such as nobody";
    throw new StartError(`TRACKER_USER is ${quote(name)}, which is root`, hint);
  }
  return user;
}

/** A right that the user of the process lacks for later work. */
export interface MissingRight {
  message: string;
  file: string;
  remedy: string;
}

/** Settings whose files are read again on SIGHUP. */
export const READ_AGAIN = [
  "denyFile",
  "allowFile",
  "denyNetworksFile",
  "rulesFile",
  "tlsCertFile",
  "tlsKeyFile",
  "clusterCredentialsFile",
  "clusterTlsCaFile",
  "clusterTlsCertFile",
  "clusterTlsKeyFile",
] as const;

/**
 * The rights that the current user lacks: to read files again on SIGHUP, to change the files of
 * lists, and to write snapshots. Only asks for permissions and changes nothing. Never throws.
 */
export function missingRights(config: Partial<Config>): MissingRight[] {
  // Quoted, because "let nobody read it" would say the opposite.
  const user = config.user === undefined ? "the user it runs as" : `the user ${quote(config.user)}`;
  const certificate = [config.tlsCertFile, config.tlsKeyFile];
  const unreadable = READ_AGAIN.flatMap((key) => config[key] ?? [])
    .filter((file) => !isReadable(file))
    .map((file) => ({
      message: "a file cannot be read again on SIGHUP",
      file,
      remedy: certificate.includes(file)
        ? HAND_OVER
        : `let ${user} read it and search the folders above it`,
    }));
  const changes = config.adminToken !== undefined && config.adminListeners?.length !== 0;
  const lists = changes ? [config.denyFile, config.allowFile] : [];
  const message = "a list cannot be changed while the tracker runs";
  const fixed = lists.flatMap((file) => {
    const code = file === undefined ? undefined : obstacle(file);
    if (file === undefined || code === undefined) return [];
    const owned = `put it into a folder of its own, and let ${user} own both`;
    return [{ message, file, remedy: code in OBSTACLES ? writeRemedy(code) : owned }];
  });
  const { snapshotFile } = config;
  const folder = snapshotFile === undefined ? undefined : dirname(snapshotFile);
  if (folder === undefined || isAllowed(folder, WRITE_AND_SEARCH)) return [...unreadable, ...fixed];
  const unkept = {
    message: "the swarms cannot be kept over a restart",
    file: snapshotFile!,
    remedy: `let ${user} write to its folder`,
  };
  return [...unreadable, ...fixed, unkept];
}

/** Errors that no owner and no permission of a file can solve. */
const OBSTACLES = { EROFS: true, EBUSY: true, EPERM: true };

/** What `obstacle` returns for a file of another user. */
const FOREIGN = "another user owns it";

/**
 * Why this file cannot be replaced by another one with the same owner (see replace-file.ts), as the
 * code of the error to expect; undefined if it can.
 */
function obstacle(file: string): string | undefined {
  try {
    const target = followLinks(file);
    const folder = dirname(target);
    const own = process.geteuid?.() ?? 0;
    const { uid } = statSync(target);
    if (own !== 0 && uid !== own) return FOREIGN;
    accessSync(target, constants.R_OK);
    if (isImmutable(target)) return "EPERM";
    accessSync(folder, WRITE_AND_SEARCH);
    return isMount(target) ? "EBUSY" : undefined;
  } catch (error) {
    return codeOf(error);
  }
}

/** An immutable file (chattr +i) may not be replaced; others may, also if they are read-only. */
function isImmutable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}

const WRITE_AND_SEARCH = constants.W_OK | constants.X_OK;

/** Whether the current user may read the file. */
export function isReadable(file: string): boolean {
  return isAllowed(file, constants.R_OK);
}

function isAllowed(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** The user in /etc/passwd, by name; undefined if the user or the file is missing. */
function findUser(name: string): User | undefined {
  let passwd: string;
  try {
    passwd = readFileSync("/etc/passwd", "utf8");
  } catch {
    return undefined;
  }
  for (const line of passwd.split("\n")) {
    const [user, , id, group] = line.split(":");
    if (user === name) return { id: Number(id), group: Number(group) };
  }
  return undefined;
}
