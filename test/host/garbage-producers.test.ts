/**
 * Code that makes much garbage notes about its size (garbage.ts). Garbage that nobody notes is
 * collected too late, if at all. One test for each producer.
 */
import { afterAll, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Access, openToAll } from "../../src/access/access.ts";
import { readHashFile, withoutHash } from "../../src/access/hash-file.ts";
import { HashList, hashListMemory } from "../../src/access/hash-list.ts";
import { readNetworkFile } from "../../src/access/network-file.ts";
import { eachPiece, eachPieceUnpacked } from "../../src/access/pieces.ts";
import { createAdmin } from "../../src/admin/admin.ts";
import { garbage } from "../../src/host/garbage.ts";
import { Machine } from "../../src/host/machine.ts";
import { OwnNames } from "../../src/net/own-names.ts";
import { openExport } from "../../src/opentracker/export.ts";
import { SortedSwarms } from "../../src/opentracker/sorted-swarms.ts";
import { Answering } from "../../src/udp/answering.ts";
import { EventLoopSource } from "../../src/udp/event-loop.ts";
import { atOnce, hashOf, KEYS, text } from "../access/fixture.ts";
import { get, listen } from "../http/connected.ts";
import { announce, makeTracker } from "../swarm/fixture.ts";
import { connect as connectRequest, sharedBy } from "../udp/fixture.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const folder = mkdtempSync(join(tmpdir(), "buntracker-producers-"));
afterAll(() => rmSync(folder, { recursive: true }));

let before = 0;
beforeEach(() => {
  before = garbage.noted;
});

function expectNoted(least: number, most: number): void {
  expect(garbage.noted - before).toBeGreaterThanOrEqual(least);
  expect(garbage.noted - before).toBeLessThanOrEqual(most);
}

const hashLines = (count: number): string =>
  Array.from({ length: count }, (_, n) => `${hashOf(n).toHex()}\n`).join("");

function fileOf(bytes: string | Uint8Array): string {
  const path = join(folder, "file");
  writeFileSync(path, bytes);
  return path;
}

test("reading a list notes the hashes, which are copied into the list", () => {
  atOnce(readHashFile(text(hashLines(10_000)), KEYS));
  expectNoted(10_000 * 20, 11_000 * 20);
});

test("searching a file for a hash notes one group of hashes, for any length of the file", () => {
  atOnce(withoutHash(text(hashLines(10_000)), hashOf(1)));
  expectNoted(20 * KIB, 40 * KIB);
});

test("reading networks notes the text of each line, and the arrays that sort them", () => {
  const lines = Array.from({ length: 10_000 }, (_, n) => `10.${n >> 8}.${n & 255}.0/25\n`);
  atOnce(readNetworkFile(text(lines.join(""))));
  expectNoted(10_000 * 500, 10_000 * 600);
});

test("reading a file notes two buffers, and those that were too small for a line", async () => {
  await eachPiece(fileOf("a\n".repeat(300_000)), async () => {});
  expectNoted(256 * KIB, 256 * KIB);
  await eachPiece(fileOf(`${"x".repeat(700_000)}\n`), async () => {});
  expectNoted(1024 * KIB, 1536 * KIB);
});

test("an import that is unpacked notes the packed and the unpacked bytes", async () => {
  const packed = Bun.gzipSync(Buffer.alloc(4 * MIB, "line\n"));
  await eachPieceUnpacked(fileOf(packed), 1, async () => {});
  expectNoted(4 * MIB, 5 * MIB);
});

test("a list that another replaces is noted by each thread that used it", () => {
  const [one, other] = [hashListMemory(50_000), hashListMemory(50_000)];
  const access = new Access({ ...openToAll(KEYS), deny: one });
  access.update({ ...openToAll(KEYS), deny: one, maintenance: true });
  expect(garbage.noted).toBe(before);
  access.update({ ...openToAll(KEYS), deny: other });
  expectNoted(one.byteLength, one.byteLength);
  access.update({ ...openToAll(KEYS) });
  expectNoted(2 * one.byteLength, 2 * one.byteLength);
  expect(new HashList(other, KEYS).size).toBe(0);
});

test("a received piece of HTTP notes at least the size of its object", async () => {
  using place = listen();
  const socket = connect({ host: "127.0.0.1", port: place.port });
  await new Promise((resolve) => socket.on("connect", resolve));
  socket.setNoDelay(true);
  for (let i = 0; i < 20; i++) {
    socket.write("G");
    await Bun.sleep(2);
  }
  socket.destroy();
  expectNoted(10 * 256, 20 * 300);
});

test("a Response over HTTP notes its bytes and a fixed size", async () => {
  using place = listen(() => new Response("x".repeat(100_000)));
  await place.ask([get("/a")]);
  expectNoted(100 * KIB, 300 * KIB);
});

test("a datagram in the event loop notes a fixed size", () => {
  const source = new EventLoopSource(new Answering(sharedBy(1), 0));
  const socket = { sendMany: () => 64, send: () => true };
  for (let i = 0; i < 64; i++) source.receive(socket, connectRequest("00000001"), 1, "127.0.0.1");
  expectNoted(64 * 400, 64 * 600);
});

test.each(["txt", "ben"] as const)(
  "an export in %s notes half more than its size",
  async (format) => {
    const { tracker } = makeTracker();
    for (let infoHash = 0; infoHash < 3000; infoHash++) announce(tracker, { infoHash });
    before = garbage.noted;
    const events = { made: () => {}, over: () => {} };
    const body = await new Response(openExport(tracker.store, format, 3000, 9, events)).bytes();
    expectNoted(1.5 * body.length, 1.5 * body.length + 3 * MIB);
  },
);

test("a sorted export notes the records of a pass", () => {
  const { tracker } = makeTracker();
  before = garbage.noted;
  const { records } = new SortedSwarms(tracker.store, 10);
  expectNoted(records.byteLength, records.byteLength);
});

test("a request of the operator notes a fixed size", async () => {
  const keeper = { change: async () => ({ outcome: "unchanged" as const }) };
  const admin = createAdmin({
    token: undefined,
    keeper: { ...keeper, setMaintenance: async () => {} },
    now: () => 0,
    ready: () => true,
    names: new OwnNames([]),
    refused: () => {},
    pages: {},
    swarms: async () => [200, "{}"] as const,
  });
  await admin.fetch(new Request("http://localhost/health"));
  expectNoted(4 * KIB, 32 * KIB);
});

test("a file of /proc notes its text and the parts of it", () => {
  mkdirSync(join(folder, "net"));
  writeFileSync(join(folder, "net", "udp"), "x\n".repeat(5000));
  new Machine(folder).drops();
  expectNoted(40 * KIB, 120 * KIB);
});
