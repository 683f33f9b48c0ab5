/** One private address that announces much is found; many addresses, or public ones, are not. */
import { expect, test } from "bun:test";

import {
  largestPrivateShare,
  PrivateShare,
  privateShareMemory,
} from "../../src/notes/private-share.ts";

const FEW = 32 * 100;

/** Notes this many announces, of the addresses in turn, from one of `ports` ports. */
function note(
  share: PrivateShare,
  announces: number,
  addressOf: (at: number) => number[],
  ports = 50,
): void {
  const peer = new Uint8Array(18);
  for (let at = 0; at < announces; at++) {
    const turn = Math.floor(at / 32);
    const address = addressOf(turn);
    peer.set(address);
    peer.set([0x1a, (turn % ports) + (at % ports)], address.length);
    share.note({ peer, family: address.length === 4 ? 4 : 6 });
  }
}

test("the share of a private address is measured among other clients", () => {
  const memory = privateShareMemory(1);
  note(new PrivateShare(memory, 0), 4 * FEW, (at) =>
    at % 2 === 0 ? [172, 17, 0, 1] : [8, 8, at >> 8, at],
  );
  expect(largestPrivateShare(memory)).toBeCloseTo(0.5, 1);
});

test("one busy private address is found among many", () => {
  const memory = privateShareMemory(1);
  note(new PrivateShare(memory, 0), 20 * FEW, (at) =>
    at % 10 < 4 ? [172, 17, 0, 1] : [10, 0, at >> 8, at & 255],
  );
  expect(largestPrivateShare(memory)).toBeGreaterThan(0.25);
  expect(largestPrivateShare(memory)).toBeLessThan(0.45);
});

test("many private addresses have no large share, nor has a public one", () => {
  const many = privateShareMemory(1);
  note(new PrivateShare(many, 0), 20 * FEW, (at) => [192, 168, at >> 8, at & 255]);
  expect(largestPrivateShare(many)).toBeLessThan(0.1);
  const one = privateShareMemory(1);
  note(new PrivateShare(one, 0), 20 * FEW, () => [8, 8, 8, 8]);
  expect(largestPrivateShare(one)).toBe(0);
});

test("the threads are added up, and IPv6 counts too", () => {
  const memory = privateShareMemory(2);
  const unique = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
  note(new PrivateShare(memory, 0), FEW, () => unique);
  note(new PrivateShare(memory, 1), FEW, (at) => (at % 2 === 0 ? unique : [8, 8, 4, 4]));
  expect(largestPrivateShare(memory)).toBeCloseTo(0.75, 2);
});

test("twenty announces of a few clients behind a NAT are enough, fewer are not", () => {
  const memory = privateShareMemory(1);
  const share = new PrivateShare(memory, 0);
  note(share, 19, () => [172, 17, 0, 1], 5);
  expect(largestPrivateShare(memory)).toBe(0);
  note(share, 1, () => [172, 17, 0, 1], 5);
  expect(largestPrivateShare(memory)).toBe(1);
});

test("a client in the same network has one port, so its share is no sign of a NAT", () => {
  const memory = privateShareMemory(1);
  note(new PrivateShare(memory, 0), 20 * FEW, () => [192, 168, 1, 5], 1);
  expect(largestPrivateShare(memory)).toBe(0);
});

test("old announces count less", () => {
  const memory = privateShareMemory(1);
  const share = new PrivateShare(memory, 0);
  note(share, 32 * 4096, () => [10, 0, 0, 1]);
  note(share, 32 * 4096 * 2, () => [8, 8, 8, 8]);
  expect(largestPrivateShare(memory)).toBeLessThan(0.25);
});
