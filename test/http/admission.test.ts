import { expect, test } from "bun:test";
import { Admission, type AdmissionOptions } from "../../src/http/admission.ts";
import { Connection } from "../../src/http/connection.ts";
import { ConnectionCounts, Connections } from "../../src/http/connections.ts";
import { fakeSocket } from "./fake-socket.ts";

/** An admission, and the result for each connection: true if it was accepted. */
function door(options: AdmissionOptions) {
  const connections = new Connections();
  const counts = new ConnectionCounts();
  const admission = new Admission(options, connections, counts);
  const come = (remoteAddress: string, now = 0) => {
    const socket = fakeSocket({ remoteAddress, terminate: () => admission.remove(connection) });
    const connection: Connection = new Connection(socket, admission.neighbourhood);
    const admitted = admission.admits(connection, now);
    if (admitted) admission.add(connection);
    connection.wait(now, 10);
    return { admitted, connection };
  };
  return { admission, connections, come, counts };
}

test("connections up to the limit are accepted, even if all come from one address", () => {
  const { come, counts } = door({ connectionsMax: 9, connectionsPerAddressMax: 2 });
  for (let i = 0; i < 9; i++) expect(come("192.0.2.1").admitted).toBe(true);
  expect(counts).toMatchObject({ crowded: 0, refused: 0 });
});

test("an address at its limit replaces only a waiting connection of its own", () => {
  const { come, counts } = door({ connectionsMax: 2, connectionsPerAddressMax: 1 });
  const [other, own] = [come("192.0.2.2"), come("192.0.2.1", 5)];
  expect(come("192.0.2.1", 6).admitted).toBe(false);
  expect(counts).toMatchObject({ crowded: 1, refused: 0 });
  expect(come("192.0.2.1", 7).admitted).toBe(true);
  expect([other.connection.closing, own.connection.closing]).toEqual([false, true]);
  expect(counts).toMatchObject({ crowded: 1, refused: 1 });
});

test("at the limit each new connection is reported, and replaces a waiting one", () => {
  let told = 0;
  const { come, counts } = door({ connectionsMax: 1, full: () => (told += 1) });
  come("192.0.2.1");
  expect(come("192.0.2.2", 1).admitted).toBe(false);
  expect(come("192.0.2.2", 2).admitted).toBe(true);
  expect(counts.refused).toBe(2);
  expect(told).toBe(2);
});

test("threads share a limit exactly, and a connection of another thread never gives way", () => {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const doors = [0, 1].map(() => door({ connectionsMax: 3, open: shared }));
  const [one, two] = doors;
  const first = one!.come("192.0.2.1");
  one!.come("192.0.2.2");
  expect(two!.come("192.0.2.3").admitted).toBe(true);
  expect(shared[0]).toBe(3);
  // Too soon for its own to give way, and later it does.
  expect(two!.come("192.0.2.4", 1).admitted).toBe(false);
  expect(shared[0]).toBe(3);
  one!.admission.remove(first.connection);
  expect(shared[0]).toBe(2);
  expect(two!.come("192.0.2.5", 1).admitted).toBe(true);
  expect([one!.counts.refused, two!.counts.refused, shared[0]]).toEqual([0, 1, 3]);
});

test("a closed connection is in no chain", () => {
  const { admission, come } = door({ connectionsMax: 9 });
  const { connection } = come("192.0.2.1");
  admission.displacement.noteUnsent(connection, 0);
  const { siteLink, taking } = connection;
  expect(siteLink!.chain).toBeDefined();
  expect(taking!.link.chain).toBeDefined();
  admission.remove(connection);
  expect([siteLink!.chain, taking!.link.chain]).toEqual([undefined, undefined]);
  expect(admission.neighbourhood.heaviest).toBeUndefined();
});

test("an upgraded connection moves to the place of its client, and gives way to none", () => {
  const { admission, come } = door({ connectionsMax: 2 });
  const { connection } = come("10.0.0.1");
  const other = come("10.0.0.1");
  connection.heldBeside = 100;
  connection.neighbours.heldBytes = 150;
  admission.settle(connection, { address: new Uint8Array([192, 0, 2, 1]), family: 4 });
  expect([connection.neighbours.open, connection.neighbours.heldBytes]).toEqual([1, 100]);
  expect([other.connection.neighbours.open, other.connection.neighbours.heldBytes]).toEqual([
    1, 50,
  ]);
  expect(connection.siteLink).toBeUndefined();
  connection.busy = true;
  expect(come("192.0.2.9", 5).admitted).toBe(true);
  expect(other.connection.closing).toBe(true);
  expect(come("192.0.2.9", 5).admitted).toBe(false);
  expect(connection.closing).toBe(false);
  admission.remove(connection);
  expect(connection.neighbours.open).toBe(0);
});
