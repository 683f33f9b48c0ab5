/**
 * The UDP corpus against the compiled binary: every line, over both families where it can be.
 *
 * Where a step allows several answers, `DECIDED` says which ones are ours if they are not those
 * the line recommends; the class of every step is therefore fixed. A line we hold to be wrong
 * would stand in `DISPUTED` with the reason. Neither table can go stale: an entry that no longer
 * differs fails, too.
 */

import { describe, expect, test } from "bun:test";
import { SETTINGS, startTracker } from "./harness.ts";
import {
  isFamilyNeutral,
  readUdpCorpus,
  replayUdp,
  type UdpClass,
  type UdpOutcome,
} from "./replay-udp.ts";

/** Lines that fail a check although the tracker is right: id and reason. */
const DISPUTED: Record<string, string> = {};

/** Our answers, step by step, where they are acceptable but not the recommended ones. */
const DECIDED: Record<string, UdpClass[]> = {
  // An unknown action from a proven address: an error says more than silence.
  "act-4": ["error"],
  "act-5": ["error"],
  "act-1000000": ["error"],
  "act-ffffffff": ["error"],
  // An incomplete hash is ignored, and the rest is a scrape without hashes.
  "scr-partial-4": ["scrape-response"],
};

const TIMEOUT_MILLISECONDS = 30_000;

const quick = (await readUdpCorpus()).filter((record) => !record.slow);
const neutral = quick.filter(isFamilyNeutral);

describe.each(Object.entries(SETTINGS))("with %s", (_name, env) => {
  test(
    "every UDP line of the corpus gets the right answer",
    async () => {
      await using tracker = await startTracker({ env });
      expectDecided(await replayUdp(tracker.port, 4, quick));
    },
    TIMEOUT_MILLISECONDS,
  );

  test(
    "every UDP line that does not depend on the family gets the same answer over IPv6",
    async () => {
      await using tracker = await startTracker({ env });
      expectDecided(await replayUdp(tracker.port, 6, neutral));
    },
    TIMEOUT_MILLISECONDS,
  );
});

test("the tables of exceptions name lines that exist", () => {
  const ids = new Set(quick.map((record) => record.id));
  const named = [...Object.keys(DISPUTED), ...Object.keys(DECIDED)];
  expect(named.filter((id) => !ids.has(id))).toEqual([]);
});

test("most UDP lines do not depend on the family", () => {
  expect(neutral.length).toBeGreaterThan(120);
});

function expectDecided(outcomes: readonly UdpOutcome[]): void {
  const unexpected = outcomes.filter(
    ({ record, problems }) => problems.length > 0 && !(record.id in DISPUTED),
  );
  const stale = outcomes.filter(
    ({ record, problems }) => problems.length === 0 && record.id in DISPUTED,
  );
  expect(unexpected.map(({ record, problems }) => [record.id, ...problems])).toEqual([]);
  expect(stale.map(({ record }) => record.id)).toEqual([]);
  const replayed = new Set(outcomes.map(({ record }) => record.id));
  const decided = Object.entries(DECIDED).filter(([id]) => replayed.has(id));
  const differing = outcomes.filter(({ record, got }) => {
    return record.steps.some((step, index) => step.expect !== got[index]);
  });
  expect(Object.fromEntries(differing.map(({ record, got }) => [record.id, got]))).toEqual(
    Object.fromEntries(decided),
  );
}
