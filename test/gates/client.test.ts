import { describe, expect, test } from "bun:test";
import { Client, clientHeaders } from "../../src/gates/client.ts";
import {
  VERDICT_ADDRESS_PROXY,
  VERDICT_ADDRESS_UNKNOWN,
  VERDICT_OK,
} from "../../src/gates/verdicts.ts";
import { Networks, writeAddress } from "../../src/net/addresses.ts";
import { exchangeOf } from "../http/fixture.ts";

const PROXIES = new Networks(["10.0.0.0/8", "2001:db8::/32"]);

/** The address found, or the verdict. */
function found(
  socket: string | null,
  headers: Record<string, string>,
  header = "x-forwarded-for",
  proxies = PROXIES,
): string | number {
  const client = new Client(proxies, header);
  const verdict = client.read(exchangeOf({ target: "/", from: socket, headers })!);
  return verdict === VERDICT_OK ? writeAddress(client.address, 0, client.family) : verdict;
}

test("a client without a trusted proxy has the address of its socket", () => {
  expect(found("203.0.113.9", {})).toBe("203.0.113.9");
  expect(found("::ffff:203.0.113.9", {})).toBe("203.0.113.9");
  expect(found("2001:DB9::1", {})).toBe("2001:db9::1");
});

test("a client on this machine is recognized by its address", () => {
  const isLoopback = (from: string) => {
    const client = new Client(PROXIES, "x-forwarded-for");
    client.read(exchangeOf({ target: "/", from, headers: {} })!);
    return client.isLoopback;
  };
  for (const here of ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"]) {
    expect(isLoopback(here)).toBe(true);
  }
  for (const there of ["128.0.0.1", "1.2.3.127", "::", "::2", "fe80::1", "7f00::1"]) {
    expect(isLoopback(there)).toBe(false);
  }
});

test("the header of an untrusted client is ignored", () => {
  expect(found("203.0.113.9", { "x-forwarded-for": "198.51.100.1" })).toBe("203.0.113.9");
  const nobody = new Networks([]);
  expect(found("10.0.0.2", { "x-forwarded-for": "1.1.1.1" }, "x-forwarded-for", nobody)).toBe(
    "10.0.0.2",
  );
});

test.each([
  ["198.51.100.1", "198.51.100.1"],
  ["1.1.1.1, 198.51.100.1", "198.51.100.1"],
  ["1.1.1.1,198.51.100.1,10.9.9.9", "198.51.100.1"],
  ["1.1.1.1, 198.51.100.1 , 10.9.9.9, 2001:db8::5", "198.51.100.1"],
  ["garbage, 198.51.100.1", "198.51.100.1"],
  // All are trusted: the farthest is the client.
  ["10.1.1.1", "10.1.1.1"],
  ["10.1.1.1, 10.2.2.2", "10.1.1.1"],
  ["2001:db8::7,10.2.2.2", "2001:db8::7"],
  ["198.51.100.1:4711", "198.51.100.1"],
  ["2001:db9::1", "2001:db9::1"],
  ["[2001:db9::1]:4711", "2001:db9::1"],
  ["::ffff:198.51.100.1", "198.51.100.1"],
])("behind a proxy that says %p the client is %s", (header, address) => {
  expect(found("10.0.0.2", { "x-forwarded-for": header })).toBe(address);
  expect(found("2001:db8::2", { "x-forwarded-for": header })).toBe(address);
});

test.each([
  "",
  "garbage",
  "198.51.100.1, unknown",
  "198.51.100.1,",
  "garbage, 10.1.1.1",
  ", 10.1.1.1",
])("behind a proxy that says %p the client has no address", (header) => {
  expect(found("10.0.0.2", { "x-forwarded-for": header })).toBe(VERDICT_ADDRESS_PROXY);
});

test("behind a proxy that does not send the header the client has no address", () => {
  expect(found("10.0.0.2", {})).toBe(VERDICT_ADDRESS_PROXY);
  expect(found("10.0.0.2", { "x-real-ip": "198.51.100.1" })).toBe(VERDICT_ADDRESS_PROXY);
});

test("where everybody is trusted, a header with one address is believed as it stands", () => {
  const all = new Networks(["0.0.0.0/0", "::/0"]);
  const of = (value: string) =>
    found("172.70.1.1", { "cf-connecting-ip": value }, "cf-connecting-ip", all);
  expect(of("198.51.100.1")).toBe("198.51.100.1");
  expect(of("2a00::1")).toBe("2a00::1");
  expect(found("172.70.1.1", {}, "cf-connecting-ip", all)).toBe(VERDICT_ADDRESS_PROXY);
});

test("the headers that may name a client are found in a request, whatever their values", () => {
  const headers = { "X-Real-IP": "x", "CF-Connecting-IP": "1.1.1.1", "X-Mine": "y", Cookie: "z" };
  const { head } = exchangeOf({ target: "/", from: "10.0.0.2", headers })!;
  expect(clientHeaders(head, "x-forwarded-for")).toEqual(["x-real-ip", "cf-connecting-ip"]);
  expect(clientHeaders(head, "x-mine")).toEqual(["x-mine", "x-real-ip", "cf-connecting-ip"]);
});

test("the header can be configured", () => {
  const headers = { "x-real-ip": "198.51.100.1", "x-forwarded-for": "198.51.100.2" };
  expect(found("10.0.0.2", headers, "x-real-ip")).toBe("198.51.100.1");
});

test.each([
  ["for=198.51.100.1", "198.51.100.1"],
  ["for=1.1.1.1, for=198.51.100.1;proto=https;by=10.0.0.2", "198.51.100.1"],
  ['For="198.51.100.1:4711", for=10.9.9.9', "198.51.100.1"],
  ['proto=http; for="[2001:db9::1]:4711"', "2001:db9::1"],
  ['garbage, for="[2001:db9::1]"', "2001:db9::1"],
  ["for=10.1.1.1", "10.1.1.1"],
])("behind a proxy that says Forwarded: %s the client is %s", (forwarded, address) => {
  expect(found("10.0.0.2", { forwarded }, "forwarded")).toBe(address);
});

test.each([
  "198.51.100.1",
  "for=unknown",
  "for=198.51.100.1, for=_hidden",
  "for=198.51.100.1, proto=https",
  // The client chose the host.
  'for=198.51.100.1;host="a, for=1.1.1.1"',
  'for=198.51.100.1;host="a, for=1.1.1.1;b=";proto=http',
  'for=198.51.100.1;host="a, for=1.1.1.1;b=\\""',
])("behind a proxy that says Forwarded: %s the client has no address", (forwarded) => {
  expect(found("10.0.0.2", { forwarded }, "forwarded")).toBe(VERDICT_ADDRESS_PROXY);
});

test("a client that has disconnected has no address", () => {
  expect(found(null, {})).toBe(VERDICT_ADDRESS_UNKNOWN);
  expect(found("", {})).toBe(VERDICT_ADDRESS_UNKNOWN);
});

describe("the scheme at a proxy", () => {
  const scheme = (socket: string, headers: Record<string, string>, header = "x-forwarded-for") =>
    new Client(PROXIES, header).schemeAtProxy(exchangeOf({ target: "/", from: socket, headers })!);

  test.each([
    ["https", "https"],
    ["HTTP", "http"],
    ["https, http", "https"],
    ["gopher", undefined],
    ["httpsx", undefined],
    ["", undefined],
  ])("of X-Forwarded-Proto %p is %p", (value, expected) => {
    expect(scheme("10.0.0.2", { "x-forwarded-proto": value })).toBe(expected as never);
  });

  test("is in a hop of Forwarded, where that is the header", () => {
    const hop = "for=198.51.100.7;proto=https, for=10.0.0.1;proto=http";
    expect(scheme("10.0.0.2", { forwarded: hop }, "forwarded")).toBe("https");
    expect(scheme("10.0.0.2", { forwarded: "for=1.2.3.4" }, "forwarded")).toBeUndefined();
    expect(scheme("10.0.0.2", { "x-forwarded-proto": "https" }, "forwarded")).toBeUndefined();
  });

  test("is ignored from untrusted clients", () => {
    expect(scheme("203.0.113.9", { "x-forwarded-proto": "https" })).toBeUndefined();
  });
});
