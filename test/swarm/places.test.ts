import { expect, test } from "bun:test";
import { sameAddress, sameNetwork } from "../../src/swarm/places.ts";

/** The halves of a peer as they lie in memory. */
const halves = (...bytes: number[]): Uint16Array => {
  const all = new Uint8Array(18);
  all.set(bytes);
  return new Uint16Array(all.buffer);
};

test.each([
  [4, [10, 1, 2, 3, 9, 9], [10, 1, 2, 3, 7, 7], true, true],
  [4, [10, 1, 2, 3], [10, 1, 2, 4], false, true],
  [4, [10, 1, 2, 3], [10, 1, 3, 3], false, false],
  [4, [10, 1, 2, 3], [10, 2, 2, 3], false, false],
  [6, [32, 1, 2, 3, 4, 5, 6, 7, 8], [32, 1, 2, 3, 4, 5, 6, 7, 9], true, true],
  [6, [32, 1, 2, 3, 4, 5, 6, 7], [32, 1, 2, 3, 4, 5, 6, 8], false, true],
  [6, [32, 1, 2, 3, 4, 5, 6, 7], [32, 1, 2, 3, 4, 6, 6, 7], false, false],
] as const)("of IPv%d %p and %p are of one address: %p, network: %p", (family, a, b, one, net) => {
  expect(sameAddress(halves(...a), 0, halves(...b), 0, family)).toBe(one);
  expect(sameNetwork(halves(...a), 0, halves(...b), 0, family)).toBe(net);
});
