/** The command line: its verbs, their output, and the exit codes. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import type { Change } from "../src/access/keeper.ts";
import { ADMIN } from "./admin/fixture.ts";
import { createAdmin } from "../src/admin/admin.ts";
import { errorLines, helpText, runCli, type Run } from "../src/cli.ts";
import { versionLine } from "../src/version.ts";
import { descriptions, readConfig } from "../src/config/config.ts";
import { EXIT_FAILED } from "../src/constants.ts";
import { StartError } from "../src/host/start-error.ts";
import { foresee } from "../src/start/foresee.ts";
import { FIGURES } from "./verbs/figures.ts";
import { fakeUdp } from "./verbs/fake-udp.ts";

type Environment = Record<string, string | undefined>;

async function cli(argv: string[], env: Environment = {}, run: Run = () => Promise.resolve(99)) {
  let stdout = "";
  let stderr = "";
  const output = {
    stdout: (text: string) => (stdout += text),
    stderr: (text: string) => (stderr += text),
  };
  const code = await runCli(argv, env, run, output);
  return { code, stdout, stderr };
}

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
    "buntracker: error: TRACKER_DENY_FILE is /nowhere/denied, which cannot be read (ENOENT)\n",
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
  ['"check config"', ["check", "config"]],
  ['"forget --all"', ["forget", "--all"]],
  ['"maintenance yes"', ["maintenance", "yes"]],
  ['"maintenance on off"', ["maintenance", "on", "off"]],
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
      "       buntracker dns NAME\n" +
      "       buntracker selftest URL...\n" +
      "       buntracker deny | allow | forget HASH...\n" +
      "       buntracker maintenance on | off\n",
  });
});

test.each([
  ["dns", "the tracker's host name"],
  ["selftest", "the announce URL of a tracker, or several"],
  ["deny", "an info hash, or several"],
  ["allow", "an info hash, or several"],
  ["forget", "an info hash, or several"],
  ["maintenance", "on or off"],
])("%s alone says what it needs", async (verb, wanted) => {
  const { code, stderr } = await cli([verb]);
  expect(code).toBe(2);
  expect(stderr).toStartWith(`buntracker: error: "${verb}" needs ${wanted}\nusage: buntracker [`);
});

describe("health", () => {
  test("asks the first HTTP listener and the first UDP one", async () => {
    const paths: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        paths.push(new URL(request.url).pathname);
        return new Response("ok\n");
      },
    });
    const { port } = server;
    const udp = await fakeUdp();
    const env = {
      TRACKER_HTTP_ADDRESS: `127.0.0.1:${port},127.0.0.1:1`,
      TRACKER_UDP_ADDRESS: `127.0.0.1:${udp.port},127.0.0.1:1`,
    };
    expect(await cli(["health"], env)).toEqual({ code: 0, stdout: "ok\n", stderr: "" });
    expect(paths).toEqual(["/health"]);
    expect(udp.requests.map((request) => request.length)).toEqual([16, 98]);
    udp.close();
    expect(await cli(["health"], env)).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `buntracker: error: no healthy answer from udp port ${udp.port}\n` +
        "buntracker: hint: start the tracker, or give this command the settings it runs with\n",
    });
    await server.stop(true);
    expect((await cli(["health"], env)).stderr).toStartWith(
      `buntracker: error: no healthy answer from http port ${port} and udp port ${udp.port}\n`,
    );
  });

  test.each([
    ["TRACKER_HTTP_ADDRESS", "TRACKER_UDP_ADDRESS"],
    ["TRACKER_UDP_ADDRESS", "TRACKER_HTTP_ADDRESS"],
  ])("does not ask %s where it is off", async (off, on) => {
    const udp = await fakeUdp();
    const http = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("ok") });
    const port = on.includes("UDP") ? udp.port : http.port;
    const env = { [off]: "", [on]: `127.0.0.1:${port}` };
    expect(await cli(["health"], env)).toEqual({ code: 0, stdout: "ok\n", stderr: "" });
    udp.close();
    await http.stop(true);
  });

  test.each(["TRACKER_HTTP_ADDRESS", "TRACKER_UDP_ADDRESS"])(
    "cannot know which port was meant by 0 in %s",
    async (variable) => {
      expect(await cli(["health"], { [variable]: "[::]:0" })).toEqual({
        code: 1,
        stdout: "",
        stderr:
          `buntracker: error: ${variable} has port 0, so the port that was chosen is not known\n` +
          "buntracker: hint: name a port where the tracker runs, and give this command the same\n",
      });
    },
  );
});

test("no output controls a terminal, even with text from strangers", async () => {
  const url = "http://127.0.0.1:1/\x1b]0;title\x07";
  const { stdout } = await cli(["selftest", url]);
  expect(stdout).toStartWith("http://127.0.0.1:1/?]0;title?\n");
  const { stderr } = await cli(["dns", "\x1b[2J\u202e"]);
  expect(stdout + stderr).not.toMatch(/(?!\n)\p{C}/u);
});

describe("advice", () => {
  test("dns prints the records of a name, with the ports that are set", async () => {
    const env = { TRACKER_UDP_ADDRESS: "[::]:7000" };
    const { code, stdout } = await cli(["dns", "tracker.example"], env);
    expect(code).toBe(0);
    expect(stdout).toContain('86400 IN TXT  "BITTORRENT UDP:7000 TCP:6969"\n');
  });

  test("dns needs a host name", async () => {
    expect((await cli(["dns", "192.0.2.1"])).stderr).toStartWith(
      'buntracker: error: "192.0.2.1" is an address: records are for a name\n',
    );
    expect((await cli(["dns", "[2001:db8::1]"])).stderr).toInclude("is an address");
    expect(await cli(["dns", "a b"])).toEqual({
      code: 1,
      stdout: "",
      stderr:
        'buntracker: error: "a b" is not a host name: write it without scheme and port, ' +
        "like tracker.example.org\n",
    });
    for (const argv of [["dns"], ["dns", "a", "b"], ["selftest"]]) {
      expect((await cli(argv)).code).toBe(2);
    }
  });

  test("selftest fails on any problem", async () => {
    const { code, stdout } = await cli(["selftest", "ftp://tracker.example/"]);
    expect(code).toBe(1);
    expect(stdout).toBe("ftp://tracker.example/\n  wrong: it is not udp, http or https\n");
  });

  test("top without a terminal prints the figures once", async () => {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => Response.json(FIGURES),
    });
    const { port } = server;
    const env = { TRACKER_ADMIN_ADDRESS: `127.0.0.1:${port}` };
    const { code, stdout } = await cli(["top"], env);
    expect(code).toBe(0);
    expect(stdout).toContain("buntracker 1.2.3");
    expect(stdout).not.toContain("\x1b");
    await server.stop(true);
    const { code: after, stderr } = await cli(["top"], env);
    expect(after).toBe(1);
    expect(stderr).toContain(`the tracker cannot be asked on port ${port}: `);
    expect((await cli(["top"], { TRACKER_ADMIN_ADDRESS: "" })).stderr).toContain("is empty");
  });
});

describe("a change that the tracker refuses", () => {
  const hash = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
  const TOKEN = "0123456789abcdef";
  const NO_LIST: Change = { outcome: "no list" };
  const FULL: Change = { outcome: "failed", reason: "the disk is full", remedy: "make room" };

  test.each<[string, Change, string, string, string]>([
    ["no list", NO_LIST, TOKEN, "there is no deny list", "set it where the tracker runs"],
    ["a full disk", FULL, TOKEN, "error: nothing was changed: the disk is full: ", "make room"],
    ["another token", NO_LIST, `${TOKEN}x`, "does not know the token", "here as where the tracker"],
  ])(
    "for %s is told in its words, with what helps",
    async (_name, change, token, words, remedy) => {
      const keeper = {
        change: () => Promise.resolve(change),
        setMaintenance: () => Promise.resolve(),
      };
      const admin = createAdmin({ ...ADMIN, token, keeper });
      const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: admin.fetch });
      const env = {
        TRACKER_ADMIN_ADDRESS: `127.0.0.1:${server.port}`,
        TRACKER_ADMIN_TOKEN: TOKEN,
      };
      const { code, stdout, stderr } = await cli(["deny", hash], env);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toStartWith("buntracker: error: ");
      expect(stderr).toContain(words);
      expect(stderr).toContain(remedy);
      await server.stop(true);
    },
  );

  test("or cannot receive, is an error", async () => {
    const env = { TRACKER_ADMIN_ADDRESS: "127.0.0.1:1", TRACKER_ADMIN_TOKEN: TOKEN };
    for (const argv of [
      ["deny", hash],
      ["maintenance", "on"],
    ]) {
      const { code, stderr } = await cli(argv, env);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^buntracker: error: .* on port 1: nothing listens there: .*\n/);
      expect(stderr).toContain("hint: start the tracker, or give this command the settings");
    }
  });
});

test("a message has an error line, and a hint line if there is a hint", () => {
  expect(errorLines("port taken")).toBe("buntracker: error: port taken\n");
  expect(errorLines("port taken", "try another")).toBe(
    "buntracker: error: port taken\nbuntracker: hint: try another\n",
  );
});
