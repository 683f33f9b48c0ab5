import { estimateShallowMemoryUsageOf } from "bun:jsc";
import { expect, test } from "bun:test";
import { BodySkipper } from "../../src/http/body.ts";
import { Connection } from "../../src/http/connection.ts";
import type { Tunnel } from "../../src/net/tunnel.ts";
import { fakeSocket } from "./fake-socket.ts";

/** A socket that takes a given number of bytes at each write, and the bytes it took. */
function open(takes: number[], remoteAddress = "192.0.2.7") {
  const taken: string[] = [];
  const socket = fakeSocket({
    remoteAddress,
    write(bytes: Uint8Array, from = 0, size = bytes.length - from) {
      const count = Math.min(takes.shift() ?? 0, size);
      if (count > 0) taken.push(Buffer.from(bytes.subarray(from, from + count)).toString());
      return count;
    },
  });
  return { connection: new Connection(socket), taken };
}

test("the address is that of the client, in 4 or 16 bytes", () => {
  const { connection } = open([], "::ffff:192.0.2.7");
  expect(connection.family).toBe(4);
  expect([...connection.address.subarray(0, 4)]).toEqual([192, 0, 2, 7]);
  expect(open([], "2001:db8::1").connection.family).toBe(6);
  expect(open([], "").connection.family).toBe(0);
});

test("the system is asked for the address first; the text of the socket is not made then", () => {
  const read: number[] = [];
  const socket = fakeSocket({ fd: 7 });
  Object.defineProperty(socket, "remoteAddress", { get: () => void read.push(1) });
  const addressOf = (fd: number, out: Uint8Array) => ((out[0] = fd), 4 as const);
  const connection = new Connection(socket, undefined, addressOf);
  expect([connection.family, connection.address[0], read.length]).toEqual([4, 7, 0]);
  expect(new Connection(socket, undefined, () => 0).family).toBe(0);
  expect(read.length).toBe(1);
});

test("bytes that a write does not take are kept in order until the socket takes them", async () => {
  const { connection, taken } = open([4, 1, 100]);
  const bytes = Buffer.from("..abcdef..");
  connection.write(bytes, 2, 8);
  expect([connection.held, connection.free]).toEqual([2, false]);
  bytes.fill(0);
  connection.write(Buffer.from("gh"), 0, 2);
  expect(connection.held).toBe(4);
  const sent = connection.sent();
  expect(connection.sendRest()).toBe(false);
  expect(connection.sendRest()).toBe(true);
  expect(taken.join("|")).toBe("abcd|e|fgh");
  expect([await sent, connection.held, connection.idle]).toEqual([true, 0, true]);
});

test("nothing is kept for a closed socket, and a pending `sent` resolves with false", async () => {
  const closed = open([-1]).connection;
  closed.write(Buffer.from("abc"), 0, 3);
  expect(closed.held).toBe(0);
  const { connection } = open([]);
  connection.write(Buffer.from("abc"), 0, 3);
  const sent = connection.sent();
  connection.noteGone();
  connection.wake();
  expect(await sent).toBe(false);
});

test("an idle connection takes 112 bytes, and shares what holds no bytes", () => {
  const { connection } = open([]);
  expect(estimateShallowMemoryUsageOf(connection)).toBeLessThanOrEqual(112);
  expect(connection.leftover).toBe(open([]).connection.leftover);
  expect(() => connection.leftover.add(Buffer.from("a"))).toThrow();
  connection.keep(Buffer.from("a"));
  expect([connection.leftover.size, open([]).connection.leftover.size]).toEqual([1, 0]);
});

test("an upgraded connection gives back the address and the room for bytes of requests", () => {
  const { connection } = open([]);
  connection.keep(Buffer.from("early bytes"));
  connection.leftover.drop(6);
  connection.noteUpgraded({} as Tunnel);
  expect(connection.leftover.text(99)).toBe("bytes");
  connection.leftover.drop(5);
  connection.noteAllRead();
  expect(connection.leftover).toBe(open([]).connection.leftover);
  expect([...connection.address]).toEqual(Array.from({ length: 16 }, () => 0));
});

test("the stages of the end imply those before them and are never taken back", () => {
  const stages = ({ closing, lingering, shut, gone }: Connection) => [
    closing,
    lingering,
    shut,
    gone,
  ];
  const { connection } = open([]);
  expect(stages(connection)).toEqual([false, false, false, false]);
  expect(connection.free).toBe(true);
  connection.linger();
  connection.close();
  expect(stages(connection)).toEqual([true, true, false, false]);
  expect(connection.free).toBe(false);
  connection.noteGone();
  connection.close();
  expect(stages(connection)).toEqual([true, true, true, true]);
});

test("its stage, its family and its other states do not change each other", () => {
  const { connection } = open([], "2001:db8::1");
  connection.partial = false;
  connection.noteInputEnded();
  connection.busy = true;
  connection.linger();
  expect([connection.family, connection.partial, connection.inputEnded]).toEqual([6, false, true]);
  connection.noteGone();
  connection.busy = false;
  expect([connection.family, connection.gone, connection.busy]).toEqual([6, true, false]);
  expect(connection.inputEnded).toBe(true);
});

test("unsent answers, bytes of its protocol and a body are its own while it has them", () => {
  const { connection } = open([0, 100]);
  connection.write(Buffer.from("answer"), 0, 6);
  connection.heldBeside = 9;
  connection.body = new BodySkipper(1);
  expect([connection.held, connection.idle, connection.isFull]).toEqual([15, false, true]);
  connection.body = undefined;
  connection.heldBeside = 0;
  expect(connection.sendRest()).toBe(true);
  expect([connection.held, connection.isFull, connection.idle]).toEqual([0, false, true]);
});
