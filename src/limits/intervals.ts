/**
 * How long a client is told to wait before it announces again.
 *
 *   (usual interval + so much for each doubling of the swarm) × stretch, at most the longest,
 *   give or take the jitter
 *
 * Every reply draws its own, so that the clients which a restart or a popular release brought
 * together drift apart again. The stretch follows the load (see limits/load.ts); all threads read
 * it from one float in shared memory. Drawing allocates nothing.
 */

export interface IntervalSettings {
  /** Seconds between two announces. */
  interval: number;
  /** How far a reply may differ from that, in percent of it. */
  jitterPercent: number;
  /** Seconds a client must wait even if it is in a hurry. */
  minimum: number;
  /** Seconds beyond which load and size lengthen nothing; no limit if absent. */
  maximum?: number;
  /** Seconds more for each doubling of a swarm above SWARM_SIZE_USUAL peers; 0 if absent. */
  perDoubling?: number;
  /** The factor that follows the load, one float; 1 for ever if absent. */
  stretch?: SharedArrayBuffer;
}

/** Spreads out clients that a restart brought together: within 10 percent either way. */
export const INTERVAL_JITTER_PERCENT = 10;

/** Peers up to which a swarm is not large: about as many as one reply tells of. */
export const SWARM_SIZE_USUAL = 64;
const SWARM_SIZE_USUAL_BITS = Math.log2(SWARM_SIZE_USUAL);

/** How often a swarm of `peers` has doubled beyond the usual size: 0 up to 127, 1 up to 255. */
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
    // A longest interval that is shorter than the usual one lengthens nothing, but shortens none.
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

  /** Seconds that must pass even if the client is in a hurry; never more than was drawn. */
  minimum(drawn: number): number {
    return Math.min(Math.round(this.#minimum * this.#stretch[0]), drawn);
  }
}
