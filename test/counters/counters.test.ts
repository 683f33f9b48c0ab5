import { expect, test } from "bun:test";
import { COUNT, counterMemory, Counters, COUNTERS } from "../../src/counters/counters.ts";

test("every counter has its own column", () => {
  expect(COUNTERS.map((name) => COUNT[name])).toEqual(COUNTERS.map((_, column) => column));
  expect(new Set(COUNTERS).size).toBe(COUNTERS.length);
});

test("a counter starts at zero and counts one thread's additions", () => {
  const counters = new Counters(counterMemory(1), 0);
  expect(counters.total("udp:query")).toBe(0);
  counters.row[COUNT["udp:query"]] += 3;
  expect(counters.total("udp:query")).toBe(3);
  expect(counters.total("udp:short")).toBe(0);
});

test("a total is the sum over all threads, whichever of them reads it", () => {
  const memory = counterMemory(3);
  const threads = [0, 1, 2].map((thread) => new Counters(memory, thread));
  threads.forEach((counters, thread) => (counters.row[COUNT.eventPaused] = 10 ** thread));
  for (const counters of threads) {
    expect(counters.total("eventPaused")).toBe(111);
    expect(counters.total("eventStopped")).toBe(0);
    expect(counters.memory).toBe(memory);
  }
});

test("threads write to their own rows, a cache line of 64 bytes apart at least", () => {
  const memory = counterMemory(2);
  const [one, two] = [new Counters(memory, 0), new Counters(memory, 1)];
  expect(one.row.byteOffset % 64).toBe(0);
  expect(two.row.byteOffset % 64).toBe(0);
  expect(two.row.byteOffset).toBe(one.row.byteLength);
  expect(one.row.length).toBeGreaterThanOrEqual(COUNTERS.length);
  expect(memory.byteLength).toBe(one.row.byteLength + two.row.byteLength);
  one.row.fill(1);
  expect(two.row.every((count) => count === 0)).toBe(true);
});

test("a counter is exact far beyond 32 bits", () => {
  const counters = new Counters(counterMemory(1), 0);
  counters.row[COUNT.udpSentBytes] = 2 ** 52;
  counters.row[COUNT.udpSentBytes] += 1;
  expect(counters.total("udpSentBytes")).toBe(4503599627370497);
});
