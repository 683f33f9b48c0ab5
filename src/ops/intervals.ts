/**
 * How long a client is told to wait before it announces again.
 *
 * Every reply draws its own interval around the configured one, so that the clients which a restart
 * or a popular release brought together drift apart again. Holds no state but its settings.
 */

export interface IntervalSettings {
  /** Seconds between two announces. */
  interval: number;
  /** How far a reply may differ from that, in percent of it. */
  jitterPercent: number;
  /** Seconds a client must wait even if it is in a hurry. */
  minimum: number;
}

/** Draws intervals, in seconds. */
export class Intervals {
  readonly #lowest: number;
  readonly #span: number;
  readonly #minimum: number;

  constructor(settings: IntervalSettings) {
    const spread = Math.floor((settings.interval * settings.jitterPercent) / 100);
    this.#lowest = settings.interval - spread;
    this.#span = 2 * spread + 1;
    this.#minimum = settings.minimum;
  }

  /** Seconds until the next announce: uniform over the interval give or take the jitter. */
  draw(): number {
    return Math.max(1, this.#lowest + Math.floor(Math.random() * this.#span));
  }

  /** Seconds that must pass even if the client is in a hurry; never more than was drawn. */
  minimum(drawn: number): number {
    return Math.min(this.#minimum, drawn);
  }
}
