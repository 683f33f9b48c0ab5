/**
 * The user that systemd runs the service as, by the installed unit; and which files it must read.
 *
 * `buntracker check` is typed by root, who can read any key. Only the unit tells that the service
 * is somebody else.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "../config/description.ts";
import { type Config, type Origins, SCHEMA } from "../config/schema.ts";
import { READ_AGAIN } from "./privileges.ts";

/** Where units are, the decisive folder last. [systemd.unit(5)] */
const UNIT_FOLDERS = [
  "/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/usr/local/lib/systemd/system",
  "/run/systemd/system",
  "/etc/systemd/system",
];
const UNIT = "buntracker.service";
/** How the origin of a secret begins that is in a file. */
const FROM_FILE = "file ";

/** The user that stands for one that systemd makes for each run: both may read the same files. */
const NOBODY = "nobody";

/** The user of the service, with the words for it. */
export interface ServiceUser {
  name: string;
  shown: string;
}

/** The user of the installed unit; undefined without a unit, and for root. */
export function serviceUser(folders: readonly string[] = UNIT_FOLDERS): ServiceUser | undefined {
  const texts = folders.map((folder) => readText(join(folder, UNIT)));
  const unit = texts.findLast((text) => text !== "");
  if (unit === undefined) return undefined;
  const text = [unit, ...folders.flatMap((folder) => readFolder(join(folder, `${UNIT}.d`)))];
  const lines = text.join("\n").split("\n");
  const valueOf = (key: string) =>
    lines
      .findLast((line) => line.startsWith(`${key}=`))
      ?.slice(key.length + 1)
      .trim() ?? "";
  const name = valueOf("User");
  if (name === "root" || name === "0") return undefined;
  if (/^(?:yes|true|on|1)$/i.test(valueOf("DynamicUser"))) {
    return { name: NOBODY, shown: "the user that systemd makes for the service" };
  }
  return name === "" ? undefined : { name, shown: `the service's user "${name}"` };
}

/** Settings that name files which the start reads. */
const READ_AT_START = [...READ_AGAIN, "stateImport"] as const;

/** The file from which the secret of this variable was read; undefined if from none. */
export function fileOf(origins: Origins, variable: string): string | undefined {
  const origin = origins[variable] ?? "";
  return origin.startsWith(FROM_FILE) ? origin.slice(FROM_FILE.length) : undefined;
}

/** The files that the start reads, those of secrets among them, with their variables. */
export function filesOfStart(
  config: Partial<Config>,
  origins: Origins,
): [variable: string, file: string][] {
  const named = READ_AT_START.flatMap((key): [string, string][] => {
    const file = config[key];
    return file === undefined ? [] : [[describe(SCHEMA.shape[key]).variable, file]];
  });
  const secrets = Object.keys(origins).flatMap((variable): [string, string][] => {
    const file = fileOf(origins, variable);
    return file === undefined ? [] : [[`${variable}_FILE`, file]];
  });
  return [...named, ...secrets];
}

function readFolder(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith(".conf"));
    return names.sort().map((name) => readText(join(folder, name)));
  } catch {
    return [];
  }
}

/** "" if it cannot be read. */
function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
