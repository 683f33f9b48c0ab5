/**
 * All swarms in the order of their info hashes, with fixed memory.
 *
 * Swarms are stored in the order of a keyed hash. So they are collected in passes over all swarms:
 * a pass collects the swarms whose info hash lies between two bounds, sorts them and returns them;
 * the next pass continues at the upper bound.
 *
 *   pass 1   [0000… ─ 0a3f…]   pass 2   (0a3f… ─ 1480…]   …      some 49,000 swarms each, 2 MiB
 *
 * In a pass, records go to parts by the first word of their info hash, and each part is sorted just
 * before it is returned: some 800 records, a fraction of a millisecond.
 *
 * Strangers choose info hashes. Bounds and parts are computed for evenly spread info hashes; if a
 * pass gets too many records, its upper half is dropped and left to the next pass.
 *
 *   record   eight 32-bit words: five of info hash, big-endian, seeders, leechers, downloads
 */
import { now } from "../host/clock.ts";
import { garbage } from "../host/garbage.ts";
import { readU32 } from "../net/words.ts";
import { SWARM_INFO_HASH } from "../swarm/blocks.ts";
import type { Store } from "../swarm/store.ts";
import { Walk, WALK_SLICE_UNITS } from "../swarm/walk.ts";

export const RECORD_WORDS = 8;
export const RECORD_SEEDERS = 5;
export const RECORD_LEECHERS = 6;
export const RECORD_DOWNLOADS = 7;
const HASH_WORDS = 5;

/** The most records of a pass. */
const RECORDS_MAX = 2 ** 16;
/** The expected records of a pass. */
const RECORDS_AIM = RECORDS_MAX * 0.75;

/** Parts of a pass. */
const PARTS = 64;

/** A sort key is a word times this plus the record's number: exact in a 64-bit float. */
const RECORD_NUMBERS = 2 ** 20;
const WORD_RANGE = 2 ** 32;

export class SortedSwarms {
  /** The records of the pass. */
  records = new Uint32Array(RECORDS_MAX * RECORD_WORDS);
  readonly #store: Store;
  readonly #span: number;
  #walk: Walk;
  #count = 0;
  /** Numbers of the records in each part, and the number of parts already returned. */
  #parts = emptyParts();
  #handedOut = 0;
  /** The pass collects info hashes above `#lower`, if defined, up to and including `#upper`. */
  #lower: Uint32Array | undefined = undefined;
  #upper: Uint32Array;
  readonly #hash = new Uint32Array(HASH_WORDS);

  /** `swarms` is the approximate number of swarms. */
  constructor(store: Store, swarms: number) {
    this.#store = store;
    this.#span = Math.ceil(Math.min(1, RECORDS_AIM / Math.max(1, swarms)) * WORD_RANGE);
    this.#walk = new Walk(store);
    this.#upper = boundBehind(0, this.#span);
    garbage.note(this.records.byteLength);
  }

  /** True after the last pass was collected. */
  get last(): boolean {
    return this.#walk.done && this.#upper.every((word) => word === WORD_RANGE - 1);
  }

  /** Collects until the time `end`. True when the pass is complete and `take` can return it. */
  collect(end: number): boolean {
    while (!this.#walk.done && now() < end) {
      if (this.#count > RECORDS_MAX - 2 * WALK_SLICE_UNITS) this.#dropUpperHalf();
      this.#walk.slice(WALK_SLICE_UNITS, this.#visit);
    }
    return this.#walk.done;
  }

  /** The numbers of the next records in order; undefined at the end of the pass. */
  take(): number[] | undefined {
    if (this.#handedOut === PARTS) return undefined;
    const part = this.#parts[this.#handedOut++];
    this.#sortBy(0, part, 0, part.length);
    return part;
  }

  /** Begins the next pass; only if this one was not the last. */
  next(): void {
    this.#lower = this.#upper;
    this.#upper = boundBehind(this.#lower[0], this.#span);
    this.#count = 0;
    this.#parts = emptyParts();
    this.#handedOut = 0;
    this.#walk = new Walk(this.#store);
  }

  readonly #visit = (swarm: number): number => {
    const { bytes } = this.#store.arena;
    const hash = this.#hash;
    for (let i = 0; i < HASH_WORDS; i++) {
      hash[i] = readU32(bytes, swarm + SWARM_INFO_HASH + 4 * i);
    }
    if (isAbove(hash, this.#upper)) return 1;
    if (this.#lower !== undefined && !isAbove(hash, this.#lower)) return 1;
    const { swarms } = this.#store;
    const at = this.#count * RECORD_WORDS;
    // A slice may continue to the end of a long row of entries.
    if (at === this.records.length) this.#grow();
    const { records } = this;
    records.set(hash, at);
    records[at + RECORD_SEEDERS] = swarms.seeders(swarm);
    records[at + RECORD_LEECHERS] = swarms.leechers(swarm);
    records[at + RECORD_DOWNLOADS] = swarms.downloads(swarm);
    this.#partOf(hash[0]).push(this.#count);
    this.#count += 1;
    return 2;
  };

  #partOf(word: number): number[] {
    const share = (word - (this.#lower?.[0] ?? 0)) / this.#span;
    return this.#parts[Math.min(Math.floor(share * PARTS), PARTS - 1)];
  }

  #grow(): void {
    const larger = new Uint32Array(2 * this.records.length);
    larger.set(this.records);
    garbage.note(larger.byteLength);
    this.records = larger;
  }

  /** Keeps the lower half of the records; its highest info hash becomes the upper bound. */
  #dropUpperHalf(): void {
    let kept = 0;
    let last = 0;
    while (kept < this.#count / 2) kept += this.#parts[last++].length;
    const split = this.#parts[last - 1];
    this.#sortBy(0, split, 0, split.length);
    const spare = Math.min(split.length - 1, kept - Math.ceil(this.#count / 2));
    split.length -= spare;
    const highest = split[split.length - 1] * RECORD_WORDS;
    this.#upper = this.records.slice(highest, highest + HASH_WORDS);
    this.#keep(this.#parts.slice(0, last));
  }

  /** Keeps only the records of these parts, which are the first ones. */
  #keep(parts: number[][]): void {
    const records = new Uint32Array(this.records.length);
    garbage.note(records.byteLength);
    let count = 0;
    for (const part of parts) {
      for (const [place, record] of part.entries()) {
        const from = record * RECORD_WORDS;
        const to = count * RECORD_WORDS;
        for (let i = 0; i < RECORD_WORDS; i++) records[to + i] = this.records[from + i];
        part[place] = count++;
      }
    }
    this.records = records;
    this.#count = count;
    this.#parts = emptyParts();
    for (const [place, part] of parts.entries()) this.#parts[place] = part;
  }

  /** Sorts a range of `order` whose info hashes have the same words before `word`. */
  #sortBy(word: number, order: number[], from: number, to: number): void {
    const { records } = this;
    const keys = new Float64Array(to - from);
    for (let i = from; i < to; i++) {
      keys[i - from] = records[order[i] * RECORD_WORDS + word] * RECORD_NUMBERS + order[i];
    }
    keys.sort();
    for (let i = from; i < to; i++) order[i] = keys[i - from] % RECORD_NUMBERS;
    if (word === HASH_WORDS - 1) return;
    for (let i = from; i < to;) {
      const value = records[order[i] * RECORD_WORDS + word];
      let end = i + 1;
      while (end < to && records[order[end] * RECORD_WORDS + word] === value) end++;
      if (end - i > 1) this.#sortBy(word + 1, order, i, end);
      i = end;
    }
  }
}

function emptyParts(): number[][] {
  return Array.from({ length: PARTS }, () => []);
}

/** The highest info hash whose first word is at most `word` + `span`. */
function boundBehind(word: number, span: number): Uint32Array {
  const bound = new Uint32Array(HASH_WORDS).fill(WORD_RANGE - 1);
  bound[0] = Math.min(word + span, WORD_RANGE - 1);
  return bound;
}

function isAbove(hash: Uint32Array, bound: Uint32Array): boolean {
  for (let i = 0; i < HASH_WORDS; i++) if (hash[i] !== bound[i]) return hash[i] > bound[i];
  return false;
}
