/** The manual page and the completions name all verbs and settings, and nothing else. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { WHOLE } from "../../scripts/documents.ts";
import { bashCompletion, manual, verbs } from "../../scripts/manual.ts";
import { fishCompletion, zshCompletion } from "../../scripts/manual.ts";
import { runCli } from "../../src/cli.ts";
import { helpText } from "../../src/verbs/help.ts";
import { EXIT_USAGE } from "../../src/constants.ts";
import { descriptions } from "../../src/config/config.ts";

const ROOT = resolve(import.meta.dir, "../..");

/** The exit code of the program for these words, in an environment with wrong settings. */
async function exitCode(...words: string[]): Promise<number> {
  const quiet = { stdout: () => {}, stderr: () => {} };
  return runCli(words, { TRACKER_NO_SUCH_SETTING: "1" }, async () => 0, quiet);
}

test.each(Object.keys(WHOLE))("%s is what make docs writes", (path) => {
  expect(readFileSync(join(ROOT, path), "utf8")).toBe(WHOLE[path]());
});

describe("the verbs", () => {
  test("come from the help with their operands and descriptions", () => {
    const help =
      "usage\n\n  one        does this\n  two HASH…  does that\n             and more\n\n" +
      "  three on | off  does a third\n\nEnd";
    expect(verbs(help)).toEqual([
      { name: "one", parameters: "", text: "does this" },
      { name: "two", parameters: "HASH…", text: "does that and more" },
      { name: "three", parameters: "on | off", text: "does a third" },
    ]);
  });

  test("are all of those in the usage, in whatever paragraph the help explains them", () => {
    const usage = helpText().split("\n\n")[0].replace("usage:", "");
    const words = usage.match(/(?<=[ [])[a-z]+(?= |$|\n)/g)!;
    const named = words.filter((word) => !["buntracker", "on", "off"].includes(word));
    expect(named.length).toBeGreaterThan(10);
    expect(verbs().map(({ name }) => name)).toEqual(expect.arrayContaining(named));
  });

  test("are understood by the program, and no other word is", async () => {
    expect(verbs().length).toBeGreaterThanOrEqual(4);
    for (const { name, parameters } of verbs()) {
      const words = { on: "on", OPTIONS: "--peers=1M" };
      const known = Object.entries(words).find(([start]) => parameters.startsWith(start));
      const operand = known?.[1] ?? "0".repeat(40);
      const typed = parameters === "" ? [name] : [name, operand];
      expect(await exitCode(...typed)).not.toBe(EXIT_USAGE);
    }
    expect(await exitCode("no-such-verb")).toBe(EXIT_USAGE);
  });
});

describe("the manual page", () => {
  test("names every verb and every setting", () => {
    for (const { name } of verbs()) expect(manual()).toMatch(new RegExp(`^\\.BI? ${name}\\b`, "m"));
    for (const { variable } of descriptions()) expect(manual()).toContain(`.B ${variable}\n`);
  });

  test("shows in its synopsis every form of the command line", () => {
    const lines = manual().split(".SH DESCRIPTION")[0].split("\n");
    expect(lines).toContain("[check | config | health | top | cluster | version]");
    for (const { name, parameters } of verbs().filter((verb) => verb.parameters !== "")) {
      const at = lines.indexOf(`.B buntracker ${name}`);
      expect(lines[at + 1].replaceAll("\\", "")).toBe(`.I ${parameters}`);
    }
  });

  test("names the signals that the program listens for, and no other", () => {
    const heard = readFileSync(join(ROOT, "src/main.ts"), "utf8").match(/"SIG[A-Z0-9]+"/g) ?? [];
    const named = manual()
      .match(/^\.BR? SIG.*$/gm)!
      .flatMap((line) => line.match(/SIG[A-Z0-9]+/g)!);
    expect(named.sort()).toEqual([...new Set(heard)].map((name) => name.slice(1, -1)).sort());
  });

  test("names no variable that does not exist", () => {
    const known = descriptions().flatMap(({ variable }) => [variable, `${variable}_FILE`]);
    const named = manual().match(/TRACKER_[A-Z_]*[A-Z]/g) ?? [];
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  test("has only requests that begin a line on purpose, and only escapes that roff knows", () => {
    const requests = manual().match(/^\.[A-Za-z\\]+/gm) ?? [];
    const known = [
      ".TH",
      ".I",
      ".SH",
      ".SS",
      ".TP",
      ".B",
      ".BR",
      ".BI",
      ".RI",
      ".PP",
      ".RS",
      ".RE",
      ".br",
    ];
    expect(new Set(requests.filter((name) => !known.includes(name)))).toEqual(
      new Set([".\\", ".nf", ".fi"]),
    );
    const escapes = manual().match(/\\[^"\n]/g) ?? [];
    expect(escapes.filter((escape) => !/^\\[-e(&fB]$/.test(escape))).toEqual([]);
  });
});

test("each completion offers every verb", () => {
  for (const { name } of verbs()) {
    expect(bashCompletion()).toMatch(new RegExp(`words="[^"]*\\b${name}\\b`));
    expect(zshCompletion()).toContain(`'${name}':`);
    expect(fishCompletion()).toContain(` -a ${name} `);
  }
});

test.if(Bun.which("bash") !== null)("bash completes a word where it is one of a few", () => {
  const complete = (...words: string[]): string => {
    const quoted = words.map((word) => `"${word}"`).join(" ");
    const asked = `COMP_CWORD=${words.length}; COMP_WORDS=(buntracker ${quoted})`;
    return `${asked}; _buntracker; echo "\${COMPREPLY[*]}"`;
  };
  const script = [
    bashCompletion(),
    complete("ver"),
    complete("--v"),
    complete("health", ""),
    complete("maintenance", ""),
    complete("maintenance", "of"),
    complete("maintenance", "on", ""),
  ];
  const { stdout } = Bun.spawnSync(["bash", "-c", script.join("\n")]);
  expect(stdout.toString()).toBe("version\n--version\n\non off\noff\n\n");
});

test("zsh and fish complete the second word where it is one of a few", () => {
  expect(zshCompletion()).toContain("maintenance) compadd on off ;;");
  expect(fishCompletion()).toContain("'__fish_seen_subcommand_from maintenance' -a 'on off'\n");
});
