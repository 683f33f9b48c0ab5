/** Histograms: every event is in one bucket, and the threads are added up. */
import { expect, test } from "bun:test";

import {
  Histogram,
  histogramMemory,
  HISTOGRAMS,
  type HistogramName,
  readHistogram,
} from "../../src/counters/histograms.ts";

test("a value counts in the first bucket whose bound it does not exceed", () => {
  const memory = histogramMemory(1);
  const histogram = new Histogram(memory, 0, "batchDatagrams");
  for (const value of [1, 2, 3, 4, 64, 65, 128, 129, 1000]) histogram.observe(value);
  const totals = readHistogram(memory, "batchDatagrams");
  // Up to       1, 2, 4, 8, 16, 32, 64, 128, beyond
  expect(totals.buckets).toEqual([1, 1, 2, 0, 0, 0, 1, 2, 2]);
  expect(totals.count).toBe(9);
  expect(totals.sum).toBe(1396);
});

test("many events of one value are counted at once", () => {
  const memory = histogramMemory(1);
  new Histogram(memory, 0, "udpRequestSeconds").observe(3e-6, 64);
  const totals = readHistogram(memory, "udpRequestSeconds");
  expect(totals.buckets.slice(0, 4)).toEqual([0, 0, 64, 0]);
  expect(totals.count).toBe(64);
  expect(totals.sum).toBeCloseTo(1.92e-4, 9);
});

test("threads and histograms do not change each other's numbers", () => {
  const memory = histogramMemory(3);
  const names = Object.keys(HISTOGRAMS) as HistogramName[];
  for (const [at, name] of names.entries()) {
    for (let thread = 0; thread < 3; thread++) {
      new Histogram(memory, thread, name).observe(1000, (at + 1) * 10 ** thread);
    }
  }
  expect(names.map((name) => readHistogram(memory, name).count)).toEqual([
    111, 222, 333, 444, 555, 666, 777, 888,
  ]);
  expect(readHistogram(memory, "sweepSeconds").sum).toBe(666_000);
});

test("no histogram has an observation at the start", () => {
  expect(readHistogram(histogramMemory(2), "httpRequestSeconds")).toEqual({
    buckets: new Array(13).fill(0),
    count: 0,
    sum: 0,
  });
});
