/**
 * What must hold in the buffers of the core at any time when nobody holds a lock. Returns what does
 * not, as sentences; an empty list is a sound core. Reads everything, so it is for tests only.
 */
import {
  BLOCK_OWNER,
  blockSize,
  BUCKET_CAPACITY,
  BUCKET_COUNT,
  DIRECTORY_LARGEST,
  DIRECTORY_PEERS,
  FLAG_EMPTY,
  FLAG_IPV6,
  FLAG_LARGE_IPV6,
  KIND_DEAD,
  kindOf,
  LEECHERS,
  peerHalves,
  SEEDERS,
  sizeOf,
  SWARM_CAPACITY_IPV4,
  SWARM_CAPACITY_IPV6,
  SWARM_FLAGS,
  type Role,
} from "../../src/swarm/blocks.ts";
import { holdingCells, Holdings } from "../../src/swarm/holdings.ts";
import {
  CLAIM_BYTES,
  EMPTY_SWARM_WORDS,
  PAGE_LIVE,
  PAGE_NEXT,
  PAGE_SHIFT,
  PAGE_SIZE,
  PAGE_USED,
  PAGE_WORDS,
  POOL,
  POOL_AVAILABLE,
  POOL_BLANK,
  POOL_FREE,
  POOL_FREE_COUNT,
  POOL_FRESH,
  SHARD_COUNT,
  SHARD_EMPTY_FIRST,
  SHARD_EMPTY_LISTED,
  SHARD_EMPTY_SWARMS,
  SHARD_CLOSED_COUNT,
  SHARD_CLOSED_LIVE,
  SHARD_CLOSED_PAGES,
  SHARD_LOCK,
  SHARD_OPEN_PAGE,
  SHARD_OPEN_USED,
  SHARD_SEEDERS_IPV4,
  SHARD_SEEDERS_IPV6,
  SHARD_SWARMS,
  SHARD_WORDS,
} from "../../src/swarm/memory.ts";
import { findPeer } from "../../src/swarm/peers.ts";
import { lineOf } from "../../src/swarm/table.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { FAMILIES, type Family } from "../../src/constants.ts";

export function brokenInvariants(tracker: Tracker): string[] {
  return gather((expect) => {
    checkHoldings(tracker, expect);
    checkClaims(tracker, expect);
    checkStructure(tracker, expect);
  });
}

/** Those of blocks, pages, tables and counts: a tenth of the time. */
export function brokenStructure(tracker: Tracker): string[] {
  return gather((expect) => checkStructure(tracker, expect));
}

function gather(check: (expect: Expect) => void): string[] {
  const broken: string[] = [];
  check((what, is, should) => {
    if (is !== should) broken.push(`${what}: is ${is}, should be ${should}`);
  });
  return broken;
}

function checkStructure(tracker: Tracker, expect: Expect): void {
  const { shards, pages } = tracker.store.arena;
  let pagesOwned = 0;
  for (let line = 0; line < POOL; line += SHARD_WORDS) {
    expect(`lock of ${line}`, shards[line + SHARD_LOCK], 0);
    const reached = checkSwarms(tracker, line, expect);
    pagesOwned += checkPages(tracker, line, reached, expect);
  }
  const listed = (first: number): number => {
    let count = 0;
    for (let page = first; page !== 0; page = pages[page * PAGE_WORDS + PAGE_NEXT]) count++;
    return count;
  };
  expect("free pages", shards[POOL_FREE_COUNT], listed(shards[POOL_FREE]));
  const free = shards[POOL_FREE_COUNT] + listed(shards[POOL_BLANK]);
  const pageCount = tracker.store.arena.bytes.length / PAGE_SIZE;
  expect("available pages", shards[POOL_AVAILABLE], pageCount - shards[POOL_FRESH] + free);
  expect("all pages", pagesOwned + shards[POOL_AVAILABLE] + 1, pageCount);
}

type Expect = (what: string, is: unknown, should: unknown) => void;

/** Checks all swarms of a shard; returns the offsets of all blocks that something points to. */
function checkSwarms(tracker: Tracker, line: number, expect: Expect): Set<number> {
  const { arena, table, swarms } = tracker.store;
  const { shards } = arena;
  const reached = new Set<number>();
  const counts = [0, 0, 0, 0];
  let found = 0;
  let empty = 0;
  for (let slot = 0; slot < table.slots(line); slot++) {
    const swarm = table.at(line, slot);
    if (swarm === 0) continue;
    found += 1;
    if ((arena.bytes[swarm + SWARM_FLAGS] & FLAG_EMPTY) !== 0) empty += 1;
    reached.add(swarm);
    const hash = table.hashAt(swarm);
    expect("shard of a swarm", lineOf(hash), line);
    const infoHash = arena.halves.slice((swarm + 4) >>> 1, (swarm + 24) >>> 1);
    expect("swarm found by its info hash", table.find(line, hash, infoHash), swarm);
    checkFields(tracker, swarm, expect);
    for (const family of FAMILIES) {
      if (swarms.isLarge(swarm, family)) {
        checkDirectory(tracker, swarm, family, SEEDERS, reached, expect);
        checkDirectory(tracker, swarm, family, LEECHERS, reached, expect);
      }
      const at = family === 4 ? 0 : 2;
      counts[at] += swarms.count(swarm, family, SEEDERS);
      counts[at + 1] += swarms.count(swarm, family, LEECHERS);
    }
  }
  expect(`swarms of ${line}`, shards[line + SHARD_SWARMS], found);
  expect(`swarms without peers of ${line}`, shards[line + SHARD_EMPTY_SWARMS], empty);
  expect(`IPv4 seeders of ${line}`, shards[line + SHARD_SEEDERS_IPV4], counts[0]);
  expect(`IPv4 leechers of ${line}`, shards[line + SHARD_SEEDERS_IPV4 + 1], counts[1]);
  expect(`IPv6 seeders of ${line}`, shards[line + SHARD_SEEDERS_IPV6], counts[2]);
  expect(`IPv6 leechers of ${line}`, shards[line + SHARD_SEEDERS_IPV6 + 1], counts[3]);
  return reached;
}

/**
 * Every peer, and every swarm on a list of those without peers, is charged, and nothing else: a
 * claim to the address that owns it.
 */
function checkHoldings(tracker: Tracker, expect: Expect): void {
  const { memory, arena, table } = tracker.store;
  const { index, emptySwarmsAt, holdingsAt } = memory;
  const other = { ...memory, index: new SharedArrayBuffer(index.byteLength) };
  const should = new Holdings(other);
  const { claims } = tracker.store.population;
  const ring = new Int32Array(index, emptySwarmsAt, (holdingsAt - emptySwarmsAt) / 4);
  const size = ring.length / EMPTY_SWARM_WORDS / SHARD_COUNT;
  for (let line = 0; line < POOL; line += SHARD_WORDS) {
    for (let slot = 0; slot < table.slots(line); slot++) {
      const swarm = table.at(line, slot);
      if (swarm === 0) continue;
      for (const family of FAMILIES) {
        for (const at of peersOf(tracker, swarm, family)) {
          const hash = table.hashAt(swarm);
          const entry = claims?.find(line, hash, family, arena.halves, at) ?? -1;
          if (entry < 0) should.charge(arena.halves, at, family);
          else should.charge(claims!.halves, claims!.ownerAt(entry), claims!.ownerFamily(entry));
        }
      }
    }
    const first = arena.shards[line + SHARD_EMPTY_FIRST];
    for (let i = 0; i < arena.shards[line + SHARD_EMPTY_LISTED]; i++) {
      const entry = (line / SHARD_WORDS) * size + ((first + i) % size);
      const address = ring[entry * EMPTY_SWARM_WORDS + 1];
      if (address !== 0) should.changeAddress(address, 1);
    }
  }
  const cells = holdingCells(memory);
  const different = holdingCells(other).findIndex((cell, i) => cell !== cells[i]);
  expect("first cell of holdings that differs", different, -1);
}

/** Each claim is of a peer that is stored, and is found; there are as many as are counted. */
function checkClaims(tracker: Tracker, expect: Expect): void {
  const { table, memory } = tracker.store;
  const { claims } = tracker.store.population;
  const bytes = memory.index.byteLength - memory.claimsAt;
  if (claims === undefined) return expect("bytes of claims", bytes, 0);
  const entries = bytes / CLAIM_BYTES;
  const words = new Int32Array(memory.index, memory.claimsAt);
  const counts = new Map<number, number>();
  for (let entry = 0; entry < entries; entry++) {
    const family = claims.peerFamily(entry);
    if ((family as number) === 0) continue;
    const hash = words[(entry * CLAIM_BYTES) / 4]!;
    const line = lineOf(hash);
    counts.set(line, (counts.get(line) ?? 0) + 1);
    const at = claims.peerAt(entry);
    expect("entry of a claim", claims.find(line, hash, family, claims.halves, at), entry);
    const peer = claims.halves.slice(at, at + peerHalves(family)).join();
    const swarm = table.findHash(line, hash);
    const stored = swarm === 0 ? [] : [...peersOf(tracker, swarm, family)];
    const { halves } = tracker.store.arena;
    const same = stored.filter((at) => halves.slice(at, at + peerHalves(family)).join() === peer);
    expect("peers of a claim", same.length, 1);
  }
  for (let line = 0; line < POOL; line += SHARD_WORDS) {
    expect(`claims of ${line}`, claims.count(line), counts.get(line) ?? 0);
  }
}

/** Where the peers of a family in a swarm begin, in halves of the arena. */
function* peersOf({ store: { swarms, directories } }: Tracker, swarm: number, family: Family) {
  const size = peerHalves(family);
  if (!swarms.isLarge(swarm, family)) {
    const first = swarms.peersAt(swarm, family);
    for (let i = 0; i < swarms.smallCount(swarm, family); i++) yield first + i * size;
    return;
  }
  for (const role of [SEEDERS, LEECHERS] as const) {
    const cell = swarms.cell(swarm, family, role);
    if (directories.count(cell) === 0) continue;
    for (let i = 0; i < directories.bucketCount(cell); i++) {
      const bucket = directories.bucketAt(cell, i);
      if (bucket === 0) continue;
      for (let index = 0; index < directories.peersIn(bucket); index++) {
        yield directories.peerAt(family, bucket, index);
      }
    }
  }
}

/** A block has the fields its flags name and room for its capacities, and no more. */
function checkFields({ store: { arena, swarms } }: Tracker, swarm: number, expect: Expect): void {
  const { bytes, words } = arena;
  const flags = bytes[swarm + SWARM_FLAGS];
  const ipv4 = bytes[swarm + SWARM_CAPACITY_IPV4];
  const ipv6 = (flags & FLAG_IPV6) === 0 ? 0 : bytes[swarm + SWARM_CAPACITY_IPV6];
  expect("size of a swarm", sizeOf(words[swarm >>> 2]), blockSize(flags, ipv4, ipv6));
  const needsIpv6 = ipv6 > 0 || (flags & FLAG_LARGE_IPV6) !== 0;
  expect("fields of IPv6", (flags & FLAG_IPV6) !== 0, needsIpv6);
  for (const family of FAMILIES) {
    const count = swarms.smallCount(swarm, family);
    expect("peers within capacity", count <= (family === 4 ? ipv4 : ipv6), true);
    expect("seeders among them", swarms.smallSeeders(swarm, family) <= count, true);
    if (swarms.isLarge(swarm, family)) expect("peers beside directories", count, 0);
    const first = swarms.peersAt(swarm, family);
    const size = peerHalves(family);
    for (let i = 1; i < count; i++) {
      const before = findPeer(arena.halves, first, 0, i, size, arena.halves, first + i * size);
      expect("the same peer before it in a block", before, -1);
    }
    if ((flags & FLAG_EMPTY) !== 0) expect("peers of an empty swarm", count, 0);
  }
}

function checkDirectory(
  tracker: Tracker,
  swarm: number,
  family: Family,
  role: Role,
  reached: Set<number>,
  expect: Expect,
): void {
  const { arena, swarms, directories } = tracker.store;
  const { words, halves } = arena;
  const cell = swarms.cell(swarm, family, role);
  const directory = words[cell >>> 2];
  if (directory === 0) return;
  reached.add(directory);
  expect("owner of a directory", words[(directory + BLOCK_OWNER) >>> 2], cell);
  let peers = 0;
  for (let i = 0; i < directories.bucketCount(cell); i++) {
    const bucket = directories.bucketAt(cell, i);
    if (bucket === 0) continue;
    reached.add(bucket);
    expect("owner of a bucket", words[(bucket + BLOCK_OWNER) >>> 2], directory + 20 + 4 * i);
    const count = halves[(bucket + BUCKET_COUNT) >>> 1];
    peers += count;
    expect("bucket within capacity", count <= halves[(bucket + BUCKET_CAPACITY) >>> 1], true);
    expect("bucket is not empty", count > 0, true);
    expect("largest bounds it", count <= words[(directory + DIRECTORY_LARGEST) >>> 2], true);
    for (let index = 0; index < count; index++) {
      const at = directories.peerAt(family, bucket, index);
      const peer = halves.slice(at, at + peerHalves(family));
      expect("peer is in its home bucket", directories.find(cell, family, peer, 0), bucket);
      expect("peer is there once", directories.index, index);
    }
  }
  expect("peers of a directory", words[(directory + DIRECTORY_PEERS) >>> 2], peers);
}

/** Checks the pages of a shard against what is reachable; returns how many there are. */
function checkPages(tracker: Tracker, line: number, reached: Set<number>, expect: Expect): number {
  const { words, shards, pages } = tracker.store.arena;
  const live = new Set<number>();
  const walk = (page: number, used: number): void => {
    let bytes = 0;
    let offset = page << PAGE_SHIFT;
    const end = offset + used;
    while (offset < end) {
      const size = sizeOf(words[offset >>> 2]);
      if (size === 0 || size % 4 !== 0) return expect("size of a block", size, "a multiple of 4");
      if (kindOf(words[offset >>> 2]) !== KIND_DEAD) {
        bytes += size;
        live.add(offset);
      }
      offset += size;
    }
    expect(`blocks fill page ${page}`, offset, end);
    expect(`live bytes of page ${page}`, pages[page * PAGE_WORDS + PAGE_LIVE], bytes);
  };
  let closed = 0;
  let closedLive = 0;
  for (let page = shards[line + SHARD_CLOSED_PAGES]; page !== 0;) {
    walk(page, pages[page * PAGE_WORDS + PAGE_USED]);
    closed += 1;
    closedLive += pages[page * PAGE_WORDS + PAGE_LIVE];
    page = pages[page * PAGE_WORDS + PAGE_NEXT];
  }
  expect(`closed pages of ${line}`, shards[line + SHARD_CLOSED_COUNT], closed);
  expect(`live bytes of ${line}`, shards[line + SHARD_CLOSED_LIVE], closedLive);
  const open = shards[line + SHARD_OPEN_PAGE];
  if (open !== 0) walk(open, shards[line + SHARD_OPEN_USED]);
  expect(`live blocks of ${line}`, live.size, reached.size);
  for (const block of reached) expect("a block that is pointed to lives", live.has(block), true);
  return closed + (open === 0 ? 0 : 1);
}
