/** The house style, as far as a program can check it. A broken rule is named with file and line. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
const LINE_COLUMNS_MAX = 100;
const FILE_LINES_MAX = 450;
const FUNCTION_LINES_MAX = 70;

/**
 * Modules that the start may load. Others, such as node:crypto, node:net and all of zod, take 4 to
 * 11 MB of an idle tracker: they are loaded where they are needed, by `await import`.
 */
const LIGHT_MODULES = [
  ...["bun:ffi", "bun:jsc", "zod/mini"],
  ...["node:fs", "node:fs/promises", "node:os", "node:path", "node:util"],
];

/** Entries of programs: nothing imports them. */
const ENTRIES = ["src/main.ts", "src/udp/worker.ts", "src/start/http-worker.ts"];

/** Files without a unit test: the end-to-end tests cover the entries; the others hold no code. */
const WITHOUT_TWIN = [
  ...ENTRIES,
  ...["src/constants.ts", "src/http/parts.ts", "src/http/server-options.ts", "src/net/tunnel.ts"],
];

/** Files that bind and start are tested through the compiled binary. */
const isWithoutTwin = (path: string): boolean =>
  WITHOUT_TWIN.includes(path) || path.startsWith("src/start/");

const BANNED_FILE_NAMES = [
  "utils",
  "util",
  "helpers",
  "helper",
  "types",
  "index",
  "common",
  "misc",
];

// Put together here, so that this file does not hold the words it looks for.
const UNFINISHED = new RegExp(
  `\\b(${["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"].join("|")})\\b`,
);
const SKIPPED = new RegExp(
  `\\b(test|it|describe)\\.(${["sk" + "ip", "on" + "ly", "to" + "do"].join("|")})\\b`,
);
const MAIN_ONLY = /\b(process\.exit\b|new Worker\b)/;
const START_ONLY = /\bBun\.(serve|listen|udpSocket)\b/;
/** The word of the field is swarm; one word for each idea. */
const BANNED_IDENTIFIERS = /\b(torrents?|[a-z]+Torrents?|Torrents?[A-Z]\w*|torrents?[A-Z]\w*)\b/;

interface Source {
  path: string;
  text: string;
  lines: string[];
}

function sourcesOf(folder: string): Source[] {
  return [...new Bun.Glob(`${folder}/**/*.ts`).scanSync(ROOT)].sort().map((path) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    return { path, text, lines: text.trimEnd().split("\n") };
  });
}

const src = sourcesOf("src");
const all = [...src, ...sourcesOf("test"), ...sourcesOf("scripts")];

/** Where in these files a line matches: `path:line`. */
function linesWhere(sources: Source[], matches: (line: string) => boolean): string[] {
  return sources.flatMap(({ path, lines }) =>
    lines.flatMap((line, at) => (matches(line) ? [`${path}:${at + 1}`] : [])),
  );
}

/** The files of the project that this one imports, including imports of types. */
function importsOf({ path, text }: Source): string[] {
  const scanned = new Bun.Transpiler({ loader: "ts" }).scanImports(text).map((found) => found.path);
  const written = [...text.matchAll(/\bfrom "([^"]+)"/g)].map(([, name]) => name);
  const relative = [...new Set([...scanned, ...written])].filter((name) => name.startsWith("."));
  return relative.map((name) => normalize(join(dirname(path), name)));
}

/** What this file of the program loads before its first line runs. */
function loadedBy(path: string): string[] {
  const { text } = src.find((candidate) => candidate.path === path)!;
  const found = new Bun.Transpiler({ loader: "ts" }).scanImports(text);
  return found.filter(({ kind }) => kind === "import-statement").map((one) => one.path);
}

/** A line without comments and strings, approximately: enough to search for identifiers. */
function codeOf(line: string): string {
  if (/^\s*(\/?\*|\/\/)/.test(line)) return "";
  return line.replace(/"[^"]*"|`[^`]*`|\/\/.*$/g, "");
}

/** Blocks behind a parameter list or an arrow, found by the indentation of both ends. */
function longBlocks({ path, lines }: Source): string[] {
  return lines.flatMap((line, from) => {
    if (!/(\)|=>).*\{$/.test(line)) return [];
    const closing = line.match(/^ */)![0] + "}";
    const length = lines.slice(from).findIndex((other) => other.startsWith(closing)) + 1;
    return length > FUNCTION_LINES_MAX ? [`${path}:${from + 1} is ${length} lines`] : [];
  });
}

describe("a source file", () => {
  test("opens with a comment that says what it owns", () => {
    expect(src.length).toBeGreaterThan(5);
    const bare = src.filter(({ text }) => !/^\/\*\*\n \* \S.{20}/.test(text));
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  test("has a unique name, so that a stack trace needs no folder", () => {
    const names = src.map(({ path }) => basename(path));
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });

  test("is named for its content", () => {
    const named = all.filter(({ path }) => BANNED_FILE_NAMES.includes(basename(path, ".ts")));
    expect(named.map(({ path }) => path)).toEqual([]);
  });

  test(`has at most ${FILE_LINES_MAX} lines`, () => {
    const long = src.filter(({ lines }) => lines.length > FILE_LINES_MAX);
    expect(long.map(({ path, lines }) => `${path} has ${lines.length}`)).toEqual([]);
  });

  test("has a test of the same name at the same place", () => {
    const twinOf = (path: string) => path.replace(/^src\//, "test/").replace(/\.ts$/, ".test.ts");
    const alone = src.filter(
      ({ path }) => !isWithoutTwin(path) && !existsSync(join(ROOT, twinOf(path))),
    );
    expect(alone.map(({ path }) => path)).toEqual([]);
  });

  test("is part of the program: something imports it", () => {
    const reached = new Set(ENTRIES.filter((path) => existsSync(join(ROOT, path))));
    for (const path of reached) {
      const source = src.find((candidate) => candidate.path === path);
      for (const found of source === undefined ? [] : importsOf(source)) reached.add(found);
    }
    const alone = src.map(({ path }) => path).filter((path) => !reached.has(path));
    expect(alone).toEqual([]);
  });
});

describe("a line", () => {
  test(`is at most ${LINE_COLUMNS_MAX} columns wide`, () => {
    expect(linesWhere(all, (line) => line.length > LINE_COLUMNS_MAX)).toEqual([]);
  });

  test("has no unfinished work, and no test is skipped", () => {
    expect(linesWhere(all, (line) => UNFINISHED.test(line) || SKIPPED.test(line))).toEqual([]);
  });

  test("does not print: only the log, the command line and main do", () => {
    expect(linesWhere(src, (line) => /\bconsole\./.test(codeOf(line)))).toEqual([]);
  });

  test("uses the word swarm", () => {
    expect(linesWhere(src, (line) => BANNED_IDENTIFIERS.test(codeOf(line)))).toEqual([]);
  });

  test("exports by name", () => {
    expect(linesWhere(all, (line) => /^export default\b/.test(line))).toEqual([]);
    expect(linesWhere(src, (line) => /^export (\*|\{.*\}) from\b/.test(line))).toEqual([]);
  });

  test("exports what another file uses: what none does is local, or dead", () => {
    const exported = /^export (?:async )?(?:const|function\*?|class) (\w+)/gm;
    const files = new Map<string, Set<string>>();
    for (const { path, text } of all) {
      for (const [word] of text.matchAll(/\w+/g)) {
        const found = files.get(word) ?? new Set();
        files.set(word, found.add(path));
      }
    }
    const unused = all.flatMap(({ path, text }) =>
      [...text.matchAll(exported)]
        .map(([, name]) => name!)
        .filter((name) => files.get(name)!.size === 1)
        .map((name) => `${path} exports ${name}`),
    );
    expect(unused).toEqual([]);
  });

  test("imports a file by its whole name", () => {
    const bare = (line: string) => /\bfrom "\.[^"]*(?<!\.ts|\.txt)"/.test(line);
    expect(linesWhere(all, bare)).toEqual([]);
  });
});

test(`a function has at most ${FUNCTION_LINES_MAX} lines`, () => {
  expect(src.flatMap(longBlocks)).toEqual([]);
});

describe("the parts", () => {
  /** Imports of files in `folder` that the rule does not allow. */
  function strays(folder: string, allowed: (path: string) => boolean): string[] {
    return src
      .filter(({ path }) => path.startsWith(folder))
      .flatMap((source) =>
        importsOf(source)
          .filter((path) => !allowed(path))
          .map((path) => `${source.path} imports ${path}`),
      );
  }

  /**
   * Each row may import the rows above it, and files of its own folder, but no neighbour in its
   * row: so transports do not know each other, and no folder imports in a circle.
   */
  const LAYERS = [
    ["constants.ts", "version.ts"],
    ["swarm"],
    ["net"],
    ["host"],
    ["access", "counters", "limits", "notes"],
    ["gates", "snapshot"],
    ["config"],
    ["cluster"],
    ["page"],
    ["http", "udp", "ws"],
    ["admin", "opentracker"],
    ["metrics", "verbs"],
    ["start"],
    ["cli.ts"],
    ["main.ts"],
  ];
  const roomOf = (path: string): string => path.split("/")[1]!;
  const layerOf = (path: string): number =>
    LAYERS.findIndex((layer) => layer.includes(roomOf(path)));

  test("every folder has a layer", () => {
    const rooms = new Set(src.map(({ path }) => roomOf(path)));
    expect([...rooms].filter((room) => !LAYERS.flat().includes(room))).toEqual([]);
    expect(LAYERS.flat().filter((room) => !rooms.has(room))).toEqual([]);
  });

  test("lower layers never import higher ones, and no folder imports its neighbour", () => {
    const wrong = src.flatMap((source) =>
      importsOf(source)
        .filter((path) => roomOf(path) !== roomOf(source.path))
        .filter((path) => layerOf(path) >= layerOf(source.path))
        .map((path) => `${source.path} imports ${path}`),
    );
    expect(wrong).toEqual([]);
  });

  test("no files import each other in a circle", () => {
    const imports = new Map(src.map((source) => [source.path, importsOf(source)]));
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, way: string[]): void => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(" > "));
      if (done.has(path) || way.includes(path)) return;
      for (const next of imports.get(path) ?? []) visit(next, [...way, path]);
      done.add(path);
    };
    for (const { path } of src) visit(path, []);
    expect(circles).toEqual([]);
  });

  test("the start loads none of the runtime's modules that take megabytes", () => {
    const reached = new Set(ENTRIES.filter((path) => existsSync(join(ROOT, path))));
    const heavy: string[] = [];
    for (const path of reached) {
      for (const name of loadedBy(path)) {
        if (name.startsWith(".")) reached.add(normalize(join(dirname(path), name)));
        else if (!LIGHT_MODULES.includes(name)) heavy.push(`${path} imports ${name}`);
      }
    }
    expect(reached.size).toBeGreaterThan(100);
    expect(heavy).toEqual([]);
  });

  test("a UDP worker loads no module of node's, which take half a megabyte", () => {
    const reached = new Set(["src/udp/worker.ts"]);
    const loaded: string[] = [];
    for (const path of reached) {
      for (const name of loadedBy(path)) {
        if (name.startsWith(".")) reached.add(normalize(join(dirname(path), name)));
        else if (!name.startsWith("bun:")) loaded.push(`${path} imports ${name}`);
      }
    }
    expect(reached.size).toBeGreaterThan(50);
    expect(loaded).toEqual([]);
  });

  test("the core knows only itself and the constants", () => {
    const ours = (path: string) => path.startsWith("src/swarm/") || path === "src/constants.ts";
    expect(strays("src/swarm/", ours)).toEqual([]);
    const core = src.filter(({ path }) => path.startsWith("src/swarm/"));
    expect(linesWhere(core, (line) => /\bfrom "[^.]/.test(line))).toEqual([]);
  });

  test("nothing imports an entry", () => {
    expect(strays("src/", (path) => !ENTRIES.includes(path))).toEqual([]);
  });

  test("only start/ binds", () => {
    const others = src.filter(({ path }) => !path.startsWith("src/start/"));
    expect(linesWhere(others, (line) => START_ONLY.test(codeOf(line)))).toEqual([]);
  });

  test("only main starts threads and exits", () => {
    const others = src.filter(({ path }) => path !== "src/main.ts");
    expect(linesWhere(others, (line) => MAIN_ONLY.test(codeOf(line)))).toEqual([]);
  });
});
