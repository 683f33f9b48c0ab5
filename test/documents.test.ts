/** What is written about the settings is what the schema says: help, README and example file. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import { helpText } from "../src/cli.ts";
import { descriptions, readConfig } from "../src/config/config.ts";
import { EXAMPLE, README, example, readme } from "../scripts/documents.ts";

test("the help is at most 80 columns wide and has no line that ends in a space", () => {
  for (const line of helpText().split("\n")) {
    expect(line.length).toBeLessThanOrEqual(80);
    expect(line).toBe(line.trimEnd());
  }
});

test("the help names every setting once, with its default and what it does", () => {
  const help = helpText();
  const joined = help.replace(/\s+/g, " ");
  for (const { variable, initial, computed, text } of descriptions()) {
    const heading = computed ? `  ${variable} (${initial})\n` : `  ${variable}=${initial}\n`;
    expect(help.split(heading)).toHaveLength(2);
    expect(joined).toContain(text);
  }
});

test("the README has the table of the settings as they are (make docs writes it)", () => {
  const text = readFileSync(README, "utf8");
  expect(text).toBe(readme(text));
  for (const { variable } of descriptions()) expect(text).toContain(`| \`${variable}\` `);
});

test("the README names no variable that does not exist", () => {
  const known = descriptions().flatMap(({ variable }) => [variable, `${variable}_FILE`]);
  const named = readFileSync(README, "utf8").match(/TRACKER_[A-Z_]*[A-Z]/g) ?? [];
  expect(named.filter((name) => !known.includes(name))).toEqual([]);
});

test("the README says what there is to make, in the words of make help", () => {
  const makefile = readFileSync(resolve(README, "../Makefile"), "utf8");
  const targets = [...makefile.matchAll(/^([a-z-]+):.*## (.*)$/gm)];
  const lines = targets.map(([, name, text]) => `make ${name}`.padEnd(22) + text);
  const phony = [...makefile.matchAll(/^\.PHONY: (.*)$/gm)].flatMap(([, names]) =>
    names.split(" "),
  );
  expect(targets.map(([, name]) => name).sort()).toEqual(
    phony.filter((name) => name !== "FORCE").sort(),
  );
  for (const line of lines) expect(line.length + 2).toBeLessThanOrEqual(80);
  expect(lines[0]).toStartWith("make help ");
  expect(readFileSync(README, "utf8")).toContain(`\n${lines.slice(1).join("\n")}\n`);
});

test("the README is short enough to be read, less what is folded", () => {
  const shown = readFileSync(README, "utf8").replaceAll(/<details>.*?<\/details>/gs, "");
  expect(shown.split("\n").length).toBeLessThan(200);
});

test("the example file is that of the settings as they are (make docs writes it)", () => {
  expect(readFileSync(EXAMPLE, "utf8")).toBe(example());
});

test("the example's lines, all switched on, change nothing but what is worked out at start", () => {
  const lines = example().match(/^#TRACKER_.+=.*$/gm) ?? [];
  const computed = descriptions().filter((description) => description.computed);
  const names = computed.flatMap(({ variable }) => [variable, `${variable}_FILE`]);
  const pairs = lines.map((line) => line.slice(1).split(/=(.*)/s).slice(0, 2));
  expect(pairs.length).toBeGreaterThan(descriptions().length);
  const env = Object.fromEntries(pairs.filter(([name]) => !names.includes(name)));
  const [switchedOn, plain] = [readConfig(env), readConfig({})];
  if ("problems" in switchedOn || "problems" in plain) throw new Error(JSON.stringify(switchedOn));
  expect(switchedOn.config).toEqual(plain.config);
});
