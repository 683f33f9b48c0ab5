/** The script: a program that puts texts in places, and nothing else. See e2e for a browser. */
import { expect, test } from "bun:test";

import { SCRIPT } from "../../src/page/script.ts";

test("it is a program", () => {
  expect(() => new Function(SCRIPT)).not.toThrow();
});

test("what it is told stays text", () => {
  expect(SCRIPT).not.toMatch(/innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function/);
});

test("it asks for nothing but its feed, relative to the page", () => {
  expect([...SCRIPT.matchAll(/fetch\(([^,)]*)/g)].map(([, what]) => what)).toEqual(['"live"']);
  expect(SCRIPT).not.toMatch(/https?:|\/\//);
});

test("it cannot end its element", () => {
  expect(SCRIPT).not.toMatch(/<\/|<!--/);
});
