import { describe, expect, test } from "bun:test";
import type { Family } from "../../src/constants.ts";
import {
  OWN_ADDRESSES_MAX,
  OwnAddresses,
  ownAddressMemory,
} from "../../src/limits/own-addresses.ts";
import { readAddress } from "../../src/net/addresses.ts";

/** Whether `own` has the address, which lies somewhere in a larger array. */
function has(own: OwnAddresses, text: string): boolean {
  const bytes = new Uint8Array(40).fill(0xee);
  const family = readAddress(text, bytes, 7) as Family;
  return own.has(bytes, 7, family);
}

function ownOf(...addresses: string[]): OwnAddresses {
  const own = new OwnAddresses(ownAddressMemory());
  own.take(addresses);
  return own;
}

describe("an address of this machine", () => {
  const own = ownOf("198.51.100.7", "2001:db8::7", "fe80::1%eth0", "10.0.0.1");

  test.each(["198.51.100.7", "2001:db8::7", "10.0.0.1", "fe80::1"])("is known: %s", (text) => {
    expect(has(own, text)).toBe(true);
  });

  test("is known in its mapped form, which is the same address", () => {
    expect(has(own, "::ffff:198.51.100.7")).toBe(true);
    expect(has(ownOf("::ffff:192.0.2.9"), "192.0.2.9")).toBe(true);
  });

  test.each(["198.51.100.8", "198.51.101.7", "2001:db8::8", "2001:db8:0:1::7", "fe80::2"])(
    "is not one that only looks like it: %s",
    (text) => expect(has(own, text)).toBe(false),
  );

  test("of one family is not one of the other, though the bytes begin the same", () => {
    expect(has(ownOf("198.51.100.7"), "c633:6407::")).toBe(false);
    expect(has(ownOf("c633:6407::"), "198.51.100.7")).toBe(false);
  });

  test("is not made from a text that is not an address", () => {
    const odd = ownOf("eth0", "", "192.0.2.1/24", "192.0.2.2");
    expect(["192.0.2.1", "192.0.2.2"].map((text) => has(odd, text))).toEqual([false, true]);
  });
});

test("without memory, or before the first list, the list is empty", () => {
  expect(has(new OwnAddresses(), "192.0.2.1")).toBe(false);
  expect(has(new OwnAddresses(ownAddressMemory()), "192.0.2.1")).toBe(false);
  expect(() => new OwnAddresses().take(["192.0.2.1"])).not.toThrow();
});

test("a new list replaces the one before, in all threads", () => {
  const memory = ownAddressMemory();
  const [writer, reader] = [new OwnAddresses(memory), new OwnAddresses(memory)];
  for (const turn of [1, 2, 3, 4]) {
    writer.take([`192.0.2.${turn}`, "2001:db8::1"]);
    const known = [1, 2, 3, 4].filter((last) => has(reader, `192.0.2.${last}`));
    expect(known).toEqual([turn]);
    expect(has(reader, "2001:db8::1")).toBe(true);
  }
  writer.take([]);
  expect(has(reader, "192.0.2.4")).toBe(false);
});

test("a machine with more addresses than there is room for keeps the first ones", () => {
  const many = Array.from({ length: 2 * OWN_ADDRESSES_MAX }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const own = ownOf(...many);
  const known = many.filter((text) => has(own, text));
  expect(known).toEqual(many.slice(0, OWN_ADDRESSES_MAX));
});

test("no lookup is long, whatever address strangers choose", () => {
  const memory = ownAddressMemory();
  // A whole /24 and a /64 of our own; the hash is public, so strangers can aim at its fullest part.
  const ours = Array.from({ length: 250 }, (_, i) => [`192.0.2.${i}`, `2001:db8::${i}`]).flat();
  new OwnAddresses(memory).take(ours);
  // A lookup ends at a free slot: it passes as many as the longest row of others has.
  const words = new Int32Array(memory).subarray(1);
  let [row, longest] = [0, 0];
  for (let slot = 0; slot < words.length; slot += 5) {
    row = words[slot] === 0 ? 0 : row + 1;
    longest = Math.max(longest, row);
  }
  expect(longest).toBeGreaterThan(0);
  expect(longest).toBeLessThan(40);
});
