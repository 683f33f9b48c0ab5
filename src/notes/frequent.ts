/**
 * The most frequent keys of a stream, counted in fixed memory.
 *
 * A key is two 32-bit numbers. A keyed hash chooses its set, which has eight entries. A new key in
 * a full set replaces the key with the lowest count and continues from that count. So a count is
 * never too low, and too high by at most the lowest count of its set: frequent keys stay, rare keys
 * come and go. ("Space saving", Metwally, Agrawal and El Abbadi 2005, by sets.)
 *
 * Where strangers invent keys, millions of keys that come once each would raise the lowest count
 * above every honest key. There a new key replaces another only by chance, and the more rarely, the
 * higher the lowest count is: to push out a key takes about half the square of its count. A count
 * may then be too low by what came before. ("RAP", Ben Basat, Chen, Einziger, Friedman, Kassner
 * 2017.)
 *
 *   set  [ high low count | high low count | … ]   8 entries of three words; count 0 means free
 *
 * Counting touches one set, allocates nothing and never fails. One thread writes; others may read a
 * shared buffer at any time and see each number whole.
 */

const SET_ENTRIES = 8;
const ENTRY_WORDS = 3;
const SET_WORDS = SET_ENTRIES * ENTRY_WORDS;

/** The highest count. */
const COUNT_MAX = 2 ** 32 - 1;

/** A key and its count. */
export interface Frequency {
  high: number;
  low: number;
  count: number;
}

/** The size in bytes of a `Frequent` with 2^setBits sets. */
export function frequentBytes(setBits: number): number {
  return (SET_WORDS << setBits) * Uint32Array.BYTES_PER_ELEMENT;
}

export class Frequent {
  /** The number of the entry that was counted last. */
  entry = 0;
  readonly #words: Uint32Array;
  readonly #setBits: number;
  readonly #key: number;
  readonly #draw: () => number;

  /**
   * `words` has the length that `frequentBytes` gives. `key` is any secret odd number. `draw`, a
   * random number from 0 to below 1, is given where new keys get an entry by chance.
   */
  constructor(words: Uint32Array, setBits: number, key: number, draw: () => number = () => 0) {
    this.#words = words;
    this.#setBits = setBits;
    this.#key = key;
    this.#draw = draw;
  }

  /** Counts a key `weight` times. Returns true if the key is new; `entry` is then its entry. */
  add(high: number, low: number, weight: number): boolean {
    const words = this.#words;
    const first = this.#set(high, low) * SET_WORDS;
    let rarest = first;
    for (let at = first; at < first + SET_WORDS; at += ENTRY_WORDS) {
      if (words[at] === high && words[at + 1] === low && words[at + 2] !== 0) {
        words[at + 2] = Math.min(words[at + 2] + weight, COUNT_MAX);
        this.entry = at / ENTRY_WORDS;
        return false;
      }
      if (words[at + 2] < words[rarest + 2]) rarest = at;
    }
    if (this.#draw() * (words[rarest + 2] + weight) >= weight) return false;
    words[rarest] = high;
    words[rarest + 1] = low;
    words[rarest + 2] = Math.min(words[rarest + 2] + weight, COUNT_MAX);
    this.entry = rarest / ENTRY_WORDS;
    return true;
  }

  /** Halves all counts, so that old events matter less and less. */
  halve(): void {
    const words = this.#words;
    for (let at = 2; at < words.length; at += ENTRY_WORDS) words[at] >>>= 1;
  }

  /** The key and count of an entry; the count is 0 if the entry is free. */
  at(entry: number): Frequency {
    const at = entry * ENTRY_WORDS;
    return { high: this.#words[at], low: this.#words[at + 1], count: this.#words[at + 2] };
  }

  get entries(): number {
    return SET_ENTRIES << this.#setBits;
  }

  /** The `most` entries with the highest counts, highest first. */
  top(most: number): Frequency[] {
    const found: Frequency[] = [];
    let least = 0;
    for (let entry = 0; entry < this.entries; entry++) {
      if (this.#words[entry * ENTRY_WORDS + 2] <= least) continue;
      found.push(this.at(entry));
      if (found.length < 2 * most) continue;
      found.sort(byCount).length = most;
      least = found[most - 1].count;
    }
    return found.sort(byCount).slice(0, most);
  }

  #set(high: number, low: number): number {
    let hash = Math.imul(high ^ this.#key, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15) ^ low, 0xc2b2ae35) ^ this.#key;
    hash = Math.imul(hash ^ (hash >>> 13), 0x27d4eb2f);
    return (hash ^ (hash >>> 16)) & ((1 << this.#setBits) - 1);
  }
}

/** Highest count first; keys decide between equals, so that the order is always the same. */
export function byCount(a: Frequency, b: Frequency): number {
  return b.count - a.count || a.high - b.high || a.low - b.low;
}
