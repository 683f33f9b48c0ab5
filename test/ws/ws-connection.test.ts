import { estimateShallowMemoryUsageOf } from "bun:jsc";
import { expect, test } from "bun:test";
import { readAddress } from "../../src/net/addresses.ts";
import { Fragments } from "../../src/ws/fragments.ts";
import { type Engine, WsConnection } from "../../src/ws/ws-connection.ts";
import { peerOf } from "../../src/ws/ws-swarms.ts";
import { FakeLine, HASH } from "./fixture.ts";

const ENGINE = {} as Engine;

function at(from: string): WsConnection {
  const address = new Uint8Array(16);
  const family = readAddress(from, address, 0) as 4 | 6;
  const line = new FakeLine({ tick: 7 });
  const client = { address: address.slice(0, family === 4 ? 4 : 16), family, origin: "none" };
  return new WsConnection(ENGINE, line, client, 1);
}

test("two connections are beside each other if their whole addresses are the same", () => {
  expect(at("192.0.2.1").isBeside(at("192.0.2.1"))).toBe(true);
  expect(at("192.0.2.1").isBeside(at("192.0.2.2"))).toBe(false);
  expect(at("2001:db8::1").isBeside(at("2001:db8::1"))).toBe(true);
  expect(at("2001:db8::1").isBeside(at("2001:db8::2"))).toBe(false);
  expect(at("192.0.2.1").isBeside(at("2001:db8::1"))).toBe(false);
});

test("a new connection was heard when it began", () => {
  expect([at("192.0.2.1").heardAt, peerOf(at("192.0.2.1"), HASH)]).toEqual([7, undefined]);
});

test("one that does nothing unusual takes 112 bytes, and tells its address", () => {
  const connection = at("203.0.113.254");
  connection.challengedAt = -1;
  connection.wrongs = 0;
  expect(estimateShallowMemoryUsageOf(connection)).toBeLessThanOrEqual(112);
  expect(connection.peers).toBeUndefined();
  const bytes = new Uint8Array(16);
  connection.writeAddress(bytes);
  expect([connection.family, ...bytes.subarray(0, 4)]).toEqual([4, 203, 0, 113, 254]);
  const ipv6 = at("2001:db8::1");
  ipv6.writeAddress(bytes);
  expect([ipv6.family, bytes[0], bytes[15]]).toEqual([6, 0x20, 1]);
});

test("a challenge, wrong messages and fragments are kept once there are any", () => {
  const connection = at("192.0.2.1");
  expect([connection.challengedAt, connection.stalledAt, connection.wrongs]).toEqual([-1, -1, 0]);
  connection.wrongs += 1;
  connection.stalledAt = 9;
  connection.fragments = new Fragments();
  expect([connection.challengedAt, connection.stalledAt, connection.wrongs]).toEqual([-1, 9, 1]);
  expect(connection.fragments?.capacity).toBe(0);
  connection.wrongs = 0;
  connection.stalledAt = -1;
  expect([connection.stalledAt, connection.wrongs]).toEqual([-1, 0]);
});
