import { expect, test } from "bun:test";
import { align, headerOf, kindOf, peerHalves, peerSize, sizeOf } from "../../src/swarm/blocks.ts";
import { KIND_BUCKET, KIND_DEAD, KIND_DIRECTORY, KIND_SWARM } from "../../src/swarm/blocks.ts";
import { PAGE_SIZE } from "../../src/swarm/memory.ts";
import { announce, complete, infoHashesOfOneShard, makeTracker } from "./fixture.ts";

test("a header gives back the size and the kind it was made of, up to a whole page", () => {
  for (const kind of [KIND_DEAD, KIND_SWARM, KIND_DIRECTORY, KIND_BUCKET]) {
    for (const size of [4, 44, PAGE_SIZE]) {
      const header = headerOf(size, kind);
      expect([sizeOf(header), kindOf(header)]).toEqual([size, kind]);
    }
  }
});

test("a peer is 6 or 18 bytes, 3 or 9 halves; blocks are multiples of four", () => {
  expect([peerSize(4), peerSize(6), peerHalves(4), peerHalves(6)]).toEqual([6, 18, 3, 9]);
  expect([0, 1, 4, 5, 43].map(align)).toEqual([0, 4, 4, 8, 44]);
});

test("a swarm lies in its page byte for byte as drawn", () => {
  const { tracker } = makeTracker();
  complete(tracker, { infoHash: 0x01020304, peer: 1 }, 50);
  announce(tracker, { infoHash: 0x01020304, peer: 2, seeder: false }, 70);
  announce(tracker, { infoHash: 0x01020304, peer: 3, seeder: true, family: 6 }, 70);
  const [line] = [...tracker.store.arena.shards.keys()].filter(
    (at) => at % 16 === 0 && tracker.store.table.slots(at) > 0,
  );
  const slots = Array.from({ length: 64 }, (_, slot) => tracker.store.table.at(line, slot));
  const swarm = slots.find((offset) => offset !== 0)!;
  expect(tracker.store.arena.bytes.slice(swarm, swarm + 68).toHex()).toBe(
    "4500" + // 68 bytes, a swarm
      "0202" + // IPv4: room for 2, 2 peers
      "5a".repeat(16) +
      "01020304" +
      "01" + // IPv4: 1 seeder
      "08" + // flags: has fields of IPv6
      "00" + // never empty
      "01" + // one download
      "01010100" + // IPv6: room for 1, 1 peer, 1 seeder
      "0a9e377903e9" + // 10.158.55.121:1001
      "0a3c6ef203ea" +
      "2000000003000000" +
      "0000000000000000" +
      "03eb" +
      "85" +
      "07" +
      "07" + // completed and tick 5; tick 7 twice
      tracker.store.arena.bytes.slice(swarm + 65, swarm + 68).toHex(),
  );
});

test("a swarm of one peer costs 36 bytes", () => {
  const { tracker } = makeTracker();
  const [one, two] = infoHashesOfOneShard(tracker, 2);
  announce(tracker, { infoHash: one });
  announce(tracker, { infoHash: two });
  const used = tracker.store.arena.shards.filter((_, at) => at % 16 === 4);
  expect(Math.max(...used)).toBe(72);
});
