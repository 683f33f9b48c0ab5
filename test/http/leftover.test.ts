import { expect, test } from "bun:test";
import { HTTP_HEAD_BYTES_MAX } from "../../src/constants.ts";
import { garbage } from "../../src/host/garbage.ts";
import { Leftover } from "../../src/http/leftover.ts";
import { Random } from "../fuzz/random.ts";

/** The leftover after these pieces. */
function after(...pieces: string[]): Leftover {
  const leftover = new Leftover();
  for (const piece of pieces) leftover.add(Buffer.from(piece));
  return leftover;
}

test("one piece stays in the buffer in which it was received", () => {
  const leftover = new Leftover();
  const bytes = Buffer.from("GET /a HTTP/1.1\r\n\r\n");
  const before = garbage.noted;
  leftover.add(bytes);
  expect(leftover.view()).toBe(bytes);
  expect([leftover.size, leftover.capacity]).toEqual([bytes.length, bytes.length]);
  leftover.drop(bytes.length);
  expect([leftover.size, leftover.capacity, garbage.noted]).toEqual([0, 0, before]);
});

test("pieces are appended, and the text has at most the given size", () => {
  const leftover = after("ab", "c", "\xe9".repeat(2));
  expect(leftover.view().toString()).toBe(`abc${"\xe9".repeat(2)}`);
  expect([leftover.text(4), leftover.text(99).length]).toEqual(["abc\xc3", 7]);
  leftover.drop(2);
  expect([leftover.text(1), leftover.size]).toEqual(["c", 5]);
  leftover.clear();
  expect([leftover.text(9), leftover.size, leftover.capacity]).toEqual(["", 0, 0]);
});

test("a byte behind a long head costs a few bytes, not the head once more", () => {
  const leftover = after("x".repeat(15_000));
  const before = garbage.noted;
  for (let i = 0; i < 1384; i++) leftover.add(Buffer.from("a"));
  expect(garbage.noted - before).toBeLessThan(20_000);
  expect(leftover.size).toBe(HTTP_HEAD_BYTES_MAX);
  expect(leftover.capacity).toBeLessThanOrEqual(2 * HTTP_HEAD_BYTES_MAX);
});

test("a head that comes byte by byte costs twice its length, with as much room again", () => {
  const leftover = new Leftover();
  const before = garbage.noted;
  for (let i = 0; i < HTTP_HEAD_BYTES_MAX; i++) {
    leftover.add(Buffer.from("a"));
    expect(leftover.capacity).toBeLessThanOrEqual(Math.max(256, 2 * leftover.size));
  }
  expect(garbage.noted - before).toBeLessThan(2 * HTTP_HEAD_BYTES_MAX);
});

test("the spare room is at most the size of one head", () => {
  const leftover = after("x".repeat(100_000), "a");
  expect(leftover.capacity).toBe(100_001 + HTTP_HEAD_BYTES_MAX);
});

test("removing a byte per request does not move the rest each time", () => {
  const leftover = after("x".repeat(60_000));
  const before = garbage.noted;
  for (let i = 0; i < 1000; i++) {
    leftover.drop(27);
    leftover.add(Buffer.from("a"));
  }
  expect(garbage.noted - before).toBeLessThan(4 * 60_000);
});

test("removing no bytes keeps the spare room", () => {
  const leftover = after("a", "b");
  leftover.drop(0);
  expect([leftover.size, leftover.capacity]).toEqual([2, 256]);
});

test("a small rest does not keep a large buffer", () => {
  const leftover = after("x".repeat(60_000) + "rest");
  leftover.drop(60_000);
  expect([leftover.view().toString(), leftover.capacity]).toEqual(["rest", 4]);
});

test("bytes stay the same in any pieces", () => {
  const random = new Random(11, "leftover");
  for (let round = 0; round < 200; round++) {
    const leftover = new Leftover();
    let model = "";
    for (let step = 0; step < 60; step++) {
      const size = 1 + random.below(random.below(4) === 0 ? 9000 : 9);
      const piece = String.fromCharCode(97 + random.below(26)).repeat(size);
      leftover.add(Buffer.from(piece));
      model += piece;
      if (random.below(3) > 0) continue;
      const done = random.below(model.length + 1);
      leftover.drop(done);
      model = model.slice(done);
      expect(leftover.view().toString() === model).toBe(true);
    }
  }
});
