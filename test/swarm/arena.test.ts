import { expect, test } from "bun:test";
import { Arena } from "../../src/swarm/arena.ts";
import { KIND_BUCKET, KIND_SWARM, kindOf, sizeOf } from "../../src/swarm/blocks.ts";
import { PAGE_SIZE, PAGES_RESERVED, POOL_AVAILABLE } from "../../src/swarm/memory.ts";
import { makeMemory, MIB } from "./fixture.ts";

const LINE = 32;
const open = (): Arena => new Arena(makeMemory(16 * MIB));

test("blocks lie one behind the other, and a page is left when the next one does not fit", () => {
  const arena = open();
  const first = arena.allocate(LINE, 44, KIND_SWARM);
  const second = arena.allocate(LINE, 100, KIND_BUCKET);
  expect(first).toBe(PAGE_SIZE);
  expect(second).toBe(PAGE_SIZE + 44);
  expect(sizeOf(arena.words[second >>> 2])).toBe(100);
  expect(kindOf(arena.words[second >>> 2])).toBe(KIND_BUCKET);
  expect(arena.allocate(LINE, PAGE_SIZE - 144, KIND_SWARM)).toBe(PAGE_SIZE + 144);
  expect(arena.allocate(LINE, 4, KIND_SWARM)).toBe(2 * PAGE_SIZE);
  expect(arena.allocate(LINE, PAGE_SIZE, KIND_SWARM)).toBe(3 * PAGE_SIZE);
});

test("shards have pages of their own", () => {
  const arena = open();
  expect(arena.allocate(LINE, 44, KIND_SWARM)).toBe(PAGE_SIZE);
  expect(arena.allocate(LINE + 16, 44, KIND_SWARM)).toBe(2 * PAGE_SIZE);
  expect(arena.allocate(LINE, 44, KIND_SWARM)).toBe(PAGE_SIZE + 44);
});

test("waste is what is not used in closed pages", () => {
  const arena = open();
  const block = arena.allocate(LINE, 1000, KIND_SWARM);
  const other = arena.allocate(LINE, 1000, KIND_SWARM);
  arena.release(LINE, block);
  expect(arena.wasted(LINE)).toBe(0);
  arena.allocate(LINE, 7000, KIND_SWARM);
  expect(arena.wasted(LINE)).toBe(PAGE_SIZE - 1000);
  arena.release(LINE, other);
  expect(arena.wasted(LINE)).toBe(PAGE_SIZE);
});

test("the page with the fewest live bytes is taken first, and then serves any shard", () => {
  const arena = open();
  const blocks = [5000, 6000, 4500, 5500].map((size) => arena.allocate(LINE, size, KIND_SWARM));
  arena.allocate(LINE, 8000, KIND_SWARM);
  expect(arena.takeEmptiestPage(LINE)).toBe(blocks[2] / PAGE_SIZE);
  arena.release(LINE, blocks[1]);
  expect(arena.nextLive(2, 2 * PAGE_SIZE)).toBe(0);
  expect(arena.takeEmptiestPage(LINE)).toBe(2);
  const before = arena.shards[POOL_AVAILABLE];
  arena.givePage(2);
  expect(arena.shards[POOL_AVAILABLE]).toBe(before + 1);
  expect(arena.allocate(LINE + 16, 40, KIND_SWARM)).toBe(2 * PAGE_SIZE);
  arena.putBack(LINE, 3);
  expect(arena.takeEmptiestPage(LINE)).toBe(3);
});

test("a full arena says so, and keeps pages back for blocks that move", () => {
  const arena = open();
  let pages = 0;
  while (arena.allocate(LINE, PAGE_SIZE, KIND_SWARM) !== 0) pages += 1;
  const all = arena.bytes.length / PAGE_SIZE;
  expect(pages).toBe(all - 1 - PAGES_RESERVED);
  let moved = 0;
  while (arena.allocateForMove(LINE, PAGE_SIZE, KIND_SWARM) !== 0) moved += 1;
  expect(moved).toBe(64);
  expect(arena.shards[POOL_AVAILABLE]).toBe(0);
  expect(arena.allocate(LINE + 16, 4, KIND_SWARM)).toBe(0);
});

test("free pages can be taken away for a while, and come back as any other", () => {
  const arena = open();
  for (let i = 0; i < 10; i++) arena.allocate(LINE, 8000, KIND_SWARM);
  const given = Array.from({ length: 9 }, () => arena.takeEmptiestPage(LINE));
  for (const page of given) arena.givePage(page);
  const available = arena.shards[POOL_AVAILABLE];
  const taken = new Int32Array(4);
  expect(arena.takeFreePages(taken, 9)).toBe(0);
  expect(arena.takeFreePages(taken, 6)).toBe(3);
  expect(given).toEqual(expect.arrayContaining([...taken.subarray(0, 3)]));
  expect(arena.shards[POOL_AVAILABLE]).toBe(available - 3);
  const away = new Set(taken.subarray(0, 3));
  // Those that are left serve first, then those that came back, and only then new ones.
  const pageOfNext = (): number => arena.allocate(LINE, 8000, KIND_SWARM) / PAGE_SIZE;
  for (let i = 0; i < 3; i++) expect(away.has(pageOfNext())).toBe(false);
  arena.giveBlank(taken, 3);
  expect(arena.shards[POOL_AVAILABLE]).toBe(available - 3);
  for (let i = 0; i < 3; i++) expect(given).toContain(pageOfNext());
  for (let i = 0; i < 3; i++) expect(away.delete(pageOfNext())).toBe(true);
  expect(given).not.toContain(pageOfNext());
});
