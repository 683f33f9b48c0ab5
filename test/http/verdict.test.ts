import { expect, test } from "bun:test";
import * as verdict from "../../src/http/verdict.ts";

const { FAILURES, ...verdicts } = verdict;

test("every verdict has a sentence of its own, but the good one has none", () => {
  const numbers: number[] = Object.values(verdicts);
  expect(numbers.toSorted((a, b) => a - b)).toEqual(FAILURES.map((_, i) => i));
  expect(FAILURES[verdict.VERDICT_OK]).toBe("");
  expect(new Set(FAILURES).size).toBe(FAILURES.length);
});

test("sentences are short and printable ASCII", () => {
  for (const sentence of FAILURES.slice(1)) expect(sentence).toMatch(/^[\x20-\x7e]{10,120}$/);
});

test("verdicts about addresses come last", () => {
  for (const [name, value] of Object.entries(verdicts)) {
    const late = value >= verdict.VERDICT_ADDRESS_UNKNOWN;
    expect([name, late]).toEqual([name, name.startsWith("VERDICT_ADDRESS_")]);
  }
});
