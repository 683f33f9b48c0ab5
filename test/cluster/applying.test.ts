/** What others tell takes effect as if the peers had announced here, judged by our own lists. */
import { expect, test } from "bun:test";
import { Access } from "../../src/access/access.ts";
import { Applying } from "../../src/cluster/applying.ts";
import {
  DELTA_BYTES_IPV4,
  DELTA_BYTES_IPV6,
  DELTA_COMPLETED,
  DELTA_DOWNLOAD,
  DELTA_IPV6,
  DELTA_SEEDER,
  DELTA_STOPPED,
} from "../../src/cluster/wire.ts";
import { EVENT_NONE } from "../../src/constants.ts";
import { PeerGate } from "../../src/gates/peer-gate.ts";
import { Limits } from "../../src/limits/limits.ts";
import { readAddress } from "../../src/net/addresses.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { someMemory } from "../swarm/some-memory.ts";

function open(refusePrivate = false) {
  const store = new Store(someMemory());
  const gate = new PeerGate(new Access(), new Limits(), refusePrivate);
  const applying = new Applying(new Tracker(store, new ArrayBuffer(64)), gate);
  const tracker = new Tracker(store, new ArrayBuffer(64));
  const counts = (): number[] => {
    tracker.request.infoHash.fill(7);
    tracker.scrape();
    const { seeders, leechers, downloads } = tracker.reply;
    return [seeders, leechers, downloads];
  };
  return { applying, counts };
}

function delta(flags: number, address: string, port = 6881): Uint8Array {
  const family = address.includes(":") ? 6 : 4;
  const bytes = new Uint8Array(family === 4 ? DELTA_BYTES_IPV4 : DELTA_BYTES_IPV6);
  bytes[0] = family === 6 ? flags | DELTA_IPV6 : flags;
  bytes.fill(7, 2, 22);
  readAddress(address, bytes, 22);
  // As peers on the wire have it: big-endian, and a mapped address must stay one.
  if (address.startsWith("::ffff:")) bytes.set([...new Uint8Array(10), 255, 255, 192, 0, 2, 1], 22);
  new DataView(bytes.buffer).setUint16(bytes.length - 2, port);
  return bytes;
}

test("peers join, change their role, complete once and stop, in both families", () => {
  const { applying, counts } = open();
  const batch = [delta(0, "192.0.2.1"), delta(DELTA_SEEDER, "2001:db8::1"), delta(0, "192.0.2.2")];
  applying.apply(Buffer.concat(batch), 10);
  expect(counts()).toEqual([1, 2, 0]);
  const completed = DELTA_SEEDER | DELTA_COMPLETED;
  for (let round = 0; round < 3; round++) applying.apply(delta(completed, "192.0.2.1"), 20);
  expect(counts()).toEqual([2, 1, 1]);
  applying.apply(delta(DELTA_STOPPED, "192.0.2.2"), 30);
  expect(counts()).toEqual([2, 0, 1]);
  expect(applying.counts).toEqual({ deltas: 7, refused: 0 });
});

test("what addresses hold is counted at the end of a batch, and at once after it", () => {
  const memory = someMemory();
  const store = new Store(memory);
  const tracker = new Tracker(store, new ArrayBuffer(64));
  const gate = new PeerGate(new Access(), new Limits(), false);
  const applying = new Applying(tracker, gate);
  const { holdings } = new Store(memory).population;
  const held = (): number => holdings.heldByAddress(new Uint16Array([0x00c0, 0x0102]), 0, 4);
  const ports = Array.from({ length: 150 }, (_, i) => 1000 + i);
  applying.apply(Buffer.concat(ports.map((port) => delta(0, "192.0.2.1", port))), 10);
  expect(held()).toBe(150);
  applying.apply(delta(DELTA_STOPPED, "192.0.2.1", 1000), 20);
  expect(held()).toBe(149);
  // The store is also that of announces over HTTP.
  tracker.request.event = EVENT_NONE;
  tracker.announce(30);
  expect(held()).toBe(150);
});

test("a download of a browser is counted without a peer", () => {
  const { applying, counts } = open();
  applying.apply(delta(DELTA_DOWNLOAD, "0.0.0.0", 0), 10);
  expect(counts()).toEqual([0, 0, 1]);
});

test("what our gate refuses is not stored: unusable, private and mapped addresses, port 0", () => {
  const { applying, counts } = open(true);
  const refused = [
    delta(0, "224.0.0.1"),
    delta(0, "10.0.0.1"),
    delta(0, "192.0.2.1", 0),
    delta(0, "::ffff:192.0.2.1"),
    delta(0, "fe80::1"),
  ];
  applying.apply(Buffer.concat(refused), 10);
  expect(counts()).toEqual([0, 0, 0]);
  expect(applying.counts).toEqual({ deltas: 0, refused: 5 });
});

test("records may begin at any byte of a larger buffer", () => {
  const { applying, counts } = open();
  const one = delta(DELTA_SEEDER, "198.51.100.7");
  const buffer = new Uint8Array(one.length + 1);
  buffer.set(one, 1);
  applying.apply(buffer.subarray(1), 10);
  expect(counts()).toEqual([1, 0, 0]);
});
