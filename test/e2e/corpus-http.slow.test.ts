/**
 * The slow HTTP lines of the corpus: connections that never send a whole request.
 *
 * All of them wait at the same time for the tracker's own time limits, about 12 seconds.
 */

import { expect, test } from "bun:test";
import { startTracker } from "./harness.ts";
import { readHttpCorpus, replayHttp } from "./replay-http.ts";

/** A client that never finishes its request must not hold a connection for longer. */
const HELD_MILLISECONDS_MAX = 30_000;

test("a connection without a whole request is refused or closed within half a minute", async () => {
  await using tracker = await startTracker();
  const slow = (await readHttpCorpus()).filter((record) => record.slow);
  const started = performance.now();
  const outcomes = await replayHttp({ host: "127.0.0.1", port: tracker.port }, slow);
  const deviations = outcomes.filter(({ problems }) => problems.length > 0);
  expect(deviations.map(({ record, problems }) => [record.id, ...problems])).toEqual([]);
  expect(outcomes.filter(({ got }) => got === "timeout")).toEqual([]);
  expect(performance.now() - started).toBeLessThan(HELD_MILLISECONDS_MAX);
}, 80_000);
