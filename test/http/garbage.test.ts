import { expect, test } from "bun:test";
import { Garbage, GARBAGE_BYTES_MAX } from "../../src/http/garbage.ts";

test("garbage is collected each time so many bytes have come, and not before", () => {
  let collections = 0;
  const garbage = new Garbage(() => (collections += 1));
  const seen: number[] = [];
  for (const bytes of [GARBAGE_BYTES_MAX, 1, GARBAGE_BYTES_MAX, 1, 1]) {
    garbage.note(bytes);
    seen.push(collections);
  }
  expect(seen).toEqual([0, 1, 1, 2, 2]);
});
