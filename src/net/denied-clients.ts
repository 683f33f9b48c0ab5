/**
 * Denied clients, given as prefixes of peer ids: `-XL` denies every version of one program.
 *
 * A prefix is written in the characters of the peer id. A byte that is not printable, a comma, a
 * semicolon, a star and a percent sign are written as `%` and two hexadecimal digits: semicolons
 * between prefixes are a mistake, and so is the star of `-XL*`. [BEP 20 shows peer ids]
 */
import { PEER_ID_SIZE } from "../constants.ts";

/** The bytes of a prefix, 1 to 20; undefined if the text is not a prefix. */
export function readPeerIdPrefix(text: string): Uint8Array | undefined {
  if (!/^(?:[\x21-\x24\x26-\x29\x2b-\x3a\x3c-\x7e]|%[0-9a-f]{2})+$/i.test(text)) return undefined;
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
