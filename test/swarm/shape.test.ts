import { expect, test } from "bun:test";
import {
  blockSize,
  FLAG_IPV6,
  FLAG_LARGE_IPV6,
  sizeOf,
  SWARM_FLAGS,
} from "../../src/swarm/blocks.ts";
import { copyShape } from "../../src/swarm/shape.ts";
import { lineOf } from "../../src/swarm/table.ts";
import { announce, hashOf, makeTracker } from "./fixture.ts";

test.each([
  ["more room for IPv4", 4, 7, 0, blockSize(0, 7, 0), 0],
  ["room for IPv6 beside it", 6, 2, 0, blockSize(FLAG_IPV6, 1, 2), FLAG_IPV6],
  ["no room at all", 4, 0, 0, blockSize(0, 0, 0), 0],
  [
    "directories of IPv6",
    6,
    0,
    FLAG_LARGE_IPV6,
    blockSize(FLAG_IPV6 | FLAG_LARGE_IPV6, 1, 0),
    FLAG_IPV6 | FLAG_LARGE_IPV6,
  ],
] as const)("a shape with %s keeps the info hash", (_, family, capacity, flags, size, became) => {
  const { tracker } = makeTracker();
  announce(tracker, { infoHash: 1 });
  const { arena, table } = tracker.store;
  const hash = hashOf(tracker, 1);
  const line = lineOf(hash);
  const swarm = table.find(line, hash, tracker.request.infoHashHalves);
  const copy = copyShape(arena, line, swarm, family, capacity, flags);
  expect(sizeOf(arena.words[copy >>> 2])).toBe(size);
  expect(arena.bytes[copy + SWARM_FLAGS]).toBe(became);
  expect(arena.bytes.slice(copy + 4, copy + 24)).toEqual(arena.bytes.slice(swarm + 4, swarm + 24));
});
