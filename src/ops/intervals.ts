/**
 * How long a client is told to wait before it announces again.
 *
 * Every reply draws its own interval around the configured one, so that the clients which a restart
 * or a popular release brought together drift apart again. Holds no state but its settings.
 */

/** Draws intervals, in seconds. */
export class Intervals {
  readonly #lowest: number;
  readonly #span: number;
  readonly #minimum: number;

  /** `jitter` is a percentage of `interval`; `minimum` of undefined means half the interval. */
  constructor(interval: number, jitter: number, minimum: number | undefined) {
    const spread = Math.floor((interval * jitter) / 100);
    this.#lowest = interval - spread;
    this.#span = 2 * spread + 1;
    this.#minimum = minimum ?? Math.floor(interval / 2);
  }

  /** Seconds until the next announce: uniform over the interval give or take the jitter, never 0. */
  draw(): number {
    return Math.max(1, this.#lowest + Math.floor(Math.random() * this.#span));
  }

  /** Seconds that must pass even if the client is in a hurry; never more than was drawn. */
  minimum(drawn: number): number {
    return Math.min(this.#minimum, drawn);
  }
}
