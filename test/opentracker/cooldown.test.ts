import { expect, test } from "bun:test";
import type { Family } from "../../src/constants.ts";
import { Cooldown } from "../../src/opentracker/cooldown.ts";

function request(cooldown: Cooldown, hex: string, now: number, kind = "scrape"): number {
  const address = Uint8Array.fromHex(hex.padEnd(32, "0"));
  return cooldown.request(kind, address, (hex.length === 8 ? 4 : 6) as Family, now);
}

test("a network gets one request granted in an interval, and the time to wait", () => {
  const cooldown = new Cooldown(300);
  expect(request(cooldown, "c0000201", 1000)).toBe(0);
  expect(request(cooldown, "c0000201", 1000.5)).toBe(300);
  expect(request(cooldown, "c00002fe", 1200)).toBe(100);
  expect(request(cooldown, "c0000201", 1300)).toBe(0);
  expect(request(cooldown, "c0000201", 1301)).toBe(299);
});

test("other networks and other kinds of request do not count", () => {
  const cooldown = new Cooldown(300);
  expect(request(cooldown, "c0000201", 0)).toBe(0);
  expect(request(cooldown, "c0000301", 0)).toBe(0);
  expect(request(cooldown, "c0000201", 0, "statedump")).toBe(0);
  expect(request(cooldown, "20010db8000100010000000000000001", 0)).toBe(0);
  expect(request(cooldown, "20010db8000100020000000000000001", 0)).toBe(300);
  expect(request(cooldown, "20010db8000200010000000000000001", 0)).toBe(0);
});

test("an interval of 0 grants every request", () => {
  const cooldown = new Cooldown(0);
  expect([request(cooldown, "c0000201", 0), request(cooldown, "c0000201", 0)]).toEqual([0, 0]);
});

test("too many networks remove the oldest only", () => {
  const cooldown = new Cooldown(300);
  const hex = (i: number) => `0a${i.toString(16).padStart(4, "0")}01`;
  for (let i = 0; i < 5000; i++) request(cooldown, hex(i), 1);
  expect(request(cooldown, hex(4999), 2)).toBe(299);
  expect(request(cooldown, hex(0), 2)).toBe(0);
});
