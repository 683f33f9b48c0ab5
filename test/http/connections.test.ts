import { expect, test } from "bun:test";
import { Connection } from "../../src/http/connection.ts";
import { Connections } from "../../src/http/connections.ts";
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
