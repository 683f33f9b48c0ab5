import { expect, test } from "bun:test";
import { oneAtATime } from "../../src/start/one-at-a-time.ts";

test("any number of requests during a run cause one more run", async () => {
  let running = 0;
  let done = 0;
  const ask = oneAtATime(async () => {
    expect(++running).toBe(1);
    await Bun.sleep(10);
    running -= 1;
    done += 1;
  });
  ask();
  await Bun.sleep(2);
  for (let i = 0; i < 100; i++) ask();
  await Bun.sleep(50);
  expect(done).toBe(2);
  ask();
  await Bun.sleep(30);
  expect(done).toBe(3);
});
