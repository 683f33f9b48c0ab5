/**
 * What is written for people is what the program says: the help, the documents that `make docs`
 * makes, and the names and links in all of them.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

import { helpText } from "../src/verbs/help.ts";
import { descriptions, readConfig } from "../src/config/config.ts";
import { example, IN_PART, ROOT, settings, withPart } from "../scripts/documents.ts";

const README_LINES_MAX = 150;

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

const DOCUMENTS = [
  ...new Bun.Glob("*.md").scanSync(ROOT),
  ...new Bun.Glob("docs/*.md").scanSync(ROOT),
];

/** The text of a document outside of code. */
const prose = (path: string): string =>
  read(path)
    .replaceAll(/^```.*?^```/gms, "")
    .replaceAll(/`[^`\n]*`/g, "");

/** The links of a document to files of the project: `path#heading`, either may be empty. */
function linksOf(path: string): string[] {
  const text = prose(path);
  const inline = [...text.matchAll(/\]\(([^)\s]+)\)/g)];
  const defined = [...text.matchAll(/^\[[^\]]+\]: (\S+)$/gm)];
  const images = [...text.matchAll(/<img src="([^"]+)"/g)];
  return [...inline, ...defined, ...images]
    .map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The names under which the headings of a document can be linked to, as forges make them. */
function headingsOf(path: string): string[] {
  const titles =
    read(path)
      .replaceAll(/^```.*?^```/gms, "")
      .match(/^#+ .*$/gm) ?? [];
  return titles.map((title) => {
    const words = title.replace(/^#+ /, "").replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    return words
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-");
  });
}

describe("the help", () => {
  test("is at most 80 columns wide and has no line that ends in a space", () => {
    for (const line of helpText().split("\n")) {
      expect(line.length).toBeLessThanOrEqual(80);
      expect(line).toBe(line.trimEnd());
    }
  });

  test("names every setting once, with its default and what it does", () => {
    const help = helpText();
    const joined = help.replace(/\s+/g, " ");
    for (const { variable, initial, computed, text } of descriptions()) {
      const heading = computed ? `  ${variable} (${initial})\n` : `  ${variable}=${initial}\n`;
      expect(help.split(heading)).toHaveLength(2);
      expect(joined).toContain(text);
    }
  });
});

describe("the README", () => {
  test(`has at most ${README_LINES_MAX} lines`, () => {
    expect(read("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(README_LINES_MAX);
  });

  test("begins with commands without placeholders", () => {
    const commands = [...read("README.md").matchAll(/^```sh\n(.*?)\n```$/gms)];
    expect(commands.map(([, command]) => command)).toEqual(["./buntracker", "make run"]);
  });

  test("names the port to open and the announce URLs", () => {
    expect(read("README.md")).toContain("port 6969, TCP and\nUDP");
    expect(read("README.md")).toContain("udp://tracker.example.org:6969/announce\n");
    expect(read("README.md")).toContain("http://tracker.example.org:6969/announce\n");
  });
});

describe("a document", () => {
  test.each(DOCUMENTS)("%s links only to files that exist, and to headings they have", (path) => {
    const broken = linksOf(path).filter((link) => {
      const [target, heading] = link.split("#");
      const file = target === "" ? path : relative(ROOT, resolve(ROOT, dirname(path), target));
      if (!existsSync(join(ROOT, file))) return true;
      return heading !== undefined && !headingsOf(file).includes(heading);
    });
    expect(broken).toEqual([]);
  });

  test("can be reached from the README", () => {
    const reached = new Set(["README.md"]);
    for (const path of reached) {
      for (const link of linksOf(path)) {
        const [target] = link.split("#");
        const file = relative(ROOT, resolve(ROOT, dirname(path), target));
        if (target.endsWith(".md")) reached.add(file);
      }
    }
    expect(DOCUMENTS.filter((path) => !reached.has(path))).toEqual([]);
  });

  test("names no variable that does not exist; the changes may name removed ones", () => {
    const known = descriptions().flatMap(({ variable }) => [variable, `${variable}_FILE`]);
    for (const path of DOCUMENTS.filter((name) => name !== "CHANGELOG.md")) {
      const named = read(path).match(/TRACKER_[A-Z_]*[A-Z]/g) ?? [];
      expect({ [path]: named.filter((name) => !known.includes(name)) }).toEqual({ [path]: [] });
    }
  });

  test("names no metric that does not exist; the changes may name removed ones", () => {
    const source = read("src/metrics/metrics.ts") + read("src/metrics/cluster-metrics.ts");
    for (const path of DOCUMENTS.filter((name) => name !== "CHANGELOG.md")) {
      const named = read(path).match(/\btracker_[a-z_]*[a-z]/g) ?? [];
      const unknown = named.filter((name) => !source.includes(`"${name}"`));
      expect({ [path]: unknown.filter((name) => !linksTo(path, name)) }).toEqual({ [path]: [] });
    }
  });

  /** True if the name is that of a setting's heading. */
  const linksTo = (path: string, name: string): boolean => read(path).includes(`#${name}`);

  test.each(Object.keys(IN_PART))("%s has the part that make docs writes", (path) => {
    const [part, text] = IN_PART[path];
    expect(read(path)).toBe(withPart(read(path), part, text()));
  });
});

describe("the settings", () => {
  test("each have a heading, a reason to change it, the default and the range", () => {
    const headings = headingsOf("docs/settings.md");
    for (const { variable, reason, initial, range } of descriptions()) {
      expect(reason).toMatch(/^[A-Z].*\.$/);
      expect(headings.filter((name) => name === variable.toLowerCase())).toHaveLength(1);
      const section = settings()
        .split(`\n### ${variable}\n`)[1]
        .split("\n#")[0]
        .replaceAll("`", "");
      expect(section).toContain(reason.split(/docs\//)[0]);
      expect(section).toContain(initial);
      expect(section).toContain(range);
    }
  });

  test("are all in the example file, which make docs writes", () => {
    expect(read("dist/buntracker.env.example")).toBe(example());
  });

  test("of the example, all enabled, change only values that are computed at start", () => {
    const lines = example().match(/^#TRACKER_.+=.*$/gm) ?? [];
    const computed = descriptions().filter((description) => description.computed);
    const names = computed.flatMap(({ variable }) => [variable, `${variable}_FILE`]);
    const pairs = lines.map((line) => line.slice(1).split(/=(.*)/s).slice(0, 2));
    expect(pairs.length).toBeGreaterThan(descriptions().length);
    const env = Object.fromEntries(pairs.filter(([name]) => !names.includes(name)));
    const [switchedOn, plain] = [readConfig(env), readConfig({})];
    if ("problems" in switchedOn || "problems" in plain)
      throw new Error(JSON.stringify(switchedOn));
    expect(switchedOn.config).toEqual(plain.config);
  });
});

describe("the guide for contributors", () => {
  test("shows the layers that the tidy test checks", () => {
    const kept = /const LAYERS = (\[.*?\n {2}\]);/s.exec(read("test/tidy.test.ts"))![1];
    const layers = JSON.parse(kept.replaceAll(/,(\s*\])/g, "$1")) as string[][];
    const rows = [...read("CONTRIBUTING.md").matchAll(/^\| (\d+) +\| `([\w.]+)\/?` /gm)];
    const shown: string[][] = [];
    for (const [, layer, room] of rows) (shown[Number(layer) - 1] ??= []).push(room);
    expect(shown.map((rooms) => rooms.sort())).toEqual(layers.map((rooms) => rooms.sort()));
  });

  test("names only folders and files that exist", () => {
    const text = read("CONTRIBUTING.md");
    const named = [...text.matchAll(/`([a-z-]+\/[\w./-]*)`/g)].map(([, path]) => path);
    const roots = ["", "src", "test", "dist"];
    const missing = named
      .filter((path) => !path.startsWith("dist/bin/"))
      .filter((path) => !roots.some((root) => existsSync(join(ROOT, root, path))));
    expect(missing).toEqual(["src/a/b.ts", "test/a/b.test.ts"]);
  });

  test("lists the make targets, each in a line of 80 columns", () => {
    const makefile = read("Makefile");
    const targets = [...makefile.matchAll(/^([a-z-]+):.*## (.*)$/gm)];
    const phony = [...makefile.matchAll(/^\.PHONY: (.*)$/gm)].flatMap(([, names]) =>
      names.split(" "),
    );
    expect(targets.map(([, name]) => name).sort()).toEqual(
      phony.filter((name) => name !== "FORCE").sort(),
    );
    for (const [, name, text] of targets) {
      expect(`  make ${name}`.padEnd(24).length + text.length).toBeLessThanOrEqual(80);
    }
  });
});
