/** Packets and bits by transport, and between trackers. */
import { expect, test } from "bun:test";
import { bitsOf, clusterBits, packetsOf, type Traffic } from "../../src/verbs/plan-traffic.ts";
import { by } from "./plan-fixture.ts";

const traffic = (rates: Parameters<typeof by>[0], joins = { ws: 0, wss: 0 }): Traffic => ({
  announces: by(rates),
  joins,
  families: { 4: 1, 6: 0 },
  numwant: 50,
});

test("UDP has two packets each way, HTTP five, a kept connection of a proxy fewer", () => {
  expect(packetsOf(traffic({ udp: 1 }))).toEqual({ in: 2, out: 2 });
  expect(packetsOf(traffic({ http: 1 }))).toEqual({ in: 5, out: 5 });
  expect(packetsOf(traffic({ proxied: 1 }))).toEqual({ in: 2, out: 1 });
  expect(packetsOf(traffic({ https: 1 }))).toEqual({ in: 7, out: 8 });
});

test("a WebSocket has a connection, and each announce its offers and answers", () => {
  const cycle = packetsOf(traffic({ ws: 1 }));
  expect(cycle.in).toBeGreaterThan(17);
  expect(packetsOf(traffic({ wss: 1 }))).toEqual(cycle);
  expect(packetsOf(traffic({}, { ws: 1, wss: 0 }))).toEqual({ in: 5, out: 5 });
  expect(packetsOf(traffic({}, { ws: 0, wss: 1 }))).toEqual({ in: 7, out: 8 });
});

test("replies of HTTP have the peers in them, those of WebSockets have none", () => {
  const { http, ws } = { http: traffic({ http: 1 }), ws: traffic({ ws: 1 }) };
  const more = (one: Traffic) => bitsOf({ ...one, numwant: 60 }).out - bitsOf(one).out;
  expect([more(http), more(ws)]).toEqual([60 * 8, 0]);
  // Five offers in and five answers; to others as many.
  expect(bitsOf(ws).in).toBeGreaterThan(10 * 2000 * 8);
});

test("a tracker tells changes of 28 or 40 bytes, and hears those of the others", () => {
  const idle = clusterBits({ in: 0, out: 0 }, 2, { 4: 1, 6: 0 });
  expect(idle.in).toBe(2 * idle.out);
  const busy = clusterBits({ in: 200, out: 100 }, 2, { 4: 0.5, 6: 0.5 });
  expect(busy.out - idle.out).toBe(100 * 34 * 8);
  expect(busy.in - idle.in).toBe(200 * 34 * 8);
});
