import { expect, test } from "bun:test";
import { LEECHERS, SEEDERS } from "../../src/swarm/blocks.ts";
import {
  ageOf,
  RECORD_MINUTES,
  recordCountAt,
  recordDownloads,
  recordEnd,
  recordPeers,
  recordSize,
} from "../../src/swarm/records.ts";

test("a record is 34 bytes and its peers, and ends at an even byte", () => {
  expect([recordSize(0, 0), recordSize(1, 0), recordSize(2, 1)]).toEqual([34, 42, 68]);
});

test("the four counts lie side by side, before the minutes", () => {
  const counts = [recordCountAt(4, SEEDERS), recordCountAt(4, LEECHERS), recordCountAt(6, SEEDERS)];
  expect([...counts, recordCountAt(6, LEECHERS), RECORD_MINUTES]).toEqual([24, 26, 28, 30, 32]);
});

test("an age is counted in ticks round the end of them; a tick ahead is no age", () => {
  expect([ageOf(5, 9), ageOf(0x80 | 5, 9), ageOf(126, 2), ageOf(10, 9)]).toEqual([4, 4, 4, 0]);
});

test("a record ends behind its peers, if its chunk is that long and its counter fits", () => {
  const bytes = new Uint8Array(100);
  const halves = new Uint16Array(bytes.buffer);
  bytes.set([3, 0, 1, 0x7f], 20);
  halves.set([1, 2, 0, 1], 12);
  expect([recordPeers(halves, 0, 4), recordPeers(halves, 0, 6)]).toEqual([3, 1]);
  expect(recordDownloads(halves, 0)).toBe(0x7f010003);
  const size = recordSize(3, 1);
  expect([recordEnd(halves, 0, 100), recordEnd(halves, 0, size)]).toEqual([size, size]);
  expect([recordEnd(halves, 0, size - 2), recordEnd(halves, 0, 33)]).toEqual([0, 0]);
  bytes[23] = 0x80;
  expect(recordEnd(halves, 0, 100)).toBe(0);
});
