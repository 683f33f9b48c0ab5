import { expect, test } from "bun:test";
import { readAddress } from "../../src/net/addresses.ts";
import { type Engine, WsConnection } from "../../src/ws/ws-connection.ts";
import { FakeLine } from "./fixture.ts";

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
  expect([at("192.0.2.1").heardAt, at("192.0.2.1").peers.size]).toEqual([7, 0]);
});
