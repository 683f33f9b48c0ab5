import { describe, expect, test } from "bun:test";
import type { NetworkInterfaceInfo } from "node:os";
import { listAddresses } from "../../src/host/interfaces.ts";
import { readAddress } from "../../src/net/addresses.ts";

describe("the list of addresses", () => {
  const told = (...addresses: string[]) =>
    listAddresses(() => ({
      any: addresses.map((address) => ({ address }) as NetworkInterfaceInfo),
    }));

  test("has the addresses of all interfaces except loopback addresses", () => {
    expect(told("127.0.0.1", "::1", "198.51.100.7", "127.9.9.9", "::1:1", "fe80::1")).toEqual([
      "198.51.100.7",
      "::1:1",
      "fe80::1",
    ]);
  });

  test("is unknown where the system does not tell", () => {
    const refuse = () => {
      throw new Error("EAFNOSUPPORT");
    };
    expect(listAddresses(refuse)).toBeUndefined();
  });

  test("holds addresses that can be parsed, on this machine", () => {
    const bytes = new Uint8Array(16);
    for (const address of listAddresses()!) expect(readAddress(address, bytes, 0)).not.toBe(0);
  });
});
