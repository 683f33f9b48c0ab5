/** What is mapped into this process. */
import { expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";
import { findLibc, ownCode } from "../../src/host/mapped.ts";

const isLinux = process.platform === "linux";

test("the C library is a file that is there, by its whole path", () => {
  const path = findLibc();
  expect(path !== undefined).toBe(isLinux);
  if (path === undefined) return;
  expect(path).toMatch(/^\/.*(libc|musl)/);
  expect(existsSync(path)).toBe(true);
});

test.if(isLinux)("our own code and constants are parts of our executable", () => {
  const parts = ownCode()!;
  expect(parts.length).toBeGreaterThan(0);
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  expect(size).toBeGreaterThan(2 ** 20);
  expect(size).toBeLessThanOrEqual(statSync(process.execPath).size + 2 ** 20);
  for (const { start } of parts) expect(Number(start) % 4096).toBe(0);
});
