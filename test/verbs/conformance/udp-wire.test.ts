/** The UDP client of the suite: what it sends, what it sees, and that it leaves. */
import { expect, test } from "bun:test";

import { ownPeer, Pace } from "../../../src/verbs/conformance/statements.ts";
import { connectPacket, UdpWire } from "../../../src/verbs/conformance/udp-wire.ts";
import { type Faults, FakeTracker } from "./fake-tracker.ts";
import { HASTY } from "./tried.ts";

async function wireTo(fake: FakeTracker): Promise<UdpWire> {
  const { port } = new URL(await fake.overUdp());
  return new UdpWire({ address: "127.0.0.1", port: Number(port) }, HASTY, new Pace(0));
}

test("a peer that was announced is stopped when the wire leaves", async () => {
  await using fake = new FakeTracker();
  const wire = await wireTo(fake);
  await wire.announce(ownPeer());
  const [swarm] = fake.swarms.values();
  expect(swarm.peers.size).toBe(1);
  await wire.leave();
  expect(swarm.peers.size).toBe(0);
  wire.close();
});

test("an exchange is kept as text, with the bytes of both sides", async () => {
  await using fake = new FakeTracker();
  const wire = await wireTo(fake);
  await wire.exchange(connectPacket());
  expect(wire.exchanges).toHaveLength(1);
  expect(wire.exchanges[0].sent).toMatch(/^16 bytes: 0000041727101980/);
  expect(wire.exchanges[0].came).toMatch(/^16 bytes: 00000000/);
  wire.close();
});

test("a request is sent again, since datagrams get lost", async () => {
  let lost = true;
  const fault: Faults = {
    udp: (reply) => {
      const told = lost ? undefined : reply;
      lost = false;
      return told;
    },
  };
  await using fake = new FakeTracker(fault);
  const wire = await wireTo(fake);
  expect(await wire.connect()).not.toBe(0n);
  wire.close();
});

test("silence is only right of a tracker that answers a good request after it", async () => {
  await using fake = new FakeTracker({ udp: () => undefined });
  const wire = await wireTo(fake);
  expect(wire.silence(Buffer.alloc(16))).rejects.toThrow("a connect is not answered");
  await Bun.sleep(HASTY.answer + 3 * HASTY.silence);
  wire.close();
});

test("a closed port is a sentence", async () => {
  const wire = new UdpWire({ address: "127.0.0.1", port: 1 }, HASTY, new Pace(0));
  expect(wire.connect()).rejects.toThrow(/nothing listens|refused/);
  await Bun.sleep(50);
  wire.close();
});

test.each([
  ["an error", Buffer.from("\0\0\0\x03\0\0\0\0no"), "it is refused: no"],
  ["another action", Buffer.alloc(20), "the answer has action 0"],
  ["half a peer", Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.alloc(19)]), "the peers have 3"],
])("an announce that gets %s is broken", async (_, reply, problem) => {
  await using fake = new FakeTracker();
  const wire = await wireTo(fake);
  expect(() => wire.readAnnounced(reply)).toThrow(problem);
  wire.close();
});

test("a flood of datagrams that are no replies ends with a sentence", async () => {
  let timer: ReturnType<typeof setInterval> | undefined;
  const flood = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      error: () => {},
      data(socket, _, from, address) {
        timer ??= setInterval(() => {
          try {
            for (let i = 0; i < 100; i++) socket.send(Buffer.alloc(16, 9), from, address);
          } catch {
            // The client is gone.
          }
        }, 1);
      },
    },
  });
  const wire = new UdpWire({ address: "127.0.0.1", port: flood.port }, HASTY, new Pace(0));
  const flooded = wire.connect();
  expect(flooded).rejects.toThrow("it sends datagrams that are not replies");
  await flooded.catch(() => {});
  clearInterval(timer);
  wire.close();
  flood.close();
});
