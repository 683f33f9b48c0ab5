/** The file of networks: which lines are ranges, and which addresses lie in them. */
import { describe, expect, test } from "bun:test";

import { readNetworkFile } from "../../src/access/network-file.ts";
import { readAddress } from "../../src/net/addresses.ts";
import { atOnce, text } from "./fixture.ts";

const read = (words: string) => atOnce(readNetworkFile(text(words)));

function holds(words: string, address: string): boolean {
  const bytes = new Uint8Array(16);
  const family = readAddress(address, bytes, 0);
  if (family === 0) throw new Error(`${address} is no address`);
  return read(words).list.contains(bytes, 0, family);
}

describe("a line", () => {
  test.each([
    ["192.0.2.0/24", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"],
    ["192.0.2.77/24 a comment", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"],
    ["192.0.2.7 2026-11-27, seen 7 times", "192.0.2.7", "192.0.2.7", "192.0.2.6", "192.0.2.8"],
    ["192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.6", "192.0.2.8"],
    ["192.0.2.4/31\r", "192.0.2.4", "192.0.2.5", "192.0.2.3", "192.0.2.6"],
    ["::ffff:192.0.2.0/120", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"],
    ["2001:db8::/33", "2001:db8::", "2001:db8:7fff::1", "2001:db8:8000::", "2001:db7::"],
    ["2001:db8::7", "2001:db8::7", "2001:db8::7", "2001:db8::6", "2001:db8::8"],
    ["Some name, Inc:1.2.3.4-1.2.3.9", "1.2.3.4", "1.2.3.9", "1.2.3.3", "1.2.3.10"],
    ["with: colons-and-dashes/1:1.2.3.4-1.2.3.9", "1.2.3.4", "1.2.3.9", "1.2.3.3", "1.2.3.10"],
    ["zeros:001.002.003.004-001.002.003.009", "1.2.3.4", "1.2.3.9", "1.2.3.3", "1.2.3.10"],
    ["1.2.3.4 - 1.2.3.9", "1.2.3.4", "1.2.3.9", "1.2.3.3", "1.2.3.10"],
    ["all:0.0.0.0-127.255.255.255", "0.0.0.0", "127.255.255.255", "128.0.0.0", "::1"],
    ["six:2001:db8::4-2001:db8::9", "2001:db8::4", "2001:db8::9", "2001:db8::3", "2001:db8::a"],
    ["10:2001:db8::4-2001:db8::9", "2001:db8::4", "2001:db8::9", "2001:db8::3", "10:2001:db8::4"],
    ["2001:db8::4-2001:db8::9", "2001:db8::4", "2001:db8::9", "2001:db8::3", "db8::4"],
    ["a name: 2001:db8::4 - 2001:db8::9", "2001:db8::4", "2001:db8::9", "2001:db8::3", "::4"],
  ])("is a range: %s", (line, first, last, below, above) => {
    expect(read(line).bad.count).toBe(0);
    expect([first, last].map((address) => holds(line, address))).toEqual([true, true]);
    expect([below, above].map((address) => holds(line, address))).toEqual([false, false]);
  });

  test.each([
    ["words"],
    ["192.0.2.0/33"],
    ["192.0.2.0/"],
    ["192.0.2.256"],
    ["2001:db8::/129"],
    ["name:1.2.3.9-1.2.3.4"],
    ["name:1.2.3.4-2001:db8::1"],
    ["name:1.2.3-1.2.3.4"],
    ["-"],
    ["name:-1.2.3.4"],
    ["192.0.2.0/24 198.51.100.0/24"],
    ["192.0.2.0/24,198.51.100.0/24"],
    ["192.0.2.7\t2001:db8::/32 a comment"],
    ["192.0.2.0/24\r198.51.100.0/24\r"],
    ["one:1.2.3.4-1.2.3.9\rtwo:1.2.4.4-1.2.4.9"],
    ["# networks\r192.0.2.0/24\r"],
  ])("is bad: %s", (line) => {
    const { list, bad } = read(`${line}\n10.0.0.0/8\n${line}`);
    expect([list.size, bad.count, bad.first]).toEqual([1, 2, [1, 3]]);
  });

  test.each([[""], ["\r"], ["  "], ["# 10.0.0.0/8"]])("is ignored: %j", (line) => {
    const { list, bad } = read(`${line}\n${line}`);
    expect([list.size, bad.count]).toEqual([0, 0]);
  });
});

test("names in any encoding are accepted", () => {
  const bytes = Uint8Array.from([0xef, 0xbb, 0xbf, 0xe9, 0xff, ...text(":1.2.3.4-1.2.3.4\n")]);
  const { list, bad } = atOnce(readNetworkFile(bytes));
  expect([list.size, bad.count]).toEqual([1, 0]);
});

test("a very long line does not take long", () => {
  expect(read("x".repeat(10_000_000)).bad).toEqual({ count: 1, first: [1] });
});
