/** The source in the event loop, with a socket that the test controls. */
import { expect, test } from "bun:test";
import { Answering } from "../../src/udp/answering.ts";
import { EventLoopSource } from "../../src/udp/event-loop.ts";
import { announceOf, connect, sharedBy } from "./fixture.ts";

const makeAnswering = (): Answering => new Answering(sharedBy(1), 0);

type Packet = Uint8Array | number | string;

/** Keeps what was sent as `transaction id>address:port`, one list for each call. */
class FakeSocket {
  readonly batches: string[][] = [];
  readonly singles: string[] = [];
  /** Number of replies of a batch that are taken; -1 to fail. */
  takes = Infinity;
  /** Addresses to which a single send fails, and the kind of failure. */
  refuses = new Map<string, "throw" | "full">();

  sendMany(packets: readonly Packet[]): number {
    const sent: string[] = [];
    for (let i = 0; i < packets.length; i += 3) {
      sent.push(written(packets[i], packets[i + 1], packets[i + 2]));
    }
    this.batches.push(sent);
    if (this.takes < 0) throw new Error("ECONNREFUSED");
    return Math.min(this.takes, sent.length);
  }

  send(data: Packet, port: Packet, address: Packet): boolean {
    const refusal = this.refuses.get(String(address));
    if (refusal === "throw") throw new Error("EINVAL");
    if (refusal === "full") return false;
    this.singles.push(written(data, port, address));
    return true;
  }
}

const written = (data: Packet, port: Packet, address: Packet): string =>
  `${(data as Uint8Array).subarray(4, 8).toHex()}>${address}:${port}`;

const number = (i: number): string => i.toString(16).padStart(8, "0");

function open(): {
  source: EventLoopSource;
  socket: FakeSocket;
  asSocket: never;
  failures(): number;
} {
  const answering = makeAnswering();
  const socket = new FakeSocket();
  return {
    source: new EventLoopSource(answering),
    socket,
    asSocket: socket as never,
    failures: () => answering.counters.total("udpSendFailures"),
  };
}

/** The replies to `count` clients, client i at port 1000 + i. */
const replies = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `${number(from + i)}>127.0.0.1:${1000 + from + i}`);

function connectMany(at: ReturnType<typeof open>, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    at.source.receive(at.asSocket, connect(number(i)), 1000 + i, "127.0.0.1");
  }
}

test("replies are sent together when the event loop delivers no more datagrams", async () => {
  const at = open();
  connectMany(at, 0, 3);
  expect(at.socket.batches).toEqual([]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(at.socket.batches).toEqual([replies(0, 3)]);
  connectMany(at, 3, 4);
  await new Promise((resolve) => setImmediate(resolve));
  expect(at.socket.batches).toEqual([replies(0, 3), replies(3, 4)]);
  expect(at.socket.singles).toEqual([]);
});

test("a full batch of 64 is sent at once, and the next begins empty", async () => {
  const at = open();
  connectMany(at, 0, 63);
  expect(at.socket.batches).toEqual([]);
  connectMany(at, 63, 64);
  expect(at.socket.batches).toEqual([replies(0, 64)]);
  connectMany(at, 64, 130);
  expect(at.socket.batches).toEqual([replies(0, 64), replies(64, 128)]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(at.socket.batches).toEqual([replies(0, 64), replies(64, 128), replies(128, 130)]);
});

test("a datagram without a reply takes no slot of the batch", async () => {
  const at = open();
  for (let i = 0; i < 200; i++) at.source.receive(at.asSocket, new Uint8Array(3), 9, "127.0.0.1");
  connectMany(at, 0, 2);
  for (let i = 0; i < 200; i++) at.source.receive(at.asSocket, new Uint8Array(16), 9, "127.0.0.1");
  await new Promise((resolve) => setImmediate(resolve));
  expect(at.socket.batches).toEqual([replies(0, 2)]);
});

test("nothing is sent without waiting replies", () => {
  const at = open();
  at.source.flush(at.asSocket);
  expect(at.socket.batches).toEqual([]);
});

test("replies that were not sent are sent once more, one by one", () => {
  const at = open();
  at.socket.takes = 5;
  connectMany(at, 0, 8);
  at.source.flush(at.asSocket);
  expect(at.socket.singles).toEqual(replies(5, 8));
  expect(at.failures()).toBe(0);
});

test("a batch that fails loses no reply", () => {
  const at = open();
  at.socket.takes = -1;
  connectMany(at, 0, 8);
  at.source.flush(at.asSocket);
  expect(at.socket.singles).toEqual(replies(0, 8));
  expect(at.failures()).toBe(0);
});

test("a reply that is refused twice is counted, and no other is lost", async () => {
  for (const how of ["throw", "full"] as const) {
    const at = open();
    at.socket.takes = -1;
    at.socket.refuses.set("127.0.0.2", how);
    connectMany(at, 0, 2);
    at.source.receive(at.asSocket, connect(), 7, "127.0.0.2");
    connectMany(at, 2, 4);
    at.source.flush(at.asSocket);
    expect(at.socket.singles).toEqual(replies(0, 4));
    expect(at.failures()).toBe(1);
    at.socket.takes = Infinity;
    connectMany(at, 4, 5);
    await new Promise((resolve) => setImmediate(resolve));
    expect(at.socket.batches.at(-1)).toEqual(replies(4, 5));
  }
});

test("an address with a zone is read, a malformed address is dropped", async () => {
  const at = open();
  at.source.receive(at.asSocket, connect(), 7, "fe80::1%eth0");
  at.source.receive(at.asSocket, connect(), 7, "nonsense");
  await new Promise((resolve) => setImmediate(resolve));
  expect(at.socket.batches).toEqual([["c0ffee01>fe80::1%eth0:7"]]);
});

test("a datagram longer than any request is cut", () => {
  const at = open();
  const long = new Uint8Array(60_000);
  long.set(connect(number(0)));
  at.source.receive(at.asSocket, long, 1000, "127.0.0.1");
  connectMany(at, 1, 3);
  at.source.flush(at.asSocket);
  expect(at.socket.batches).toEqual([replies(0, 3)]);
});

test("an id given to a client lets it announce", () => {
  const at = open();
  const ids: string[] = [];
  const socket = {
    sendMany(packets: Packet[]): number {
      ids.push((packets[0] as Uint8Array).toHex());
      return packets.length / 3;
    },
    send: () => true,
  } as never;
  at.source.receive(socket, connect(), 5, "::ffff:127.0.0.1");
  at.source.flush(socket);
  at.source.receive(socket, announceOf(ids[0].slice(16)), 6, "127.0.0.1");
  at.source.flush(socket);
  expect(ids[1]).toBe("00000001" + "c0ffee01" + "00000708" + "00000001" + "00000000");
});
