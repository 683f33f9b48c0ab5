/**
 * The interval that a reply gives: how long a client waits before it announces again.
 *
 *   interval = min((usual interval + seconds per doubling × doublings) × stretch, maximum) ± jitter
 *
 * Each reply draws its own jitter, so that clients that a restart or a popular release brought
 * together spread out again. The jitter never crosses the limits of the lists of public trackers:
 * of 5 minutes half of the draws did, and such a tracker was left out at random.
 *
 * The stretch follows the load (see limits/load.ts); all threads read it from one float in shared
 * memory. Drawing allocates nothing.
 */
import { LISTED_INTERVAL_SECONDS_MAX, LISTED_INTERVAL_SECONDS_MIN } from "../constants.ts";

export interface IntervalSettings {
  /** Seconds between two announces. */
  interval: number;
  /** The largest difference from `interval`, in percent of it. */
  jitterPercent: number;
  /** The `min interval` of a reply, in seconds. */
  minimum: number;
  /** The longest interval that load and size can give, in seconds; no limit if absent. */
  maximum?: number;
  /** Seconds added for each doubling of a swarm above SWARM_SIZE_USUAL peers; 0 if absent. */
  perDoubling?: number;
  /** The factor that follows the load, one float; always 1 if absent. */
  stretch?: SharedArrayBuffer;
}

/** Spreads out clients that a restart brought together: up to 10 percent more or less. */
export const INTERVAL_JITTER_PERCENT = 10;

/** A swarm with more peers is large. One reply lists about this many peers. */
const SWARM_SIZE_USUAL = 64;
const SWARM_SIZE_USUAL_BITS = Math.log2(SWARM_SIZE_USUAL);

/** How often the usual size doubles up to `peers`: 0 up to 127, 1 up to 255. */
export function doublings(peers: number): number {
  return 31 - Math.clz32((peers >>> SWARM_SIZE_USUAL_BITS) | 1);
}

/** The shortest interval that jitter makes of `middle`, in seconds. */
export function shortestDraw(middle: number, jitterPercent: number): number {
  const shortest = Math.max(1, middle - spreadOf(middle, jitterPercent));
  const tooLong = middle > LISTED_INTERVAL_SECONDS_MAX;
  if (tooLong) return Math.max(shortest, LISTED_INTERVAL_SECONDS_MAX + 1);
  const tooShort = middle < LISTED_INTERVAL_SECONDS_MIN;
  return tooShort ? shortest : Math.max(shortest, LISTED_INTERVAL_SECONDS_MIN);
}

/** The longest interval that jitter makes of `middle`, in seconds. */
export function longestDraw(middle: number, jitterPercent: number): number {
  const longest = middle + spreadOf(middle, jitterPercent);
  const tooShort = middle < LISTED_INTERVAL_SECONDS_MIN;
  if (tooShort) return Math.min(longest, LISTED_INTERVAL_SECONDS_MIN - 1);
  const tooLong = middle > LISTED_INTERVAL_SECONDS_MAX;
  return tooLong ? longest : Math.min(longest, LISTED_INTERVAL_SECONDS_MAX);
}

function spreadOf(middle: number, jitterPercent: number): number {
  return Math.floor((middle * jitterPercent) / 100);
}

/** Draws intervals, in seconds. */
export class Intervals {
  readonly #interval: number;
  readonly #maximum: number;
  readonly #perDoubling: number;
  readonly #jitterPercent: number;
  readonly #minimum: number;
  readonly #stretch: Float64Array;
  /** The interval without jitter that was drawn from last, and the range of its draws. */
  #middle = -1;
  #shortest = 0;
  #count = 0;

  constructor(settings: IntervalSettings) {
    this.#interval = settings.interval;
    // A maximum below the usual interval has no effect.
    this.#maximum = Math.max(settings.interval, settings.maximum ?? Infinity);
    this.#perDoubling = settings.perDoubling ?? 0;
    this.#jitterPercent = settings.jitterPercent;
    this.#minimum = settings.minimum;
    const { stretch } = settings;
    this.#stretch = stretch === undefined ? Float64Array.of(1) : new Float64Array(stretch);
  }

  /** Seconds until the next announce to a swarm of `peers`: uniform over the jitter. */
  draw(peers = 0): number {
    const usual = this.#interval + this.#perDoubling * doublings(peers);
    const middle = Math.min(usual * this.#stretch[0], this.#maximum);
    if (middle !== this.#middle) this.#setRange(middle);
    return this.#shortest + Math.floor(Math.random() * this.#count);
  }

  #setRange(middle: number): void {
    const rounded = Math.round(middle);
    this.#middle = middle;
    this.#shortest = shortestDraw(rounded, this.#jitterPercent);
    this.#count = longestDraw(rounded, this.#jitterPercent) - this.#shortest + 1;
  }

  /** The `min interval` in seconds; never more than the interval drawn. */
  minimum(drawn: number): number {
    return Math.min(Math.round(this.#minimum * this.#stretch[0]), drawn);
  }
}
