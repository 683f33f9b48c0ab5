/** Ranges of addresses: joined, sorted, and looked up fast. */
import { expect, test } from "bun:test";
import fc from "fast-check";

import { buildNetworkList, NetworkList, Ranges } from "../../src/access/network-list.ts";
import { atOnce } from "./fixture.ts";

/** An address of either family whose only varying part is a number; both ends of words are met. */
function addressOf(n: number, family: 4 | 6): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  const view = new DataView(bytes.buffer);
  if (family === 4) {
    view.setUint32(0, 0x7fffffe0 + n);
    return bytes;
  }
  const whole = 0x20010db8_ffffffff_ffffffff_ffffffe0n + BigInt(n);
  view.setBigUint64(0, whole >> 64n);
  view.setBigUint64(8, whole & 0xffffffffffffffffn);
  return bytes;
}

test.each([4, 6] as const)(
  "a list agrees with a slow one over random ranges of IPv%d",
  (family) => {
    const range = fc.tuple(fc.nat(63), fc.nat(8)).map(([first, size]) => [first, first + size]);
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), (pairs) => {
        const ranges = new Ranges();
        for (const [first, last] of pairs) {
          ranges.add(family, addressOf(first, family), addressOf(last, family));
        }
        const list = atOnce(buildNetworkList(ranges));
        const inside = (n: number) => pairs.some(([first, last]) => first <= n && n <= last);
        let runs = 0;
        for (let n = 0; n <= 72; n++) {
          expect(list.contains(addressOf(n, family), 0, family)).toBe(inside(n));
          if (inside(n) && (n === 0 || !inside(n - 1))) runs += 1;
        }
        // Ranges that overlap or touch were joined.
        expect(list.size).toBe(runs);
      }),
      { numRuns: 200 },
    );
  },
);

test("the first and last addresses of the address space can be listed", () => {
  const ranges = new Ranges();
  const zeros = new Uint8Array(16);
  const ones = new Uint8Array(16).fill(255);
  for (const family of [4, 6] as const) {
    ranges.add(family, zeros, zeros);
    ranges.add(family, ones, ones);
  }
  const list = new NetworkList(atOnce(buildNetworkList(ranges)).memory);
  expect(list.size).toBe(4);
  for (const family of [4, 6] as const) {
    expect(list.contains(zeros, 0, family)).toBe(true);
    expect(list.contains(ones, 0, family)).toBe(true);
    expect(list.contains(addressOf(1, family), 0, family)).toBe(false);
  }
});

test("ranges of one family do not match the other", () => {
  const ranges = new Ranges();
  ranges.add(4, new Uint8Array(4), new Uint8Array(4).fill(255));
  const list = atOnce(buildNetworkList(ranges));
  expect(list.contains(new Uint8Array(16).fill(1), 0, 4)).toBe(true);
  expect(list.contains(new Uint8Array(16).fill(1), 0, 6)).toBe(false);
});

test("an empty list contains no address", () => {
  const list = atOnce(buildNetworkList(new Ranges()));
  expect([list.size, list.contains(new Uint8Array(16), 0, 4)]).toEqual([0, false]);
});
