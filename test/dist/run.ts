/**
 * Builds all archives and packages twice, from two clean checkouts of HEAD in folders and
 * environments that differ, and looks into the archives; test/packages looks into the packages.
 *
 *   bun test/dist/run.ts
 *
 * Good when both have the same checksums, every archive unpacks, holds the files it should, and a
 * binary that is for the target the archive is named for; the one for this machine also runs. Takes
 * about a quarter of an hour and 3 GB of the temporary folder; exits 1 when something is wrong.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { PACKAGE } from "../../scripts/checksums.ts";
import { targetOf } from "../../scripts/executables.ts";
import { signedForMac } from "../../scripts/mac-signature.ts";
import { MACHINES } from "../../scripts/packages.ts";
import { archiveName, companions, programName, releaseVersion } from "../../scripts/release.ts";
import { TARGETS, type Target } from "../../scripts/release.ts";
import { unzip } from "./unzip.ts";

const ROOT = resolve(import.meta.dir, "../..");

/** What must not make a difference: the folder, and what is the custom of the place. */
const PLACES = [
  { folder: "one", umask: "022", env: { TZ: "UTC", LC_ALL: "C" } },
  {
    folder: "another-with-a-longer-name",
    umask: "077",
    env: { TZ: "Asia/Tokyo", XZ_OPT: "-1" },
  },
];

/** Five formats for each processor. */
const PACKAGES = 5 * MACHINES.length;

const scratch = mkdtempSync(join(tmpdir(), "releases-"));
const problems: string[] = [];
try {
  const sums = PLACES.map(build);
  if (sums[0] !== sums[1]) problems.push(`the checksums differ:\n${sums.join("\n")}`);
  const bin = join(scratch, PLACES[0].folder, "dist/bin");
  for (const target of TARGETS) await inspect(target, bin, sums[0]);
  const packages = sums[0].split("\n").filter((line) => PACKAGE.test(line.slice(66)));
  if (packages.length !== PACKAGES) problems.push(`there are ${packages.length} packages`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const problem of problems) console.error(`dist: bad: ${problem}`);
if (problems.length === 0) console.log("dist: good: equal checksums, and all is in its archive");
process.exit(problems.length === 0 ? 0 : 1);

/** The checksums of a build of HEAD in a place. */
function build({ folder, umask, env }: (typeof PLACES)[number]): string {
  const place = join(scratch, folder);
  run(["git", "clone", "--quiet", ROOT, place], {});
  run(["sh", "-c", `umask ${umask} && exec make -C "$0" dist packages`, place], env);
  return readFileSync(join(place, "dist/bin/SHA256SUMS"), "utf8");
}

async function inspect(target: Target, bin: string, sums: string): Promise<void> {
  const name = archiveName(target, releaseVersion());
  const archive = readFileSync(join(bin, name));
  const listed = `${Bun.SHA256.hash(archive, "hex")}  ${name}\n`;
  if (!sums.includes(listed)) problems.push(`${name} is not in SHA256SUMS as it is`);
  const folder = `buntracker-${releaseVersion()}-${target}`;
  const files = name.endsWith(".zip") ? unzipped(archive) : untarred(join(bin, name));
  const program = files.get(`${folder}/${programName(target)}`);
  const found = program === undefined ? undefined : targetOf(program);
  if (found !== target) problems.push(`${name} holds a binary for ${found ?? "nothing"}`);
  if (target.startsWith("darwin-")) isSigned(target, program!);
  const expected = [programName(target), ...companions(target)].map((path) => `${folder}/${path}`);
  const [has, should] = [[...files.keys()].sort().join(), expected.sort().join()];
  if (has !== should) problems.push(`${name} holds ${has} and not ${should}`);
  const thisMachine = `${process.platform}-${process.arch}`;
  if (target === thisMachine) runs(join(bin, target, programName(target)), program!);
}

/** Checks that a program for macOS is signed as it would be signed again; Bun names its own. */
function isSigned(target: Target, program: Uint8Array): void {
  const again = signedForMac(program, target === "darwin-arm64" ? "a.out" : "buntracker");
  if (!Buffer.from(again).equals(program)) problems.push(`${target} has a wrong signature`);
}

/** Checks that the binary is the one in the archive, and that it runs. */
function runs(path: string, program: Uint8Array): void {
  if (!readFileSync(path).equals(program)) problems.push(`${path} is not what was packed`);
  const { stdout, exitCode } = Bun.spawnSync([path, "version"]);
  const right = stdout.toString().startsWith(`buntracker ${releaseVersion()} (`);
  if (exitCode !== 0 || !right) problems.push(`${path} does not tell its version`);
}

function unzipped(archive: Uint8Array): Map<string, Uint8Array> {
  return new Map(unzip(archive).map(({ path, bytes }) => [path, bytes]));
}

/** Unpacked by tar and xz, and removed again. */
function untarred(path: string): Map<string, Uint8Array> {
  const folder = mkdtempSync(join(scratch, "unpacked-"));
  run(["tar", "-xJf", path, "-C", folder], {});
  const paths = [...new Bun.Glob("**").scanSync({ cwd: folder, dot: true })];
  const files = new Map(paths.map((path) => [path, readFileSync(join(folder, path))]));
  rmSync(folder, { recursive: true });
  return files;
}

/** Runs a program to its end; throws if it fails. */
function run(command: string[], env: Record<string, string>): void {
  const { exitCode } = Bun.spawnSync(command, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with ${exitCode}`);
}
