import { expect, test } from "bun:test";
import { Garbage, GARBAGE_BYTES_MAX } from "../../src/host/garbage.ts";

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

test("nobody waits for a collection, however much is alive", () => {
  const alive = Array.from({ length: 400_000 }, (_, at) => ({ at: { at } }));
  const garbage = new Garbage();
  const times = Array.from({ length: 5 }, () => {
    const begun = performance.now();
    garbage.note(GARBAGE_BYTES_MAX + 1);
    return performance.now() - begun;
  });
  expect(Math.min(...times)).toBeLessThan(2);
  expect(alive.length).toBe(400_000);
});
