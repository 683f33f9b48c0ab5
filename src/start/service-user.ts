/**
 * The user that systemd runs the service as, by the installed unit; and what that user cannot read.
 *
 * `buntracker check` is typed by root, who can read any key. Only the unit tells that the service
 * is somebody else.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/schema.ts";

/** Where units are, the decisive folder last. [systemd.unit(5)] */
const UNIT_FOLDERS = [
  "/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/usr/local/lib/systemd/system",
  "/run/systemd/system",
  "/etc/systemd/system",
];
const UNIT = "buntracker.service";

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

/** The files of the certificate among the settings. */
export function certificateFiles({
  tlsCertFile,
  tlsKeyFile,
}: Partial<Config>): [variable: string, file: string][] {
  const files = { TRACKER_TLS_CERT_FILE: tlsCertFile, TRACKER_TLS_KEY_FILE: tlsKeyFile };
  return Object.entries(files).flatMap(([variable, file]) =>
    file === undefined ? [] : [[variable, file] as [string, string]],
  );
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
