/** The table of verdicts: each has a sentence for the client and a metric label. */
import { expect, test } from "bun:test";
import { REASONS, TRANSPORTS } from "../../src/counters/counters.ts";
import * as verdicts from "../../src/gates/verdicts.ts";

const { VERDICTS, isSilent, ...numbers } = verdicts;
const all: number[] = Object.values(numbers);

/** Verdicts without a sentence, or with that of the operator's rule. */
const WITHOUT_SENTENCE = [
  verdicts.VERDICT_OK,
  verdicts.VERDICT_RULE,
  verdicts.VERDICT_RULE_DROP,
] as number[];

test("each verdict has its own row", () => {
  expect(all.toSorted((a, b) => a - b)).toEqual([...VERDICTS.keys()]);
});

test("sentences are short, printable ASCII and all different", () => {
  const told = VERDICTS.filter((_, verdict) => !WITHOUT_SENTENCE.includes(verdict));
  for (const { sentence } of told) expect(sentence).toMatch(/^[ -~]{10,120}$/);
  expect(new Set(told.map(({ sentence }) => sentence)).size).toBe(told.length);
  for (const verdict of WITHOUT_SENTENCE) expect(VERDICTS[verdict].sentence).toBe("");
});

test('the retry time is a number of minutes, "never" or empty', () => {
  for (const { retryIn } of VERDICTS) expect(retryIn).toMatch(/^(never|[1-9][0-9]*|)$/);
  expect(VERDICTS[verdicts.VERDICT_DENIED].retryIn).toBe("never");
  expect(VERDICTS[verdicts.VERDICT_MAINTENANCE].retryIn).toBe("15");
});

// docs/protocol.md says so.
test("only malformed requests, addresses and rules leave the retry time out", () => {
  const without = VERDICTS.filter(({ retryIn }) => retryIn === "").map(({ reason }) => reason);
  expect([...new Set(without)].toSorted()).toEqual(["address", "query", "rule"]);
  const timed = VERDICTS.filter(({ retryIn }) => retryIn !== "").map(({ reason }) => reason);
  for (const reason of ["address", "query", "rule"] as const) expect(timed).not.toContain(reason);
});

test("only a rule can drop a request without a sentence", () => {
  const silent = [...VERDICTS.keys()].filter(isSilent);
  expect(silent).toEqual([verdicts.VERDICT_RULE_DROP]);
});

test("every transport has a counter for every reason of the gates", () => {
  const given = new Set(VERDICTS.map(({ reason }) => reason));
  for (const transport of TRANSPORTS) {
    // Only WebSocket finds peers by their id.
    const gates = [...given].filter((reason) => transport === "websocket" || reason !== "peer_id");
    for (const reason of gates) expect(REASONS[transport]).toContain(reason as never);
  }
});
