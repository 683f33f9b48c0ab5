/** The calls to the C library, on the loopback of this machine. Linux only. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { openLibc, SystemError } from "../../src/host/libc.ts";
import { writeAddress } from "../../src/net/addresses.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const libc = openLibc();

test("the C library is found on Linux only", () => {
  expect(libc !== undefined).toBe(process.platform === "linux");
});

describe.if(libc !== undefined)("a socket", () => {
  test("is bound to an address of either family", () => {
    for (const host of ["127.0.0.1", "::1", "::", "0.0.0.0"]) {
      const fd = libc!.bindUdp(host, 0, false);
      expect(fd).toBeGreaterThan(2);
      libc!.close(fd);
    }
  });

  test("that is not shared cannot bind a used address, with the name of the error", () => {
    const port = 20_000 + (process.pid % 10_000);
    const first = libc!.bindUdp("127.0.0.1", port, true);
    try {
      expect(() => libc!.bindUdp("127.0.0.1", port, false)).toThrow(SystemError);
      expect(() => libc!.bindUdp("127.0.0.1", port, false)).toThrow("bind: EADDRINUSE");
      libc!.close(libc!.bindUdp("127.0.0.1", port, true));
    } finally {
      libc!.close(first);
    }
  });

  test("that listens sets the send buffer of its connections", async () => {
    const taken = async (bytes: number): Promise<number> => {
      const { promise, resolve } = Promise.withResolvers<number>();
      const open = (socket: Bun.Socket) => resolve(socket.write(new Uint8Array(8 * MIB)));
      const handler = { open, data() {}, error() {} };
      const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: handler });
      libc!.setSendBuffer((listener as unknown as { fd: number }).fd, bytes);
      const there = { hostname: "127.0.0.1", port: listener.port, socket: { data() {} } };
      const client = await Bun.connect(there);
      client.pause();
      const size = await promise;
      client.terminate();
      listener.stop(true);
      return size;
    };
    expect(await taken(16 * KIB)).toBeLessThan(MIB);
    expect(await taken(MIB)).toBeGreaterThan(MIB);
  });

  test("that was accepted has the address of its client", async () => {
    const addressOf = async (to: string, at: string): Promise<string> => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const bytes = new Uint8Array(16);
      const open = (socket: Bun.Socket) => {
        const { fd } = socket as unknown as { fd: number };
        const family = libc!.peerAddress(fd, bytes);
        const text = family === 0 ? "none" : writeAddress(bytes, 0, family);
        resolve(text === socket.remoteAddress.replace("::ffff:", "") ? text : `not ${text}`);
      };
      const listener = Bun.listen({ hostname: at, port: 0, socket: { open, data() {} } });
      const there = { hostname: to, port: listener.port, socket: { data() {} } };
      const client = await Bun.connect(there);
      const text = await promise;
      client.terminate();
      listener.stop(true);
      return text;
    };
    expect(await addressOf("127.0.0.1", "127.0.0.1")).toBe("127.0.0.1");
    expect(await addressOf("127.0.0.1", "::")).toBe("127.0.0.1");
    expect(await addressOf("::1", "::")).toBe("::1");
  });

  test("without another end has no address of it", () => {
    const fd = libc!.bindUdp("127.0.0.1", 0, false);
    expect(libc!.peerAddress(fd, new Uint8Array(16))).toBe(0);
    libc!.close(fd);
    expect(libc!.peerAddress(-1, new Uint8Array(16))).toBe(0);
  });

  test("that was duplicated is closed once both are", () => {
    const port = 20_000 + (process.pid % 10_000);
    const first = libc!.bindUdp("127.0.0.1", port, false);
    const second = libc!.duplicate(first);
    libc!.close(first);
    expect(() => libc!.bindUdp("127.0.0.1", port, false)).toThrow("bind: EADDRINUSE");
    libc!.close(second);
    libc!.close(libc!.bindUdp("127.0.0.1", port, false));
    expect(() => libc!.duplicate(second)).toThrow("fcntl: errno 9");
  });

  test("can be made to wait, and not to wait", () => {
    const fd = libc!.bindUdp("127.0.0.1", 0, false);
    const flags = () => readFileSync(`/proc/self/fdinfo/${fd}`, "utf8").match(/flags:\s+(\d+)/)![1];
    const before = flags();
    libc!.setBlocking(fd, false);
    expect(Number.parseInt(flags(), 8) & 0o4000).toBe(0o4000);
    libc!.setBlocking(fd, true);
    expect(flags()).toBe(before);
    libc!.close(fd);
  });

  test("can share its address afterwards, and keep it for itself again", () => {
    const port = 20_000 + (process.pid % 10_000);
    const first = libc!.bindUdp("127.0.0.1", port, false);
    expect(() => libc!.bindUdp("127.0.0.1", port, true)).toThrow("bind: EADDRINUSE");
    libc!.setShared(first, true);
    libc!.close(libc!.bindUdp("127.0.0.1", port, true));
    libc!.setShared(first, false);
    expect(() => libc!.bindUdp("127.0.0.1", port, true)).toThrow("bind: EADDRINUSE");
    libc!.close(first);
  });

  test("on an address that is not ours is refused", () => {
    expect(() => libc!.bindUdp("192.0.2.1", 0, false)).toThrow("bind: EADDRNOTAVAIL");
  });

  test("on a missing interface is refused, by name and by number", () => {
    expect(() => libc!.bindUdp("fe80::1%nope", 0, false)).toThrow("if_nametoindex: ENODEV");
    expect(() => libc!.bindUdp("fe80::1%99999", 0, false)).toThrow("bind: ");
    expect(() => libc!.bindUdp("fe80::1%lo", 0, false)).toThrow("bind: EADDRNOTAVAIL");
  });

  test("returns the receive buffer that the kernel granted", () => {
    const fd = libc!.bindUdp("127.0.0.1", 0, false);
    expect(libc!.setReceiveBuffer(fd, 65_536)).toBe(65_536);
    libc!.close(fd);
  });
});

test.if(libc !== undefined)(
  "code that is let go is no longer resident, and works all the same",
  () => {
    const resident = (): number =>
      Number(/^RssFile:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
    const before = resident();
    libc!.forgetStartupCode();
    expect(resident()).toBeLessThan(before * 0.6);
    expect([3, 1, 2].sort()).toEqual([1, 2, 3]);
  },
);

describe.if(libc !== undefined)("memory", () => {
  const rss = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;

  test("of a whole buffer is discarded but for parts of pages at its ends", () => {
    const size = 32 * 2 ** 20 + 100;
    const memory = new SharedArrayBuffer(size);
    const bytes = new Uint8Array(memory).fill(7);
    const filled = rss();
    libc!.discardAll(memory);
    expect(filled - rss()).toBeGreaterThan(28 * 2 ** 20);
    expect(bytes[size / 2]).toBe(0);
    expect(bytes.slice(libc!.pageSize, -libc!.pageSize).every((byte) => byte === 0)).toBe(true);
    libc!.discardAll(new SharedArrayBuffer(100));
  });

  test("that is discarded goes back to the system, reads as zeros, and can be used again", () => {
    const mib = 2 ** 20;
    const bytes = new Uint8Array(new SharedArrayBuffer(64 * mib));
    expect(libc!.pageSize).toBeGreaterThanOrEqual(4096);
    bytes.fill(7);
    const filled = rss();
    expect(libc!.discard(bytes, mib, 48 * mib)).toBe(true);
    expect(filled - rss()).toBeGreaterThan(40 * mib);
    expect([bytes[mib - 1], bytes[mib], bytes[49 * mib - 1], bytes[49 * mib]]).toEqual([
      7, 0, 0, 7,
    ]);
    bytes[2 * mib] = 9;
    expect(bytes[2 * mib]).toBe(9);
  });

  test("comes in pages of the usual size, whatever pages the system prefers", () => {
    libc!.refuseHugePages();
    expect(readFileSync("/proc/self/status", "utf8")).toMatch(/^THP_enabled:\s+0$/m);
  });

  test("that is not a whole page is not discarded", () => {
    const bytes = new Uint8Array(new SharedArrayBuffer(2 ** 20));
    bytes.fill(7);
    expect(libc!.discard(bytes, 100, libc!.pageSize)).toBe(false);
    expect(bytes.every((byte) => byte === 7)).toBe(true);
  });
});
