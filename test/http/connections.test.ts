import { expect, test } from "bun:test";
import { Connection } from "../../src/http/connection.ts";
import { Connections } from "../../src/http/connections.ts";
import { until } from "../until.ts";
import { fakeSocket } from "./fake-socket.ts";

test("connections can be removed during a visit", () => {
  const connections = new Connections();
  const all = Array.from({ length: 5 }, () => new Connection(fakeSocket({})));
  for (const connection of all) connections.add(connection);
  const seen = new Set<Connection>();
  connections.forEach((connection) => {
    seen.add(connection);
    if (all.indexOf(connection) % 2 === 0) connections.remove(connection);
  });
  expect(seen.size).toBe(5);
  expect(connections.count).toBe(2);
  connections.remove(all[1]);
  const left: Connection[] = [];
  connections.forEach((connection) => left.push(connection));
  expect(left).toEqual([all[3]]);
});

test("a walk visits each one, in turns, though some leave meanwhile", async () => {
  const connections = new Connections();
  const all = Array.from({ length: 1000 }, () => new Connection(fakeSocket({})));
  for (const connection of all) connections.add(connection);
  const visits = new Map<Connection, number>();
  const gone = new Set<Connection>();
  const leave = (connection: Connection): void => {
    if (gone.has(connection)) return;
    gone.add(connection);
    connections.remove(connection);
  };
  let turns = 0;
  const count = setInterval(() => (turns += 1), 0);
  connections.walk((connection) => {
    visits.set(connection, (visits.get(connection) ?? 0) + 1);
    for (const end = performance.now() + 0.05; performance.now() < end;);
    if (visits.size % 7 === 0) leave(connection);
    if (visits.size % 5 === 0) leave(all[(visits.size * 37) % all.length]!);
  });
  // One that begins meanwhile is left out.
  connections.walk(() => expect.unreachable());
  expect(visits.size).toBeLessThan(all.length);
  await until(() => all.every((each) => visits.has(each) || gone.has(each)));
  clearInterval(count);
  expect(turns).toBeGreaterThan(0);
  let again = 0;
  await until(() => (connections.walk(() => (again += 1)), again > 0));
  expect(again).toBe(connections.count);
});
