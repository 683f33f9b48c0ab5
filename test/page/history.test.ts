/** The curve of announces: it starts at once, holds a day, and loses no announce. */
import { expect, test } from "bun:test";

import { History } from "../../src/page/history.ts";

/** Samples once a second; `rate` says how many announces there are in each. */
function run(seconds: number, rate: (second: number) => number): History {
  const history = new History(0);
  let total = 0;
  for (let second = 1; second <= seconds; second++) {
    total += rate(second);
    history.sample(second, [total, 0, 0, 0, 0, 0]);
  }
  return history;
}

test("the current rate is the mean of the last ten seconds, by kind", () => {
  const history = new History(100);
  expect(history.rates()).toEqual([0, 0, 0, 0, 0, 0]);
  for (let second = 1; second <= 60; second++) {
    const fast = second > 50 ? (second - 50) * 90 : 0;
    history.sample(100 + second, [second * 10 + fast, second, 0, second * 2, 0, 0]);
  }
  expect(history.rates()).toEqual([100, 1, 0, 2, 0, 0]);
});

test("the rate after the start is the mean since the start", () => {
  const history = new History(0);
  history.sample(2, [10, 0, 0, 0, 0, 0]);
  expect(history.rates()[0]).toBe(5);
});

test("the curve begins with slots of five seconds", () => {
  const { rates, spanSeconds } = run(31, () => 10).curve();
  expect(spanSeconds).toBe(30);
  expect(rates).toHaveLength(6);
  // A sample belongs to the slot in which it is taken.
  expect(rates.slice(1)).toEqual([10, 10, 10, 10, 10]);
});

test("there is no curve before the first slot is full", () => {
  expect(run(4, () => 10).curve()).toEqual({ rates: [], webSocketRates: [], spanSeconds: 0 });
});

test("slots become wider, and their announces are kept", () => {
  for (const seconds of [1439, 1441, 1446, 1500, 3000, 40_000]) {
    const { rates, spanSeconds } = run(seconds, () => 7).curve();
    const width = spanSeconds / rates.length;
    expect(rates.length, String(seconds)).toBeGreaterThan(140);
    expect(rates.length).toBeLessThanOrEqual(288);
    expect(spanSeconds).toBeLessThanOrEqual(seconds);
    expect(spanSeconds).toBeGreaterThan(seconds - width - 1);
    // The first second of all is in no slot before the first sample.
    for (const rate of rates.slice(1)) expect(rate).toBeCloseTo(7, 6);
  }
});

test("a burst keeps its place in the curve", () => {
  const { rates, spanSeconds } = run(80_000, (second) =>
    second > 40_000 && second <= 40_320 ? 99 : 1,
  ).curve();
  const peak = rates.indexOf(Math.max(...rates));
  expect((peak / rates.length) * spanSeconds).toBeCloseTo(40_000, -3);
});

test("the curve holds a day and no more", () => {
  const history = run(100_000, (second) => (second < 10_000 ? 1000 : 1));
  const { rates, spanSeconds } = history.curve();
  expect(rates).toHaveLength(270);
  expect(spanSeconds).toBe(86_400);
  expect(Math.max(...rates)).toBeCloseTo(1, 6);
});

test("a long pause, as of a machine that slept, has slots without announces", () => {
  const history = new History(0);
  history.sample(1, [10, 0, 0, 0, 0, 0]);
  history.sample(60, [20, 0, 0, 0, 0, 0]);
  history.sample(66, [20, 0, 0, 0, 0, 0]);
  const { rates } = history.curve();
  expect(rates).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
});

test("announces over WebSocket have a curve beside that of all, through each width", () => {
  const history = new History(0);
  expect(history.curve().webSocketRates).toEqual([]);
  const seconds = 2 * 86_400;
  for (let second = 1; second <= seconds; second++) {
    history.sample(second, [second * 10, 0, 0, 0, second * 2, second]);
  }
  const { rates, webSocketRates } = history.curve();
  expect(webSocketRates).toHaveLength(rates.length);
  expect(new Set(rates.slice(1))).toEqual(new Set([13]));
  expect(new Set(webSocketRates.slice(1))).toEqual(new Set([3]));
});
