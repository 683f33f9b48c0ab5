/**
 * The packages of a release, from the binaries that the Makefile has compiled: `make packages`.
 *
 *   dist/packages/packages.yaml      the description: names, files, scripts
 *   dist/bin/TARGET/buntracker       the input
 *   dist/bin/buntracker_VERSION_amd64.deb, ….rpm, ….apk, ….pkg.tar.zst (Arch)   made by nfpm
 *   dist/bin/buntracker-VERSION-freebsd-x64.pkg                                 made here
 *
 *   bun scripts/packages.ts [--machines x64,arm64]
 *     [--version 1.2.3] [--out FOLDER] [--settings FILE]
 *
 * NFPM names the program. The bytes depend only on the content and on SOURCE_DATE_EPOCH. The last
 * options are for the tests, which need a version before: the same binary with a lower number and
 * another example of settings.
 *
 * A package of FreeBSD is a tar archive, compressed by zstd: its manifest, in short and whole, then
 * the files by their absolute path [pkg-create(8), "MANIFEST FILE DETAILS"].
 */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";

import { FILE_MODE, PROGRAM_MODE, tarArchive, type Entry } from "./archives.ts";
import { PACKAGE, removeEarlier, writeChecksums } from "./checksums.ts";
import { targetOf } from "./executables.ts";
import { companions, releaseVersion, type Target } from "./release.ts";

const ROOT = resolve(import.meta.dir, "..");
const OUT = join(ROOT, "dist/bin");
const DESCRIPTION = "dist/packages/packages.yaml";
const EXAMPLE = "dist/buntracker.env.example";
const SCRIPTS_OF_FREEBSD = join(ROOT, "dist/packages/freebsd");

/** The processors that packages are made for. */
export const MACHINES = ["x64", "arm64"] as const;
export type Machine = (typeof MACHINES)[number];

/** The formats that nfpm makes, and the system of the binary in each. */
const FORMATS = {
  deb: "linux-*",
  rpm: "linux-*",
  archlinux: "linux-*",
  apk: "linux-*-musl",
} as const;

const OF_GO: Record<Machine, string> = { x64: "amd64", arm64: "arm64" };

/** What FreeBSD calls them, with the oldest version that the runtime is built for. */
const OF_FREEBSD: Record<Machine, { abi: string; arch: string }> = {
  x64: { abi: "FreeBSD:14:amd64", arch: "freebsd:14:x86:64" },
  arm64: { abi: "FreeBSD:14:aarch64", arch: "freebsd:14:aarch64:64" },
};

/** What packages hold as it is in the tree. */
const COPIED = ["LICENSE", "dist/completion", "dist/openrc", "dist/packages"];

/** A level more takes twice the time for one percent. */
const ZSTD_LEVEL = 9;

/** Documents are not in a package where they have another place, or are for an archive. */
const NOT_AMONG_DOCUMENTS = /^dist\/(completion|docker|freebsd\/buntracker|man|openrc|systemd)\b/;

/** An entry of the description. */
export interface Content {
  src: string;
  dst: string;
  type?: string;
  packager?: string;
  file_info?: { mode: number };
}

/** The description, as far as it is read here. */
export interface Description {
  name: string;
  maintainer: string;
  license: string;
  description: string;
  contents: Content[];
}

/** What is made, and of what. */
interface Order {
  machine: Machine;
  version: string;
  out: string;
  mtime: number;
  /** The example of settings, by its path. */
  settings: string;
}

/** The description of all packages. */
export function description(): Description {
  return Bun.YAML.parse(readFileSync(join(ROOT, DESCRIPTION), "utf8")) as Description;
}

/** The unit of the archives, for a package: the binary is elsewhere, and the user is a real one. */
export function unitOfPackage(unit: string): string {
  const comment = /^# Install:.*?(?=\n\n)/ms;
  const installed =
    "# Settings go into /etc/buntracker/buntracker.env. Lists that the tracker changes belong\n" +
    "# into /var/lib/buntracker; except for /run/buntracker, it can write nowhere else.\n" +
    "# More is in /usr/share/doc/buntracker/docs/operating.md.";
  return replaced(unit, [
    [comment, installed],
    [/^ExecStart=\/usr\/local\/bin\/buntracker$/m, "ExecStart=/usr/bin/buntracker"],
    [/^DynamicUser=yes$/m, "User=buntracker\nGroup=buntracker"],
  ]);
}

/** The rc script of the archives, for a package: it has a user of its own. */
export function rcScriptOfPackage(script: string): string {
  return replaced(script, [
    [
      /^# Install:.*?(?=#\n# What)/ms,
      "# sysrc buntracker_enable=YES && service buntracker start\n",
    ],
    [/buntracker_run_as="nobody"     /, 'buntracker_run_as="buntracker" '],
    [/buntracker_run_as:=nobody/, "buntracker_run_as:=buntracker"],
  ]);
}

/** Replaces each of these once; throws if one is not there, since a file was changed then. */
function replaced(text: string, pairs: [RegExp, string][]): string {
  for (const [pattern, by] of pairs) {
    if (!pattern.test(text)) throw new Error(`nothing in the file matches ${pattern}`);
    text = text.replace(pattern, () => by);
  }
  return text;
}

/** The documents in a target's packages, by their path in the project. */
export function documentsOf(target: Target): string[] {
  return companions(target).filter((path) => !NOT_AMONG_DOCUMENTS.test(path));
}

/**
 * Runs `use` in a folder with all files of a target's packages, by their path in the description.
 * All have the given time, and modes that do not depend on the umask of the place.
 */
async function withFiles<T>(
  target: Target,
  { mtime, settings }: Order,
  use: (folder: string) => T | Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-packages-"));
  const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
  const write = (path: string, bytes: string | Uint8Array) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  };
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(folder, path), { recursive: true });
    write(EXAMPLE, readFileSync(settings));
    write("made/buntracker.service", unitOfPackage(read("dist/systemd/buntracker.service")));
    write("made/buntracker.rc", rcScriptOfPackage(read("dist/freebsd/buntracker")));
    write("made/buntracker.8.gz", gzipped(read("dist/man/buntracker.8")));
    for (const path of documentsOf(target)) {
      write(`made/documents/${path}`, readFileSync(join(ROOT, path)));
    }
    for (const path of new Bun.Glob("**").scanSync({ cwd: folder, onlyFiles: false })) {
      const isFolder = statSync(join(folder, path)).isDirectory();
      chmodSync(join(folder, path), isFolder ? PROGRAM_MODE : FILE_MODE);
      utimesSync(join(folder, path), mtime, mtime);
    }
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Compressed without the time and the system of the place. */
function gzipped(text: string): Uint8Array {
  const bytes = gzipSync(text, { level: 9 });
  bytes[9] = 255; // an unknown system
  return bytes;
}

/** The program of a target; throws if it is for another one. */
function programOf(target: Target): string {
  const path = join(OUT, target, "buntracker");
  const found = targetOf(readFileSync(path));
  if (found !== target) throw new Error(`the binary for ${target} is for ${found ?? "nothing"}`);
  return path;
}

/** Has nfpm make one package. */
async function makeByNfpm(format: keyof typeof FORMATS, order: Order): Promise<void> {
  const target = FORMATS[format].replace("*", order.machine) as Target;
  const config = join(ROOT, DESCRIPTION);
  const nfpm = resolve(ROOT, process.env["NFPM"]!);
  const env = {
    ...process.env,
    SOURCE_DATE_EPOCH: String(order.mtime),
    VERSION: order.version,
    ARCH: OF_GO[order.machine],
    PROGRAM: programOf(target),
  };
  await withFiles(target, order, async (cwd) => {
    const child = Bun.spawn(
      [nfpm, "package", "--config", config, "--packager", format, "--target", order.out],
      { cwd, env, stdio: ["ignore", "inherit", "inherit"] },
    );
    if ((await child.exited) !== 0) throw new Error(`nfpm did not make the package for ${format}`);
  });
}

/** The entries of the description that are for FreeBSD, each with its place there. */
export function contentsOfFreebsd(contents: Content[]): Content[] {
  return contents.flatMap((content) => {
    if (content.packager === "freebsd") return [content];
    const isCommon = content.packager === undefined && /^\/usr\/(bin|share)\//.test(content.dst);
    return isCommon ? [{ ...content, dst: content.dst.replace("/usr/", "/usr/local/") }] : [];
  });
}

/** The files of FreeBSD's package, from a folder with all of them. */
function filesOfFreebsd(target: Target, folder: string): Entry[] {
  return contentsOfFreebsd(description().contents).flatMap(({ src, dst, type, file_info }) => {
    const from = src === "${PROGRAM}" ? programOf(target) : join(folder, src);
    const mode = file_info?.mode ?? FILE_MODE;
    if (type !== "tree") return [{ path: dst, bytes: readFileSync(from), mode }];
    const paths = [...new Bun.Glob("**").scanSync({ cwd: from, dot: true })];
    return paths.map((path) => ({
      path: `${dst}/${path}`,
      bytes: readFileSync(join(from, path)),
      mode,
    }));
  });
}

/** The manifests of FreeBSD's package; the short one has no files and no scripts. */
export function manifestsOfFreebsd(files: Entry[], machine: Machine, version: string): object[] {
  const { name, maintainer, license, description: text } = description();
  const script = (step: string) => readFileSync(join(SCRIPTS_OF_FREEBSD, step), "utf8");
  const [comment, ...lines] = text.split("\n");
  const short = {
    name,
    origin: `net-p2p/${name}`,
    version,
    comment,
    maintainer: /<(.*)>/.exec(maintainer)![1],
    www: "UNKNOWN",
    ...OF_FREEBSD[machine],
    prefix: "/usr/local",
    flatsize: files.reduce((sum, { bytes }) => sum + bytes.length, 0),
    licenselogic: "single",
    licenses: [license],
    desc: lines.join("\n"),
    categories: ["net-p2p"],
    messages: [{ message: script("message") }],
  };
  // The one before the checksum says that it is SHA-256.
  const sums = files.map(({ path, bytes }) => [path, `1$${Bun.SHA256.hash(bytes, "hex")}`]);
  const steps = ["pre-install", "post-install", "pre-deinstall"];
  return [
    short,
    {
      ...short,
      files: Object.fromEntries(sums),
      scripts: Object.fromEntries(steps.map((step) => [step, script(step)])),
    },
  ];
}

/** Makes the package of FreeBSD. */
async function makeOfFreebsd(order: Order): Promise<void> {
  const { machine, version, out, mtime } = order;
  const target: Target = `freebsd-${machine}`;
  const files = await withFiles(target, order, (folder) => filesOfFreebsd(target, folder));
  const [short, whole] = manifestsOfFreebsd(files, machine, version).map((manifest) =>
    Buffer.from(JSON.stringify(manifest)),
  );
  const manifests = [
    { path: "+COMPACT_MANIFEST", bytes: short, mode: FILE_MODE },
    { path: "+MANIFEST", bytes: whole, mode: FILE_MODE },
  ];
  const archive = tarArchive([...manifests, ...files], mtime, true);
  const name = `buntracker-${version}-${target}.pkg`;
  const params = { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
  writeFileSync(join(out, name), zstdCompressSync(archive, { params }));
  console.log(`created package: ${join(out, name)}`);
}

/** Makes all packages, for all machines or one. */
async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { machines: text, version: text, out: text, settings: text },
  });
  const { version = releaseVersion(), machines = MACHINES.join(), out = OUT } = values;
  const settings = values.settings ?? join(ROOT, EXAMPLE);
  const mtime = Number(process.env["SOURCE_DATE_EPOCH"]);
  if (!Number.isSafeInteger(mtime)) throw new Error("SOURCE_DATE_EPOCH is not a number of seconds");
  if (process.env["NFPM"] === undefined) throw new Error("NFPM does not name the program");
  mkdirSync(out, { recursive: true });
  removeEarlier(out, PACKAGE);
  for (const one of MACHINES.filter((known) => machines.split(",").includes(known))) {
    const order = { machine: one, version, out, mtime, settings };
    for (const format of Object.keys(FORMATS))
      await makeByNfpm(format as keyof typeof FORMATS, order);
    await makeOfFreebsd(order);
  }
  writeChecksums(out);
}

if (import.meta.main) await main();
