/** The style loads no font, image or sheet, and has both colour schemes. */
import { expect, test } from "bun:test";

import { STYLE } from "../../src/page/style.ts";

test("nothing is loaded from other servers", () => {
  expect(STYLE).not.toMatch(/@import|@font-face|url\(|http/);
});

test("every colour of the light scheme has a dark one", () => {
  const [light, dark] = [...STYLE.matchAll(/:root\{([^}]*)\}/g)].map(([, inside]) =>
    [...inside.matchAll(/--\w+/g)].map(([name]) => name),
  );
  expect(light.length).toBeGreaterThan(5);
  expect(dark).toEqual(light);
});

test("every colour that is used has a name, and every name is used", () => {
  const named = new Set([...STYLE.matchAll(/(--\w+):/g)].map(([, name]) => name));
  const used = new Set([...STYLE.matchAll(/var\((--\w+)\)/g)].map(([, name]) => name));
  expect([...used].sort()).toEqual([...named].sort());
});

test("it cannot end its element, and its brackets are closed", () => {
  expect(STYLE).not.toContain("<");
  expect(STYLE.split("{").length).toBe(STYLE.split("}").length);
});
