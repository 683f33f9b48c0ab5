/**
 * The keys of the hashes that decide where swarms and networks lie in memory (swarm/keyed-hash.ts).
 *
 * They are drawn anew at each start, as attackers may know none of them. But then networks that had
 * a bucket each share one after a restart, and peers that the tracker had do not fit: of 272,000
 * peers of one /16 in one swarm 6 % were lost each time. So where swarms are kept over a restart,
 * and there is a secret, the keys follow from it. They are never in the snapshot. But its records,
 * and the exports that are not sorted, lie in the order that the keys make, which tells whether a
 * guessed secret is right. So the secret passes the slow derivation, as that of connection ids.
 */
import type { Config } from "../config/schema.ts";
import { deriveKey } from "../host/derived-key.ts";
import { HASH_KEY_WORDS } from "../swarm/keyed-hash.ts";

/**
 * The keys of a tracker on this host; undefined to draw them. Each host has others: trackers that
 * share a secret and their peers would else take swarms over in the order of their own index, for
 * which a table that grows is slow.
 */
export function hashKeys(
  { snapshotFile, udpSecret }: Pick<Config, "snapshotFile" | "udpSecret">,
  host: string,
): Int32Array | undefined {
  if (snapshotFile === undefined || udpSecret === undefined) return undefined;
  const keys = new Int32Array(HASH_KEY_WORDS);
  const key = deriveKey(udpSecret, `buntracker: where swarms lie at ${host}`);
  for (let at = 0, block = 0; at < keys.length; block++) {
    const bytes = new Bun.CryptoHasher("sha512", key).update(String(block)).digest();
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    for (let i = 0; i < words.length && at < keys.length; i++) keys[at++] = words[i];
  }
  return keys;
}
