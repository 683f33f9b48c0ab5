/**
 * A list of info hashes in one shared buffer, which all threads read without a lock.
 *
 * Open addressing with linear probing. A keyed hash chooses the first slot, because strangers
 * choose what they announce. One slot is 21 bytes, and a new list has 10 slots per 7 hashes: 30
 * bytes a hash.
 *
 *   words    [ slots | listed | used ]  32 bits each, and one unused
 *   hashes   [ 20 bytes ] for each slot
 *   states   [ 1 byte ]   for each slot: 0 never used, 1 removed, else 8 bits of the keyed hash
 *
 * Only one thread changes a list. It writes the hash first and its state last, so another thread
 * sees a whole hash or no hash. A removed slot is used again only for the hash it held, so a hash
 * is never overwritten while another thread reads it. When too many slots are used, a larger list
 * is made.
 */
import { INFO_HASH_SIZE } from "../constants.ts";
import { hashInfoHash } from "../swarm/keyed-hash.ts";

const HEADER_WORDS = 4;
const HEADER_SIZE = HEADER_WORDS * Int32Array.BYTES_PER_ELEMENT;
const SLOTS = 0;
const LISTED = 1;
const USED = 2;

const HASH_HALVES = INFO_HASH_SIZE / 2;
const NEVER_USED = 0;
const REMOVED = 1;
const STATES_RESERVED = 2;

/** Slots of a new list for each hash it will hold, and the fewest slots of a list. */
const SLOTS_PER_HASH = 10 / 7;
const SLOTS_MIN = 64;
/** At this share of used slots, a search for a hash that is not listed reads 22 slots. */
const USED_MAX = 0.85;

/** The outcome of `add`. */
export type Added = "added" | "present" | "full";

export class HashList {
  /** What another thread needs to use the same list. */
  readonly memory: SharedArrayBuffer;
  readonly #keys: Int32Array;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #states: Uint8Array;
  readonly #slots: number;

  /** `memory` comes from `hashListMemory`; `keys` are those of the swarms. */
  constructor(memory: SharedArrayBuffer, keys: Int32Array) {
    this.memory = memory;
    this.#keys = keys;
    this.#words = new Int32Array(memory, 0, HEADER_WORDS);
    this.#slots = this.#words[SLOTS];
    this.#halves = new Uint16Array(memory, HEADER_SIZE, this.#slots * HASH_HALVES);
    this.#states = new Uint8Array(memory, HEADER_SIZE + this.#slots * INFO_HASH_SIZE);
  }

  /** Hashes on the list. */
  get size(): number {
    return Atomics.load(this.#words, LISTED);
  }

  /** True if the info hash, ten 16-bit halves at `halves[at]`, is on the list. Some 50 ns. */
  contains(halves: Uint16Array, at: number): boolean {
    const hash = hashInfoHash(this.#keys, halves, at);
    const slot = this.#find(hash, halves, at);
    return slot >= 0 && Atomics.load(this.#states, slot) !== REMOVED;
  }

  /** Adds a hash. If the list is full, nothing changes, and the caller makes a larger one. */
  add(halves: Uint16Array, at: number): Added {
    const hash = hashInfoHash(this.#keys, halves, at);
    let slot = this.#find(hash, halves, at);
    if (slot >= 0 && this.#states[slot] !== REMOVED) return "present";
    if (slot < 0) {
      if (this.#words[USED] >= this.#slots * USED_MAX) return "full";
      slot = ~slot;
      for (let i = 0; i < HASH_HALVES; i++) this.#halves[slot * HASH_HALVES + i] = halves[at + i];
      this.#words[USED] += 1;
    }
    Atomics.store(this.#states, slot, stateOf(hash));
    Atomics.add(this.#words, LISTED, 1);
    return "added";
  }

  /**
   * Like `add`, for a list with room that no other thread uses yet. It needs no memory barriers, so
   * cache misses overlap: 100 ns a hash instead of 350.
   */
  place(halves: Uint16Array, at: number): void {
    const hash = hashInfoHash(this.#keys, halves, at);
    const slots = this.#slots;
    const states = this.#states;
    const state = stateOf(hash);
    let slot = homeOf(hash, slots);
    while (states[slot] !== NEVER_USED) {
      if (states[slot] === state && this.#holds(slot, halves, at)) return;
      slot = slot + 1 === slots ? 0 : slot + 1;
    }
    for (let i = 0; i < HASH_HALVES; i++) this.#halves[slot * HASH_HALVES + i] = halves[at + i];
    states[slot] = state;
    this.#words[USED] += 1;
    this.#words[LISTED] += 1;
  }

  /** Removes a hash; false if it was not on the list. */
  remove(halves: Uint16Array, at: number): boolean {
    const slot = this.#find(hashInfoHash(this.#keys, halves, at), halves, at);
    if (slot < 0 || this.#states[slot] === REMOVED) return false;
    Atomics.store(this.#states, slot, REMOVED);
    Atomics.sub(this.#words, LISTED, 1);
    return true;
  }

  /** Copies the hashes in slots `from` to `to` - 1 to `other`; `slots` is the number of slots. */
  copyInto(other: HashList, from: number, to: number): void {
    for (let slot = from; slot < Math.min(to, this.#slots); slot++) {
      if (this.#states[slot] >= STATES_RESERVED) other.place(this.#halves, slot * HASH_HALVES);
    }
  }

  get slots(): number {
    return this.#slots;
  }

  /** The slot that holds the hash, listed or removed; else `~slot` of the free slot for it. */
  #find(hash: number, halves: Uint16Array, at: number): number {
    const slots = this.#slots;
    const state = stateOf(hash);
    for (let slot = homeOf(hash, slots); ; slot = slot + 1 === slots ? 0 : slot + 1) {
      const found = Atomics.load(this.#states, slot);
      if (found === NEVER_USED) return ~slot;
      if ((found === state || found === REMOVED) && this.#holds(slot, halves, at)) return slot;
    }
  }

  #holds(slot: number, halves: Uint16Array, at: number): boolean {
    const from = slot * HASH_HALVES;
    for (let i = 0; i < HASH_HALVES; i++)
      if (this.#halves[from + i] !== halves[at + i]) return false;
    return true;
  }
}

/** Memory of an empty list with room for `hashes` info hashes. */
export function hashListMemory(hashes: number): SharedArrayBuffer {
  const slots = Math.max(SLOTS_MIN, Math.ceil(hashes * SLOTS_PER_HASH));
  const memory = new SharedArrayBuffer(HEADER_SIZE + slots * (INFO_HASH_SIZE + 1));
  new Int32Array(memory, 0, HEADER_WORDS)[SLOTS] = slots;
  return memory;
}

/** The upper bits of the hash choose the first slot of a search … */
function homeOf(hash: number, slots: number): number {
  return Math.floor(((hash >>> 0) / 2 ** 32) * slots);
}

/** … and the lower bits rule out most other hashes without reading them. */
function stateOf(hash: number): number {
  return STATES_RESERVED + ((hash & 0xff) % (256 - STATES_RESERVED));
}
