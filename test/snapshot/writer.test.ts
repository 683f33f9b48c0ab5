/** What is written to a file, and what stays where it cannot be. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GIVEN_UP } from "../../src/snapshot/writer.ts";
import { announce, complete, makeTracker, MIB, scrape } from "../swarm/fixture.ts";
import { BEGUN, makeFolder, readInto, write } from "./fixture.ts";

test("a swarm of two peers is written as it is drawn, byte by byte", async () => {
  using folder = makeFolder();
  const { tracker, store } = makeTracker();
  complete(tracker, { infoHash: 7, peer: 1 });
  announce(tracker, { infoHash: 7, peer: 1, family: 6 });
  const { bytes, peers } = await write(store, folder.file, { stretch: 1.5, kept: 2 });
  const file = readFileSync(folder.file);
  expect([bytes, peers]).toEqual([file.length, 2]);
  const begun = BEGUN.toString(16);
  const header = [
    Buffer.from("btswarms").toString("hex"),
    "01000000",
    begun.match(/../g)!.toReversed().join(""),
    "0a000000" + "dc050000" + "d0070000",
  ];
  expect(file.toString("hex", 0, 28)).toBe(header.join(""));
  // 34 bytes, a peer of IPv4, one of IPv6, two meta bytes: 60.
  expect(file.toString("hex", 32, 44)).toBe("3c000000" + "00000000" + "00000000");
  const record = [
    "5a".repeat(16) + "00000007",
    "01000000",
    "0100" + "0000" + "0000" + "0100",
    "0000",
    "0a9e3779" + "03e9",
    "2000000001" + "00".repeat(11) + "03e9",
    "80" + "00",
  ];
  expect(file.toString("hex", 48, 108)).toBe(record.join(""));
  expect(file.toString("hex", 108, 120)).toBe("00000000" + "01000000" + "02000000");
  expect(file.length).toBe(124);
});

test("what is written in turns is what is written at once, and is read back", async () => {
  using folder = makeFolder();
  const { tracker, store } = makeTracker(64 * MIB);
  for (let peer = 0; peer < 60_000; peer++) {
    announce(tracker, { infoHash: peer % 9000, peer, wanted: 0, seeder: peer % 3 === 0 });
  }
  const { bytes } = await write(store, folder.file);
  const atOnce = readFileSync(folder.file);
  await write(store, folder.file, { turns: true });
  expect(readFileSync(folder.file).equals(atOnce)).toBe(true);
  expect(bytes).toBe(atOnce.length);
  const other = makeTracker(64 * MIB);
  expect(readInto(other.store, folder.file).counts).toMatchObject({ peers: 60_000, swarms: 9000 });
});

test("a tracker without swarms has a snapshot too", async () => {
  using folder = makeFolder();
  await write(makeTracker().store, folder.file);
  expect(statSync(folder.file).size).toBe(48);
  expect(readInto(makeTracker().store, folder.file).counts.swarms).toBe(0);
});

test("only the owner may read it, whatever the mask and the file before allowed", async () => {
  using folder = makeFolder();
  const { store } = makeTracker();
  writeFileSync(folder.file, "old", { mode: 0o666 });
  const mask = process.umask(0);
  try {
    for (let i = 0; i < 2; i++) {
      await write(store, folder.file);
      expect(statSync(folder.file).mode & 0o777).toBe(0o600);
    }
  } finally {
    process.umask(mask);
  }
});

test("a link is followed, also to a file that is still to be made", async () => {
  using folder = makeFolder();
  const link = join(folder.path, "link");
  symlinkSync(folder.file, link);
  await write(makeTracker().store, link);
  await write(makeTracker().store, link);
  expect(statSync(folder.file).size).toBe(48);
});

test("one that is given up leaves the one before, and no draft", async () => {
  using folder = makeFolder();
  const { tracker, store } = makeTracker();
  await write(store, folder.file);
  const before = readFileSync(folder.file);
  for (let infoHash = 0; infoHash < 10_000; infoHash++) announce(tracker, { infoHash, wanted: 0 });
  let looks = 0;
  const isEnded = () => ++looks > 10;
  await expect(write(store, folder.file, { turns: true, isEnded })).rejects.toBe(GIVEN_UP);
  expect(readFileSync(folder.file).equals(before)).toBe(true);
  expect(existsSync(`${folder.file}.new`)).toBe(false);
});

test("announces between its turns are taken, and nothing that stays is missed", async () => {
  using folder = makeFolder();
  const { tracker, store } = makeTracker(64 * MIB);
  for (let infoHash = 0; infoHash < 40_000; infoHash++) announce(tracker, { infoHash, wanted: 0 });
  let next = 40_000;
  const timer = setInterval(() => {
    for (let i = 0; i < 200; i++) announce(tracker, { infoHash: next++, wanted: 0 });
  }, 0);
  await write(store, folder.file, { turns: true });
  clearInterval(timer);
  const other = makeTracker(64 * MIB);
  readInto(other.store, folder.file);
  for (let infoHash = 0; infoHash < 40_000; infoHash++) {
    if (scrape(other.tracker, infoHash)[1] !== 1) throw new Error(`swarm ${infoHash} is missed`);
  }
});

test("each chunk tells when it was written, so that ages go on from there", async () => {
  using folder = makeFolder();
  const { tracker, store } = makeTracker(64 * MIB);
  for (let infoHash = 0; infoHash < 20_000; infoHash++) announce(tracker, { infoHash, wanted: 0 });
  let seconds = 100;
  await write(store, folder.file, { clock: () => (seconds += 0.5) });
  const file = readFileSync(folder.file);
  const told: number[] = [];
  const ticks: number[] = [];
  for (let at = 32; file.readUInt32LE(at) > 0; at += 16 + file.readUInt32LE(at)) {
    told.push(file.readUInt32LE(at + 4));
    ticks.push(file.readUInt32LE(at + 8));
  }
  expect(told.length).toBeGreaterThan(2);
  expect(told).toEqual(told.toSorted((a, b) => a - b));
  expect(told.at(-1)).toBeGreaterThan(50);
  // A tick has 10 seconds; the time told is cut to a whole second.
  for (const [i, tick] of ticks.entries()) {
    const seconds = 100.5 + told[i]!;
    expect([Math.floor(seconds / 10), Math.floor((seconds + 1) / 10)]).toContain(tick);
  }
});
