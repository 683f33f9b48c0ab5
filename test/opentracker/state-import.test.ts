import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  countBadStateLines,
  restoreAtStart,
  StateReader,
} from "../../src/opentracker/state-import.ts";
import { makeTracker, MIB } from "../swarm/fixture.ts";

const HASH = "7E9903517DD792130E2A7A1AE9A62CF2DEE3CB80";
const OTHER = "00000000000000000000000000000000000000ff";

type Made = ReturnType<typeof makeTracker>;

function downloadsOf({ tracker }: Made, hex: string): number {
  tracker.request.infoHash.setFromHex(hex);
  tracker.scrape();
  return tracker.reply.downloads;
}

function imported({ store }: Made, text: string) {
  const reader = new StateReader(({ infoHashHalves, downloads }) =>
    store.raiseDownloads(infoHashHalves, downloads, 0),
  );
  reader.take(Buffer.from(text, "latin1"));
  return reader.imported;
}

test("each line restores a counter, whatever its case and line end", () => {
  const made = makeTracker();
  const text = `${HASH}:29354321:17\r\n\n${OTHER}:0:3`;
  expect(imported(made, text)).toEqual({
    restored: 2,
    cut: 0,
    withoutRoom: 0,
    skipped: 0,
    badLines: [],
  });
  expect(downloadsOf(made, HASH)).toBe(17);
  expect(downloadsOf(made, OTHER)).toBe(3);
});

test("importing again changes nothing", () => {
  const made = makeTracker();
  for (let i = 0; i < 3; i++) imported(made, `${HASH}:29354321:7\n`);
  expect(downloadsOf(made, HASH)).toBe(7);
});

test("bad lines are skipped, reported by their numbers, and create no swarms", () => {
  const made = makeTracker();
  const bad = [`${HASH}:1`, HASH.slice(1) + ":1:1", `${HASH}:x:1`, `${HASH}:1:-1`, "nonsense"];
  const { restored, skipped, badLines } = imported(made, ["", ...bad, `${OTHER}:1:1`].join("\n"));
  expect({ restored, skipped, badLines }).toEqual({
    restored: 1,
    skipped: 5,
    badLines: [2, 3, 4, 5, 6],
  });
  expect(downloadsOf(made, HASH)).toBe(0);
});

test("a file that is larger than the memory is restored until memory is full", () => {
  const made = makeTracker(16 * MIB);
  const lines = Array.from(
    { length: 400_000 },
    (_, i) => `${i.toString(16).padStart(40, "0")}:1:1`,
  );
  const { restored, withoutRoom } = imported(made, lines.join("\n"));
  // Swarms without peers may take an eighth of it.
  expect(restored).toBeGreaterThan(50_000);
  expect(restored + withoutRoom).toBe(400_000);
});

test("a gzip file is decompressed, and a broken one ends the start", async () => {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-state-"));
  const path = join(folder, "state.gz");
  const packed = Bun.gzipSync(Buffer.from(`${HASH}:29354321:17\n`));
  const made = makeTracker();
  const log = { info() {}, warn() {} };
  writeFileSync(path, packed);
  await restoreAtStart(path, made.store, log);
  expect(downloadsOf(made, HASH)).toBe(17);
  expect(await countBadStateLines(path)).toBe(0);
  for (const broken of [packed.subarray(0, 20), Buffer.concat([packed.subarray(0, 12), packed])]) {
    writeFileSync(path, broken);
    await expect(restoreAtStart(path, made.store, log)).rejects.toThrow("cannot be unpacked");
  }
  rmSync(folder, { recursive: true });
});

test("a file is read at the start, and the result is logged", async () => {
  const made = makeTracker();
  const lines: string[] = [];
  const write = (message: string, fields: object = {}) =>
    void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log = { info: write, warn: write };
  const folder = mkdtempSync(join(tmpdir(), "buntracker-state-"));
  try {
    const file = join(folder, "state");
    writeFileSync(file, `${HASH}:29354321:5\nnonsense\n`);
    await restoreAtStart(file, made.store, log);
    expect(downloadsOf(made, HASH)).toBe(5);
    const counts = JSON.stringify({ file, restored: 1, withoutRoom: 0, skipped: 1 });
    const remedy = "their counters are lost: correct the lines and start again, if they matter";
    const skipped = { file, bad: 1, line_numbers: "2", remedy };
    expect(lines).toEqual([
      `download counters restored ${counts}`,
      `bad lines of the state file are skipped ${JSON.stringify(skipped)}`,
    ]);
    const missing = restoreAtStart(join(folder, "none"), made.store, log);
    await expect(missing).rejects.toThrow(/^the state file .* is not there$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Restores a file of these lines; returns it and the warnings. */
async function warnedOf(made: Made, lines: string[]) {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-state-"));
  const file = join(folder, "state");
  const warned: unknown[] = [];
  const log = {
    info() {},
    warn: (...told: unknown[]) => void warned.push(told),
  };
  try {
    writeFileSync(file, lines.join("\n"));
    await restoreAtStart(file, made.store, log);
    return { file, warned };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("counters without room cause a warning with the remedy", async () => {
  const made = makeTracker(16 * MIB);
  const hash = (i: number) => i.toString(16).padStart(40, "0");
  const lines = Array.from({ length: 400_000 }, (_, i) => `${hash(i)}:1:1`);
  const { file, warned } = await warnedOf(made, lines);
  const fields = { file, lost: expect.any(Number), remedy: "a larger TRACKER_MEMORY_MAX" };
  const message = "not all counters of the state file fit the memory";
  expect(warned).toEqual([[message, fields, "state_room"]]);
});

test("counters above the limit are set to it, with a warning", async () => {
  const made = makeTracker();
  const lines = [`${HASH}:1:2147483647`, `${OTHER}:1:2147483648`];
  const { file, warned } = await warnedOf(made, lines);
  expect([downloadsOf(made, HASH), downloadsOf(made, OTHER)]).toEqual([2147483647, 2147483647]);
  const message = "counters of the state file exceed the limit, which replaces them";
  const fields = { file, counters: 1, most: 2147483647 };
  expect(warned).toEqual([[message, fields, "state_cut"]]);
});

test("a file with bad lines only ends the start, and one without lines does not", async () => {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-state-"));
  const file = join(folder, "state");
  const log = { info() {}, warn() {} };
  writeFileSync(file, "<html>\n404\n</html>\n");
  const other = `the state file ${file} has bad lines only: 3, namely 1 2 3`;
  expect(restoreAtStart(file, makeTracker().store, log)).rejects.toThrow(other);
  await expect(countBadStateLines(file)).rejects.toThrow(other);
  writeFileSync(file, "\n \n");
  await restoreAtStart(file, makeTracker().store, log);
  rmSync(folder, { recursive: true });
});

test("bad lines can be counted without importing the others", async () => {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-state-"));
  const file = join(folder, "state");
  writeFileSync(file, `${HASH}:1:1\r\n\n nonsense\n${OTHER}:1:x\n${OTHER}:1:1`);
  expect(await countBadStateLines(file)).toBe(2);
  writeFileSync(file, "");
  expect(await countBadStateLines(file)).toBe(0);
  rmSync(folder, { recursive: true });
});

test("the parser agrees with a regular expression", () => {
  const LINE = /^([0-9a-f]{40}):\d+:(\d{1,15})$/i;
  const made = makeTracker();
  const odd = [":", "0", "9", "a", "F", "g", "/", "-", " ", "\t", "\x80", "\0"];
  const good = `${HASH}:29354321:17`;
  for (let at = 0; at <= good.length; at++) {
    for (const byte of odd) {
      for (const line of [good.slice(0, at) + byte + good.slice(at), good.slice(0, at) + byte]) {
        const isGood = LINE.test(line.trim()) ? 1 : 0;
        const { restored, skipped } = imported(made, line);
        expect([line, restored, restored + skipped]).toEqual([line, isGood, line.trim() ? 1 : 0]);
      }
    }
  }
  for (const digits of [1, 10, 15, 16]) {
    const { restored } = imported(made, `${OTHER}:1:${"1".repeat(digits)}`);
    expect([digits, restored]).toEqual([digits, digits > 15 ? 0 : 1]);
  }
});

test("a large file is read in pieces, compressed or not", async () => {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-state-"));
  const file = join(folder, "state");
  const hash = (i: number) => i.toString(16).padStart(40, "0");
  const lines = Array.from({ length: 30_000 }, (_, i) => `${hash(i)}:1:${1 + (i % 900)}`);
  const text = `${lines.join("\n")}\nbad\n`;
  for (const bytes of [Buffer.from(text), Bun.gzipSync(Buffer.from(text))]) {
    const made = makeTracker();
    writeFileSync(file, bytes);
    await restoreAtStart(file, made.store, { info() {}, warn() {} });
    for (const i of [0, 2900, 2901, 17_000, 29_999]) {
      expect(downloadsOf(made, hash(i))).toBe(1 + (i % 900));
    }
    expect(await countBadStateLines(file)).toBe(1);
  }
  rmSync(folder, { recursive: true });
});
