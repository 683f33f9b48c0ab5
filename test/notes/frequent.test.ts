import { expect, test } from "bun:test";
import { Frequent, frequentBytes } from "../../src/notes/frequent.ts";

const open = (setBits: number): Frequent =>
  new Frequent(new Uint32Array(frequentBytes(setBits) / 4), setBits, 0x1234567);

test("few keys are counted exactly, most frequent first", () => {
  const frequent = open(4);
  for (let i = 0; i < 5; i++) frequent.add(0, 7, 1);
  frequent.add(1, 7, 3);
  frequent.add(0xffffffff, 0xfffffffe, 1);
  expect(frequent.top(10)).toEqual([
    { high: 0, low: 7, count: 5 },
    { high: 1, low: 7, count: 3 },
    { high: 0xffffffff, low: 0xfffffffe, count: 1 },
  ]);
  expect(frequent.top(1)).toEqual([{ high: 0, low: 7, count: 5 }]);
});

test("add returns whether a key is new, and sets its entry", () => {
  const frequent = open(2);
  expect(frequent.add(0, 0, 1)).toBe(true);
  const { entry } = frequent;
  expect(frequent.add(0, 0, 1)).toBe(false);
  expect(frequent.entry).toBe(entry);
  expect(frequent.at(entry)).toEqual({ high: 0, low: 0, count: 2 });
});

test("frequent keys stay among a crowd of rare ones, and are never counted too low", () => {
  const frequent = open(6);
  for (let i = 0; i < 20_000; i++) {
    frequent.add(1, i, 1);
    if (i % 10 === 0) frequent.add(2, 1, 1);
    if (i % 20 === 0) frequent.add(2, 2, 1);
  }
  const [first, second] = frequent.top(2);
  expect([first!.low, second!.low]).toEqual([1, 2]);
  expect(first!.count).toBeGreaterThanOrEqual(2000);
  expect(first!.count).toBeLessThan(2100);
  expect(second!.count).toBeGreaterThanOrEqual(1000);
  expect(second!.count).toBeLessThan(1100);
});

test("with random draws, a new key rarely replaces a frequent one", () => {
  let chance = 0;
  const words = new Uint32Array(frequentBytes(0) / 4);
  const frequent = new Frequent(words, 0, 1, () => chance);
  for (let key = 1; key <= 8; key++) expect(frequent.add(key, 0, 9)).toBe(true);
  chance = 0.11;
  expect(frequent.add(9, 0, 1)).toBe(false);
  expect(frequent.top(9)).toHaveLength(8);
  expect(frequent.add(8, 0, 1)).toBe(false);
  chance = 0.09;
  expect(frequent.add(9, 0, 1)).toBe(true);
  expect(frequent.at(frequent.entry)).toEqual({ high: 9, low: 0, count: 10 });
});

test("halving removes keys that came once and keeps the order of the others", () => {
  const frequent = open(2);
  frequent.add(0, 1, 9);
  frequent.add(0, 2, 4);
  frequent.add(0, 3, 1);
  frequent.halve();
  expect(frequent.top(9).map(({ low, count }) => [low, count])).toEqual([
    [1, 4],
    [2, 2],
  ]);
});
