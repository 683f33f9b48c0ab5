/** Small files that settings name: read completely, or refused at once. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHANGED, mustBeSteady, readSmallFile } from "../../src/host/plain-file.ts";

const folder = mkdtempSync(join(tmpdir(), "plain-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The code of the error for the file. */
function codeOf(path: string): string | undefined {
  try {
    readSmallFile(path);
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

test("a file is read as UTF-8, also through a link and when it is empty", () => {
  const path = join(folder, "file");
  const link = join(folder, "link");
  writeFileSync(path, "zażółć\n");
  symlinkSync(path, link);
  expect([readSmallFile(path), readSmallFile(link)]).toEqual(["zażółć\n", "zażółć\n"]);
  writeFileSync(path, "");
  expect(readSmallFile(path)).toBe("");
});

test("a folder, a device and a pipe without a writer are refused without waiting", () => {
  const pipe = join(folder, "pipe");
  Bun.spawnSync(["mkfifo", pipe]);
  for (const path of [folder, "/dev/zero", "/dev/null", pipe]) {
    expect([path, codeOf(path)]).toEqual([path, "not a file"]);
  }
});

test("a socket is refused with the system's error", async () => {
  const socket = join(folder, "socket");
  const listener = Bun.listen({ unix: socket, socket: { data() {} } });
  expect(codeOf(socket)).toMatch(/^(ENXIO|EOPNOTSUPP)$/);
  listener.stop(true);
});

test("a mebibyte is read, and a byte more is not", () => {
  const path = join(folder, "large");
  writeFileSync(path, "");
  truncateSync(path, 2 ** 20);
  expect(readSmallFile(path)).toHaveLength(2 ** 20);
  truncateSync(path, 2 ** 20 + 1);
  expect(codeOf(path)).toBe("over 1MiB");
  truncateSync(path, 2 ** 40);
  expect(codeOf(path)).toBe("over 1MiB");
});

test("a file is steady if neither its size nor its time have changed", () => {
  const path = join(folder, "steady");
  writeFileSync(path, "one");
  const before = statSync(path, { bigint: true });
  mustBeSteady(before, statSync(path, { bigint: true }));
  writeFileSync(path, "three");
  expect(() => mustBeSteady(before, statSync(path, { bigint: true }))).toThrow(CHANGED);
});
