/** Which keys decide where swarms and networks lie in memory. */
import { expect, test } from "bun:test";
import { deriveKey } from "../../src/host/derived-key.ts";
import { hashKeys } from "../../src/start/hash-keys.ts";
import { HASH_KEY_WORDS } from "../../src/swarm/keyed-hash.ts";

const SNAPSHOT = { snapshotFile: "/run/buntracker/swarms", udpSecret: "a secret of some length" };

test("keys are drawn anew without a snapshot, or without a secret", () => {
  expect(hashKeys({ ...SNAPSHOT, snapshotFile: undefined }, "here")).toBeUndefined();
  expect(hashKeys({ ...SNAPSHOT, udpSecret: undefined }, "here")).toBeUndefined();
});

test("with both they are the same in each run, and others for another secret or host", () => {
  const keys = hashKeys(SNAPSHOT, "here")!;
  expect(keys.length).toBe(HASH_KEY_WORDS);
  expect(new Set(keys).size).toBe(HASH_KEY_WORDS);
  expect(hashKeys(SNAPSHOT, "here")).toEqual(keys);
  const others = [
    hashKeys(SNAPSHOT, "there")!,
    hashKeys({ ...SNAPSHOT, udpSecret: "another secret of length" }, "here")!,
  ];
  for (const other of others) {
    expect(keys.some((word, i) => other[i] === word)).toBe(false);
  }
});

test("the secret passes the slow derivation, since the order of a snapshot shows the keys", () => {
  const key = deriveKey(SNAPSHOT.udpSecret, "buntracker: where swarms lie at here");
  const first = new Bun.CryptoHasher("sha512", key).update("0").digest();
  expect(hashKeys(SNAPSHOT, "here")![0]).toBe(first.readInt32LE(0));
});
