/** The files of the access lists, read as a whole. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readHashList, readNetworkList } from "../../src/access/list-files.ts";
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
  expect(reading).rejects.toThrow(`TRACKER_ALLOW_FILE is ${missing}, which is not there`);
  expect(readNetworkList("TRACKER_DENY_NETWORKS_FILE", "/dev/null")).rejects.toThrow("not a file");
});

describe("a file with bad lines only", () => {
  const page = "<html>\r\n<title>502 Bad Gateway</title>\r\n\r\n</html>\r\n";
  const packed = Bun.gzipSync(Buffer.from(`${hashOf(1).toHex()}\n`));
  const one = { wrong: "has bad lines only: 3, namely 1 2 4", text: page };

  test.each([
    ["the page of a web server", one],
    ["a list packed by gzip", { wrong: /has bad lines only: \d+, namely 1/, text: packed }],
    ["a single word", { wrong: "has bad lines only: 1, namely 1", text: "no" }],
    ["text in UTF-16", { wrong: "has bad lines only", text: Buffer.from("# a\n10", "utf16le") }],
  ])("is refused, since it would empty the list: %s", async (_name, { wrong, text }) => {
    const path = join(folder, "other");
    writeFileSync(path, text);
    // One after the other: a promise that nobody awaits yet must not be rejected.
    const hashes = () => readHashList("TRACKER_ALLOW_FILE", path, KEYS);
    const networks = () => readNetworkList("TRACKER_DENY_NETWORKS_FILE", path);
    for (const read of [hashes, networks]) {
      const error = (await read().catch((reason: unknown) => reason)) as StartError;
      expect(error).toBeInstanceOf(StartError);
      expect(error.message).toMatch(wrong);
      expect(error.hint).toBe("check whether it is the right file; one that is empty is allowed");
    }
    expect(hashes()).rejects.toThrow(`TRACKER_ALLOW_FILE is ${path}, which has bad lines only`);
  });

  test("is not one of blanks and comments, which is an empty list", async () => {
    const path = join(folder, "emptied");
    for (const text of ["", "\n", "# none\n", " \t\r\n\n  # none any more", "\ufeff# none\n"]) {
      writeFileSync(path, text);
      expect((await readHashList("TRACKER_DENY_FILE", path, KEYS))!.list.size).toBe(0);
      const networks = await readNetworkList("TRACKER_DENY_NETWORKS_FILE", path);
      expect(networks!.list.size).toBe(0);
    }
  });
});
