/** The table of claims: what is in it is found, and nobody fills it for others. */
import { describe, expect, test } from "bun:test";
import { Claims } from "../../src/swarm/claims.ts";
import { hashInfoHash } from "../../src/swarm/keyed-hash.ts";
import { CLAIM_BYTES, SHARD_COUNT, type SwarmMemory } from "../../src/swarm/memory.ts";
import { AnnounceRequest, NOT_STORED_CLAIM } from "../../src/swarm/requests.ts";
import { lineOf } from "../../src/swarm/table.ts";
import { announceFrom, fixedKeys, makeMemory, MIB, trackerOver } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

const bytesOf = ({ index, claimsAt }: SwarmMemory): number => index.byteLength - claimsAt;
const withClaims = (memoryMax: number) => makeMemory(memoryMax, false, { claims: true });

describe("memory for claims", () => {
  test("is none where there may be none", () => {
    const { index, claimsAt } = makeMemory(16 * MIB);
    expect(claimsAt).toBe(index.byteLength);
  });

  test("is up to a sixteenth of all, and as much for each shard, but has an end", () => {
    const slots = [16, 64, 256, 1024, 2048].map(
      (size) => bytesOf(withClaims(size * MIB)) / CLAIM_BYTES / SHARD_COUNT,
    );
    expect(slots).toEqual([64, 256, 1024, 4096, 4096]);
    const memory = withClaims(256 * MIB);
    expect(bytesOf(memory)).toBeLessThan(16 * MIB);
    expect(memory.arena.byteLength + memory.index.byteLength).toBeLessThanOrEqual(256 * MIB);
  });
});

/** A request of the peer 60.x.y.1:1, as if from 70.x.y.1. */
function requestOf(n: number): AnnounceRequest {
  const request = new AnnounceRequest();
  request.peer.set([60, n >> 8, n & 255, 1, 0, 1]);
  request.comesFrom(new Uint8Array([70, n >> 8, n & 255, 1]), 0, 4);
  return request;
}

test("an entry is found until it is removed, in whatever order they come and go", () => {
  const claims = new Claims(withClaims(16 * MIB));
  const hash = hashInfoHash(fixedKeys(), new AnnounceRequest().infoHashHalves, 0);
  const line = lineOf(hash);
  const find = (n: number): number => claims.find(line, hash, 4, requestOf(n).peerHalves, 0);
  const there = new Set<number>();
  let state = 5;
  for (let step = 0; step < 20_000; step++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const n = (state >>> 8) % 100;
    const entry = find(n);
    expect(entry >= 0).toBe(there.has(n));
    if (entry >= 0) {
      expect(claims.isOwner(entry, requestOf(n))).toBe(true);
      expect(claims.isOwner(entry, requestOf(n + 1))).toBe(false);
      claims.remove(line, entry);
      there.delete(n);
    } else if (there.size < 48) {
      claims.add(line, requestOf(n));
      there.add(n);
    }
    expect(claims.count(line)).toBe(there.size);
  }
  for (let n = 0; n < 100; n++) expect(find(n) >= 0).toBe(there.has(n));
});

describe("a table that fills", () => {
  const address = [60, 0, 0, 0];

  test("keeps room for the claims of other networks, and for peers all the while", () => {
    const tracker = trackerOver(withClaims(16 * MIB));
    const stores = (n: number, from?: number[]): boolean => {
      const peer = [60, n >> 8, n & 255, 1];
      announceFrom(tracker, { address: peer, ...(from === undefined ? {} : { from }) });
      return tracker.reply.stored;
    };
    let claimed = 0;
    for (let n = 0; n < 1000; n++) if (stores(n, [70, 1, 1, n & 255])) claimed += 1;
    expect(claimed).toBe(24);
    expect(tracker.reply.notStored).toBe(NOT_STORED_CLAIM);
    for (let n = 1000; n < 1010; n++) expect(stores(n, [70, n & 255, 1, 1])).toBe(true);
    for (let n = 2000; n < 3000; n++) stores(n, [80, n & 255, n >> 8, 1]);
    expect(stores(3000, [90, 1, 1, 1])).toBe(false);
    expect(stores(3000)).toBe(true);
    expect(stores(5)).toBe(true);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("does not make swarms without peers give way, as memory that is full does", () => {
    const tracker = trackerOver(withClaims(16 * MIB));
    announceFrom(tracker, { address });
    announceFrom(tracker, { address, event: "completed", seeder: true });
    announceFrom(tracker, { address, event: "stopped" });
    for (let n = 0; n < 100; n++) {
      announceFrom(tracker, { address: [60, 1, n, 1], from: [70, n, 1, 1] });
      announceFrom(tracker, { address: [60, 1, n, 1], from: [70, n, 1, 1], event: "stopped" });
      announceFrom(tracker, { address: [60, 2, n, 1], from: [70, n, 1, 1], infoHash: 3 });
    }
    announceFrom(tracker, { address, event: "stopped" });
    expect(tracker.reply.downloads).toBe(1);
  });
});
