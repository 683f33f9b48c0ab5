import { expect, test } from "bun:test";
import type { Family } from "../../src/constants.ts";
import { Modesty } from "../../src/opentracker/modesty.ts";

function ask(modesty: Modesty, hex: string, now: number, kind = "scrape"): number {
  const address = Uint8Array.fromHex(hex.padEnd(32, "0"));
  return modesty.ask(kind, address, (hex.length === 8 ? 4 : 6) as Family, now);
}

test("a network may ask once in an interval, and is told how long to wait", () => {
  const modesty = new Modesty(300);
  expect(ask(modesty, "c0000201", 1000)).toBe(0);
  expect(ask(modesty, "c0000201", 1000.5)).toBe(300);
  expect(ask(modesty, "c00002fe", 1200)).toBe(100);
  expect(ask(modesty, "c0000201", 1300)).toBe(0);
  expect(ask(modesty, "c0000201", 1301)).toBe(299);
});

test("other networks and other questions are not in the way", () => {
  const modesty = new Modesty(300);
  expect(ask(modesty, "c0000201", 0)).toBe(0);
  expect(ask(modesty, "c0000301", 0)).toBe(0);
  expect(ask(modesty, "c0000201", 0, "statedump")).toBe(0);
  expect(ask(modesty, "20010db8000100010000000000000001", 0)).toBe(0);
  expect(ask(modesty, "20010db8000100020000000000000001", 0)).toBe(300);
  expect(ask(modesty, "20010db8000200010000000000000001", 0)).toBe(0);
});

test("an interval of 0 lets everybody ask", () => {
  const modesty = new Modesty(0);
  expect([ask(modesty, "c0000201", 0), ask(modesty, "c0000201", 0)]).toEqual([0, 0]);
});

test("a crowd of networks makes it forget the oldest only", () => {
  const modesty = new Modesty(300);
  const hex = (i: number) => `0a${i.toString(16).padStart(4, "0")}01`;
  for (let i = 0; i < 5000; i++) ask(modesty, hex(i), 1);
  expect(ask(modesty, hex(4999), 2)).toBe(299);
  expect(ask(modesty, hex(0), 2)).toBe(0);
});
