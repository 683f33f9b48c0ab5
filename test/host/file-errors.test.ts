/** Errors of files have a code for people, and each its own remedy. */
import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";

import {
  codeOf,
  handOverRemedy,
  notRead,
  readRemedy,
  writeRemedy,
} from "../../src/host/file-errors.ts";
import { notThis } from "../../src/host/plain-file.ts";

test("an error is known by its code", async () => {
  const reading = readFile("/nowhere/missing");
  expect(codeOf(await reading.catch((error: unknown) => error))).toBe("ENOENT");
  expect(codeOf(notThis("not a file"))).toBe("not a file");
  expect(codeOf("odd")).toBe("odd");
});

test.each([
  ["ENOSPC", "make room"],
  ["EDQUOT", "quota"],
  ["EROFS", "read-only"],
  ["EBUSY", "mount its folder"],
  ["EFBIG", "ulimit -f"],
  ["EMFILE", "ulimit -n"],
  ["EIO", "dmesg"],
  ["EACCES", "the tracker's user must own the file"],
  ["EPERM", "the tracker's user must own the file"],
  ["EPERM", "see lsattr"],
  ["there is a symbolic link of another user", "the tracker's user must own the file"],
])("a list that cannot be written for %s has a remedy of its own", (code, remedy) => {
  expect(writeRemedy(code)).toContain(remedy);
});

test("a file that is missing is not called unreadable", () => {
  expect(notRead("ENOENT")).toBe("is not there");
  expect(notRead("ENOTDIR")).toBe("is not there");
  expect(notRead("EACCES")).toBe("cannot be read (EACCES)");
});

test("a file that systemd hands over is there only while the service runs", () => {
  const file = "/run/credentials/buntracker.service/nats-password";
  expect(handOverRemedy(file, "ENOENT")).toContain("with LoadCredential");
  expect(handOverRemedy("/etc/nats-password", "ENOENT")).toContain("correct the path");
});

test("a file that cannot be read has the usual remedy, unless the reason is another", () => {
  expect(readRemedy("ENOENT")).toBe("correct the path, or create the file");
  expect(readRemedy("ELOOP")).toBe("check the path and its permissions");
  expect(readRemedy("ENOENT", "create it")).toBe("create it");
  expect(readRemedy("EACCES", "create it")).toContain("read it and search the folders above");
  expect(readRemedy("EMFILE")).toContain("ulimit -n");
  expect(readRemedy("EIO")).toContain("dmesg");
});
