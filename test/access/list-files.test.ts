/** The files of the access lists, read as a whole. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { codeOf, readHashList, readNetworkList } from "../../src/access/list-files.ts";
import { StartError } from "../../src/host/start-error.ts";
import { hashOf, KEYS } from "./fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "buntracker-list-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("without a path there is no list", async () => {
  expect(await readHashList("TRACKER_DENY_FILE", undefined, KEYS)).toBeUndefined();
  expect(await readNetworkList("TRACKER_DENY_NETWORKS_FILE", undefined)).toBeUndefined();
});

test("a list comes with its path and its bad lines", async () => {
  const hashes = join(folder, "hashes");
  writeFileSync(hashes, `${hashOf(1).toHex()}\nnonsense\n${hashOf(2).toHex()}\n`);
  const read = (await readHashList("TRACKER_DENY_FILE", hashes, KEYS))!;
  expect([read.path, read.list.size, read.bad]).toEqual([hashes, 2, { count: 1, first: [2] }]);
  const networks = join(folder, "networks");
  writeFileSync(networks, "192.0.2.0/24\n");
  expect((await readNetworkList("TRACKER_DENY_NETWORKS_FILE", networks))!.list.size).toBe(1);
});

test("a list longer than a piece has each hash, and the right numbers of bad lines", async () => {
  const path = join(folder, "long");
  const lines = Array.from({ length: 10_000 }, (_, n) => hashOf(n).toHex());
  lines[4999] = "bad";
  lines[9999] = "bad";
  writeFileSync(path, lines.join("\r\n"));
  const { list, bad } = (await readHashList("TRACKER_DENY_FILE", path, KEYS))!;
  expect([list.size, bad]).toEqual([9998, { count: 2, first: [5000, 10_000] }]);
  const networks = Array.from({ length: 20_000 }, (_, n) => `10.${n >> 8}.${n & 255}.0/25`);
  networks[19_999] = "bad";
  writeFileSync(path, networks.join("\n"));
  const read = (await readNetworkList("TRACKER_DENY_NETWORKS_FILE", path))!;
  expect([read.list.size, read.bad]).toEqual([19_999, { count: 1, first: [20_000] }]);
});

test("a file that cannot be read is an error with the variable and the reason", async () => {
  const missing = join(folder, "missing");
  const reading = readHashList("TRACKER_ALLOW_FILE", missing, KEYS);
  expect(reading).rejects.toBeInstanceOf(StartError);
  expect(reading).rejects.toThrow(
    `TRACKER_ALLOW_FILE is ${missing}, which cannot be read (ENOENT)`,
  );
  expect(readNetworkList("TRACKER_DENY_NETWORKS_FILE", "/dev/null")).rejects.toThrow("not a file");
});

test("an error is known by its code", async () => {
  const reading = readFile(join(folder, "missing"));
  expect(codeOf(await reading.catch((error: unknown) => error))).toBe("ENOENT");
  expect(codeOf("odd")).toBe("odd");
});
