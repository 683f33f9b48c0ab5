/**
 * A list of address ranges in one shared buffer for all threads: sorted, with a gap between ranges.
 *
 *   words   [ IPv4 ranges: n | IPv6 ranges: m ]
 *           [ first address ] * n   [ last address ] * n           one word each
 *           [ first address ] * m   [ last address ] * m           four words each, highest first
 *
 * An address is found by binary search: 19 steps for 300,000 ranges. A list never changes; a reload
 * makes another one. It is made in slices: the sort is a radix sort, which can be interrupted.
 */
import type { Family } from "../constants.ts";
import { garbage } from "../host/garbage.ts";
import type { Sliced } from "../host/turns.ts";
import { readU32 } from "../net/words.ts";

const HEADER_WORDS = 2;
const WORDS_IPV4 = 1;
const WORDS_IPV6 = 4;
const ITEMS_PER_STEP = 16384;
const DIGIT_VALUES = 65536;

export class NetworkList {
  readonly memory: SharedArrayBuffer;
  readonly #words: Uint32Array;
  readonly #countIpv4: number;
  readonly #countIpv6: number;
  readonly #wanted = new Uint32Array(WORDS_IPV6);

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Uint32Array(memory);
    this.#countIpv4 = this.#words[0];
    this.#countIpv6 = this.#words[1];
  }

  /** The number of ranges, after ranges that overlap or touch were joined. */
  get size(): number {
    return this.#countIpv4 + this.#countIpv6;
  }

  /** True if the address at `bytes[at]` lies in one of the ranges. */
  contains(bytes: Uint8Array, at: number, family: Family): boolean {
    return family === 4 ? this.#containsIpv4(bytes, at) : this.#containsIpv6(bytes, at);
  }

  #containsIpv4(bytes: Uint8Array, at: number): boolean {
    const words = this.#words;
    const wanted = readU32(bytes, at);
    let low = 0;
    let high = this.#countIpv4;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[HEADER_WORDS + middle] <= wanted) low = middle + 1;
      else high = middle;
    }
    // The range before `low` is the last one that begins at or before the address.
    return low > 0 && wanted <= words[HEADER_WORDS + this.#countIpv4 + low - 1];
  }

  #containsIpv6(bytes: Uint8Array, at: number): boolean {
    const words = this.#words;
    const wanted = this.#wanted;
    for (let i = 0; i < WORDS_IPV6; i++) wanted[i] = readU32(bytes, at + 4 * i);
    const firsts = HEADER_WORDS + 2 * this.#countIpv4;
    const lasts = firsts + WORDS_IPV6 * this.#countIpv6;
    let low = 0;
    let high = this.#countIpv6;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(words, firsts + WORDS_IPV6 * middle, wanted, 0, WORDS_IPV6) <= 0)
        low = middle + 1;
      else high = middle;
    }
    return low > 0 && compare(wanted, 0, words, lasts + WORDS_IPV6 * (low - 1), WORDS_IPV6) <= 0;
  }
}

/** Ranges in the order of the file. */
export class Ranges {
  readonly ipv4 = new RangeArray(WORDS_IPV4);
  readonly ipv6 = new RangeArray(WORDS_IPV6);

  /** Adds the range from `first` to `last`, both included, in network byte order. */
  add(family: Family, first: Uint8Array, last: Uint8Array): void {
    (family === 4 ? this.ipv4 : this.ipv6).push(first, last);
  }
}

/** Sorts and joins ranges, and writes them to shared memory. */
export function* buildNetworkList(ranges: Ranges): Sliced<NetworkList> {
  yield* ranges.ipv4.sortAndJoin();
  yield* ranges.ipv6.sortAndJoin();
  const { ipv4, ipv6 } = ranges;
  garbage.note(ipv4.garbageBytes + ipv6.garbageBytes);
  const size = HEADER_WORDS + 2 * (ipv4.count * WORDS_IPV4 + ipv6.count * WORDS_IPV6);
  const memory = new SharedArrayBuffer(size * Uint32Array.BYTES_PER_ELEMENT);
  const words = new Uint32Array(memory);
  words[0] = ipv4.count;
  words[1] = ipv6.count;
  let at = HEADER_WORDS;
  for (const array of [ipv4, ipv6]) {
    for (const side of [array.firsts, array.lasts]) {
      words.set(side.subarray(0, array.count * array.width), at);
      at += array.count * array.width;
      yield;
    }
  }
  return new NetworkList(memory);
}

/** Ranges of one family, with `width` words for each address. */
class RangeArray {
  firsts: Uint32Array;
  lasts: Uint32Array;
  count = 0;
  readonly width: number;
  /** Words of all arrays so far. */
  #taken = 0;

  constructor(width: number) {
    this.width = width;
    this.firsts = new Uint32Array(64 * width);
    this.lasts = new Uint32Array(64 * width);
  }

  /** What was and is taken to sort and join them. */
  get garbageBytes(): number {
    return this.#taken * Uint32Array.BYTES_PER_ELEMENT;
  }

  push(first: Uint8Array, last: Uint8Array): void {
    const { width } = this;
    const at = this.count * width;
    if (at === this.firsts.length) {
      this.#taken += 2 * at;
      this.firsts = doubled(this.firsts);
      this.lasts = doubled(this.lasts);
    }
    for (let i = 0; i < width; i++) {
      this.firsts[at + i] = readU32(first, 4 * i);
      this.lasts[at + i] = readU32(last, 4 * i);
    }
    this.count += 1;
  }

  *sortAndJoin(): Sliced<void> {
    const order = yield* this.#sorted();
    const { width } = this;
    // These arrays, those that take their place, and two of their order.
    this.#taken += 2 * this.firsts.length + 2 * this.count * width + 2 * this.count;
    const firsts = new Uint32Array(this.count * width);
    const lasts = new Uint32Array(this.count * width);
    let joined = 0;
    for (let i = 0; i < this.count; i++) {
      if (i % ITEMS_PER_STEP === 0) yield;
      const from = order[i] * width;
      const previous = (joined - 1) * width;
      if (joined > 0 && this.#follows(lasts, previous, from)) {
        if (compare(lasts, previous, this.lasts, from, width) >= 0) continue;
        for (let k = 0; k < width; k++) lasts[previous + k] = this.lasts[from + k];
        continue;
      }
      for (let k = 0; k < width; k++) {
        firsts[joined * width + k] = this.firsts[from + k];
        lasts[joined * width + k] = this.lasts[from + k];
      }
      joined += 1;
    }
    this.firsts = firsts;
    this.lasts = lasts;
    this.count = joined;
  }

  /** True if the range at `from` overlaps or directly follows the one that ends at `lasts[at]`. */
  #follows(lasts: Uint32Array, at: number, from: number): boolean {
    const { width, firsts } = this;
    if (compare(firsts, from, lasts, at, width) <= 0) return true;
    // Is it the next address? Add one to the lowest word and carry it upwards.
    for (let k = width - 1; k >= 0; k--) {
      const next = (lasts[at + k] + 1) >>> 0;
      if (firsts[from + k] !== next) return false;
      if (next !== 0) return compare(firsts, from, lasts, at, k) === 0;
    }
    return false;
  }

  /** Indexes of the ranges sorted by first address: a radix sort by 16 bits, lowest first. */
  *#sorted(): Sliced<Uint32Array> {
    const { count, width, firsts } = this;
    let order = new Uint32Array(count);
    let other = new Uint32Array(count);
    for (let i = 0; i < count; i++) order[i] = i;
    const starts = new Uint32Array(DIGIT_VALUES);
    for (let digit = 0; digit < 2 * width; digit++) {
      const word = width - 1 - (digit >>> 1);
      const shift = (digit & 1) << 4;
      starts.fill(0);
      for (let i = 0; i < count; i++) starts[(firsts[i * width + word] >>> shift) & 0xffff] += 1;
      yield;
      let sum = 0;
      for (let value = 0; value < DIGIT_VALUES; value++) {
        const here = starts[value];
        starts[value] = sum;
        sum += here;
      }
      for (let i = 0; i < count; i++) {
        const value = (firsts[order[i] * width + word] >>> shift) & 0xffff;
        other[starts[value]++] = order[i];
        if (i % ITEMS_PER_STEP === ITEMS_PER_STEP - 1) yield;
      }
      [order, other] = [other, order];
    }
    return order;
  }
}

/**
 * Compares `count` words of `a` and `b`: below 0 if `a` is less, 0 if equal, above 0 if greater.
 */
function compare(a: Uint32Array, at: number, b: Uint32Array, bAt: number, count: number): number {
  for (let i = 0; i < count; i++) {
    if (a[at + i] !== b[bAt + i]) return a[at + i] < b[bAt + i] ? -1 : 1;
  }
  return 0;
}

function doubled(words: Uint32Array): Uint32Array {
  const larger = new Uint32Array(2 * words.length);
  larger.set(words);
  return larger;
}
