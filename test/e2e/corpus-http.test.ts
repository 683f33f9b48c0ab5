/**
 * The HTTP corpus against the compiled binary: every line, over both families.
 *
 * Where a line allows several answers, `DECIDED` says which one is ours if it is not the one the
 * line recommends; the class of every line is therefore fixed. A line we hold to be wrong would
 * stand in `DISPUTED` with the reason. Neither table can go stale: an entry that no longer
 * differs fails, too.
 */

import { describe, expect, test } from "bun:test";
import { type Environment, SETTINGS, startTracker } from "./harness.ts";
import { readHttpCorpus, replayHttp, type HttpClass, type HttpOutcome } from "./replay-http.ts";

/** Lines that fail a check although the tracker is right: id and reason. */
const DISPUTED: Record<string, string> = {};

/** Our answer where it is acceptable but not the recommended one. */
const DECIDED: Record<string, HttpClass> = {
  // A peer is an address and a port; its id is not needed.
  "e-pid-missing": "ok-announce",
  // A value that is not a number means a leecher, which gets peers of both kinds.
  "v-left-abc": "ok-announce",
  "v-left-float": "ok-announce",
  "v-left-undefined": "ok-announce",
  // Anything may stand before or behind the name, and with an info hash /a is enough.
  "p-dotdot": "ok-announce",
  "p-passkey": "ok-announce",
  "p-stats-injection": "ok-announce",
  "p-root": "http-200-other",
  // HEAD is GET without the body.
  "h-m-HEAD": "http-200-other",
  // Both fit the 16 KiB a request head may have.
  "h-hdr-big": "ok-announce",
  "h-uri-9k": "ok-announce",
  // A head that is too large gets an answer before the connection closes.
  "h-hdr-2m": "http-4xx",
  // A path in the host, control bytes and folded lines: two parsers could understand them
  // differently.
  "a-ua-ansi": "http-4xx",
  "h-host-evil": "http-4xx",
  "h-obsfold": "http-4xx",
};

const TIMEOUT_MILLISECONDS = 30_000;

const records = await readHttpCorpus();
const quick = records.filter((record) => !record.slow);

/** The corpus is from untrusted clients, which may not have a full scrape. */
const asStranger = (env: Environment): Environment => ({ TRACKER_FULLSCRAPE_NETWORKS: "", ...env });

describe.each(Object.entries(SETTINGS))("with %s", (_name, env) => {
  test(
    "every HTTP line of the corpus gets the right answer over IPv4",
    async () => {
      await using tracker = await startTracker({ env: asStranger(env) });
      const outcomes = await replayHttp(
        { host: "127.0.0.1", port: tracker.port },
        quick.filter((record) => record.family !== 6),
      );
      expectDecided(outcomes);
    },
    TIMEOUT_MILLISECONDS,
  );

  test(
    "every HTTP line of the corpus gets the same answer over IPv6",
    async () => {
      await using tracker = await startTracker({ env: asStranger(env) });
      const outcomes = await replayHttp({ host: "::1", port: tracker.port }, quick);
      expectDecided(outcomes);
    },
    TIMEOUT_MILLISECONDS,
  );
});

test("the tables of exceptions name lines that exist", () => {
  const ids = new Set(quick.map((record) => record.id));
  const named = [...Object.keys(DISPUTED), ...Object.keys(DECIDED)];
  expect(named.filter((id) => !ids.has(id))).toEqual([]);
});

function expectDecided(outcomes: readonly HttpOutcome[]): void {
  const unexpected = outcomes.filter(
    ({ record, problems }) => problems.length > 0 && !(record.id in DISPUTED),
  );
  const stale = outcomes.filter(
    ({ record, problems }) => problems.length === 0 && record.id in DISPUTED,
  );
  expect(unexpected.map(({ record, problems }) => [record.id, ...problems])).toEqual([]);
  expect(stale.map(({ record }) => record.id)).toEqual([]);
  const differing = outcomes.filter(({ record, got }) => got !== record.expect);
  expect(Object.fromEntries(differing.map(({ record, got }) => [record.id, got]))).toEqual(DECIDED);
}
