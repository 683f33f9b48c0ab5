/** By how much the clock of another tracker is ahead. */
import { expect, test } from "bun:test";
import { clockAhead } from "../../src/cluster/clocks.ts";
import { HELLO } from "./hello.ts";

const own = (at: number): number => 1_700_000_000 + at;
const said = (clockSeconds: number) => ({ hello: { ...HELLO, clockSeconds }, helloAt: 100 });

test("a clock is compared with ours of the moment in which the hello came", () => {
  expect(clockAhead(said(1_700_000_100), own)).toBe(0);
  expect(clockAhead(said(1_700_000_220), own)).toBe(120);
  expect(clockAhead(said(1_700_000_010), own)).toBe(-90);
});

test("nothing is known of one that has said no hello", () => {
  expect(clockAhead({ hello: undefined, helloAt: -Infinity }, own)).toBe(0);
});
