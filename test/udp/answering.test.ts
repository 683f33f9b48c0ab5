/** Two threads that answer datagrams from shared memory. */
import { expect, test } from "bun:test";
import { alignClock, now } from "../../src/host/clock.ts";
import { Store } from "../../src/swarm/store.ts";
import { Answering } from "../../src/udp/answering.ts";
import { REPLY_SLOT, REQUEST_SLOT } from "../../src/udp/datagrams.ts";
import { announceOf, connect, ID_SECONDS, scrapeOf, sharedBy } from "./fixture.ts";

/** Puts a datagram from 192.0.2.x into a slot. */
function put(answering: Answering, slot: number, datagram: Uint8Array, host = 1): void {
  const { requests, requestLengths, addresses, families } = answering.datagrams;
  requests.set(datagram, slot * REQUEST_SLOT);
  requestLengths[slot] = datagram.length;
  addresses.set([192, 0, 2, host], slot * 16);
  families[slot] = 4;
}

function reply(answering: Answering, slot: number): string {
  const { replies, replyLengths } = answering.datagrams;
  return replies.subarray(slot * REPLY_SLOT, slot * REPLY_SLOT + replyLengths[slot]).toHex();
}

test("exactly the slots of a batch are answered", () => {
  const answering = new Answering(sharedBy(2), 0);
  answering.datagrams.replyLengths.fill(-1);
  for (let slot = 0; slot < 4; slot++) put(answering, slot, connect(`0000000${slot}`), slot + 1);
  answering.answer(3);
  expect([...answering.datagrams.replyLengths.subarray(0, 5)]).toEqual([16, 16, 16, -1, -1]);
  expect(reply(answering, 2).slice(0, 16)).toBe("0000000000000002");
});

test("threads accept each other's ids, and share swarms and counters", () => {
  const shared = sharedBy(2);
  const one = new Answering(shared, 0);
  const two = new Answering(shared, 1);
  put(one, 0, connect());
  one.answerOne(0);
  const id = reply(one, 0).slice(16);
  put(two, 9, announceOf(id));
  two.answerOne(9);
  expect(reply(two, 9)).toBe("00000001" + "c0ffee01" + "00000708" + "00000001" + "00000000");
  put(one, 1, announceOf(id, { port: 80 }));
  one.answerOne(1);
  expect(reply(one, 1).slice(40)).toBe("c0000201" + "1ae1");
  expect(one.counters.total("udpAnnouncesIpv4")).toBe(2);
  expect(one.counters.total("udpConnectsIpv4")).toBe(1);
});

test("a batch of the longest scrapes and an announce is answered, of all their swarms", () => {
  const one = new Answering(sharedBy(2), 1);
  put(one, 0, connect());
  one.answer(1);
  const id = reply(one, 0).slice(16);
  const hashes = Array.from({ length: 74 }, (_, i) => (i + 1).toString(16).padStart(40, "0"));
  for (const [slot, infoHash] of hashes.slice(10).entries())
    put(one, slot, announceOf(id, { infoHash }));
  one.answer(64);
  for (let slot = 0; slot < 63; slot++) put(one, slot, scrapeOf(id, hashes.join("")));
  put(one, 63, announceOf(id, { port: 80, infoHash: hashes[73] }));
  one.answer(64);
  const none = "00000000".repeat(3);
  const peer = "00000000" + "00000000" + "00000001";
  for (let slot = 0; slot < 63; slot++) {
    expect(reply(one, slot).slice(16)).toBe(none.repeat(10) + peer.repeat(64));
  }
  expect(reply(one, 63).slice(24, 40)).toBe("0000000200000000");
});

test("what a batch or one request stored is charged to its address when it is answered", () => {
  const shared = sharedBy(2);
  const one = new Answering(shared, 1);
  const { holdings } = new Store(shared.memory).population;
  const peer = new Uint16Array([0x00c0, 0x0102, 0]);
  const held = () => holdings.heldByAddress(peer, 0, 4);
  put(one, 0, connect());
  one.answer(1);
  const id = reply(one, 0).slice(16);
  put(one, 0, announceOf(id));
  put(one, 1, announceOf(id, { port: 80 }));
  one.answer(2);
  expect(held()).toBe(2);
  put(one, 5, announceOf(id, { port: 81 }));
  one.answerOne(5);
  expect(held()).toBe(3);
  put(one, 0, announceOf(id, { event: 3 }));
  one.answer(1);
  expect(held()).toBe(2);
});

test("ids use the wall clock of the start, so they stay valid after a restart", () => {
  const before = now();
  try {
    alignClock(1000);
    const one = new Answering(sharedBy(2), 0);
    put(one, 0, connect());
    one.answerOne(0);
    const id = reply(one, 0).slice(16);
    // The next process starts its own clock at 0, at a later wall clock.
    alignClock(0);
    const next = new Answering({ ...sharedBy(2), startedSeconds: ID_SECONDS + 1030 }, 0);
    put(next, 0, announceOf(id));
    next.answerOne(0);
    expect(next.datagrams.replyLengths[0]).toBe(20);
    put(next, 1, announceOf(id));
    next.answer(2);
    expect(next.datagrams.replyLengths[1]).toBe(20);
    const late = new Answering({ ...sharedBy(2), startedSeconds: ID_SECONDS + 3000 }, 0);
    put(late, 0, announceOf(id));
    late.answer(1);
    expect(late.datagrams.replyLengths[0]).toBe(0);
  } finally {
    alignClock(before);
  }
});
