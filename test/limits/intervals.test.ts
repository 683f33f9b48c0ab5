import { describe, expect, test } from "bun:test";
import { doublings, Intervals, longestDraw, shortestDraw } from "../../src/limits/intervals.ts";

const draws = (settings: { interval: number; jitterPercent: number }, times: number): number[] => {
  const intervals = new Intervals({ minimum: 900, ...settings });
  return Array.from({ length: times }, () => intervals.draw());
};

describe("a drawn interval", () => {
  test("is the configured one plus or minus the jitter, each value equally often", () => {
    const counts = new Map<number, number>();
    for (const drawn of draws({ interval: 100, jitterPercent: 10 }, 42_000)) {
      counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
    }
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 21 }, (_, i) => 90 + i),
    );
    // 2,000 of each, six standard deviations.
    for (const count of counts.values()) expect(Math.abs(count - 2000)).toBeLessThan(270);
  });

  test("of 1800 seconds and 10 percent lies between 1620 and 1980 and reaches both", () => {
    const all = draws({ interval: 1800, jitterPercent: 10 }, 20_000);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(1620);
    expect(Math.max(...all)).toBeLessThanOrEqual(1980);
    expect(Math.min(...all)).toBeLessThan(1625);
    expect(Math.max(...all)).toBeGreaterThan(1975);
  });

  test("is always the configured one without jitter", () => {
    expect(new Set(draws({ interval: 1800, jitterPercent: 0 }, 100))).toEqual(new Set([1800]));
  });

  test.each([
    [299, 270, 299],
    [300, 300, 330],
    [320, 300, 352],
    [334, 301, 367],
    [9818, 8837, 10_799],
    [10_000, 9000, 10_800],
    [10_800, 9720, 10_800],
    [10_801, 10_801, 11_881],
    [12_000, 10_801, 13_200],
    [12_002, 10_802, 13_202],
  ])("of %d seconds stays on its side of 5 minutes and 3 hours: %d to %d", (interval, from, to) => {
    expect([shortestDraw(interval, 10), longestDraw(interval, 10)]).toEqual([from, to]);
    const all = draws({ interval, jitterPercent: 10 }, 40_000);
    expect([Math.min(...all), Math.max(...all)].map((drawn) => Math.round(drawn / 10))).toEqual(
      [from, to].map((end) => Math.round(end / 10)),
    );
    expect(all.every((drawn) => drawn >= from && drawn <= to)).toBe(true);
  });

  test("is a whole number, and never 0", () => {
    const all = draws({ interval: 3, jitterPercent: 100 }, 2000);
    expect(new Set(all)).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    for (const drawn of draws({ interval: 333, jitterPercent: 7 }, 500)) {
      expect(Number.isInteger(drawn)).toBe(true);
    }
  });
});

test("the minimum is the configured one, but never more than what was drawn", () => {
  const intervals = new Intervals({ interval: 1800, jitterPercent: 10, minimum: 900 });
  expect(intervals.minimum(1700)).toBe(900);
  expect(intervals.minimum(900)).toBe(900);
  expect(intervals.minimum(800)).toBe(800);
});

describe("a stretched interval", () => {
  const stretch = new SharedArrayBuffer(8);
  const factor = new Float64Array(stretch);
  const settings = { interval: 1800, jitterPercent: 0, minimum: 900, stretch };

  test("is longer by the factor in every thread that shares it, and so is the minimum", () => {
    const intervals = new Intervals({ ...settings, maximum: 7200 });
    factor[0] = 1.5;
    expect(intervals.draw()).toBe(2700);
    expect(intervals.minimum(2700)).toBe(1350);
    factor[0] = 1;
    expect(intervals.draw()).toBe(1800);
    expect(intervals.minimum(1800)).toBe(900);
  });

  test("is at most the maximum, which does not shorten the usual interval", () => {
    factor[0] = 9;
    expect(new Intervals({ ...settings, maximum: 7200 }).draw()).toBe(7200);
    expect(new Intervals({ ...settings, maximum: 600 }).draw()).toBe(1800);
  });

  test("keeps its jitter, in proportion", () => {
    factor[0] = 2;
    const intervals = new Intervals({ ...settings, jitterPercent: 10 });
    const drawn = Array.from({ length: 20_000 }, () => intervals.draw());
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(3240);
    expect(Math.max(...drawn)).toBeLessThanOrEqual(3960);
    expect(Math.min(...drawn)).toBeLessThan(3250);
    expect(Math.max(...drawn)).toBeGreaterThan(3950);
  });
});

test.each([
  [0, 0],
  [1, 0],
  [127, 0],
  [128, 1],
  [255, 1],
  [256, 2],
  [65_536, 10],
  [1_000_000, 13],
])("a swarm of %d peers has doubled %d times", (peers, expected) => {
  expect(doublings(peers)).toBe(expected);
});

test("draws for swarms of different sizes have ranges of their own", () => {
  const settings = { interval: 1000, jitterPercent: 10, minimum: 900, perDoubling: 1000 };
  const intervals = new Intervals(settings);
  for (let i = 0; i < 200; i++) {
    expect(Math.abs(intervals.draw(0) - 1000)).toBeLessThanOrEqual(100);
    expect(Math.abs(intervals.draw(128) - 2000)).toBeLessThanOrEqual(200);
  }
});

test("a large swarm is told to wait longer, up to the maximum", () => {
  const settings = { interval: 1800, jitterPercent: 0, minimum: 900, perDoubling: 60 };
  const intervals = new Intervals({ ...settings, maximum: 2000 });
  expect([100, 128, 300, 100_000].map((peers) => intervals.draw(peers))).toEqual([
    1800, 1860, 1920, 2000,
  ]);
});
