/**
 * dist/bin/SHA256SUMS: the checksums of all archives and packages in a folder, for `sha256sum -c`.
 *
 * `make dist` and `make packages` each remove what they made before, and write the file anew with
 * what the other one has made, so it names everything after both, in any order.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Names of archives. */
export const ARCHIVE = /^buntracker-.*\.(tar\.xz|zip)$/;
/** Names of packages. */
export const PACKAGE = /^buntracker[-_].*\.(deb|rpm|apk|pkg|pkg\.tar\.zst)$/;

/** Removes the files of a folder with such a name. */
export function removeEarlier(folder: string, names: RegExp): void {
  for (const name of readdirSync(folder)) if (names.test(name)) rmSync(join(folder, name));
}

/** Writes the checksums of what is in a folder, sorted by name. */
export function writeChecksums(folder: string): void {
  const names = readdirSync(folder).filter((name) => ARCHIVE.test(name) || PACKAGE.test(name));
  const lines = names
    .sort()
    .map((name) => `${Bun.SHA256.hash(readFileSync(join(folder, name)), "hex")}  ${name}\n`);
  writeFileSync(join(folder, "SHA256SUMS"), lines.join(""));
}
