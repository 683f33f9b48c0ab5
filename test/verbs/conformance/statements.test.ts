/** Our own peers, and the pace of requests. */
import { expect, test } from "bun:test";

import { has, hold, ownPeer, Pace, POLITE } from "../../../src/verbs/conformance/statements.ts";

test("no two peers of ours have the same port or peer id", () => {
  const peers = Array.from({ length: 500 }, ownPeer);
  expect(new Set(peers.map(({ port }) => port)).size).toBe(500);
  expect(new Set(peers.map(({ peerId }) => peerId.toString("hex"))).size).toBe(500);
  expect(peers.every(({ peerId }) => peerId.length === 20)).toBe(true);
});

test("an info hash is random, or begins as it should", () => {
  expect(POLITE.infoHash()).not.toEqual(POLITE.infoHash());
  const begun = POLITE.infoHash(Buffer.from("abc"));
  expect([begun.length, begun.toString("latin1", 0, 3)]).toEqual([20, "abc"]);
});

test("requests keep their distance, of 20 a second", async () => {
  expect(POLITE.pause).toBe(50);
  const pace = new Pace(20);
  const begun = performance.now();
  for (let i = 0; i < 4; i++) await pace.turn();
  // Timers may be a little early.
  expect(performance.now() - begun).toBeGreaterThan(50);
});

test("what does not hold ends a check with a sentence", () => {
  expect(() => hold(false, "it is wrong")).toThrow("it is wrong");
  expect(() => hold(true, "it is wrong")).not.toThrow();
});

test("a peer is told by its port", () => {
  const peer = ownPeer();
  expect(has([{ address: "7f000001", port: peer.port }], peer)).toBe(true);
  expect(has([], peer)).toBe(false);
});
