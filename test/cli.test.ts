/** The command line: its verbs, their output, and the exit codes. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { helpText } from "../src/verbs/help.ts";
import { cli, type Environment } from "./verbs/run-cli.ts";
import { errorLines } from "../src/verbs/output.ts";
import { versionLine } from "../src/version.ts";
import { descriptions, readConfig } from "../src/config/config.ts";
import { EXIT_FAILED } from "../src/constants.ts";
import { StartError } from "../src/host/start-error.ts";
import { foresee } from "../src/start/foresee.ts";

describe("without a verb", () => {
  test("the tracker runs with the configuration, and its exit code is ours", async () => {
    const env = { TRACKER_INTERVAL: "15m" };
    const result = await cli([], env, async (config, origins) => {
      expect(config.intervalSeconds).toBe(900);
      expect(origins["TRACKER_INTERVAL"]).toBe("environment");
      return 7;
    });
    expect(result).toEqual({ code: 7, stdout: "", stderr: "" });
  });

  test("wrong settings are reported, and nothing runs", async () => {
    const env = { TRACKER_INTERVAL: "soon", TRACKER_NUMWANT_MAX: "x" };
    const result = await cli([], env, () => Promise.reject(new Error("was run")));
    expect(result).toEqual({
      code: 78,
      stdout: "",
      stderr: [
        'buntracker: error: TRACKER_INTERVAL is "soon", which is not a time: ' +
          "write seconds, or 90s, 30m, 24h\n",
        'buntracker: error: TRACKER_NUMWANT_MAX is "x", which is not a whole number: ' +
          "write digits only\n",
        "buntracker: hint: see buntracker --help for all settings\n",
      ].join(""),
    });
  });

  test("an exception of the tracker is thrown", () => {
    expect(cli([], {}, () => Promise.reject(new Error("was run")))).rejects.toThrow("was run");
  });
});

/** What `check` prints of this machine with these settings. */
function foreseen(env: Environment = {}): string {
  const reading = readConfig(env);
  if ("problems" in reading) throw new Error(reading.problems.join("; "));
  const warnings = foresee(reading.config, reading.origins);
  return warnings.map((warning) => `buntracker: warning: ${warning}\n`).join("");
}

test("check prints what the start would warn of, and does not run the tracker", async () => {
  expect(await cli(["check"])).toEqual({ code: 0, stdout: "", stderr: foreseen() });
  const env = { TRACKER_ALLOW_IP_PARAMETER: "yes" };
  const { code, stderr } = await cli(["check"], env);
  expect([code, stderr]).toEqual([0, foreseen(env)]);
  expect(stderr).toContain("buntracker: warning: clients may announce addresses that are not");
  expect((await cli(["check"], { TRACKER_X: "1" })).code).toBe(78);
});

describe("files and names in the settings", () => {
  const env = { TRACKER_DENY_FILE: "/nowhere/denied", TRACKER_USER: "no-such-user" };
  const sentences = [
    'buntracker: error: TRACKER_USER is "no-such-user", and there is no such user\n',
    "buntracker: hint: create it with useradd --system no-such-user, or choose another user\n",
    "buntracker: error: TRACKER_DENY_FILE is /nowhere/denied, which is not there\n",
    "buntracker: hint: check the path and its permissions; the file may be empty\n",
  ];

  test("are checked by check, which reports all mistakes with their remedies", async () => {
    expect(await cli(["check"], env)).toEqual({ code: 78, stdout: "", stderr: sentences.join("") });
  });

  test("are checked even if other settings are wrong", async () => {
    for (const argv of [["check"], []]) {
      const { code, stderr } = await cli(argv, { ...env, TRACKER_INTERVAL: "soon" });
      expect(code).toBe(78);
      expect(stderr).toStartWith('buntracker: error: TRACKER_INTERVAL is "soon"');
      expect(stderr).toEndWith(sentences.join(""));
    }
  });

  test("are all reported when the start finds the first mistake", async () => {
    const run = () => Promise.reject(new StartError("the first of it", "a hint"));
    expect(await cli([], env, run)).toEqual({ code: 78, stdout: "", stderr: sentences.join("") });
    const { code, stderr } = await cli([], {}, run);
    expect([code, stderr]).toEqual([78, errorLines("the first of it", "a hint")]);
  });

  test("are not checked when the machine is the problem", async () => {
    const run = () => Promise.reject(new StartError("port taken", "try another", EXIT_FAILED));
    const { code, stderr } = await cli([], env, run);
    expect([code, stderr]).toEqual([1, errorLines("port taken", "try another")]);
  });

  test("cause warnings for problems that the start tolerates", async () => {
    const path = join(mkdtempSync(join(tmpdir(), "buntracker-cli-")), "denied");
    writeFileSync(path, `nonsense\n${"ab".repeat(20)}\n`);
    expect(await cli(["check"], { TRACKER_DENY_FILE: path })).toEqual({
      code: 0,
      stdout: "",
      stderr:
        `buntracker: warning: ${path} has lines that will be skipped: 1, namely 1\n` +
        foreseen({ TRACKER_DENY_FILE: path }),
    });
    rmSync(dirname(path), { recursive: true });
  });
});

test("config prints every setting with its value and origin, and no secret", async () => {
  const env = {
    TRACKER_INTERVAL: "900",
    TRACKER_UDP_SECRET: "correct horse battery staple and more",
  };
  const { code, stdout, stderr } = await cli(["config"], env);
  expect([code, stderr]).toEqual([0, ""]);
  const lines = stdout.trimEnd().split("\n");
  expect(lines).toHaveLength(descriptions().length);
  expect(lines).toContain("TRACKER_INTERVAL=15m (environment)");
  expect(lines).toContain("TRACKER_MIN_INTERVAL=450s (default)");
  expect(lines).toContain("TRACKER_UDP_SECRET=(set) (environment)");
  expect(lines).toContain("TRACKER_HTTP_ADDRESS=[::]:6969 (default)");
  expect(stdout).not.toContain("correct horse battery");
  expect((await cli(["config"], { TRACKER_INTERVAL: "x" })).code).toBe(78);
});

test.each([["version"], ["--version"], ["-v"]])("%s prints one line", async (argument) => {
  const result = await cli([argument], { TRACKER_X: "not looked at" });
  expect(result).toEqual({ code: 0, stdout: `${versionLine()}\n`, stderr: "" });
});

test.each([["--help"], ["-h"]])("%s prints the help, whatever the settings", async (argument) => {
  const result = await cli([argument], { TRACKER_X: "not looked at" });
  expect(result).toEqual({ code: 0, stdout: helpText(), stderr: "" });
});

test.each([
  ['"serve"', ["serve"]],
  ['"--verbose"', ["--verbose"]],
  ['"-x"', ["-x"]],
  ['"--help=yes"', ["--help=yes"]],
  ['"CHECK"', ["CHECK"]],
  ['""', [""]],
])("%s is not understood", async (quoted, argv) => {
  expect(await cli(argv)).toEqual({
    code: 2,
    stdout: "",
    stderr:
      `buntracker: error: ${quoted} is not understood\n` +
      "usage: buntracker [check | config | health | top | version | --help]\n" +
      "       buntracker cluster [--format=json]\n" +
      "       buntracker dns NAME\n" +
      "       buntracker plan --peers=N | --announces=N | --here\n" +
      "       buntracker selftest [--all [--format=json | --format=junit]] URL...\n" +
      "       buntracker swarm [--addresses] [--format=json] HASH...\n" +
      "       buntracker deny | allow | forget HASH...\n" +
      "       buntracker maintenance on | off\n",
  });
});

test.each([
  ["check config", "check"],
  ["forget --all", "forget HASH..."],
  ["maintenance yes", "maintenance on | off"],
  ["maintenance on off", "maintenance on | off"],
  ["plan 15M", "plan --peers=N | --announces=N | --here"],
])("%s is not understood, and the usage of the verb is shown", async (line, usage) => {
  const error = `buntracker: error: ${JSON.stringify(line)} is not understood\n`;
  const stderr = `${error}usage: buntracker ${usage}\n`;
  expect(await cli(line.split(" "))).toEqual({ code: 2, stdout: "", stderr });
});

test.each([
  ["dns", "the tracker's host name"],
  ["selftest", "the announce URL of a tracker, or several"],
  ["swarm", "an info hash, or several"],
  ["deny", "an info hash, or several"],
  ["allow", "an info hash, or several"],
  ["forget", "an info hash, or several"],
  ["maintenance", "on or off"],
])("%s alone says what it needs", async (verb, wanted) => {
  const { code, stderr } = await cli([verb]);
  expect(code).toBe(2);
  expect(stderr).toStartWith(
    `buntracker: error: "${verb}" needs ${wanted}\nusage: buntracker ${verb} `,
  );
});

test.each([
  "selftest --format=json udp://127.0.0.1:1",
  "selftest --all --format=xml udp://127.0.0.1:1",
  `swarm --all ${"a".repeat(40)}`,
  `swarm --format=junit ${"a".repeat(40)}`,
  "dns --all tracker.example.org",
])("%s is not understood", async (line) => {
  expect((await cli(line.split(" "))).code).toBe(2);
});

test("selftest --all reports each statement, in three forms", async () => {
  // Nothing listens there: what cannot be tried is said at once.
  const asked = (...more: string[]) =>
    cli(["selftest", "--all", ...more, "http://127.0.0.1:1/announce"]);
  const text = await asked();
  expect(text.code).toBe(1);
  expect(text.stdout).toStartWith("http://127.0.0.1:1/announce at 127.0.0.1\n  wrong:     ");
  const json = JSON.parse((await asked("--format=json")).stdout) as {
    reports: Record<string, unknown>[];
  };
  expect(json.reports[0]["results"]).toContainEqual(
    expect.objectContaining({ id: "BEP3.second-peer", weight: "must", outcome: "not tried" }),
  );
  expect((await asked("--format=junit")).stdout).toContain('<testsuite name="http://127.0.0.1:1/');
});

test("no output controls a terminal, even with text from strangers", async () => {
  const url = "http://127.0.0.1:1/\x1b]0;title\x07";
  const { stdout } = await cli(["selftest", url]);
  expect(stdout).toStartWith("http://127.0.0.1:1/?]0;title?\n");
  const { stderr } = await cli(["dns", "\x1b[2J\u202e"]);
  expect(stdout + stderr).not.toMatch(/(?!\n)\p{C}/u);
});
