/** The MAC of connection ids, against the values that its authors published. */
import { expect, test } from "bun:test";
import { Chaskey } from "../../src/udp/chaskey.ts";

const KEY = Int32Array.of(0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39);

/** The first 64 bits of Chaskey-12 over the bytes 0, 1, 2, …, by length. [ePrint 2015/1182] */
const PUBLISHED: Record<number, [first: number, second: number]> = {
  0: [0x43cb1f41, 0x51eba0c2],
  1: [0xf9ac2067, 0x9c35a846],
  4: [0x0b2b62db, 0x1e9e3f50],
  8: [0x9faf57d6, 0xf4bc02cf],
  15: [0x03cfb44b, 0x283c8163],
  17: [0x8b5f6d5a, 0x202314f6],
  20: [0xece3bdb9, 0x17e5a589],
  31: [0x1d3d30b1, 0x01d74fca],
  47: [0x8494b5bc, 0x5317b7b3],
  63: [0x2dd072e1, 0x42b89efe],
};

for (const [length, [first, second]] of Object.entries(PUBLISHED)) {
  test(`Chaskey-12 of ${length} bytes is as published`, () => {
    const message = new Uint8Array((Math.floor(Number(length) / 16) + 1) * 16);
    for (let i = 0; i < Number(length); i++) message[i] = i;
    message[Number(length)] = 1;
    const mac = new Chaskey(KEY);
    mac.compute(new Int32Array(message.buffer));
    expect([mac.first >>> 0, mac.second >>> 0]).toEqual([first, second]);
  });
}

test("a MAC does not depend on those before it", () => {
  const mac = new Chaskey(KEY);
  const message = Int32Array.of(0, 0, 0, 0, 1, 0, 0, 0);
  mac.compute(message);
  const { first, second } = mac;
  mac.compute(Int32Array.of(7, 1, 0, 0));
  expect([mac.first, mac.second]).not.toEqual([first, second]);
  mac.compute(message);
  expect([mac.first, mac.second]).toEqual([first, second]);
});

test("the MAC changes with each bit of the key", () => {
  const seen = new Set<string>();
  for (let bit = 0; bit < 128; bit++) {
    const key = KEY.slice();
    key[bit >> 5] ^= 1 << (bit & 31);
    const mac = new Chaskey(key);
    mac.compute(Int32Array.of(1, 2, 1, 0));
    seen.add(`${mac.first} ${mac.second}`);
  }
  expect(seen.size).toBe(128);
});
