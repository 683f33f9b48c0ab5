/** Reading /proc, from folders that look like it and from the real one. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { Machine } from "../../src/host/machine.ts";

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** A folder like /proc, with these files; a text that begins with `->` is a link. */
function proc(files: Record<string, string>): Machine {
  const root = mkdtempSync(join(tmpdir(), "proc-"));
  folders.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (text.startsWith("->")) symlinkSync(text.slice(2), join(root, path));
    else writeFileSync(join(root, path), text);
  }
  return new Machine(root);
}

const UDP_HEAD =
  "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout " +
  "inode ref pointer drops             \n";
const udpLine = (inode: number, drops: number) =>
  ` 2315: 00000000:1B39 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 ` +
  `${inode} 2 0000000000000000 ${drops}         \n`;

test("drops are counted for our own sockets only, of both families", () => {
  const machine = proc({
    "self/fd/3": "->socket:[501]",
    "self/fd/4": "->socket:[502]",
    "self/fd/5": "->/dev/null",
    "net/udp": UDP_HEAD + udpLine(501, 7) + udpLine(999, 1000),
    "net/udp6": UDP_HEAD + udpLine(502, 30) + udpLine(998, 1000),
  });
  expect(machine.drops()).toBeUndefined();
  machine.ownSockets();
  expect(machine.drops()).toBe(37);
});

test("drops continue when the kernel's 32-bit counter wraps", () => {
  const root = mkdtempSync(join(tmpdir(), "proc-"));
  folders.push(root);
  mkdirSync(join(root, "self/fd"), { recursive: true });
  mkdirSync(join(root, "net"));
  symlinkSync("socket:[501]", join(root, "self/fd/3"));
  const machine = new Machine(root);
  machine.ownSockets();
  const told = [5, 2 ** 32 - 1, 0, 9, 9].map((drops) => {
    writeFileSync(join(root, "net/udp"), UDP_HEAD + udpLine(501, drops));
    return machine.drops();
  });
  expect(told).toEqual([5, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 9, 2 ** 32 + 9]);
});

test("what was dropped before the start is left out, at sockets that are older", () => {
  const root = mkdtempSync(join(tmpdir(), "proc-"));
  folders.push(root);
  mkdirSync(join(root, "self/fd"), { recursive: true });
  mkdirSync(join(root, "net"));
  for (const inode of [501, 502]) symlinkSync(`socket:[${inode}]`, join(root, `self/fd/${inode}`));
  const machine = new Machine(root);
  const tell = (old: number, young: number) =>
    writeFileSync(join(root, "net/udp"), UDP_HEAD + udpLine(501, old) + udpLine(502, young));
  tell(1000, 0);
  machine.forgetDrops([501]);
  tell(1003, 7);
  machine.ownSockets();
  expect(machine.drops()).toBe(10);
});

test("our own sockets are found on this machine", async () => {
  if (process.platform !== "linux") return;
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const machine = new Machine();
  machine.ownSockets();
  expect(machine.drops()).toBe(0);
  socket.close();
});

test("the table of connections has a size and a limit, or is undefined", () => {
  const files = {
    "sys/net/netfilter/nf_conntrack_count": "12\n",
    "sys/net/netfilter/nf_conntrack_max": "262144\n",
  };
  expect(proc(files).conntrack()).toEqual({ entries: 12, limit: 262144 });
  expect(proc({}).conntrack()).toBeUndefined();
});

test("a port is tracked if the table has it, over UDP", () => {
  const entry = (protocol: string, port: number) =>
    `ipv4     2 ${protocol}      17 29 src=127.0.0.1 dst=127.0.0.1 sport=9 dport=${port} ` +
    `src=127.0.0.1 dst=127.0.0.1 sport=${port} dport=9 mark=0 use=2\n`;
  const machine = proc({ "net/nf_conntrack": entry("udp", 6969) + entry("tcp", 80) });
  expect(machine.tracksPort(6969)).toBe(true);
  expect(machine.tracksPort(80)).toBe(false);
  expect(machine.tracksPort(696)).toBe(false);
});

test("an unreadable table counts as having our port when it fills up", () => {
  const limit = { "sys/net/netfilter/nf_conntrack_max": "262144\n" };
  const count = (entries: string) => ({
    "sys/net/netfilter/nf_conntrack_count": entries,
    ...limit,
  });
  expect(proc(count("32769\n")).tracksPort(6969)).toBe(true);
  expect(proc(count("32768\n")).tracksPort(6969)).toBe(false);
  expect(proc(count("0\n")).tracksPort(6969)).toBe(false);
  expect(proc({}).tracksPort(6969)).toBe(false);
});

test("ports that need a right are forbidden without it", () => {
  const without = (capabilities: string) =>
    proc({
      "self/status": `Name:\tbuntracker\nCapPrm:\t0400\nCapEff:\t${capabilities}\nCapBnd:\t0400\n`,
      "sys/net/ipv4/ip_unprivileged_port_start": "80\n",
    }).portsForbidden();
  expect(without("0000000000000000")).toBe(80);
  expect(without("000001fffffffbff")).toBe(80);
  expect(without("0000000000000400")).toBe(0);
  expect(proc({}).portsForbidden()).toBe(0);
});

test("files are counted, and their limit is the soft one", () => {
  const limits =
    "Limit                     Soft Limit           Hard Limit           Units     \n" +
    "Max open files            1024                 524288               files     \n";
  const machine = proc({ "self/limits": limits, "self/fd/0": "x", "self/fd/1": "x" });
  expect(machine.files()?.limit).toBe(1024);
  expect(machine.files()?.open).toBeGreaterThan(1);
  expect(proc({ "self/limits": limits.replace("1024 ", "unlimited ") }).files()?.limit).toBe(
    Infinity,
  );
  expect(proc({}).files()).toBeUndefined();
});

test("the limit of open files is also known where there is no /proc", () => {
  const limit = new Machine().filesLimit();
  expect(limit).toBeGreaterThan(63);
  expect(proc({}).filesLimit()).toBe(limit!);
  expect(proc({ "self/limits": "Max open files 77 88 files\n" }).filesLimit()).toBe(77);
});
