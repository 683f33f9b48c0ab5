/**
 * Giving up root once everything that needs it is done: ports below 1024, large socket buffers.
 *
 * The change holds for all threads and cannot be undone.
 */
import { readFileSync } from "node:fs";
import { EXIT_FAILED } from "../constants.ts";
import { quote } from "../settings.ts";
import { StartError } from "./start-error.ts";

interface Initgroups {
  initgroups: (user: string, group: number) => void;
}

/** A user as /etc/passwd describes it. */
export interface User {
  id: number;
  group: number;
}

/**
 * Becomes `name`, with that user's groups and nobody else's. Throws a StartError if there is no
 * such user, if it is root by another name, or if we may not become it.
 */
export function dropPrivileges(name: string): void {
  const user = readUser(name);
  if (process.getuid?.() === user.id) return;
  try {
    // Missing in the types, but there (measured, Bun 1.4.5).
    (process as unknown as Initgroups).initgroups(name, user.group);
    process.setgid?.(user.group);
    process.setuid?.(user.id);
  } catch {
    const hint = "only root can become another user: start as root, or leave TRACKER_USER out";
    throw new StartError(`not permitted to become ${name}`, hint, EXIT_FAILED);
  }
  if (process.getuid?.() !== user.id || process.geteuid?.() !== user.id) {
    const hint = "run it as that user instead";
    throw new StartError(`still not ${name} after changing to it`, hint, EXIT_FAILED);
  }
}

/** The user to become. Throws a StartError if there is no such user, or if it is root. */
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

/** The user in /etc/passwd, by name; undefined if it is not there or there is no such file. */
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
