import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  isNotPublic,
  isPrivate,
  isUnusableSource,
  Networks,
  readAddress,
  readNetwork,
  readEndpoint,
  writeAddress,
} from "../../src/net/addresses.ts";
import type { Family } from "../../src/constants.ts";

/** Family and bytes of an address, such as "4 c0000201", or "none". */
function shown(read: typeof readAddress, text: string): string {
  const out = new Uint8Array(20);
  const family = read(text, out, 3);
  if (family === 0) return "none";
  return `${family} ${out.slice(3, family === 4 ? 7 : 19).toHex()}`;
}

test.each([
  ["192.0.2.1", "4 c0000201"],
  ["0.0.0.0", "4 00000000"],
  ["255.255.255.255", "4 ffffffff"],
  ["::", "6 00000000000000000000000000000000"],
  ["::1", "6 00000000000000000000000000000001"],
  ["1::", "6 00010000000000000000000000000000"],
  ["2001:db8::8:800:200C:417a", "6 20010db80000000000080800200c417a"],
  ["1:2:3:4:5:6:7:8", "6 00010002000300040005000600070008"],
  ["1:2:3:4:5:6:7::", "6 00010002000300040005000600070000"],
  ["::2:3:4:5:6:7:8", "6 00000002000300040005000600070008"],
  ["64:ff9b::192.0.2.33", "6 0064ff9b0000000000000000c0000221"],
  ["fe80::1%eth0", "6 fe800000000000000000000000000001"],
])("%s is read", (text, expected) => {
  expect(shown(readAddress, text)).toBe(expected);
});

test.each(["::ffff:1.2.3.4", "::FFFF:1.2.3.4", "::ffff:102:304", "0:0:0:0:0:ffff:1.2.3.4"])(
  "the v4-mapped %s is IPv4",
  (text) => expect(shown(readAddress, text)).toBe("4 01020304"),
);

test.each([
  "",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.",
  ".1.2.3",
  "1..2.3",
  "1.2.3.256",
  "0313.0.0161.01",
  "01.2.3.4",
  "1.2.3.4%eth0",
  "1.2.3.4 ",
  "+1.2.3.4",
  "3405803777",
  "not-an-ip",
  ":",
  ":::",
  ":1",
  "1:",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4::5:6:7:8",
  "12345::",
  "g::",
  "::1.2.3",
  "1:2:3:4:5:6:7:1.2.3.4",
  "::1.2.3.4:5",
  "[::1]",
  "%eth0",
])("%p is not an address", (text) => {
  expect(shown(readAddress, text)).toBe("none");
});

test.each([
  ["192.0.2.1", "4 c0000201"],
  ["192.0.2.1:80", "4 c0000201"],
  ["[::1]", "6 00000000000000000000000000000001"],
  ["[::1]:6881", "6 00000000000000000000000000000001"],
  ["::1", "6 00000000000000000000000000000001"],
  ["[::ffff:1.2.3.4]:80", "4 01020304"],
  ["[::1", "none"],
  ["[::1]x", "none"],
  ["[::1]:x", "none"],
  ["192.0.2.1:x", "none"],
  ["unknown", "none"],
])("the endpoint %p is read without its port", (text, expected) => {
  expect(shown(readEndpoint, text)).toBe(expected);
});

test.each([
  ["00000000000000000000000000000000", "::"],
  ["00000000000000000000000000000001", "::1"],
  ["20010db8000000000000000000000001", "2001:db8::1"],
  ["20010db8000000010001000100010001", "2001:db8:0:1:1:1:1:1"],
  ["20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
  ["00010000000000000000000000000000", "1::"],
  ["00000000000000000000ffffc0000201", "::ffff:192.0.2.1"],
  ["20010DB8000A0B0C0D0E0F1011121314", "2001:db8:a:b0c:d0e:f10:1112:1314"],
])("%s is written as %s", (hex, text) => {
  expect(writeAddress(Uint8Array.fromHex(hex), 0, 6)).toBe(text);
});

test("an IPv4 address is written with dots", () => {
  expect(writeAddress(new Uint8Array([9, 192, 0, 2, 1]), 1, 4)).toBe("192.0.2.1");
});

test("any written address is read back as the same bytes", () => {
  const part = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(part, { minLength: 16, maxLength: 16 }), (bytes) => {
      const address = Uint8Array.from(bytes);
      if (address.slice(0, 12).toHex() === "00000000000000000000ffff") return;
      expect(shown(readAddress, writeAddress(address, 0, 6))).toBe(`6 ${address.toHex()}`);
      const short = address.slice(0, 4);
      expect(shown(readAddress, writeAddress(short, 0, 4))).toBe(`4 ${short.toHex()}`);
    }),
  );
});

test("no text causes an exception", () => {
  const text = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.string({ unit: fc.constantFrom(..."0123456789abcf:.%[]") }),
  );
  fc.assert(
    fc.property(text, (input) => {
      expect(shown(readAddress, input)).toMatch(/^(none|4 [0-9a-f]{8}|6 [0-9a-f]{32})$/);
      expect(shown(readEndpoint, input)).toMatch(/^(none|4 [0-9a-f]{8}|6 [0-9a-f]{32})$/);
    }),
  );
});

/** The result of `judge` for an address given as text. */
function holds(judge: typeof isPrivate, text: string): boolean {
  const bytes = new Uint8Array(16);
  return judge(bytes, 0, readAddress(text, bytes, 0) as Family);
}

test("unspecified, multicast, reserved and broadcast addresses are unusable as a source", () => {
  const unusable = `0.0.0.0 0.1.2.3 224.0.0.1 239.255.255.255 240.0.0.0 254.1.2.3 255.255.255.255`;
  for (const text of unusable.split(" ")) {
    expect([text, holds(isUnusableSource, text)]).toEqual([text, true]);
  }
  for (const text of ["::", "ff00::", "ff02::1"]) {
    expect([text, holds(isUnusableSource, text)]).toEqual([text, true]);
  }
  for (const text of ["1.0.0.0", "127.0.0.1", "223.255.255.255", "::1", "fe80::1", "2001:db8::"]) {
    expect([text, holds(isUnusableSource, text)]).toEqual([text, false]);
  }
});

test("private networks end at their last address", () => {
  const inside = `10.0.0.0 10.255.255.255 127.0.0.1 172.16.0.0 172.31.255.255 192.168.0.1
    169.254.1.1 100.64.0.0 100.127.255.255 ::1 fe80:: febf::1 fc00:: fdff::1`;
  const outside = `9.255.255.255 11.0.0.0 128.0.0.0 172.15.255.255 172.32.0.0 192.167.0.0
    169.253.0.0 100.63.255.255 100.128.0.0 :: ::2 fec0:: fe7f:: fb00:: fe00:: 2001:db8::1`;
  for (const text of inside.split(/\s+/)) {
    expect([text, holds(isPrivate, text)]).toEqual([text, true]);
  }
  for (const text of outside.split(/\s+/)) {
    expect([text, holds(isPrivate, text)]).toEqual([text, false]);
  }
});

test("addresses outside the public Internet are not public, all others are", () => {
  // 6to4 of 10.0.0.0, 192.0.2.1 and 0.0.0.0; Teredo of 192.168.0.1, whose bits are inverted.
  const inside = `0.0.0.0 10.1.2.3 127.0.0.1 192.0.2.0 192.0.2.255 198.51.100.0 198.51.100.255
    203.0.113.0 203.0.113.255 198.18.0.0 198.19.255.255 224.0.0.1 240.0.0.0 ::1 fe80::1 fc00::
    2001:db8:: 2001:db8:ffff::1 3fff:: 3fff:fff:ffff::1 2002:a00:: 2002:c000:201::1 2002::
    2001:0:4136:e378:8000:63bf:3f57:fffe 192.0.0.1 192.88.99.1 ::10.0.0.1 64:ff9b::a00:1
    64:ff9b:1:: 100:: 2001:2:: 2001:10:: 2001:20:: 2001:1ff:: 5f00:: fec0:: 1fff:: 4000::`;
  const outside = `1.1.1.1 192.0.1.255 192.0.3.0 198.51.99.255 198.51.101.0 203.0.112.255
    203.0.114.0 198.17.255.255 198.20.0.0 223.255.255.255 2001:db7:: 2001:db9:: 3fff:1000::
    2002:101:101::1 2001:0:4136:e378:8000:63bf:fefe:fefe 2a00:1450::1 2001:200:: 192.0.1.0
    192.88.98.255 192.88.100.0 2000:: 3ffe::`;
  for (const text of inside.split(/\s+/)) {
    expect([text, holds(isNotPublic, text)]).toEqual([text, true]);
  }
  for (const text of outside.split(/\s+/)) {
    expect([text, holds(isNotPublic, text)]).toEqual([text, false]);
  }
});

function contains(networks: Networks, text: string): boolean {
  const bytes = new Uint8Array(16);
  const family = readAddress(text, bytes, 0);
  return family !== 0 && networks.containsBytes(bytes, 0, family);
}

test("networks contain their addresses in every notation", () => {
  const networks = new Networks(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7", "::1"]);
  expect(networks.empty).toBe(false);
  for (const text of ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8:1::", "192.0.2.7", "::1"]) {
    expect([text, contains(networks, text)]).toEqual([text, true]);
  }
  for (const text of ["11.0.0.1", "2001:db9::", "192.0.2.8", "::2"]) {
    expect([text, contains(networks, text)]).toEqual([text, false]);
  }
});

test.each([
  ["10.1.2.3/8", "10.0.0.0", "10.255.255.255"],
  ["192.0.2.7", "192.0.2.7", "192.0.2.7"],
  ["198.51.100.77/27", "198.51.100.64", "198.51.100.95"],
  ["0.0.0.0/0", "0.0.0.0", "255.255.255.255"],
  ["2001:db8::1/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"],
  ["::ffff:10.1.0.0/112", "10.1.0.0", "10.1.255.255"],
])("the network %p goes from %p to %p", (text, from, to) => {
  const [first, last] = [new Uint8Array(16), new Uint8Array(16)];
  const family = readNetwork(text, first, last);
  if (family === 0) throw new Error("not read");
  expect([first, last].map((address) => writeAddress(address, 0, family))).toEqual([from, to]);
});

test("a network of v4-mapped addresses is an IPv4 network", () => {
  const networks = new Networks(["::ffff:10.0.0.0/104"]);
  expect(contains(networks, "10.9.9.9")).toBe(true);
  expect(contains(networks, "11.9.9.9")).toBe(false);
});

test("a network of all addresses contains every address of its family", () => {
  const networks = new Networks(["0.0.0.0/0"]);
  expect(contains(networks, "203.0.113.9")).toBe(true);
  expect(contains(networks, "2001:db8::1")).toBe(false);
});

test("an empty set of networks contains nothing", () => {
  const networks = new Networks([]);
  expect(networks.empty).toBe(true);
  expect(contains(networks, "10.0.0.1")).toBe(false);
});

test.each(["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "::/129", "proxy", ""])(
  "%p is refused as a network, and the error names it",
  (entry) => expect(() => new Networks([entry])).toThrow(`"${entry}" is not a network`),
);
