/** Other programs can read the archives of a release, whose bytes depend only on their content. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  FILE_MODE,
  PROGRAM_MODE,
  tarArchive,
  zipArchive,
  type Entry,
} from "../../scripts/archives.ts";
import { unzip } from "./unzip.ts";

const scratch = mkdtempSync(join(tmpdir(), "archives-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** 2026-11-22 16:18:06 UTC. */
const TIME = 1795364286;

const file = (path: string, text: string, executable = false): Entry => ({
  path,
  bytes: new TextEncoder().encode(text),
  mode: executable ? PROGRAM_MODE : FILE_MODE,
});

const entries = [
  file("folder/program", "#!/bin/sh\n".repeat(100), true),
  file("folder/LICENSE", "MIT\n"),
  file("folder/empty", ""),
  file("folder/dist/block", "x".repeat(512)),
];

describe("a tar archive", () => {
  test("is read by tar, with contents, modes and times", () => {
    const path = join(scratch, "one.tar");
    writeFileSync(path, tarArchive(entries, TIME));
    const listed = Bun.spawnSync(["tar", "-tvf", path], { env: { ...process.env, TZ: "UTC" } });
    expect(listed.stdout.toString()).toContain("-rwxr-xr-x root/root");
    expect(listed.stdout.toString()).toContain("2026-11-22 16:18");
    const unpacked = Bun.spawnSync(["tar", "-xf", path, "-C", scratch]);
    expect(unpacked.stderr.toString()).toBe("");
    expect(unpacked.exitCode).toBe(0);
    for (const { path, bytes, mode } of entries) {
      expect(Buffer.from(bytes).equals(readFileSync(join(scratch, path)))).toBe(true);
      expect(statSync(join(scratch, path)).mode & 0o777).toBe(mode);
    }
  });

  test("has the bytes that POSIX requires", () => {
    const bytes = Buffer.from(tarArchive([file("a", "hello")], 0));
    expect(bytes.length).toBe(512 + 512 + 1024);
    expect(bytes.toString("latin1", 0, 2)).toBe("a\0");
    expect(bytes.toString("latin1", 100, 157)).toBe(
      "0000644\x000000000\x000000000\x0000000000005\x0000000000000\x00007713\0 0",
    );
    expect(bytes.toString("latin1", 257, 270)).toBe("ustar\x0000root\0");
    expect(bytes.toString("latin1", 512, 518)).toBe("hello\0");
  });
});

describe("a zip archive", () => {
  test("gives back contents, modes and the time in UTC", () => {
    const found = unzip(zipArchive(entries, TIME));
    expect(found.map(({ path }) => path)).toEqual([
      "folder/LICENSE",
      "folder/dist/block",
      "folder/empty",
      "folder/program",
    ]);
    for (const { path, bytes, mode } of entries) {
      const entry = found.find((candidate) => candidate.path === path)!;
      expect(Buffer.from(bytes).equals(entry.bytes)).toBe(true);
      expect(entry.mode).toBe(mode);
      expect(entry.time).toEqual([2026, 11, 22, 16, 18, 6]);
    }
  });

  test("packs", () => {
    const packed = zipArchive([file("a", "a".repeat(100_000))], TIME);
    expect(packed.length).toBeLessThan(1000);
  });

  test("of a time before 1980 has the earliest DOS date", () => {
    expect(unzip(zipArchive([file("a", "")], 0))[0].time).toEqual([1980, 1, 1, 0, 0, 0]);
  });
});

describe.each([
  ["tar", tarArchive],
  ["zip", zipArchive],
])("any archive: %s", (_, archive) => {
  test("has the same bytes whatever order its files are given in", () => {
    const bytes = archive(entries, TIME);
    expect(archive([...entries].reverse(), TIME)).toEqual(bytes);
    expect(archive(entries, TIME + 2)).not.toEqual(bytes);
  });

  test("refuses a path that is absolute, too long, not ASCII or repeated", () => {
    for (const path of ["/etc/passwd", "a".repeat(101), "ä", "a b", ""]) {
      expect(() => archive([file(path, "")], TIME)).toThrow("cannot be a path");
    }
    expect(() => archive([file("a", "1"), file("a", "2")], TIME)).toThrow("twice");
  });
});
