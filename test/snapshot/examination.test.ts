/** What `buntracker check` says of a snapshot. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { examineSnapshot } from "../../src/snapshot/examination.ts";
import { makeTracker } from "../swarm/fixture.ts";
import { makeFolder, write } from "./fixture.ts";

test("no file and a whole one are no mistakes, and neither is changed", async () => {
  using folder = makeFolder();
  expect(examineSnapshot(folder.file)).toEqual([]);
  await write(makeTracker().store, folder.file);
  const before = readFileSync(folder.file);
  expect(examineSnapshot(folder.file)).toEqual([]);
  expect(readFileSync(folder.file).equals(before)).toBe(true);
});

test("a file that would not be used is named, with the reason and what helps", () => {
  using folder = makeFolder();
  writeFileSync(folder.file, "hello", { mode: 0o600 });
  expect(examineSnapshot(folder.file)).toEqual([
    `the snapshot would not be used: ${folder.file} is no snapshot of swarms ` +
      "(remedy: it is left alone: move it away, or name another file)",
  ]);
});

test("foreign files under both names are what would end the start", () => {
  using folder = makeFolder();
  writeFileSync(folder.file, "hello", { mode: 0o600 });
  writeFileSync(`${folder.file}.v1`, "", { mode: 0o600 });
  expect(examineSnapshot(folder.file)).toHaveLength(1);
  writeFileSync(`${folder.file}.v1`, "hello");
  expect(() => examineSnapshot(folder.file)).toThrow("is no snapshot of swarms, too");
  writeFileSync(folder.file, "");
  expect(examineSnapshot(folder.file)).toHaveLength(1);
});

test("a device, a FIFO and a folder are no place for a snapshot, whatever links to them", () => {
  using folder = makeFolder();
  symlinkSync("/dev/null", folder.file);
  for (const path of ["/dev/null", folder.file, folder.path]) {
    expect(() => examineSnapshot(path)).toThrow("which cannot be written (it is no plain file)");
  }
});

test("a folder that cannot be written to is what would end the start", () => {
  using folder = makeFolder();
  const path = join(folder.path, "no", "swarms");
  expect(() => examineSnapshot(path)).toThrow("whose folder does not exist");
});

test.if(!existsSync("/run/buntracker"))(
  "a folder that the unit makes may be missing before it",
  () => {
    expect(examineSnapshot("/run/buntracker/swarms")).toEqual([
      "/run/buntracker does not exist: the unit of systemd makes it when it starts the tracker; " +
        "without the unit, create it for the tracker's user",
    ]);
    expect(() => examineSnapshot("/run/buntracker/deeper/swarms")).toThrow("does not exist");
  },
);
