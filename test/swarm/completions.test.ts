import { expect, test } from "bun:test";
import { cellOf, Completions } from "../../src/swarm/completions.ts";
import { COMPLETION_CELLS } from "../../src/swarm/memory.ts";
import { makeMemory, MIB } from "./fixture.ts";

test("a download is new once, and so is each other one", () => {
  const completions = new Completions(makeMemory(16 * MIB));
  const all = Array.from({ length: 100 }, (_, i) => [Math.imul(i, 0x9e3779b1), i * 77] as const);
  expect(all.map(([infoHash, peer]) => completions.note(infoHash, peer))).toEqual(
    all.map(() => true),
  );
  expect(all.filter(([infoHash, peer]) => completions.note(infoHash, peer)).length).toBe(0);
});

test("the cells of downloads are spread over all there are", () => {
  const cells = new Set<number>();
  for (let i = 0; i < COMPLETION_CELLS; i++) {
    cells.add(cellOf(Bun.hash.xxHash32(`swarm ${i % 1000}`), Bun.hash.xxHash32(`peer ${i}`)));
  }
  // By chance 63 in 100 are met.
  expect(cells.size).toBeGreaterThan(0.6 * COMPLETION_CELLS);
  expect(Math.max(...cells)).toBeLessThan(COMPLETION_CELLS);
});

test("a flood overwrites marks, and every new download still counts", () => {
  const completions = new Completions(makeMemory(16 * MIB));
  completions.note(1, 1);
  let refused = 0;
  for (let i = 0; i < 10 * COMPLETION_CELLS; i++) {
    if (!completions.note(Math.imul(i + 2, 0x9e3779b1), Math.imul(i, 0xc2b2ae3d))) refused += 1;
  }
  expect(refused).toBe(0);
  expect(completions.note(1, 1)).toBe(true);
});
