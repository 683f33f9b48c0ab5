import { describe, expect, test } from "bun:test";
import { Random } from "../../src/swarm/random.ts";

const SEED = new Int32Array([1, 2, 3, 4]);

test("a seed always gives the numbers that xoshiro128** gives from it", () => {
  // The reference sequence of state 1, 2, 3, 4 begins 11520, 0, 5927040, 70819200.
  const random = new Random(SEED);
  const words = Array.from({ length: 4 }, () => random.below(2 ** 31) * 2);
  expect(words).toEqual([11520, 0, 5927040, 70819200]);
});

test("a whole number below a bound is drawn, each equally often", () => {
  const random = new Random(SEED);
  for (const below of [1, 2, 7, 100]) {
    const counts = new Uint32Array(below);
    for (let i = 0; i < 10_000 * below; i++) counts[random.below(below)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(600);
  }
});

describe("a portion", () => {
  test("is exact on average, and rounded up or down by chance", () => {
    const random = new Random(SEED);
    for (const [wanted, share, whole] of [
      [10, 5, 15],
      [1, 1, 1000],
      [50, 3, 7],
      [200, 99_999, 100_000],
    ]) {
      const exact = (wanted * share) / whole;
      let sum = 0;
      for (let i = 0; i < 50_000; i++) {
        const portion = random.portion(wanted, share, whole);
        if (portion !== Math.floor(exact) && portion !== Math.ceil(exact)) expect(portion).toBe(-1);
        sum += portion;
      }
      expect(Math.abs(sum / 50_000 - exact)).toBeLessThan(0.015);
    }
  });

  test("that divides evenly is never rounded", () => {
    const random = new Random(SEED);
    for (let i = 0; i < 1000; i++) {
      expect(random.portion(10, 5, 25)).toBe(2);
      expect(random.portion(10, 0, 25)).toBe(0);
      expect(random.portion(10, 25, 25)).toBe(10);
    }
  });
});
