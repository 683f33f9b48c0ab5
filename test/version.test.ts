import { expect, test } from "bun:test";
import { versionLine } from "../src/version.ts";

test("the version line names version, commit, Bun and platform", () => {
  expect(versionLine()).toMatch(
    /^buntracker \d+\.\d+\.\d+ \([a-z0-9]+, bun \d+\.\d+\.\d+, [a-z0-9]+-[a-z0-9]+\)$/,
  );
});
