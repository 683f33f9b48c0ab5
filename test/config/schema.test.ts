/** What the schema says about itself; that values are read as it says is in `config.test.ts`. */
import { expect, test } from "bun:test";
import { describe, GROUPS } from "../../src/config/description.ts";
import { MEMORY_BYTES_CEILING, SCHEMA } from "../../src/config/schema.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { someMemory } from "../swarm/some-memory.ts";

const all = Object.values(SCHEMA.shape).map(describe);

test("every setting has a variable of its own, with our prefix", () => {
  for (const { variable } of all) expect(variable).toMatch(/^TRACKER_[A-Z]+(_[A-Z]+)*$/);
  expect(new Set(all.map(({ variable }) => variable)).size).toBe(all.length);
});

test("settings stand together by group, in the order of the groups", () => {
  const groups = all.map(({ group }) => group);
  expect(groups.filter((group, at) => group !== groups[at - 1])).toEqual([...GROUPS]);
});

test("every setting says what it does in a phrase without a full stop", () => {
  for (const { text } of all) expect(text).toMatch(/^[a-z].*[^.]$/);
});

test("every setting has a reason to change it, in sentences", () => {
  for (const { reason } of all) expect(reason).toMatch(/^[A-Z].*\.$/);
});

test("all memory that may be asked for can be used, and no more than that may be asked for", () => {
  const MIB = 2 ** 20;
  const reserve = (memoryMax: number) => someMemory({ memoryMax });
  const most = reserve(MEMORY_BYTES_CEILING);
  expect(takeCensus(most).memoryMax).toBeGreaterThan(MEMORY_BYTES_CEILING - MIB);
  const more = reserve(MEMORY_BYTES_CEILING + 512 * MIB);
  expect(more.arena.byteLength).toBeLessThan(1.04 * most.arena.byteLength);
});
