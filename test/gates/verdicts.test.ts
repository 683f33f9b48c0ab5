/** The table of verdicts: every one has what its client is told, and how it is counted. */
import { expect, test } from "bun:test";
import { REASONS, TRANSPORTS } from "../../src/counters/counters.ts";
import * as verdicts from "../../src/gates/verdicts.ts";

const { VERDICTS, isSilent, ...numbers } = verdicts;
const all: number[] = Object.values(numbers);

/** What the operator's rule says, or nothing. */
const WITHOUT_SENTENCE = [
  verdicts.VERDICT_OK,
  verdicts.VERDICT_RULE,
  verdicts.VERDICT_RULE_DROP,
] as number[];

test("each verdict has a row of its own", () => {
  expect(all.toSorted((a, b) => a - b)).toEqual([...VERDICTS.keys()]);
});

test("sentences are short, printable ASCII and unlike each other", () => {
  const told = VERDICTS.filter((_, verdict) => !WITHOUT_SENTENCE.includes(verdict));
  for (const { sentence } of told) expect(sentence).toMatch(/^[ -~]{10,120}$/);
  expect(new Set(told.map(({ sentence }) => sentence)).size).toBe(told.length);
  for (const verdict of WITHOUT_SENTENCE) expect(VERDICTS[verdict].sentence).toBe("");
});

test("a client may never come back, or in minutes, or is told nothing of that", () => {
  for (const { retryIn } of VERDICTS) expect(retryIn).toMatch(/^(never|[1-9][0-9]*|)$/);
  expect(VERDICTS[verdicts.VERDICT_DENIED].retryIn).toBe("never");
  expect(VERDICTS[verdicts.VERDICT_MAINTENANCE].retryIn).toBe("15");
});

test("only a rule can drop a request without a word", () => {
  const silent = [...VERDICTS.keys()].filter(isSilent);
  expect(silent).toEqual([verdicts.VERDICT_RULE_DROP]);
});

test("every transport has a counter for every reason that the gates may give", () => {
  const given = new Set(VERDICTS.map(({ reason }) => reason));
  for (const transport of TRANSPORTS) {
    for (const reason of given) expect(REASONS[transport]).toContain(reason as never);
  }
});
