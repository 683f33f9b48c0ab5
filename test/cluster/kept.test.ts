/** The ledger in a snapshot, there and back. */
import { expect, test } from "bun:test";
import { keptBytes, type KeptOrigin, readKept } from "../../src/cluster/kept.ts";
import { KNOWN_MAX } from "../../src/cluster/wire.ts";
import { NOTES_BYTES_MAX } from "../../src/snapshot/format.ts";

const ONE: KeptOrigin = {
  ...{ origin: "0123456789abcdef", number: 4_000_000_000, heard: 4_000_000_009 },
  ...{ ageSeconds: 90_000, wholeSeconds: 0, namedSeconds: 3 },
};
const UNKNOWN = { origin: "f".repeat(16), number: 1, heard: 1, namedSeconds: 0 };
const KEPT = { behind: true, origins: [ONE, { ...UNKNOWN, wholeSeconds: Infinity }] };

test("it is read as it was written, with what is not known", () => {
  expect(readKept(keptBytes(KEPT))).toEqual(KEPT);
  expect(readKept(keptBytes({ behind: false, origins: [] }))).toEqual({
    behind: false,
    origins: [],
  });
});

test("its times are rounded up, so that nothing is taken for younger than it is", () => {
  const origins = [{ ...ONE, ageSeconds: 0.1, wholeSeconds: 1.5, namedSeconds: 2 }];
  expect(readKept(keptBytes({ behind: false, origins }))!.origins).toEqual([
    { ...ONE, ageSeconds: 1, wholeSeconds: 2, namedSeconds: 2 },
  ]);
});

test("as many origins as there can be fit the notes of a snapshot", () => {
  const origins = Array.from({ length: KNOWN_MAX + 9 }, () => ONE);
  const bytes = keptBytes({ behind: false, origins });
  expect(bytes.length).toBeLessThanOrEqual(NOTES_BYTES_MAX);
  expect(readKept(bytes)!.origins.length).toBe(KNOWN_MAX + 1);
});

test("of any other length it is damaged", () => {
  const bytes = keptBytes(KEPT);
  for (let length = 0; length < bytes.length; length++) {
    expect(readKept(bytes.subarray(0, length))).toBeUndefined();
  }
  expect(readKept(Buffer.concat([bytes, new Uint8Array(28)]))).toBeUndefined();
});
