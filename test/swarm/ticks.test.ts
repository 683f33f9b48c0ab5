import { expect, test } from "bun:test";
import { Ticks } from "../../src/swarm/ticks.ts";

test("nothing expires too early, nor more than two ticks late", () => {
  for (const timeout of [1, 2, 59, 60, 61, 119, 600, 2700, 3599, 86_400]) {
    for (const mask of [0x7f, 0xff]) {
      const ticks = new Ticks(timeout, mask);
      const tick = Math.max(1, Math.ceil(timeout / 60));
      for (let start = 0; start < 300 * tick; start += tick / 3 + 0.1) {
        const age = (seconds: number): number => ticks.between(ticks.at(start), ticks.at(seconds));
        expect(age(start + timeout) <= ticks.lifetime).toBe(true);
        expect(age(start + timeout + 2 * tick) > ticks.lifetime).toBe(true);
      }
    }
  }
});

test("a tick fits its bits, and goes round", () => {
  const ticks = new Ticks(600);
  expect([0, 9.9, 10, 1279, 1280].map((seconds) => ticks.at(seconds))).toEqual([0, 0, 1, 127, 0]);
  expect(ticks.between(127, 3)).toBe(4);
  const empty = new Ticks(600, 0xff);
  expect([1279, 1280, 2560].map((seconds) => empty.at(seconds))).toEqual([127, 128, 0]);
  expect(empty.between(250, 4)).toBe(10);
});

test("the bits last for twice the lifetime at least", () => {
  for (const timeout of [1, 10, 600, 2700]) {
    expect(new Ticks(timeout).lifetime * 2).toBeLessThan(128);
  }
});

test("there is time between too old and young again, at least a minute", () => {
  for (let timeout = 1; timeout <= 7200; timeout++) {
    const ticks = new Ticks(timeout);
    const age = (seconds: number) => ticks.between(ticks.at(0), ticks.at(seconds));
    const old = (ticks.lifetime + 1) * ticks.seconds;
    expect(ticks.slackSeconds).toBeGreaterThan(60);
    expect(age(old)).toBeGreaterThan(ticks.lifetime);
    expect(age(old + ticks.slackSeconds - 1)).toBeGreaterThan(ticks.lifetime);
    expect(age(old + ticks.slackSeconds)).toBe(0);
  }
});

test("a shorter timeout than the one the ticks are made for is never too early either", () => {
  const ticks = new Ticks(7200);
  expect(ticks.seconds).toBe(120);
  expect(ticks.lifetimeOf(7200)).toBe(60);
  expect(ticks.lifetimeOf(2700)).toBe(23);
  expect(ticks.lifetimeOf(1)).toBe(1);
});
