import { expect, test } from "bun:test";
import { scryptSync } from "node:crypto";
import { deriveKey } from "../../src/host/derived-key.ts";

test("a key is the same only for the same secret and purpose", () => {
  const key = deriveKey("secret", "purpose");
  expect(key).toHaveLength(32);
  expect(deriveKey("secret", "purpose")).toEqual(key);
  expect(deriveKey("secret", "another")).not.toEqual(key);
  expect(deriveKey("another", "purpose")).not.toEqual(key);
});

test("the scrypt costs are fixed, so machines that share a secret derive the same key", () => {
  const key = scryptSync("secret", "purpose", 32, { N: 16_384, r: 8, p: 1 });
  expect(deriveKey("secret", "purpose").toHex()).toBe(key.toString("hex"));
});
