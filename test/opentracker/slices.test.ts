import { expect, test } from "bun:test";
import { walkAll } from "../../src/opentracker/slices.ts";
import { announce, makeTracker } from "../swarm/fixture.ts";

test("long work leaves the event loop its turns", async () => {
  const { tracker } = makeTracker();
  for (let infoHash = 1; infoHash <= 200; infoHash++) announce(tracker, { infoHash });
  let turns = 0;
  let visited = 0;
  const timer = setInterval(() => turns++, 1);
  await walkAll(tracker, () => {
    visited += 1;
    // Half a millisecond of work that counts for a whole slice.
    for (const end = performance.now() + 0.5; performance.now() < end;);
    return 500;
  });
  clearInterval(timer);
  expect(visited).toBe(200);
  expect(turns).toBeGreaterThan(20);
});
