/** Prefixes of peer ids. */
import { expect, test } from "bun:test";

import { hasPrefix, readPeerIdPrefix } from "../../src/net/denied-clients.ts";
import { readConfig } from "../../src/config/config.ts";
import { text } from "../access/fixture.ts";

test.each([
  ["-XL", "2d584c"],
  ["-XL0012-", "2d584c303031322d"],
  ["%00%ff%Ab", "00ffab"],
  ["a%2Cb%25", "612c6225"],
  ["x".repeat(20), "78".repeat(20)],
  ["%2d".repeat(20), "2d".repeat(20)],
])("%s is a prefix", (written, hex) => {
  expect(readPeerIdPrefix(written)?.toHex()).toBe(hex);
});

test.each([[""], ["%"], ["%0"], ["%0g"], ["x".repeat(21)], ["a b"], ["é"], ["-XL*"], ["*"]])(
  "%j is not a prefix",
  (written) => {
    expect(readPeerIdPrefix(written)).toBeUndefined();
  },
);

test("a peer id has a prefix if it begins with the whole prefix", () => {
  const prefixes = [text("-XL"), text("M5-0-9--04ced8af43f0")];
  const has = (id: string) => hasPrefix(prefixes, text(`..${id}`), 2);
  expect(has("-XL0012-abcdefghijkl")).toBe(true);
  expect(has("M5-0-9--04ced8af43f0")).toBe(true);
  expect(has("-XM0012-abcdefghijkl")).toBe(false);
  expect(has("M5-0-9--04ced8af43f1")).toBe(false);
  expect(hasPrefix([], text("-XL0012-abcdefghijkl"), 0)).toBe(false);
});

test("a star is no wildcard, so it is refused with what to write instead", () => {
  for (const variable of ["TRACKER_DENY_CLIENTS", "TRACKER_ALLOW_CLIENTS"]) {
    expect(readConfig({ [variable]: "-qB*" })).toMatchObject({
      problems: [
        `${variable} is "-qB*", which has a star, but any ending matches: ` +
          "leave it out, or write %2A",
      ],
    });
  }
  expect(readPeerIdPrefix("-%2A")?.toHex()).toBe("2d2a");
});

test("the setting takes a comma-separated list, and the error names the wrong entry", () => {
  const read = (text: string) => readConfig({ TRACKER_DENY_CLIENTS: text });
  expect(read("-XL, M%2c")).toMatchObject({ config: { denyClients: ["-XL", "M%2c"] } });
  expect(read("")).toMatchObject({ config: { denyClients: [] } });
  expect(read("-XL,%zz")).toEqual({
    problems: [
      'TRACKER_DENY_CLIENTS is "-XL,%zz", where "%zz" is not the beginning of a peer id: ' +
        "write 1 to 20 characters, others as %00",
    ],
    origins: expect.anything(),
    understood: expect.anything(),
  });
});
