/** Which requests the lists refuse, and which list is checked first. */
import { expect, test } from "bun:test";

import {
  Access,
  ACCESS_CLIENT,
  ACCESS_CLIENT_UNLISTED,
  ACCESS_DENIED,
  ACCESS_NETWORK,
  ACCESS_OK,
  ACCESS_UNLISTED,
  type AccessShared,
  openToAll,
} from "../../src/access/access.ts";
import { readHashFile } from "../../src/access/hash-file.ts";
import { hashListMemory } from "../../src/access/hash-list.ts";
import { readNetworkFile } from "../../src/access/network-file.ts";
import { garbage } from "../../src/host/garbage.ts";
import { atOnce, halvesOf, hashOf, KEYS, text } from "./fixture.ts";

const listOf = (...numbers: number[]) =>
  atOnce(readHashFile(text(numbers.map((n) => hashOf(n).toHex()).join("\n")), KEYS)).list.memory;
const accessOf = (changes: Partial<AccessShared>) => new Access({ ...openToAll(KEYS), ...changes });
const judge = (access: Access, n: number) => access.judgeSwarm(halvesOf(hashOf(n)), 0);
const peerId = text("-XL0012-abcdefghijkl");
const address = Uint8Array.of(192, 0, 2, 7);

test("without lists nothing is refused", () => {
  for (const access of [new Access(), accessOf({})]) {
    expect(judge(access, 1)).toBe(ACCESS_OK);
    expect(access.judgeAddress(address, 0, 4)).toBe(ACCESS_OK);
    expect(access.judgeClient(peerId, 0)).toBe(ACCESS_OK);
  }
});

test("a hash on the deny list is refused, others are not", () => {
  const access = accessOf({ deny: listOf(1) });
  expect([judge(access, 1), judge(access, 2)]).toEqual([ACCESS_DENIED, ACCESS_OK]);
});

test("an allow list serves its hashes only; an empty one serves no hash", () => {
  const access = accessOf({ allow: listOf(1) });
  expect([judge(access, 1), judge(access, 2)]).toEqual([ACCESS_OK, ACCESS_UNLISTED]);
  expect(judge(accessOf({ allow: listOf() }), 1)).toBe(ACCESS_UNLISTED);
});

test("the deny list comes before the allow list", () => {
  const access = accessOf({ deny: listOf(1), allow: listOf(1, 2) });
  expect([1, 2, 3].map((n) => judge(access, n))).toEqual([
    ACCESS_DENIED,
    ACCESS_OK,
    ACCESS_UNLISTED,
  ]);
});

test("maintenance is not a list: it removes no swarm", () => {
  const access = accessOf({ maintenance: true, allow: listOf(1) });
  expect([access.maintenance, accessOf({}).maintenance]).toEqual([true, false]);
  expect([judge(access, 1), judge(access, 2)]).toEqual([ACCESS_OK, ACCESS_UNLISTED]);
});

test("an address in a denied network is refused", () => {
  const { list } = atOnce(readNetworkFile(text("192.0.2.0/24")));
  const access = accessOf({ networks: list.memory });
  expect(access.judgeAddress(address, 0, 4)).toBe(ACCESS_NETWORK);
  expect(access.judgeAddress(Uint8Array.of(192, 0, 3, 7), 0, 4)).toBe(ACCESS_OK);
});

test("a list that gives way is garbage once, though a thread has it several times", () => {
  const deny = hashListMemory(100);
  const shared = { ...openToAll(KEYS), deny };
  const parts = [new Access(shared), new Access(shared)];
  const before = garbage.noted;
  for (const part of parts) part.update({ ...shared, deny: hashListMemory(100) });
  expect(garbage.noted - before).toBe(deny.byteLength);
});

test("with a list of clients only those are served, less the denied ones", () => {
  const served = text("-TR4000-abcdefghijkl");
  const access = accessOf({ allowClients: [text("-TR4"), text("-qB")] });
  expect(access.judgeClient(served, 0)).toBe(ACCESS_OK);
  expect(access.judgeClient(peerId, 0)).toBe(ACCESS_CLIENT_UNLISTED);
  expect(access.judgeClient(peerId, -1)).toBe(ACCESS_CLIENT_UNLISTED);
  const both = accessOf({ allowClients: [text("-TR")], denyClients: [text("-TR4000")] });
  expect(both.judgeClient(served, 0)).toBe(ACCESS_CLIENT);
  expect(both.judgeClient(text("-TR4010-abcdefghijkl"), 0)).toBe(ACCESS_OK);
});

test("without lists a client needs no peer id", () => {
  expect(accessOf({ denyClients: [text("-XL")] }).judgeClient(peerId, -1)).toBe(ACCESS_OK);
});

test("a client is refused by the beginning of its peer id", () => {
  const access = accessOf({ denyClients: [text("-XL")] });
  expect(access.judgeClient(peerId, 0)).toBe(ACCESS_CLIENT);
  expect(access.judgeClient(text("-TR4000-abcdefghijkl"), 0)).toBe(ACCESS_OK);
});
