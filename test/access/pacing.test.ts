/** Long work gives way. */
import { expect, test } from "bun:test";

import { runInSlices, type Sliced } from "../../src/access/pacing.ts";

function* busy(milliseconds: number, steps: number): Sliced<string> {
  for (let step = 0; step < steps; step++) {
    const end = performance.now() + milliseconds;
    while (performance.now() < end);
    yield;
  }
  return "done";
}

test("the event loop has its turn every few milliseconds", async () => {
  let turns = 0;
  let watching = true;
  const watch = () => {
    turns += 1;
    if (watching) setImmediate(watch);
  };
  watch();
  expect(await runInSlices(busy(0.5, 80))).toBe("done");
  watching = false;
  expect(turns).toBeGreaterThan(8);
});

test("what the work throws is told", async () => {
  function* failing(): Sliced<void> {
    yield;
    throw new Error("no room");
  }
  await expect(runInSlices(failing())).rejects.toThrow("no room");
});
