/** Sockets that a supervisor passes. What becomes of their requests is in test/e2e. */
import { dlopen, FFIType } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  addressText,
  inheritedSockets,
  openSocketCalls,
  type ServerSocket,
} from "../../src/host/inherited.ts";
import { openLibc } from "../../src/host/libc.ts";
import { findLibc } from "../../src/host/mapped.ts";

const libc = openLibc();
const calls = openSocketCalls();

const UDP: ServerSocket = { protocol: "udp", at: "[::]:6969", flaw: "", inode: 10 };
const TCP: ServerSocket = { protocol: "tcp", at: "[::]:6969", flaw: "", inode: 11 };

/** The C library of a process whose descriptors from 3 on are these. */
function libcWith(descriptors: (ServerSocket | undefined)[]) {
  const done: string[] = [];
  return {
    done,
    look: (fd: number) => descriptors[fd - 3],
    close: (fd: number) => void done.push(`closes ${fd}`),
  };
}

const ENV = { LISTEN_PID: "4711", LISTEN_FDS: "2", LISTEN_FDNAMES: "udp-[__]-6969:web" };

test("sockets are found by what they are, and have the names they were given", () => {
  const libc = libcWith([UDP, TCP]);
  expect(inheritedSockets(ENV, libc, 4711)).toEqual([
    { ...UDP, fd: 3, name: "udp-[__]-6969" },
    { ...TCP, fd: 4, name: "web" },
  ]);
  expect(libc.done).toEqual([]);
});

test("sockets may be without names", () => {
  const found = inheritedSockets({ ...ENV, LISTEN_FDNAMES: undefined }, libcWith([UDP, TCP]), 4711);
  expect(found.map(({ fd, name }) => [fd, name])).toEqual([
    [3, ""],
    [4, ""],
  ]);
});

test.each([
  ["of another process", { ...ENV, LISTEN_PID: "1" }],
  ["without a process", { ...ENV, LISTEN_PID: undefined }],
  ["without a number", { ...ENV, LISTEN_FDS: undefined }],
  ["with a number that is none", { ...ENV, LISTEN_FDS: "-1" }],
  ["of a shell", {}],
])("sockets %s are left alone", (_of, env) => {
  const libc = libcWith([UDP, TCP]);
  expect(inheritedSockets(env, libc, 4711)).toEqual([]);
  expect(libc.done).toEqual([]);
});

test("a second descriptor of a socket is closed, since both would get the same requests", () => {
  const libc = libcWith([UDP, UDP]);
  expect(inheritedSockets(ENV, libc, 4711).map(({ fd }) => fd)).toEqual([3]);
  expect(libc.done).toContain("closes 4");
});

test("descriptors that are no sockets for requests stay open: they may be the runtime's", () => {
  const libc = libcWith([undefined, TCP, undefined]);
  const found = inheritedSockets({ ...ENV, LISTEN_FDS: "9" }, libc, 4711);
  expect(found.map(({ fd }) => fd)).toEqual([4]);
  expect(libc.done).toEqual([]);
});

describe.if(libc !== undefined)("a socket", () => {
  test("tells its protocol and its address, the same text for the same address", () => {
    const fd = libc!.bindUdp("::1", 0, false);
    const { at = "", protocol, inode } = calls!.look(fd) ?? {};
    expect(protocol).toBe("udp");
    expect(at).toBe(addressText("0:0::0:1", Number(at.split(":").at(-1)), 0));
    const other = libc!.duplicate(fd);
    expect(calls!.look(other)?.inode).toBe(inode);
    libc!.close(other);
    libc!.close(fd);
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const found = calls!.look((listener as unknown as { fd: number }).fd);
    expect(found).toMatchObject({ protocol: "tcp", at: `127.0.0.1:${listener.port}` });
    expect(found?.flaw).toBe("");
    listener.stop(true);
    expect(addressText("::ffff:192.0.2.1", 1, 0)).toBe("192.0.2.1:1");
    expect(addressText("fe80::1%7", 1, 7)).toBe("[fe80::1%7]:1");
  });

  test("that answers no requests is none for them: files, pipes, connections", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const there = { hostname: "127.0.0.1", port: listener.port, socket: { data() {} } };
    const client = await Bun.connect(there);
    expect(calls!.look((client as unknown as { fd: number }).fd)).toBeUndefined();
    client.terminate();
    listener.stop(true);
    for (const fd of [0, 1, 2, 12_345]) expect(calls!.look(fd)).toBeUndefined();
  });

  test("for UDP that is shut down is known: a read of it would never wait", () => {
    const fd = libc!.bindUdp("127.0.0.1", 0, false);
    const { shutdown } = dlopen(findLibc()!, {
      shutdown: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    }).symbols;
    expect(calls!.look(fd)?.flaw).toBe("");
    shutdown(fd, 0);
    expect(calls!.look(fd)?.flaw).toBe("is shut down");
    libc!.close(fd);
  });

  test("that takes no more keeps what it has, and leaves the rest to the others", async () => {
    const port = 20_000 + (process.pid % 10_000);
    const [old, other] = [0, 0].map(() => libc!.bindUdp("127.0.0.1", port, true));
    const clients = await Promise.all(Array.from({ length: 50 }, () => Bun.udpSocket({})));
    const queued = (fd: number) => {
      const inode = calls!.look(fd)?.inode;
      const lines = readFileSync("/proc/net/udp", "utf8").split("\n");
      const line = lines.find((text) => text.trim().split(/\s+/)[9] === String(inode))!;
      return Number.parseInt(line.trim().split(/\s+/)[4]!.split(":")[1]!, 16);
    };
    const ask = () => {
      for (const client of clients) client.send("x", port, "127.0.0.1");
    };
    ask();
    const before = [queued(old!), queued(other!)];
    expect(Math.min(...before)).toBeGreaterThan(0);
    expect(calls!.look(old!)?.flaw).toBe("");
    calls!.takeNoMore(old!);
    // If it comes back from the store, it is known.
    expect(calls!.look(old!)?.flaw).toBe("is connected");
    expect(calls!.look(other!)?.flaw).toBe("");
    ask();
    expect(queued(old!)).toBe(before[0]!);
    expect(queued(other!)).toBeGreaterThan(before[1]! + before[0]!);
    for (const client of clients) client.close();
    for (const fd of [old!, other!]) libc!.close(fd);
  });
});
