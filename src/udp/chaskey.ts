/**
 * Chaskey-12: a MAC of short messages that takes a tenth of the time of SHA-256, in plain numbers.
 * [Mouha et al., SAC 2014 and ePrint 2015/1182; ISO/IEC 29192-6]
 *
 * A key of 128 bits and a permutation of four words, which is additions, rotations and exclusive
 * ors. The state begins with the key; each block of the message is mixed in and permuted:
 *
 *   state = key
 *   each block   state ^= block; for the last one also the subkey; permute: 12 rounds
 *   MAC = state ^ subkey, of which the first 64 bits are used
 *
 * The subkey is that of messages whose last block is not full, so only those are taken: a byte 1
 * behind the message and zeros up to the end of the block make each message another one.
 *
 * Allocates nothing after construction, never fails; its time does not depend on key or message.
 */

const ROUNDS = 12;
/** Words of a block, of a key and of the state. */
const WORDS = 4;

/** x^128 = x^7 + x^2 + x + 1: what is added to the lowest word when the highest bit is lost. */
const REDUCTION = 0x87;

export class Chaskey {
  /** The first 64 bits of the last MAC, as two signed 32-bit numbers. */
  first = 0;
  second = 0;
  readonly #key: Int32Array;
  readonly #subkey: Int32Array;

  /** `key` is four secret words. */
  constructor(key: Int32Array) {
    this.#key = key.slice(0, WORDS);
    this.#subkey = double(double(this.#key));
  }

  /** Computes the MAC of padded blocks, at least one, for `first` and `second`. */
  compute(blocks: Int32Array): void {
    const key = this.#key;
    const subkey = this.#subkey;
    const last = blocks.length - WORDS;
    let a = key[0];
    let b = key[1];
    let c = key[2];
    let d = key[3];
    for (let at = 0; at <= last; at += WORDS) {
      a ^= blocks[at];
      b ^= blocks[at + 1];
      c ^= blocks[at + 2];
      d ^= blocks[at + 3];
      if (at === last) {
        a ^= subkey[0];
        b ^= subkey[1];
        c ^= subkey[2];
        d ^= subkey[3];
      }
      for (let round = 0; round < ROUNDS; round++) {
        a = (a + b) | 0;
        b = ((b << 5) | (b >>> 27)) ^ a;
        a = (a << 16) | (a >>> 16);
        c = (c + d) | 0;
        d = ((d << 8) | (d >>> 24)) ^ c;
        a = (a + d) | 0;
        d = ((d << 13) | (d >>> 19)) ^ a;
        c = (c + b) | 0;
        b = ((b << 7) | (b >>> 25)) ^ c;
        c = (c << 16) | (c >>> 16);
      }
    }
    this.first = a ^ subkey[0];
    this.second = b ^ subkey[1];
  }
}

/** The key times x in the field of 2^128 elements. */
function double(key: Int32Array): Int32Array {
  const doubled = key.map((word, i) => (word << 1) | (i === 0 ? 0 : key[i - 1] >>> 31));
  if (key[WORDS - 1] < 0) doubled[0] ^= REDUCTION;
  return doubled;
}
