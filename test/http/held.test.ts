import { expect, test } from "bun:test";
import { Connection } from "../../src/http/connection.ts";
import { Connections } from "../../src/http/connections.ts";
import { Held, HELD_BYTES_MAX } from "../../src/http/held.ts";
import { Neighbourhood } from "../../src/http/neighbours.ts";
import { fakeSocket } from "./fake-socket.ts";

/** Connections that hold given numbers of bytes, and the closed ones in order. */
function holders(bytesMax = HELD_BYTES_MAX) {
  const connections = new Connections();
  const neighbourhood = new Neighbourhood<Connection>();
  const cut: string[] = [];
  const names = new Map<Connection, string>();
  const note = (connection: Connection) => void cut.push(names.get(connection)!);
  const held = new Held(connections, note, bytesMax);
  const hold = (name: string, remoteAddress: string, bytes: number) => {
    const connection = new Connection(fakeSocket({ remoteAddress }), neighbourhood);
    neighbourhood.join(connection.neighbours);
    connections.add(connection);
    names.set(connection, name);
    connection.keep({ length: bytes } as Buffer);
    held.note(connection, bytes);
    return connection;
  };
  return { held, hold, cut };
}

const SHARE = HELD_BYTES_MAX / 16;

test("below the limit no connection is closed", () => {
  const { held, hold, cut } = holders();
  for (let i = 0; i < 16; i++) hold(String(i), `192.0.2.${i}`, SHARE);
  expect([held.bytes, cut]).toEqual([HELD_BYTES_MAX, []]);
});

test("one of several threads has a limit of its own", () => {
  const { held, hold, cut } = holders(1000);
  hold("one", "192.0.2.1", 249);
  expect(held.isLittle).toBe(true);
  hold("other", "192.0.2.2", 700);
  expect([held.isLittle, held.bytes, cut]).toEqual([false, 949, []]);
  hold("last", "192.0.2.3", 52);
  expect([held.bytes, cut]).toEqual([301, ["other"]]);
});

test("requests may wait their turn up to a quarter of the limit", () => {
  const { held, hold } = holders();
  hold("one", "192.0.2.1", HELD_BYTES_MAX / 4 - 1);
  expect(held.isLittle).toBe(true);
  hold("other", "192.0.2.2", 1);
  expect(held.isLittle).toBe(false);
});

test("the connection that holds most is closed, not the newest", () => {
  const { held, hold, cut } = holders();
  const large = hold("large", "192.0.2.1", HELD_BYTES_MAX / 2);
  hold("other", "192.0.2.2", HELD_BYTES_MAX / 4);
  hold("last", "192.0.2.3", HELD_BYTES_MAX / 4 + 1);
  expect(cut).toEqual(["large"]);
  expect([held.bytes, large.held, large.closing]).toEqual([HELD_BYTES_MAX / 2 + 1, 0, true]);
});

test("many small connections of one address count together", () => {
  const { hold, cut } = holders();
  hold("lone", "192.0.2.2", 2 * SHARE);
  for (let i = 0; i < 28; i++) hold(`of many ${i}`, "192.0.2.1", SHARE / 2);
  expect(cut).toEqual([]);
  hold("last", "192.0.2.3", 1);
  expect(cut.length).toBe(5);
  expect(cut.filter((name) => !name.startsWith("of many"))).toEqual([]);
});

test("a connection that holds nothing is not closed because of its neighbours", () => {
  const { hold, cut } = holders();
  hold("empty", "192.0.2.1", 0);
  hold("full", "192.0.2.1", HELD_BYTES_MAX + 1);
  expect(cut).toEqual(["full"]);
});

test("lighter places follow if the heaviest do not suffice", () => {
  const { held, hold, cut } = holders();
  hold("heavy", "192.0.2.99", SHARE + 1);
  for (let i = 0; i < 30; i++) hold("light", `192.0.2.${i}`, SHARE / 2);
  expect(cut).toEqual(["heavy", "light", "light"]);
  expect(held.bytes).toBeLessThanOrEqual(HELD_BYTES_MAX - HELD_BYTES_MAX / 8);
});

test("the bytes of a closed connection no longer count, those of its neighbours do", () => {
  const { held, hold } = holders();
  const one = hold("one", "192.0.2.1", 300);
  const other = hold("other", "192.0.2.1", 40);
  const empty = hold("empty", "192.0.2.1", 0);
  for (const connection of [one, empty]) held.release(connection);
  expect([held.bytes, other.neighbours.heldBytes]).toEqual([40, 40]);
});
