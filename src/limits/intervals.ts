/**
 * The interval that a reply gives: how long a client waits before it announces again.
 *
 *   interval = min((usual interval + seconds per doubling × doublings) × stretch, maximum) ± jitter
 *
 * Each reply draws its own jitter, so that clients that a restart or a popular release brought
 * together spread out again. The stretch follows the load (see limits/load.ts); all threads read
 * it from one float in shared memory. Drawing allocates nothing.
 */

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

/** Draws intervals, in seconds. */
export class Intervals {
  readonly #interval: number;
  readonly #maximum: number;
  readonly #perDoubling: number;
  readonly #jitter: number;
  readonly #minimum: number;
  readonly #stretch: Float64Array;

  constructor(settings: IntervalSettings) {
    this.#interval = settings.interval;
    // A maximum below the usual interval has no effect.
    this.#maximum = Math.max(settings.interval, settings.maximum ?? Infinity);
    this.#perDoubling = settings.perDoubling ?? 0;
    this.#jitter = settings.jitterPercent / 100;
    this.#minimum = settings.minimum;
    const { stretch } = settings;
    this.#stretch = stretch === undefined ? Float64Array.of(1) : new Float64Array(stretch);
  }

  /** Seconds until the next announce to a swarm of `peers`: uniform over the jitter. */
  draw(peers = 0): number {
    const usual = this.#interval + this.#perDoubling * doublings(peers);
    const middle = Math.round(Math.min(usual * this.#stretch[0], this.#maximum));
    const spread = Math.floor(middle * this.#jitter);
    return Math.max(1, middle - spread + Math.floor(Math.random() * (2 * spread + 1)));
  }

  /** The `min interval` in seconds; never more than the interval drawn. */
  minimum(drawn: number): number {
    return Math.min(Math.round(this.#minimum * this.#stretch[0]), drawn);
  }
}
