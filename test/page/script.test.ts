/** The script inserts texts, and nothing else. The tests in a browser are in e2e. */
import { expect, test } from "bun:test";

import { SCRIPT } from "../../src/page/script.ts";

test("it is a program", () => {
  expect(() => new Function(SCRIPT)).not.toThrow();
});

test("it inserts values as text", () => {
  expect(SCRIPT).not.toMatch(/innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function/);
});

test("it fetches only its feed, relative to the page", () => {
  expect([...SCRIPT.matchAll(/fetch\(([^,)]*)/g)].map(([, what]) => what)).toEqual(['"live"']);
  expect(SCRIPT).not.toMatch(/https?:|\/\//);
});

test("it cannot end its element", () => {
  expect(SCRIPT).not.toMatch(/<\/|<!--/);
});
