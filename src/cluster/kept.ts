/**
 * What a snapshot keeps of the ledger (ledger.ts), so that a tracker that starts with it knows what
 * its peers are worth: up to which batch of which tracker they were whole, and since when not.
 *
 *   0  1  1 if the tracker had not caught up          each origin, this tracker first, 28 bytes
 *   1  1  n, the number of origins                      0  8  its name
 *   2  2  0                                             8  4  up to here all was there
 *   4  …  the origins                                  12  4  the highest that was heard of (`Had`)
 *                                                      16  4  seconds since it started
 *                                                      20  4  seconds since nothing was missing
 *                                                      24  4  seconds since there was news of it
 *
 * Times are those before the snapshot was begun, 2^32 - 1 if not known. Numbers are little-endian.
 */
import { type Had, KNOWN_MAX } from "./wire.ts";

/** An origin in a snapshot. */
export interface KeptOrigin extends Had {
  /** Since when nothing of it had been missing; Infinity for never. */
  wholeSeconds: number;
  /** Since when there had been no news of it. */
  namedSeconds: number;
}

export interface Kept {
  /** The tracker had not got the peers of another since its start. */
  behind: boolean;
  origins: readonly KeptOrigin[];
}

const HEAD_BYTES = 4;
const ORIGIN_BYTES = 28;
const NOT_KNOWN = 0xffff_ffff;

export function keptBytes({ behind, origins }: Kept): Uint8Array {
  const some = origins.slice(0, KNOWN_MAX + 1);
  const bytes = new Uint8Array(HEAD_BYTES + ORIGIN_BYTES * some.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = behind ? 1 : 0;
  bytes[1] = some.length;
  for (const [i, one] of some.entries()) {
    const at = HEAD_BYTES + ORIGIN_BYTES * i;
    const { number, heard, ageSeconds = Infinity, wholeSeconds, namedSeconds } = one;
    const times = [ageSeconds, wholeSeconds, namedSeconds];
    bytes.set(Uint8Array.fromHex(one.origin), at);
    for (const [n, value] of [number, heard, ...times.map(rounded)].entries()) {
      view.setUint32(at + 8 + 4 * n, value, true);
    }
  }
  return bytes;
}

/** Reads them; undefined if they are damaged. */
export function readKept(bytes: Uint8Array): Kept | undefined {
  const count = bytes[1] ?? 0;
  if (bytes.length !== HEAD_BYTES + ORIGIN_BYTES * count || count > KNOWN_MAX + 1) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const origins = Array.from({ length: count }, (_, i): KeptOrigin => {
    const at = HEAD_BYTES + ORIGIN_BYTES * i;
    const [number, heard, age, whole, named] = [8, 12, 16, 20, 24].map((offset) =>
      view.getUint32(at + offset, true),
    );
    const known = age === NOT_KNOWN ? {} : { ageSeconds: age };
    const times = { wholeSeconds: whole === NOT_KNOWN ? Infinity : whole, namedSeconds: named };
    return { origin: bytes.subarray(at, at + 8).toHex(), number, heard, ...known, ...times };
  });
  return { behind: bytes[0] === 1, origins };
}

/** Up, so that nothing is taken for younger than it is. */
const rounded = (seconds: number): number => Math.min(NOT_KNOWN, Math.ceil(seconds));
