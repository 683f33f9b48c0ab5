/** Batches over real sockets on loopback: the structs for the kernel must be right to the byte. */
import { type Pointer, read } from "bun:ffi";
import { afterEach, describe, expect, spyOn, test } from "bun:test";
import { COUNT } from "../../src/counters/counters.ts";
import { Batches, type SocketCalls } from "../../src/udp/batches.ts";
import { BATCH_SIZE } from "../../src/udp/datagrams.ts";
import { EMSGSIZE, type Libc, openLibc } from "../../src/host/libc.ts";
import { Answering } from "../../src/udp/answering.ts";
import { until } from "../until.ts";
import { INFO_HASH, scrapeOf, sharedBy } from "./fixture.ts";

const libc = openLibc();
const open: number[] = [];
afterEach(() => {
  for (const fd of open.splice(0)) libc!.close(fd);
});

/** A socket on a free port, and the batches that answer it. */
function listen(host: string, port: number, calls: SocketCalls = libc!) {
  const answering = new Answering(sharedBy(1), 0);
  const fd = libc!.bindUdp(host, port, false);
  open.push(fd);
  libc!.ignoreUnreachable(fd);
  libc!.setReceiveTimeout(fd, 500);
  const wildcard = host === "::" || host === "0.0.0.0";
  if (wildcard) libc!.askForDestination(fd, host === "::" ? 6 : 4);
  return { batches: new Batches(calls, fd, wildcard, answering), answering };
}

/** A client with a connected socket, which receives from the server's address only. */
async function client(host: string, port: number) {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const socket = await Bun.udpSocket({
    hostname: host.includes(":") ? "::1" : "127.0.0.1",
    connect: { hostname: host, port },
    socket: { data: (_socket, bytes) => resolve(Buffer.from(bytes)), error: () => {} },
  });
  return {
    send: (bytes: Uint8Array) => socket.send(bytes),
    received: () => Promise.race([promise, Bun.sleep(2000).then(() => Buffer.alloc(0))]),
    [Symbol.dispose]: () => socket.close(),
  };
}

/** The C library on a system that refuses sendmmsg. */
const withoutSending: SocketCalls = {
  receive: (...given: Parameters<Libc["receive"]>) => libc!.receive(...given),
  send: () => -1,
  errno: () => 38,
};

/** Bytes of the reply that header `index` of a batch points to. */
function replyLength(headers: Pointer, index: number): number {
  return read.u32(read.ptr(headers, 64 * index + 16) as Pointer, 8);
}

let nextPort = 20_000 + (process.pid % 10_000);

const CONNECT = Buffer.from("00000417271019800000000001020304", "hex");

describe.if(libc !== undefined)("a batch", () => {
  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["0.0.0.0", "127.0.0.1"],
    ["::1", "::1"],
    ["::", "::1"],
    ["::", "127.0.0.1"],
    ["::", "127.0.0.9"],
  ])("on %s answers a client that asks %s, from that address", async (host, asked) => {
    const port = nextPort++;
    const { batches } = listen(host, port);
    using asking = await client(asked, port);
    asking.send(CONNECT);
    expect(batches.turn()).toBe(1);
    const reply = await asking.received();
    expect(reply.subarray(0, 8).toString("hex")).toBe("0000000001020304");
  });

  test("takes at most 64 datagrams, and leaves the others queued", async () => {
    const port = nextPort++;
    const { batches, answering } = listen("127.0.0.1", port);
    using asking = await client("127.0.0.1", port);
    for (let i = 0; i < BATCH_SIZE + 6; i++) asking.send(CONNECT);
    expect(batches.turn()).toBe(BATCH_SIZE);
    expect(batches.drain()).toBe(6);
    expect(batches.drain()).toBe(0);
    expect(answering.counters.row[COUNT.udpConnectsIpv4]).toBe(BATCH_SIZE + 6);
  });

  test("answers valid datagrams and ignores the others in one batch", async () => {
    const port = nextPort++;
    const { batches, answering } = listen("127.0.0.1", port);
    using honest = await client("127.0.0.1", port);
    using garbage = await client("127.0.0.1", port);
    garbage.send(Buffer.from("garbage"));
    honest.send(CONNECT);
    garbage.send(Buffer.alloc(60_000));
    expect(batches.turn()).toBe(3);
    expect((await honest.received()).length).toBe(16);
    expect(answering.counters.row[COUNT["udp:short"]]).toBe(1);
  });

  test("returns 0 when the receive timeout ends", () => {
    const { batches } = listen("127.0.0.1", nextPort++);
    expect(batches.turn()).toBe(0);
  });

  test("throws on a closed socket instead of retrying", () => {
    const { batches } = listen("127.0.0.1", nextPort++);
    libc!.close(open.pop()!);
    expect(() => {
      for (let i = 0; i < 1000; i++) batches.turn();
    }).toThrow("recvmmsg");
  });

  test("survives ten seconds without memory, and throws after that", async () => {
    const port = nextPort++;
    let failing = true;
    const short: SocketCalls = {
      receive: (...given: Parameters<Libc["receive"]>) => (failing ? -1 : libc!.receive(...given)),
      send: (...given: Parameters<Libc["send"]>) => libc!.send(...given),
      errno: () => 12,
    };
    const { batches } = listen("127.0.0.1", port, short);
    using asking = await client("127.0.0.1", port);
    const turnFor = (seconds: number) => {
      clock.mockReturnValue(clock() + seconds * 1000);
      batches.turn();
    };
    const clock = spyOn(performance, "now").mockReturnValue(performance.now());
    try {
      for (let i = 0; i < 150; i++) turnFor(0.06);
      failing = false;
      asking.send(CONNECT);
      expect(batches.turn()).toBe(1);
      failing = true;
      for (let i = 0; i < 11; i++) turnFor(0.9);
      expect(() => turnFor(2)).toThrow("recvmmsg: ENOMEM");
    } finally {
      clock.mockRestore();
    }
  });

  test("cuts a reply that its way does not carry, and sends the others whole", async () => {
    const port = nextPort++;
    let errno = 0;
    const narrow: SocketCalls = {
      receive: (...given: Parameters<Libc["receive"]>) => libc!.receive(...given),
      send(fd, headers, count, flags) {
        const lengths = Array.from({ length: count }, (_, i) => replyLength(headers, i));
        const fitting = lengths.findIndex((length) => length > 524);
        errno = fitting === 0 ? EMSGSIZE : 0;
        return fitting === 0 ? -1 : libc!.send(fd, headers, fitting < 0 ? count : fitting, flags);
      },
      errno: () => errno,
    };
    const { batches, answering } = listen("127.0.0.1", port, narrow);
    const lengths: number[] = [];
    let id = "";
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.1",
      connect: { hostname: "127.0.0.1", port },
      socket: {
        data(_socket, bytes) {
          id ||= Buffer.from(bytes).toString("hex", 8, 16);
          lengths.push(bytes.length);
        },
      },
    });
    try {
      socket.send(CONNECT);
      batches.turn();
      await until(() => lengths.length === 1);
      for (const packet of [CONNECT, scrapeOf(id, INFO_HASH.repeat(74)), CONNECT]) {
        socket.send(packet);
      }
      expect(batches.turn()).toBe(3);
      await until(() => lengths.length === 4);
      expect(lengths).toEqual([16, 16, 524, 16]);
      expect(answering.counters.row[COUNT.udpSendFailures]).toBe(0);
    } finally {
      socket.close();
    }
  });

  test("throws if the system refuses to send", async () => {
    const port = nextPort++;
    const { batches } = listen("127.0.0.1", port, withoutSending);
    using peer = await client("127.0.0.1", port);
    peer.send(CONNECT);
    expect(() => batches.turn()).toThrow("sendmmsg: ENOSYS");
  });
});
