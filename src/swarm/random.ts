/**
 * Random numbers for drawing peers: fast, evenly spread, repeatable from a seed; not secret.
 *
 * The generator is xoshiro128** (Blackman and Vigna 2018): 128 bits of state, period 2^128 - 1.
 */

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** Four words that are not all zero. */
  constructor(seed: Int32Array) {
    this.#a = seed[0];
    this.#b = seed[1];
    this.#c = seed[2];
    this.#d = seed[3];
  }

  /** A whole number of 0 to `below` - 1, each equally likely; `below` is 1 to 2^31. */
  below(below: number): number {
    return ((this.#next() >>> 0) * (below * 2 ** -32)) | 0;
  }

  /**
   * `share` of `whole`, rounded up or down by chance so that the mean over many draws is exact:
   * of 10 wanted peers, a pool with 5 of 15 gets 3 in two of three draws and 4 in the third.
   */
  portion(wanted: number, share: number, whole: number): number {
    const exact = wanted * share;
    const floor = Math.floor(exact / whole);
    return floor + (this.below(whole) < exact - floor * whole ? 1 : 0);
  }

  #next(): number {
    const b = this.#b;
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    this.#c ^= this.#a;
    this.#d ^= b;
    this.#b = b ^ this.#c;
    this.#a ^= this.#d;
    this.#c ^= b << 9;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }
}
