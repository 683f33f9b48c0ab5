/**
 * Tests the packages of this machine's processor: `make test-packages`, which has made them.
 *
 * Makes them once more in another environment, and compares the bytes. Makes those of a version
 * before them, with the same binary. Then installs, upgrades and removes them on a machine that
 * machine.sh makes: the tests beside this file. Exits 1 when something is wrong. Takes a minute;
 * needs root.
 */
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { PACKAGE } from "../../scripts/checksums.ts";
import { VERSION_BEFORE } from "./installed.ts";

const ROOT = resolve(import.meta.dir, "../..");
const BIN = join(ROOT, "dist/bin");
const MACHINE_SECONDS_MAX = 240;
/** Many seconds each: a package has 110 MB, and other programs may share the machine. */
const TEST_MILLISECONDS_MAX = "60000";
const MACHINE = "x64";

/** What must not make a difference to a package. */
const ELSEWHERE = { TZ: "Asia/Tokyo", GOMAXPROCS: "1", LC_ALL: "C" };

const scratch = mkdtempSync(join(tmpdir(), "buntracker-machine-"));
try {
  process.exitCode = run();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function run(): number {
  const [now, again, before] = ["now", "again", "before"].map((name) => join(scratch, name));
  mkdirSync(now);
  for (const name of new Bun.Glob("*").scanSync(BIN)) {
    if (PACKAGE.test(name)) cpSync(join(BIN, name), join(now, name));
  }
  cpSync(join(BIN, `linux-${MACHINE}/buntracker`), join(now, "buntracker"));
  make("077", ["--out", again], ELSEWHERE);
  const sums = [BIN, again].map((folder) => readFileSync(join(folder, "SHA256SUMS"), "utf8"));
  const lines = sums.map((text) => text.split("\n").filter((line) => PACKAGE.test(line.slice(66))));
  const [first, second] = lines.map((found) => found.join("\n"));
  if (first !== second) {
    console.error(`packages: bad: two builds differ:\n${first}\n${second}`);
    return 1;
  }
  console.log(`packages: good: two builds have the same bytes:\n${first}`);

  const settings = join(scratch, "settings");
  cpSync(join(ROOT, "dist/buntracker.env.example"), settings);
  appendFileSync(settings, "\n# A line that was in the version before.\n");
  fetchOpenrc();
  make("022", ["--version", VERSION_BEFORE, "--out", before, "--settings", settings], {});
  return testOnMachine();
}

/** Makes packages with a umask, options and more variables. */
function make(umask: string, options: string[], env: Record<string, string>): void {
  const program = [process.execPath, join(ROOT, "scripts/packages.ts"), "--machines", MACHINE];
  const { exitCode, stderr } = Bun.spawnSync(
    ["sh", "-c", `umask ${umask} && exec "$@"`, "-", ...program, ...options],
    { cwd: scratch, env: { ...process.env, ...env } },
  );
  if (exitCode !== 0) throw new Error(`scripts/packages.ts: ${stderr.toString()}`);
}

/** Fetches Debian's OpenRC, which is installed on the machine apart only. */
function fetchOpenrc(): void {
  const folder = join(scratch, "openrc");
  mkdirSync(folder);
  const options = ["--option", "APT::Sandbox::User=root", "--option", "Acquire::Retries=3"];
  const { exitCode, stderr } = Bun.spawnSync(
    ["apt-get", ...options, "download", "openrc", "librc1", "libeinfo1"],
    { cwd: folder },
  );
  if (exitCode !== 0) throw new Error(`apt-get download: ${stderr.toString()}`);
}

/** Runs the tests of this folder on the machine; its exit code. */
function testOnMachine(): number {
  const output = join(scratch, "output");
  appendFileSync(output, "");
  const { exitCode } = Bun.spawnSync(
    [
      ...["timeout", "--kill-after=5", String(MACHINE_SECONDS_MAX)],
      ...[join(import.meta.dir, "machine.sh"), scratch],
      ...[join(ROOT, "scripts/bun"), "test", "--timeout", TEST_MILLISECONDS_MAX, import.meta.dir],
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  console.log(readFileSync(output, "utf8"));
  return exitCode;
}
