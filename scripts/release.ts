/**
 * The archives of a release, from the binaries that `make dist` has compiled.
 *
 *   dist/bin/TARGET/buntracker[.exe]                  the input
 *   dist/bin/buntracker-VERSION-TARGET.tar.xz         the output; .zip for Windows
 *   dist/bin/SHA256SUMS                               checksums, for sha256sum -c
 *
 * An archive has one folder with its name, in which each file keeps its path in the project, so
 * that the links in the documents work. The bytes depend only on the content and on
 * SOURCE_DATE_EPOCH. A binary for another target than its name says is an error.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";

import { FILE_MODE, PROGRAM_MODE, tarArchive, zipArchive, type Entry } from "./archives.ts";
import { ARCHIVE, removeEarlier, writeChecksums } from "./checksums.ts";
import { targetOf } from "./executables.ts";
import { signedForMac } from "./mac-signature.ts";

const ROOT = resolve(import.meta.dir, "..");
const OUT = join(ROOT, "dist/bin");

/** The targets of a release, in order. */
export const TARGETS = [
  "linux-x64",
  "linux-arm64",
  "linux-x64-musl",
  "linux-arm64-musl",
  "freebsd-x64",
  "freebsd-arm64",
  "darwin-x64",
  "darwin-arm64",
  "windows-x64",
] as const;

export type Target = (typeof TARGETS)[number];

const EVERYWHERE = [
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "LICENSE",
  "README.md",
  "SECURITY.md",
  "THIRD-PARTY.md",
  "dist/buntracker.env.example",
  "dist/caddy/Caddyfile",
  "dist/grafana/buntracker.json",
  "dist/haproxy/haproxy.cfg",
  "dist/nats/buntracker.conf",
  "dist/nginx/buntracker.conf",
  "dist/prometheus/buntracker.rules.yml",
  "docs/cluster.md",
  "docs/conformance.md",
  "docs/how-it-is-built.md",
  "docs/opentracker.md",
  "docs/operating.md",
  "docs/page.png",
  "docs/protocol.md",
  "docs/security-tests.md",
  "docs/settings.md",
  "test/bench/results/compare.txt",
];

const ON_UNIX = [
  "dist/completion/_buntracker",
  "dist/completion/buntracker.bash",
  "dist/completion/buntracker.fish",
  "dist/man/buntracker.8",
];

const ON_SYSTEM: Record<string, string[]> = {
  linux: [
    ...ON_UNIX,
    "dist/docker/Containerfile",
    "dist/docker/cluster.yaml",
    "dist/docker/compose.yaml",
    "dist/nats/loopback.conf",
    "dist/openrc/buntracker",
    "dist/sysctl/60-buntracker.conf",
    "dist/systemd/buntracker.service",
  ],
  freebsd: [...ON_UNIX, "dist/freebsd/buntracker", "dist/freebsd/sysctl.conf"],
  darwin: ON_UNIX,
  windows: [],
};

/** Files with this name are programs. */
const PROGRAMS = ["dist/freebsd/buntracker", "dist/openrc/buntracker"];

/** One level more saves a percent and takes 50 % more time. */
const XZ_OPTIONS = ["-6", "--threads=1", "--check=crc64", "--stdout"];

/** The name of a target's binary. */
export function programName(target: Target): string {
  return target.startsWith("windows-") ? "buntracker.exe" : "buntracker";
}

/** The name of a target's archive. */
export function archiveName(target: Target, version: string): string {
  const ending = target.startsWith("windows-") ? "zip" : "tar.xz";
  return `buntracker-${version}-${target}.${ending}`;
}

/** The files in a target's archive besides the binary, by their path in the project. */
export function companions(target: Target): string[] {
  return [...EVERYWHERE, ...ON_SYSTEM[target.split("-")[0]]].sort();
}

/** The version of this release. */
export function releaseVersion(): string {
  return JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version;
}

/** The entries of a target's archive; throws if the binary is for another target. */
function entriesOf(target: Target, folder: string): Entry[] {
  const compiled = readFileSync(join(OUT, target, programName(target)));
  const program = target === "darwin-x64" ? signedForMac(compiled, "buntracker") : compiled;
  const found = targetOf(program);
  if (found !== target) throw new Error(`the binary for ${target} is for ${found ?? "nothing"}`);
  const files = companions(target).map((path) => ({
    path: `${folder}/${path}`,
    bytes: readFileSync(join(ROOT, path)),
    mode: PROGRAMS.includes(path) ? PROGRAM_MODE : FILE_MODE,
  }));
  return [
    { path: `${folder}/${programName(target)}`, bytes: program, mode: PROGRAM_MODE },
    ...files,
  ];
}

async function pack(target: Target, version: string, mtime: number): Promise<void> {
  const archive = archiveName(target, version);
  const entries = entriesOf(target, `buntracker-${version}-${target}`);
  const packed = archive.endsWith(".zip")
    ? zipArchive(entries, mtime)
    : await compressed(tarArchive(entries, mtime));
  writeFileSync(join(OUT, archive), packed);
  console.log(`${archive}\t${(packed.length / 1e6).toFixed(1)} MB`);
}

/** Compresses with the xz program, without its environment variables. */
async function compressed(bytes: Uint8Array): Promise<Uint8Array> {
  const { XZ_OPT: _, XZ_DEFAULTS: __, ...env } = process.env;
  const xz = Bun.spawn(["xz", ...XZ_OPTIONS], { stdin: bytes, env, stderr: "inherit" });
  const packed = await new Response(xz.stdout).bytes();
  if ((await xz.exited) !== 0) throw new Error("xz failed");
  return packed;
}

/** Packs all targets, as many at a time as there are processors, and writes the checksums. */
async function release(): Promise<void> {
  const version = releaseVersion();
  const mtime = Number(process.env["SOURCE_DATE_EPOCH"]);
  if (!Number.isSafeInteger(mtime)) throw new Error("SOURCE_DATE_EPOCH is not a number of seconds");
  removeEarlier(OUT, ARCHIVE);
  const waiting: Target[] = [...TARGETS];
  const packSome = async () => {
    for (let target = waiting.shift(); target !== undefined; target = waiting.shift()) {
      await pack(target, version, mtime);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, packSome));
  writeChecksums(OUT);
}

if (import.meta.main) await release();
