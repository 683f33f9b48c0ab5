/** The address from which a tracker sees this machine. */
import { expect, test } from "bun:test";

import {
  digitsOfAddress,
  isLoopback,
  isPublicAddress,
  ownSource,
} from "../../../src/verbs/conformance/own-source.ts";

test.each([
  ["127.0.0.1", "7f000001"],
  ["::1", `${"0".repeat(31)}1`],
])("at %s it is %s", async (tracker, digits) => {
  expect(await ownSource(tracker)).toBe(digits);
});

test.each(["192.0.2.1", "2001:db8::1"])("%s as digits", (address) => {
  expect(digitsOfAddress(address)).toBe(
    address.includes(":") ? "20010db8000000000000000000000001" : "c0000201",
  );
});

test("a public address is told from others", () => {
  const addresses = ["8.8.8.8", "127.0.0.1", "10.1.2.3", "2001:db8::1"];
  expect(addresses.map(isPublicAddress)).toEqual([true, false, false, false]);
});

test("what is no address has no digits", () => {
  expect(digitsOfAddress("example.org")).toBe("");
});

test.each([
  ["127.0.0.2", true],
  ["::1", true],
  ["10.0.0.1", false],
])("%s is of loopback: %p", (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});
