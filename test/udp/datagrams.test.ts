import { expect, test } from "bun:test";
import { ADDRESS_SLOT, BATCH_SIZE } from "../../src/udp/datagrams.ts";
import { Datagrams, REPLY_SLOT, REQUEST_SLOT } from "../../src/udp/datagrams.ts";

test("a batch has a place for every request, reply and address", () => {
  const datagrams = new Datagrams();
  expect(BATCH_SIZE).toBe(64);
  expect(datagrams.requests.length).toBe(64 * REQUEST_SLOT);
  expect(datagrams.replies.length).toBe(64 * REPLY_SLOT);
  expect(datagrams.addresses.length).toBe(64 * ADDRESS_SLOT);
  expect(datagrams.requestLengths.length).toBe(64);
  expect(datagrams.replyLengths.length).toBe(64);
  expect(datagrams.families.length).toBe(64);
});

test("a slot holds the longest valid request and the longest reply", () => {
  expect(REQUEST_SLOT).toBeGreaterThanOrEqual(16 + 74 * 20);
  // The limit of a reply: 1,500 bytes of an Ethernet frame without 28 bytes of headers.
  expect(REPLY_SLOT).toBeGreaterThanOrEqual(1472);
  expect(ADDRESS_SLOT).toBe(16);
  // The core writes peers in 16-bit halves.
  expect(REPLY_SLOT % 2).toBe(0);
});

test("the core and the sender see the same replies", () => {
  const datagrams = new Datagrams();
  new Uint8Array(datagrams.replyMemory)[5] = 7;
  expect(datagrams.replies[5]).toBe(7);
});
