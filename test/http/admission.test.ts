import type { Socket } from "bun";
import { expect, test } from "bun:test";
import { Admission, type AdmissionOptions } from "../../src/http/admission.ts";
import { Connection, ConnectionCounts, Connections } from "../../src/http/connection.ts";

/** A door, and those who came to it: true for who got in. */
function door(options: AdmissionOptions) {
  const connections = new Connections();
  const counts = new ConnectionCounts();
  const admission = new Admission(options, connections, counts);
  const come = (remoteAddress: string, now = 0) => {
    const socket = { remoteAddress } as unknown as Socket<Connection>;
    const connection = new Connection(socket, admission.neighbourhood);
    Object.assign(socket, { terminate: () => admission.remove(connection) });
    const admitted = admission.admits(connection, now);
    if (admitted) admission.add(connection);
    connection.wait(now, 10);
    return { admitted, connection };
  };
  return { admission, come, counts };
}

test("of one address come as many as may, and another when one has gone", () => {
  const { admission, come, counts } = door({ connectionsMax: 9, connectionsPerAddressMax: 2 });
  const [first] = [come("192.0.2.1"), come("192.0.2.1")];
  expect(come("192.0.2.1").admitted).toBe(false);
  expect(come("192.0.2.2").admitted).toBe(true);
  expect(counts).toMatchObject({ crowded: 1, refused: 0 });
  admission.remove(first!.connection);
  expect(come("192.0.2.1").admitted).toBe(true);
});

test("who has all that one address may have drives out nobody, however long they wait", () => {
  const { come, counts } = door({ connectionsMax: 2, connectionsPerAddressMax: 1 });
  come("192.0.2.1");
  come("192.0.2.2");
  expect(come("192.0.2.1", 9).admitted).toBe(false);
  expect(counts).toMatchObject({ crowded: 1, refused: 0 });
});

test("when all are taken each that comes is told of, and takes the place of one that waits", () => {
  let told = 0;
  const { come, counts } = door({ connectionsMax: 1, full: () => (told += 1) });
  come("192.0.2.1");
  expect(come("192.0.2.2", 1).admitted).toBe(false);
  expect(come("192.0.2.2", 2).admitted).toBe(true);
  expect(counts.refused).toBe(2);
  expect(told).toBe(2);
});
