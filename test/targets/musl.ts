/**
 * The C library musl for a processor, and a C++ library for it: what the binaries for musl need,
 * and what a Debian does not have. Put into `.tools/musl-MACHINE`, once.
 *
 *   lib/ld-musl-x86_64.so.1     musl itself, which also loads programs: from Debian
 *   lib/libc.musl-x86_64.so.1   the same, by the name that the binaries ask for
 *   lib/libstdc++.so.6          out of a Python package for Alpine, which brings its own
 *
 * The second needs musl 1.2.4, so musl comes from Debian 13 where this is a Debian 12.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

const TOOLS = resolve(import.meta.dir, "../../.tools");

/** The first Debian with musl 1.2.4 or later. */
const DEBIAN = "trixie";
/** A small Python package that is written in C++. */
const IN_CPP = "greenlet==3.5.6";

/** What Linux and Debian call a processor. */
const NAMES = {
  x64: { linux: "x86_64", debian: "amd64" },
  arm64: { linux: "aarch64", debian: "arm64" },
} as const;

/** A processor for which there are binaries for musl. */
export type MuslMachine = keyof typeof NAMES;

/** The folder with the libraries for a processor, which `fetchMusl` makes. */
export function muslFolder(machine: MuslMachine): string {
  return join(TOOLS, `musl-${machine}`);
}

/** The program in that folder that loads others. */
export function muslLoader(machine: MuslMachine): string {
  return join(muslFolder(machine), `lib/ld-musl-${NAMES[machine].linux}.so.1`);
}

/** Fetches the libraries for all processors, unless they are there. */
export function fetchMusl(): void {
  const machines = (Object.keys(NAMES) as MuslMachine[]).filter(
    (machine) => !existsSync(muslFolder(machine)),
  );
  if (machines.length === 0) return;
  const scratch = mkdtempSync(join(tmpdir(), "buntracker-musl-"));
  try {
    fetchPackages(scratch, machines);
    for (const machine of machines) assemble(scratch, machine);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Downloads Debian's packages of musl, with lists of packages of its own, and installs nothing. */
function fetchPackages(scratch: string, machines: MuslMachine[]): void {
  const folders = ["state/lists/partial", "cache/archives/partial", "sources"];
  for (const folder of folders) mkdirSync(join(scratch, folder), { recursive: true });
  writeFileSync(join(scratch, "state/status"), "");
  for (const path of sourcesOfPackages()) {
    const text = readFileSync(path, "utf8").replaceAll(/\b(bookworm|bullseye)\b/g, DEBIAN);
    writeFileSync(join(scratch, "sources", basename(path)), text);
  }
  const architectures = machines.map((machine) => NAMES[machine].debian);
  const options = [
    `APT::Architecture=${architectures[0]}`,
    ...architectures.map((name) => `APT::Architectures::=${name}`),
    `Dir::State=${scratch}/state`,
    `Dir::State::status=${scratch}/state/status`,
    `Dir::Cache=${scratch}/cache`,
    "Dir::Etc::SourceList=/dev/null",
    `Dir::Etc::SourceParts=${scratch}/sources`,
    "Acquire::Retries=3",
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["--option", option]);
  run(scratch, "apt-get", ...options, "update");
  const packages = architectures.map((name) => `musl:${name}`);
  run(scratch, "apt-get", ...options, "download", ...packages);
}

/** The files that say where this machine has its packages from. */
function sourcesOfPackages(): string[] {
  const folder = "/etc/apt/sources.list.d";
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const paths = names
    .filter((name) => /\.(list|sources)$/.test(name))
    .map((at) => join(folder, at));
  return [...paths, "/etc/apt/sources.list"].filter((path) => existsSync(path));
}

/** Puts the libraries for a processor together. */
function assemble(scratch: string, machine: MuslMachine): void {
  const { linux, debian } = NAMES[machine];
  const [unpacked, wheels, lib] = ["musl", "wheels", "lib"].map((name) =>
    join(scratch, machine, name),
  );
  mkdirSync(lib, { recursive: true });
  const archive = readdirSync(scratch).find((name) => name.endsWith(`_${debian}.deb`))!;
  run(scratch, "dpkg-deb", "--extract", archive, unpacked);
  const loader = `ld-musl-${linux}.so.1`;
  cpSync(join(unpacked, `usr/lib/${linux}-linux-musl/libc.so`), join(lib, loader));
  symlinkSync(loader, join(lib, `libc.musl-${linux}.so.1`));

  const pip = Bun.which("pip") ?? Bun.which("pip3");
  if (pip === null) throw new Error("there is no pip: apt-get install python3-pip");
  const python = ["--implementation", "cp", "--python-version", "311", "--abi", "cp311"];
  const platform = ["--platform", `musllinux_1_2_${linux}`, "--only-binary", ":all:", "--no-deps"];
  run(scratch, pip, "download", "--quiet", ...python, ...platform, "--dest", wheels, IN_CPP);
  const [wheel] = readdirSync(wheels);
  run(wheels, "python3", "-m", "zipfile", "--extract", wheel, wheels);
  for (const name of readdirSync(join(wheels, "greenlet.libs"))) {
    const known = name.startsWith("libstdc++") ? "libstdc++.so.6" : name;
    cpSync(join(wheels, "greenlet.libs", name), join(lib, known));
  }
  mkdirSync(muslFolder(machine), { recursive: true });
  cpSync(lib, join(muslFolder(machine), "lib"), { recursive: true, verbatimSymlinks: true });
}

/** Runs a program to its end; throws what it says if it fails. */
function run(cwd: string, ...command: string[]): void {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd, stdin: "ignore" });
  if (exitCode === 0) return;
  throw new Error(`${command.join(" ")} ended with ${exitCode}: ${stdout}${stderr}`);
}
