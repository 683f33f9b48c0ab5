/** Log lines: their two formats, the journal's prefix, and escapes of text from strangers. */
import { describe, expect, test } from "bun:test";
import { closeSync, fstatSync, openSync } from "node:fs";

import fc from "fast-check";

import { Log, logsToJournal, quoteValue, type LogOptions } from "../../src/host/log.ts";

const TIME = "2026-11-22T16:18:06.123Z";

function logTo(lines: string[], options: Partial<LogOptions> = {}): Log {
  return new Log({
    level: "info",
    format: "logfmt",
    journal: false,
    write: (line) => lines.push(line),
    date: () => new Date(TIME),
    ...options,
  });
}

test("a line of logfmt has time, level and message, then the fields", () => {
  const lines: string[] = [];
  logTo(lines).info("now listening", { udp: "[::]:6969", peers: 0, ready: true });
  expect(lines).toEqual([
    `time=${TIME} level=info msg="now listening" udp=[::]:6969 peers=0 ready=true\n`,
  ]);
});

test("a line of JSON holds the same", () => {
  const lines: string[] = [];
  logTo(lines, { format: "json" }).warn("full", { peers: 12, swarm: undefined }, null);
  expect(lines).toEqual([`{"time":"${TIME}","level":"warn","msg":"full","peers":12}\n`]);
});

test("in the journal a line has a priority and no time", () => {
  const lines: string[] = [];
  const log = logTo(lines, { journal: true, level: "debug" });
  log.debug("a");
  log.info("b");
  log.warn("c", {}, null);
  log.error("d");
  expect(lines).toEqual([
    "<7>level=debug msg=a\n",
    "<6>level=info msg=b\n",
    "<4>level=warn msg=c\n",
    "<3>level=error msg=d\n",
  ]);
  logTo(lines, { journal: true, format: "json" }).info("e");
  expect(lines.at(-1)).toBe('<6>{"level":"info","msg":"e"}\n');
});

test("each warning has a counter, which also counts warnings that are not written", () => {
  const lines: string[] = [];
  const log = logTo(lines, { level: "error" });
  log.warn("maintenance begins", {}, "maintenance");
  log.warn("maintenance ends", {}, "maintenance");
  log.warn("somebody else counts", {}, null);
  expect(lines).toEqual([]);
  expect(log.warned.maintenance).toBe(2);
  expect(Object.values(log.warned).reduce((sum, count) => sum + count)).toBe(2);
});

test("the journal is recognised if its variable names the open file", () => {
  const fd = openSync("/dev/null", "w");
  const { dev, ino } = fstatSync(fd);
  expect(logsToJournal({ JOURNAL_STREAM: `${dev}:${ino}` }, fd)).toBe(true);
  expect(logsToJournal({ JOURNAL_STREAM: `${dev}:${ino + 1}` }, fd)).toBe(false);
  expect(logsToJournal({ JOURNAL_STREAM: "" }, fd)).toBe(false);
  expect(logsToJournal({}, fd)).toBe(false);
  closeSync(fd);
  expect(logsToJournal({ JOURNAL_STREAM: `${dev}:${ino}` }, fd)).toBe(false);
});

test("lines below the level are neither written nor counted", () => {
  const lines: string[] = [];
  const log = logTo(lines, { level: "warn" });
  log.debug("a");
  log.info("b");
  log.warn("c", {}, null);
  log.warn("d", {}, null);
  log.error("e");
  expect(lines).toHaveLength(3);
  expect(log.counts).toEqual({ debug: 0, info: 0, warn: 2, error: 1 });
  expect(log.writes("info")).toBe(false);
  expect(log.writes("warn")).toBe(true);
});

describe("a value", () => {
  test.each([
    ["bare", "bare"],
    ["[::1]:6969", "[::1]:6969"],
    ["größe", "größe"],
    ["", '""'],
    ["two words", '"two words"'],
    ["a=b", '"a=b"'],
    ['say "no"', '"say \\"no\\""'],
    ["back\\slash", '"back\\\\slash"'],
    ["line\nbreak", '"line\\x0abreak"'],
    ["\u001b[31m", '"\\x1b[31m"'],
    ["\u009b31m", '"\\x9b31m"'],
    ["\u0000\u007f", '"\\x00\\x7f"'],
    ["\u202egnp", '"\\u{202e}gnp"'],
    ["\u2028", '"\\u{2028}"'],
  ])("%j is written %s", (value, expected) => {
    expect(quoteValue(value)).toBe(expected);
  });

  test("cannot begin another line or control a terminal, in either format", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        const lines: string[] = [];
        logTo(lines).info(value, { value });
        logTo(lines, { format: "json" }).info(value, { value });
        for (const line of lines) expect(line).toMatch(/^[^\p{C}\u2028\u2029]+\n$/u);
      }),
    );
  });

  test("is unchanged after JSON parsing", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        const lines: string[] = [];
        logTo(lines, { format: "json" }).info("m", { value });
        expect(JSON.parse(lines[0]).value).toBe(value);
      }),
    );
  });
});
