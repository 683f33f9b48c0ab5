/**
 * How many requests an address and its network may make: leaky buckets in fixed memory.
 *
 * A bucket is one number: the moment at which it will have leaked empty. A request that fits makes
 * that 1/rate later, one that would make it more than BURST_SECONDS away is over the limit and
 * changes nothing, so who keeps asking too much is still served at its rate.
 *
 *              address                  network             part of it
 *   IPv4       the address              its /24             the address
 *   IPv6       its /64, one subnet      its /48, one site   its /56, one customer
 *
 * A network over its limit still serves each of its PARTS at that part of the network's rate, so a
 * flood from one of them does not lock its neighbours out. What is served so counts against the
 * network as well, which is then over its limit for longer: all together get the network's rate,
 * however many they are, and at most twice its burst at once.
 *
 *   cells      [ f64 ][ f64 ] ...          seconds on the clock of the process
 *
 * Each bucket lies in two cells chosen by a keyed hash and counts as the emptier of them; a request
 * raises them only as far as that one needs. So it may seem fuller than it is (if others share both
 * cells), never emptier. A cell matters for as long as it leaks, a few milliseconds for most.
 * Threads write without a lock: of two requests at one instant one may go uncounted.
 *
 * Only requests from a proven address belong here, or a forger could lock somebody out. Judging
 * allocates nothing and never fails.
 */
import type { Family } from "../constants.ts";
import { readU32 } from "../net/words.ts";

export const RATE_LIMIT_MODES = ["off", "observe", "enforce"] as const;
export type RateLimitMode = (typeof RATE_LIMIT_MODES)[number];

export const RATE_OK = 0;
export const RATE_ADDRESS = 1;
export const RATE_NETWORK = 2;

/** How much of its rate a bucket holds: who was quiet may ask this many seconds' worth at once. */
export const BURST_SECONDS = 60;

/** Addresses of a /24, and /56s of a /48. At the default rates each has eight requests a second. */
export const PARTS = 256;

/**
 * 4 MiB, touched only where it is used. With the buckets of 10,000 addresses and their networks
 * full, one bystander in 170 shares both cells with one of those.
 */
const CELL_BITS = 19;
const CELL_SHIFT = 32 - CELL_BITS;

/** Two sums of four halves and a tag each. */
const KEY_WORDS = 10;

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
  /** True if what is over a limit is to be dropped, false if it is only to be counted. */
  readonly enforced: boolean;
  readonly #off: boolean;
  readonly #cells: Float64Array;
  readonly #keys: Int32Array;
  readonly #addressSeconds: number;
  readonly #networkSeconds: number;
  readonly #partSeconds: number;
  /** Set by `#find`: the cells of a bucket. */
  #first = 0;
  #second = 0;

  /** Without `shared` they are off. */
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

  /** RATE_OK, and the request is counted; or the limit it is over, and nothing is. */
  judge(bytes: Uint8Array, at: number, family: Family, nowSeconds: number): number {
    if (this.#off) return RATE_OK;
    this.over = true;
    const high = readU32(bytes, at) | 0;
    const low = family === 4 ? 0 : readU32(bytes, at + 4) | 0;
    const isIpv4 = family === 4;
    this.#find(high, low, isIpv4 ? TAG_ADDRESS_IPV4 : TAG_ADDRESS_IPV6);
    const addressFirst = this.#first;
    const addressSecond = this.#second;
    const address = this.#filled(nowSeconds) + this.#addressSeconds;
    if (address > nowSeconds + BURST_SECONDS) return RATE_ADDRESS;
    if (isIpv4) this.#find(high & 0xffffff00, 0, TAG_NETWORK_IPV4);
    else this.#find(high, low & 0xffff0000, TAG_NETWORK_IPV6);
    const networkFirst = this.#first;
    const networkSecond = this.#second;
    const network = this.#filled(nowSeconds) + this.#networkSeconds;
    if (network > nowSeconds + BURST_SECONDS) {
      if (!this.#partMayAsk(high, low, isIpv4, nowSeconds)) return RATE_NETWORK;
    }
    this.#fill(networkFirst, networkSecond, Math.min(network, nowSeconds + 2 * BURST_SECONDS));
    this.#fill(addressFirst, addressSecond, address);
    this.over = false;
    return RATE_OK;
  }

  /** Whether the part of a network that is over its limit has some of its share left; counts it. */
  #partMayAsk(high: number, low: number, isIpv4: boolean, nowSeconds: number): boolean {
    if (isIpv4) this.#find(high, 0, TAG_PART_IPV4);
    else this.#find(high, low & 0xffffff00, TAG_PART_IPV6);
    const part = this.#filled(nowSeconds) + this.#partSeconds;
    if (part > nowSeconds + BURST_SECONDS) return false;
    this.#fill(this.#first, this.#second, part);
    return true;
  }

  /** Two independent multiply-shift hashes over 16-bit halves (see swarm/keyed-hash.ts). */
  #find(high: number, low: number, tag: number): void {
    const keys = this.#keys;
    const a = high >>> 16;
    const b = high & 0xffff;
    const c = low >>> 16;
    const d = low & 0xffff;
    const first =
      Math.imul(keys[0], a) +
      Math.imul(keys[1], b) +
      Math.imul(keys[2], c) +
      Math.imul(keys[3], d) +
      Math.imul(keys[4], tag);
    const second =
      Math.imul(keys[5], a) +
      Math.imul(keys[6], b) +
      Math.imul(keys[7], c) +
      Math.imul(keys[8], d) +
      Math.imul(keys[9], tag);
    this.#first = scatter(first) >>> CELL_SHIFT;
    this.#second = scatter(second) >>> CELL_SHIFT;
  }

  /** When the bucket will be empty: now, if it is. */
  #filled(nowSeconds: number): number {
    const cells = this.#cells;
    return Math.max(nowSeconds, Math.min(cells[this.#first], cells[this.#second]));
  }

  #fill(first: number, second: number, until: number): void {
    const cells = this.#cells;
    if (cells[first] < until) cells[first] = until;
    if (cells[second] < until) cells[second] = until;
  }
}

/**
 * Sums of neighbours are as far apart as a key says, and one key in hundreds puts the next address
 * beside a flooder's. Folded and multiplied twice they lie anywhere. (Mixing by C. Wellons, 2018.)
 */
function scatter(sum: number): number {
  let mixed = Math.imul(sum ^ (sum >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return mixed ^ (mixed >>> 16);
}
