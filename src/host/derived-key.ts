/**
 * Keys out of secrets that people choose. What is answered under a key can be tried against guessed
 * secrets elsewhere: 1.7 million a second on one core if the key were but a hash, 40 so.
 */
import { scryptSync } from "node:crypto";

const KEY_BYTES = 32;
/** 16 MiB for 25 ms: a start has two keys at most, and a core may be slow. [RFC 7914 2] */
const COSTS = { N: 2 ** 14, r: 8, p: 1 };

/** 32 bytes, the same for all who have the secret; `purpose` keeps keys of one secret apart. */
export function deriveKey(secret: string, purpose: string): Uint8Array {
  return new Uint8Array(scryptSync(secret, purpose, KEY_BYTES, COSTS));
}
