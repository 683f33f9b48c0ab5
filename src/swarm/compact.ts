/**
 * Moving blocks, so that the pages they leave can be used again.
 *
 * Every block has one place that points to it: a swarm its entry in the index, a directory a word
 * of its swarm, a bucket a word of its directory. Directories and buckets know that place, a swarm
 * is found by its info hash. Moving a block updates that place, and the owner words of the blocks
 * that it points to.
 *
 * The caller holds the lock of the shard and keeps no offset across `compact`.
 */
import type { Arena } from "./arena.ts";
import {
  BLOCK_OWNER,
  DIRECTORY_BUCKETS,
  DIRECTORY_HEADER_SIZE,
  DIRECTORY_PAIR_SIZE,
  directoriesAt,
  FLAG_LARGE_IPV4,
  FLAG_LARGE_IPV6,
  KIND_DIRECTORY,
  KIND_SWARM,
  kindOf,
  sizeOf,
  SWARM_FLAGS,
} from "./blocks.ts";
import { PAGE_LIVE, PAGE_SHIFT, PAGE_SIZE, PAGE_WORDS, SHARD_CLOSED_COUNT } from "./memory.ts";
import type { Table } from "./table.ts";
import type { Line, SwarmAt } from "./units.ts";

/**
 * The part of the closed pages that may be waste: an eighth for an announce, which should not wait
 * while nearly full pages are moved, and less for the sweep, which has the time.
 */
export const WASTE_ANNOUNCE = 1 / 8;
export const WASTE_SWEEP = 1 / 32;
/** When no page is left, each page that can be won is worth the moving. */
export const WASTE_FULL = 0;

/**
 * Moves the blocks of the shard's emptiest page if more than `share` of the closed pages, and a
 * whole page, is waste: at most one page of 8 KiB, some 10 microseconds. Returns true if it did.
 */
export function compact(arena: Arena, table: Table, line: Line, share: number): boolean {
  const wasted = arena.wasted(line);
  if (wasted < PAGE_SIZE) return false;
  if (wasted <= arena.shards[line + SHARD_CLOSED_COUNT] * PAGE_SIZE * share) return false;
  const page = arena.takeEmptiestPage(line);
  if (page === 0) return false;
  if (evacuate(arena, table, line, page)) arena.givePage(page);
  else arena.putBack(line, page);
  return true;
}

function evacuate(arena: Arena, table: Table, line: Line, page: number): boolean {
  const { words, bytes, pages } = arena;
  for (let from = arena.nextLive(page, page << PAGE_SHIFT); from !== 0;) {
    const header = words[from >>> 2];
    const size = sizeOf(header);
    const to = arena.allocateForMove(line, size, kindOf(header));
    if (to === 0) return false;
    bytes.copyWithin(to, from, from + size);
    words[from >>> 2] = size; // Dead, though its page is no longer counted anywhere.
    pages[page * PAGE_WORDS + PAGE_LIVE] -= size;
    moved(arena, table, line, from, to);
    from = arena.nextLive(page, from + size);
  }
  return true;
}

function moved(arena: Arena, table: Table, line: Line, from: number, to: number): void {
  const { words } = arena;
  const kind = kindOf(words[to >>> 2]);
  if (kind === KIND_SWARM) {
    table.repoint(line, from, to);
    adoptDirectories(arena, to);
    return;
  }
  words[words[(to + BLOCK_OWNER) >>> 2] >>> 2] = to;
  if (kind === KIND_DIRECTORY) adoptBuckets(arena, to);
}

/** Updates the owner words of a swarm's directories after the swarm has moved. */
export function adoptDirectories(arena: Arena, swarm: SwarmAt): void {
  const flags = arena.bytes[swarm + SWARM_FLAGS];
  let pairs = 0;
  if ((flags & FLAG_LARGE_IPV4) !== 0) pairs += 1;
  if ((flags & FLAG_LARGE_IPV6) !== 0) pairs += 1;
  const first = swarm + directoriesAt(flags);
  adopt(arena, first, first + pairs * DIRECTORY_PAIR_SIZE);
}

/** Updates the owner words of a directory's buckets after the directory has moved. */
export function adoptBuckets(arena: Arena, directory: number): void {
  const first = directory + DIRECTORY_HEADER_SIZE;
  adopt(arena, first, first + 4 * arena.words[(directory + DIRECTORY_BUCKETS) >>> 2]);
}

function adopt(arena: Arena, from: number, to: number): void {
  const { words } = arena;
  for (let owner = from; owner < to; owner += 4) {
    const block = words[owner >>> 2];
    if (block !== 0) words[(block + BLOCK_OWNER) >>> 2] = owner;
  }
}
