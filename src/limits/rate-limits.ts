/**
 * Rate limits of addresses and their networks: leaky buckets in fixed memory.
 *
 * A bucket is one number: the moment at which it will be empty. A request that fits moves it 1/rate
 * later. A request that would move it more than BURST_SECONDS ahead is over the limit and changes
 * nothing, so a client that always asks too much is still served at its rate.
 *
 *              address                  network             part of it
 *   IPv4       the address              its /24             the address
 *   IPv6       its /64, one subnet      its /48, one site   its /56, one customer
 *
 * If a network is over its limit, each of its PARTS is still served at 1/PARTS of the network's
 * rate, so that a flood from one part does not lock out the others. Those requests count against
 * the network too, which is then over its limit for longer: all parts together get the network's
 * rate, and at most twice its burst at once.
 *
 *   cells      [ f64 ][ f64 ] ...          seconds on the clock of the process
 *
 * A keyed hash chooses two cells for each bucket. The emptier cell is its level, and a request
 * raises both cells to the new level. A bucket may seem fuller than it is, if other buckets share
 * both cells, but never emptier. Most cells are empty again after a few milliseconds. Threads write
 * without a lock: of two requests at the same instant one may stay uncounted.
 *
 * Only requests from a proven address may be judged here: otherwise a forger could lock out the
 * owner of an address. Judging allocates nothing and never fails.
 */
import type { Family } from "../constants.ts";
import { readU32 } from "../net/words.ts";

export const RATE_LIMIT_MODES = ["off", "observe", "enforce"] as const;
export type RateLimitMode = (typeof RATE_LIMIT_MODES)[number];

export const RATE_OK = 0;
export const RATE_ADDRESS = 1;
export const RATE_NETWORK = 2;

/** The size of a bucket: after a quiet time, this many seconds' worth of requests pass at once. */
export const BURST_SECONDS = 60;

/**
 * Addresses in a /24, and /56s in a /48. At the default rates each gets eight requests a second.
 */
export const PARTS = 256;

/**
 * 4 MiB; unused pages cost nothing. If the buckets of 10,000 addresses and their networks are full,
 * one other client in 170 shares both cells with them.
 */
const CELL_BITS = 19;
const CELL_SHIFT = 32 - CELL_BITS;

/** A sum of four 16-bit halves and a tag. */
const KEY_WORDS = 5;

/** Slots that `fetch` may name. */
const SLOTS = 256;
/** What is kept of a slot: tag and two words of its address, its cells, those of its network. */
const SLOT_WORDS = 8;
const SLOT_HIGH = 1;
const SLOT_LOW = 2;
const SLOT_ADDRESS = 3;
const SLOT_NETWORK = 5;

const TAG_ADDRESS_IPV4 = 1;
const TAG_NETWORK_IPV4 = 2;
const TAG_ADDRESS_IPV6 = 3;
const TAG_NETWORK_IPV6 = 4;
const TAG_PART_IPV4 = 5;
const TAG_PART_IPV6 = 6;

export interface RateLimitSettings {
  mode: RateLimitMode;
  /** Requests a second, averaged over BURST_SECONDS. */
  addressRate: number;
  networkRate: number;
}

const OFF: RateLimitSettings = { mode: "off", addressRate: 1, networkRate: 1 };

/** What all threads share; can be posted to a worker as it is. */
export interface RateLimitsShared {
  settings: RateLimitSettings;
  cells: SharedArrayBuffer;
  /** Secret: strangers choose their addresses. */
  keys: Int32Array;
}

/** Empty buckets. `keys` are random numbers from the system's generator (tests pass fixed ones). */
export function reserveRateLimits(
  settings: RateLimitSettings,
  keys: Int32Array = crypto.getRandomValues(new Int32Array(KEY_WORDS)),
): RateLimitsShared {
  const count = settings.mode === "off" ? 0 : 2 ** CELL_BITS;
  return { settings, cells: new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT), keys };
}

export class RateLimits {
  /** Set by `judge`: whether the request was over a limit. */
  over = false;
  /** True if requests over a limit are refused, false if they are only counted. */
  readonly enforced: boolean;
  readonly #off: boolean;
  readonly #cells: Float64Array;
  readonly #keys: Int32Array;
  readonly #addressSeconds: number;
  readonly #networkSeconds: number;
  readonly #partSeconds: number;
  /** The cells of the last address in each slot: hashed once, though fetched and judged. */
  readonly #slots = new Int32Array(SLOTS * SLOT_WORDS);
  /** Keeps what `fetch` reads from being optimized away. */
  readonly #touched = new Float64Array(1);

  /** Without `shared` the limits are off. */
  constructor(shared = reserveRateLimits(OFF, new Int32Array(KEY_WORDS))) {
    const { settings, cells, keys } = shared;
    this.enforced = settings.mode === "enforce";
    this.#off = settings.mode === "off";
    this.#cells = new Float64Array(cells);
    this.#keys = keys;
    this.#addressSeconds = 1 / settings.addressRate;
    this.#networkSeconds = 1 / settings.networkRate;
    this.#partSeconds = PARTS / settings.networkRate;
  }

  /**
   * Has memory fetch the cells that the next `count` requests need, all at once: each request would
   * wait for four, mostly not in the cache. Request number i
   * comes from the address of `families[slots[i]]` at `bytes[slots[i] * slotBytes]`.
   */
  fetch(
    bytes: Uint8Array,
    slotBytes: number,
    families: Uint8Array,
    slots: Uint8Array,
    count: number,
  ): void {
    if (this.#off) return;
    const cells = this.#cells;
    const found = this.#slots;
    let touched = 0;
    for (let i = 0; i < count; i++) {
      const slot = slots[i];
      const at = this.#find(bytes, slot * slotBytes, families[slot] === 4, slot);
      touched += cells[found[at + SLOT_ADDRESS]] + cells[found[at + SLOT_ADDRESS + 1]];
      touched += cells[found[at + SLOT_NETWORK]] + cells[found[at + SLOT_NETWORK + 1]];
    }
    this.#touched[0] = touched;
  }

  /**
   * Returns RATE_OK and counts the request, or returns the limit it exceeds and counts nothing. The
   * cells of a batch that was fetched are found in its slots; any other request may use any slot.
   */
  judge(bytes: Uint8Array, at: number, family: Family, nowSeconds: number, slot = 0): number {
    if (this.#off) return RATE_OK;
    this.over = true;
    const found = this.#slots;
    const place = this.#find(bytes, at, family === 4, slot);
    const addressFirst = found[place + SLOT_ADDRESS];
    const addressSecond = found[place + SLOT_ADDRESS + 1];
    const address = this.#filled(addressFirst, addressSecond, nowSeconds) + this.#addressSeconds;
    if (address > nowSeconds + BURST_SECONDS) return RATE_ADDRESS;
    const networkFirst = found[place + SLOT_NETWORK];
    const networkSecond = found[place + SLOT_NETWORK + 1];
    const network = this.#filled(networkFirst, networkSecond, nowSeconds) + this.#networkSeconds;
    if (network > nowSeconds + BURST_SECONDS && !this.#admitPart(place, nowSeconds)) {
      return RATE_NETWORK;
    }
    this.#fill(networkFirst, networkSecond, Math.min(network, nowSeconds + 2 * BURST_SECONDS));
    this.#fill(addressFirst, addressSecond, address);
    this.over = false;
    return RATE_OK;
  }

  /** Counts the request against its part of the network; false if that part is over its share. */
  #admitPart(place: number, nowSeconds: number): boolean {
    const found = this.#slots;
    const high = found[place + SLOT_HIGH];
    const low = found[place + SLOT_LOW];
    const mixed =
      found[place] === TAG_ADDRESS_IPV4
        ? this.#mix(high, 0, TAG_PART_IPV4)
        : this.#mix(high, low & 0xffffff00, TAG_PART_IPV6);
    const first = firstCell(mixed);
    const second = secondCell(mixed);
    const part = this.#filled(first, second, nowSeconds) + this.#partSeconds;
    if (part > nowSeconds + BURST_SECONDS) return false;
    this.#fill(first, second, part);
    return true;
  }

  /** The cells of an address and of its network, in its slot; returns where the slot begins. */
  #find(bytes: Uint8Array, at: number, isIpv4: boolean, slot: number): number {
    const found = this.#slots;
    const place = slot * SLOT_WORDS;
    const high = readU32(bytes, at) | 0;
    const low = isIpv4 ? 0 : readU32(bytes, at + 4) | 0;
    const tag = isIpv4 ? TAG_ADDRESS_IPV4 : TAG_ADDRESS_IPV6;
    if (found[place + SLOT_HIGH] === high && found[place + SLOT_LOW] === low) {
      if (found[place] === tag) return place;
    }
    found[place] = tag;
    found[place + SLOT_HIGH] = high;
    found[place + SLOT_LOW] = low;
    const address = this.#mix(high, low, tag);
    found[place + SLOT_ADDRESS] = firstCell(address);
    found[place + SLOT_ADDRESS + 1] = secondCell(address);
    const network = isIpv4
      ? this.#mix(high & 0xffffff00, 0, TAG_NETWORK_IPV4)
      : this.#mix(high, low & 0xffff0000, TAG_NETWORK_IPV6);
    found[place + SLOT_NETWORK] = firstCell(network);
    found[place + SLOT_NETWORK + 1] = secondCell(network);
    return place;
  }

  /** A multiply-shift hash over 16-bit halves (see swarm/keyed-hash.ts). */
  #mix(high: number, low: number, tag: number): number {
    const keys = this.#keys;
    return scatter(
      Math.imul(keys[0], high >>> 16) +
        Math.imul(keys[1], high & 0xffff) +
        Math.imul(keys[2], low >>> 16) +
        Math.imul(keys[3], low & 0xffff) +
        Math.imul(keys[4], tag),
    );
  }

  /** The moment at which the bucket will be empty; now if it is empty. */
  #filled(first: number, second: number, nowSeconds: number): number {
    const cells = this.#cells;
    return Math.max(nowSeconds, Math.min(cells[first], cells[second]));
  }

  #fill(first: number, second: number, until: number): void {
    const cells = this.#cells;
    if (cells[first] < until) cells[first] = until;
    if (cells[second] < until) cells[second] = until;
  }
}

/**
 * Sums of neighbouring addresses differ by a key, and with one key in hundreds they share a cell.
 * Folding and multiplying twice scatters them. (Mixing by C. Wellons, 2018.)
 */
function scatter(sum: number): number {
  let mixed = Math.imul(sum ^ (sum >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return mixed ^ (mixed >>> 16);
}

const firstCell = (mixed: number): number => mixed >>> CELL_SHIFT;

/** All bits of the hash decide, so buckets that share the first cell rarely share this one too. */
const secondCell = (mixed: number): number => Math.imul(mixed, 0x9e3779b1) >>> CELL_SHIFT;
