import { expect, test } from "bun:test";
import { oneAtATime } from "../../src/start/one-at-a-time.ts";

test("any number of requests during a run cause one more run", async () => {
  const runs: PromiseWithResolvers<void>[] = [];
  const ask = oneAtATime(() => {
    const run = Promise.withResolvers<void>();
    runs.push(run);
    return run.promise;
  });
  /** Everything that is ready has been done. */
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  ask();
  await settled();
  for (let i = 0; i < 100; i++) ask();
  await settled();
  expect(runs.length).toBe(1);
  runs[0]!.resolve();
  await settled();
  expect(runs.length).toBe(2);
  runs[1]!.resolve();
  await settled();
  expect(runs.length).toBe(2);
  ask();
  await settled();
  expect(runs.length).toBe(3);
});
