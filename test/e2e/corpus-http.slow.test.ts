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

/** Lines that fail a check although the tracker is right: id and reason. Each must still fail. */
const DISPUTED: Record<string, string> = {
  "h-bare-lf": "505 refuses as well as 400 does: to Bun the version is what stands before CR LF",
  "h-lfcr": "505 refuses as well as 400 does: to Bun the version is what stands before CR LF",
};

test("a connection without a whole request is refused or closed within half a minute", async () => {
  await using tracker = await startTracker();
  const slow = (await readHttpCorpus()).filter((record) => record.slow);
  const started = performance.now();
  const outcomes = await replayHttp({ host: "127.0.0.1", port: tracker.port }, slow);
  const deviations = outcomes.filter(({ problems }) => problems.length > 0);
  const unexpected = deviations.filter(({ record }) => !(record.id in DISPUTED));
  expect(unexpected.map(({ record, problems }) => [record.id, ...problems])).toEqual([]);
  const disputed = deviations.filter(({ record }) => record.id in DISPUTED);
  expect(disputed.map(({ record, got }) => [record.id, got])).toEqual(
    Object.keys(DISPUTED).map((id) => [id, "http-5xx"]),
  );
  expect(outcomes.filter(({ got }) => got === "timeout")).toEqual([]);
  expect(performance.now() - started).toBeLessThan(HELD_MILLISECONDS_MAX);
}, 80_000);
