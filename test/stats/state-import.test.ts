import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { countBadStateLines, importState, restoreAtStart } from "../../src/stats/state-import.ts";
import { makeTracker, MIB } from "../swarm/fixture.ts";

const HASH = "7E9903517DD792130E2A7A1AE9A62CF2DEE3CB80";
const OTHER = "00000000000000000000000000000000000000ff";

type Made = ReturnType<typeof makeTracker>;

function downloadsOf({ tracker }: Made, hex: string): number {
  tracker.request.infoHash.setFromHex(hex);
  tracker.scrape();
  return tracker.reply.downloads;
}

const imported = (made: Made, text: string) => importState(text, made.tracker, made.memory, 0);

test("each line restores a counter, whatever its case and line end", () => {
  const made = makeTracker();
  const text = `${HASH}:29354321:17\r\n\n${OTHER}:0:3`;
  expect(imported(made, text)).toEqual({ restored: 2, withoutRoom: 0, skipped: 0, badLines: [] });
  expect(downloadsOf(made, HASH)).toBe(17);
  expect(downloadsOf(made, OTHER)).toBe(3);
});

test("importing again does not double anything", () => {
  const made = makeTracker();
  for (let i = 0; i < 3; i++) imported(made, `${HASH}:29354321:7\n`);
  expect(downloadsOf(made, HASH)).toBe(7);
});

test("bad lines are skipped and told by their numbers, and make no swarms", () => {
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

test("a file that is larger than the memory is restored as far as there is room", () => {
  const made = makeTracker(16 * MIB);
  const lines = Array.from(
    { length: 400_000 },
    (_, i) => `${i.toString(16).padStart(40, "0")}:1:1`,
  );
  const { restored, withoutRoom } = imported(made, lines.join("\n"));
  expect(restored).toBeGreaterThan(100_000);
  expect(restored + withoutRoom).toBe(400_000);
});

test("a file that gzip has packed is unpacked, and one that is broken ends the start", () => {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-state-"));
  const path = join(folder, "state.gz");
  const packed = Bun.gzipSync(Buffer.from(`${HASH}:29354321:17\n`));
  const made = makeTracker();
  const log = { info() {}, warn() {} };
  writeFileSync(path, packed);
  restoreAtStart(path, made.memory, log);
  expect(downloadsOf(made, HASH)).toBe(17);
  writeFileSync(path, packed.subarray(0, 20));
  expect(() => restoreAtStart(path, made.memory, log)).toThrow("cannot be unpacked");
  rmSync(folder, { recursive: true });
});

test("a file is read at the start, and what became of it is logged", () => {
  const made = makeTracker();
  const lines: string[] = [];
  const write = (message: string, fields: object = {}) =>
    void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log = { info: write, warn: write };
  const folder = mkdtempSync(join(tmpdir(), "buntracker-state-"));
  try {
    const file = join(folder, "state");
    writeFileSync(file, `${HASH}:29354321:5\nnonsense\n`);
    restoreAtStart(file, made.memory, log);
    expect(downloadsOf(made, HASH)).toBe(5);
    const counts = JSON.stringify({ file, restored: 1, withoutRoom: 0, skipped: 1 });
    expect(lines).toEqual([
      `download counters restored ${counts}`,
      `lines of the state file make no sense ${JSON.stringify({ file, first: "2" })}`,
    ]);
    const missing = () => restoreAtStart(join(folder, "none"), made.memory, log);
    expect(missing).toThrow(/^the state file .* cannot be read: ENOENT$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("counters that found no room are warned of, with the remedy", () => {
  const made = makeTracker(16 * MIB);
  const folder = mkdtempSync(join(tmpdir(), "buntracker-state-"));
  const warned: unknown[] = [];
  const log = {
    info() {},
    warn: (...told: unknown[]) => void warned.push(told),
  };
  try {
    const file = join(folder, "state");
    const hash = (i: number) => i.toString(16).padStart(40, "0");
    const lines = Array.from({ length: 400_000 }, (_, i) => `${hash(i)}:1:1`);
    writeFileSync(file, lines.join("\n"));
    restoreAtStart(file, made.memory, log);
    const fields = { file, lost: expect.any(Number), remedy: "a larger TRACKER_MEMORY_MAX" };
    const message = "there is no room for all of the state file";
    expect(warned).toEqual([[message, fields, "state_room"]]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("bad lines can be counted without importing the others", () => {
  expect(countBadStateLines(`${HASH}:1:1\r\n\n nonsense\n${OTHER}:1:x\n${OTHER}:1:1`)).toBe(2);
  expect(countBadStateLines("")).toBe(0);
});
