/** The conditions for storing a peer, whatever its source. */
import { describe, expect, test } from "bun:test";
import { Access, type AccessShared, openToAll } from "../../src/access/access.ts";
import { readHashFile } from "../../src/access/hash-file.ts";
import { readNetworkFile } from "../../src/access/network-file.ts";
import type { Family } from "../../src/constants.ts";
import {
  PeerGate,
  PLACE_FIT,
  PLACE_LINK_LOCAL,
  PLACE_LOW_PORT,
  PLACE_OWN,
} from "../../src/gates/peer-gate.ts";
import {
  VERDICT_ADDRESS_PRIVATE,
  VERDICT_ADDRESS_UNUSABLE,
  VERDICT_DENIED,
  VERDICT_NETWORK,
  VERDICT_OK,
  VERDICT_UNLISTED,
} from "../../src/gates/verdicts.ts";
import { readAddress } from "../../src/net/addresses.ts";
import { atOnce, halvesOf, hashOf, KEYS, text } from "../access/fixture.ts";
import { limitsOf } from "../limits/fixture.ts";

const listOf = (n: number) => atOnce(readHashFile(text(hashOf(n).toHex()), KEYS)).list.memory;

function gateOf(shared: Partial<AccessShared> = {}, refusePrivate = false): PeerGate {
  const { limits } = limitsOf({ own: ["192.0.2.7"], settings: { portMin: 1024 } });
  return new PeerGate(new Access({ ...openToAll(KEYS), ...shared }), limits, refusePrivate);
}

function placed(address: string): [Uint8Array, Family] {
  const bytes = new Uint8Array(18);
  return [bytes, readAddress(address, bytes, 0) as Family];
}

describe("an address", () => {
  test.each([
    ["0.0.0.0", VERDICT_ADDRESS_UNUSABLE, VERDICT_ADDRESS_UNUSABLE],
    ["224.0.0.1", VERDICT_ADDRESS_UNUSABLE, VERDICT_ADDRESS_UNUSABLE],
    ["ff02::1", VERDICT_ADDRESS_UNUSABLE, VERDICT_ADDRESS_UNUSABLE],
    ["192.168.1.1", VERDICT_OK, VERDICT_ADDRESS_PRIVATE],
    ["::1", VERDICT_OK, VERDICT_ADDRESS_PRIVATE],
    ["1.2.3.4", VERDICT_OK, VERDICT_OK],
    ["203.0.113.9", VERDICT_OK, VERDICT_ADDRESS_PRIVATE],
  ])("%s gives %d, and %d if private addresses are refused", (address, lenient, strict) => {
    const [bytes, family] = placed(address);
    expect(gateOf().judgeAddress(bytes, 0, family)).toBe(lenient);
    expect(gateOf({}, true).judgeAddress(bytes, 0, family)).toBe(strict);
  });
});

test("info hashes and networks are looked up in the lists", () => {
  const networks = atOnce(readNetworkFile(text("198.51.100.0/24"))).list.memory;
  const gate = gateOf({ deny: listOf(1), networks });
  expect(gate.judgeSwarm(halvesOf(hashOf(1)))).toBe(VERDICT_DENIED);
  expect(gate.judgeSwarm(halvesOf(hashOf(2)))).toBe(VERDICT_OK);
  expect(gateOf({ allow: listOf(1) }).judgeSwarm(halvesOf(hashOf(2)))).toBe(VERDICT_UNLISTED);
  expect(gate.judgeNetwork(...withFamily("198.51.100.9"))).toBe(VERDICT_NETWORK);
  expect(gate.judgeNetwork(...withFamily("198.51.101.9"))).toBe(VERDICT_OK);
});

function withFamily(address: string): [Uint8Array, number, Family] {
  const [bytes, family] = placed(address);
  return [bytes, 0, family];
}

test("a low port, an address of this machine and one of a link are refused", () => {
  const gate = gateOf();
  expect(gate.judgePlace(...withFamily("1.2.3.4"), 1024)).toBe(PLACE_FIT);
  expect(gate.judgePlace(...withFamily("1.2.3.4"), 1023)).toBe(PLACE_LOW_PORT);
  expect(gate.judgePlace(...withFamily("1.2.3.4"), 0)).toBe(PLACE_LOW_PORT);
  expect(gate.judgePlace(...withFamily("192.0.2.7"), 6881)).toBe(PLACE_OWN);
  expect(gate.judgePlace(...withFamily("fe80::1"), 6881)).toBe(PLACE_LINK_LOCAL);
  expect(gate.judgePlace(...withFamily("febf::1"), 6881)).toBe(PLACE_LINK_LOCAL);
  for (const usable of ["fec0::1", "fd00::1", "fe7f::1", "::1", "169.254.1.1"]) {
    expect(gate.judgePlace(...withFamily(usable), 6881)).toBe(PLACE_FIT);
  }
});

test("a peer passes if it passes every check", () => {
  const networks = atOnce(readNetworkFile(text("198.51.100.0/24"))).list.memory;
  const gate = gateOf({ networks });
  const passes = (address: string, port: number) => gate.passes(...withFamily(address), port);
  expect(passes("1.2.3.4", 6881)).toBe(true);
  expect(passes("198.51.100.9", 6881)).toBe(false);
  expect(passes("0.0.0.0", 6881)).toBe(false);
  expect(passes("192.0.2.7", 6881)).toBe(false);
  expect(passes("1.2.3.4", 1)).toBe(false);
  expect(passes("fe80::1", 6881)).toBe(false);
});

test("a claim is believed of public addresses alone, also where private ones are served", () => {
  const believes = (gate: PeerGate, claim: string, source = "10.0.0.1"): boolean => {
    const [bytes, family] = placed(claim);
    const [address, sourceFamily] = placed(source);
    return gate.believesClaim(bytes, 0, family, { address, addressAt: 0, family: sourceFamily });
  };
  for (const gate of [gateOf(), gateOf({}, true)]) {
    for (const address of ["10.0.0.1", "0.0.0.0", "203.0.113.9", "fe80::1", "::", "2001:db8::1"]) {
      expect(believes(gate, address)).toBe(false);
    }
    expect(believes(gate, "1.2.3.4") && believes(gate, "2a00::1")).toBe(true);
    for (const [claim, source] of [
      ["1.2.3.4", "2a00::9"],
      ["2a00::1", "1.2.3.9"],
    ]) {
      expect(believes(gate, claim, source)).toBe(false);
      expect(believes(gate, claim, claim === "1.2.3.4" ? "fd00::9" : "192.168.0.9")).toBe(true);
      expect(believes(gate, claim, claim)).toBe(true);
    }
  }
});
