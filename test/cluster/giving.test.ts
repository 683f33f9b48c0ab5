/** A tracker gives what it is asked for, chunk by chunk, as the taker has room for it. */
import { expect, test } from "bun:test";
import { CHUNK_BYTES_MAX } from "../../src/cluster/wire.ts";
import { drain, fill, HAD, openBoth, TAKER } from "./giving-and-taking.ts";

const ASK = { session: 1, begins: true, sinceSeconds: Infinity, credit: 2 };

test("chunks are numbered, small enough for a message, and cost credit; the end costs none", () => {
  const { giving, from } = openBoth();
  fill(from, 20_000, 100);
  giving.asked(TAKER, ASK, () => HAD, 100);
  const first = drain(giving, 100);
  expect(first.map(({ number }) => number)).toEqual([0, 1]);
  expect(giving.works).toBe(false);
  giving.asked(TAKER, { ...ASK, begins: false, credit: 1000 }, () => HAD, 101);
  const rest = drain(giving, 101);
  const all = [...first, ...rest];
  const sizes = all.map(({ chunk }) => chunk?.length ?? 0);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(CHUNK_BYTES_MAX);
  expect(all.at(-1)).toMatchObject({ chunk: undefined, number: all.length - 1, had: HAD });
  expect(giving.counts).toEqual({ sessions: 1, refused: 0, peers: 20_000 });
});

test("only what announced in the time asked for is given", () => {
  const { giving, from } = openBoth();
  fill(from, 100, 100);
  fill(from, 30, 1000, 5000);
  giving.asked(TAKER, { ...ASK, sinceSeconds: 60 }, () => HAD, 1001);
  drain(giving, 1001);
  expect(giving.counts.peers).toBe(30);
});

test("four are served at a time; one that is silent makes room for another", () => {
  const { giving, from } = openBoth();
  fill(from, 20_000, 100);
  for (const taker of ["1", "2", "3", "4", "5"]) giving.asked(taker, ASK, () => HAD, 100);
  giving.asked("4", { ...ASK, session: 2 }, () => HAD, 100.3);
  expect(giving.counts).toMatchObject({ sessions: 5, refused: 1 });
  drain(giving, 100);
  giving.asked("1", { ...ASK, begins: false }, () => HAD, 104);
  giving.expire(106);
  for (const taker of ["6", "7", "8", "9"]) giving.asked(taker, ASK, () => HAD, 106);
  expect(giving.counts).toMatchObject({ sessions: 8, refused: 2 });
});

test("a flood of asks costs nothing: of takers that ask anew at once, or are too many", () => {
  const { giving } = openBoth();
  let made = 0;
  const had = () => {
    made += 1;
    return HAD;
  };
  for (let n = 0; n < 5000; n++) {
    giving.asked(`${n % 50}`, { ...ASK, session: n }, had, 100 + n / 50_000);
  }
  expect([made, giving.counts]).toMatchObject([4, { sessions: 4, refused: 4996 }]);
});

test("credit for a session that is over, or never was, is ignored", () => {
  const { giving } = openBoth();
  giving.asked(TAKER, { ...ASK, begins: false, credit: 5 }, () => HAD, 100);
  expect(giving.works).toBe(false);
  giving.asked(TAKER, ASK, () => HAD, 100);
  expect(drain(giving, 100).length).toBe(1);
  giving.asked(TAKER, { ...ASK, begins: false, credit: 5 }, () => HAD, 100);
  expect(giving.works).toBe(false);
});

test("a taker hears each second of a giver that finds little among many, as do the others", () => {
  const { giving, from } = openBoth();
  fill(from, 200_000, 100);
  const young = { ...ASK, sinceSeconds: 60, credit: 16 };
  giving.asked("1", young, () => HAD, 1000);
  giving.asked("2", young, () => HAD, 1000);
  const heard: Record<string, number> = { 1: 1000, 2: 1000 };
  let apart = 0;
  let ends = 0;
  // A machine so slow, or with so many peers, that a slice takes 0.2 s.
  for (let now = 1000; giving.works; now += 0.2) {
    const gift = giving.slice(now);
    if (gift === undefined) continue;
    apart = Math.max(apart, now - heard[gift.taker]!);
    heard[gift.taker] = now;
    if (gift.state.chunk === undefined) ends += 1;
    else {
      expect(gift.state.chunk).toEqual(new Uint8Array(0));
      giving.asked(gift.taker, { ...young, begins: false, credit: 1 }, () => HAD, now);
      giving.expire(now);
    }
  }
  expect(ends).toBe(2);
  expect(heard[2]!).toBeGreaterThan(1010);
  expect(apart).toBeLessThan(2);
});
