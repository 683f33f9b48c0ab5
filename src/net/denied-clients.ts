/**
 * Clients that are refused, by how their peer ids begin: `-XL` is every version of one program.
 *
 * A prefix is written as the characters of the peer id; a byte that cannot be printed, a comma or a
 * percent sign as `%` and two hexadecimal digits. [BEP 20 for what peer ids look like]
 */
import { PEER_ID_SIZE } from "../constants.ts";

/** The bytes of a prefix, 1 to 20; undefined if the text is none. */
export function readPeerIdPrefix(text: string): Uint8Array | undefined {
  if (!/^(?:[\x21-\x24\x26-\x7e]|%[0-9a-f]{2})+$/i.test(text)) return undefined;
  const parts = text.match(/%..|./g) ?? [];
  if (parts.length > PEER_ID_SIZE) return undefined;
  return Uint8Array.from(parts, (part) =>
    part.length === 1 ? part.charCodeAt(0) : Number.parseInt(part.slice(1), 16),
  );
}

/** True if the peer id at `bytes[at]` begins with one of the prefixes. */
export function hasPrefix(prefixes: readonly Uint8Array[], bytes: Uint8Array, at: number): boolean {
  for (let p = 0; p < prefixes.length; p++) {
    const prefix = prefixes[p];
    let i = 0;
    while (i < prefix.length && prefix[i] === bytes[at + i]) i++;
    if (i === prefix.length) return true;
  }
  return false;
}
