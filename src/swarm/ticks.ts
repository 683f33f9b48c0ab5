/**
 * Coarse time: what fits in seven bits beside a peer, and in eight beside an empty swarm.
 *
 * A tick is a sixtieth of the timeout, so ages up to twice the timeout can be told apart before the
 * seven bits begin again; the sweep has come by before that (see start/upkeep.ts). Callers give the
 * time in seconds.
 *
 * Ticks are counted from 1970, not from the start: so they begin at the same moments in each run,
 * and an age that goes from one run to the next need not be rounded.
 */
import { META_TICK } from "./blocks.ts";
import type { Tick } from "./units.ts";

const TICKS_PER_TIMEOUT = 60;

/** Ticks of one kind: peers' or empty swarms'. */
export class Ticks {
  /** Age in ticks up to which nothing expires; never too early, at most two ticks late. */
  readonly lifetime: number;
  /** Seconds a tick lasts. */
  readonly seconds: number;
  /** Seconds from when something is too old to when its age begins again, and looks young. */
  readonly slackSeconds: number;
  readonly #mask: number;
  readonly #startedSeconds: number;
  /** What was asked last: all announces of a batch ask for the same moment. */
  #lastSeconds = NaN;
  #lastTick = 0;

  /** `startedSeconds` is the time since 1970 when the callers' clock showed 0. */
  constructor(timeoutSeconds: number, mask: number = META_TICK, startedSeconds = 0) {
    this.#startedSeconds = startedSeconds;
    this.seconds = Math.max(1, Math.ceil(timeoutSeconds / TICKS_PER_TIMEOUT));
    this.lifetime = this.lifetimeOf(timeoutSeconds);
    this.slackSeconds = (mask - this.lifetime) * this.seconds;
    this.#mask = mask;
  }

  /** The same for another timeout, which must not be longer than that of the constructor. */
  lifetimeOf(timeoutSeconds: number): number {
    return Math.ceil(timeoutSeconds / this.seconds);
  }

  /** The tick of a moment, given in seconds. */
  at(seconds: number): Tick {
    if (seconds !== this.#lastSeconds) {
      this.#lastSeconds = seconds;
      this.#lastTick = Math.floor(this.since1970(seconds) / this.seconds) & this.#mask;
    }
    return this.#lastTick;
  }

  /** The time since 1970 by which ticks are counted. */
  since1970(seconds: number): number {
    return seconds + this.#startedSeconds;
  }

  /** Seconds since the tick of a moment began. */
  secondsInto(seconds: number): number {
    return (seconds + this.#startedSeconds) % this.seconds;
  }

  /** Ticks between two of them. */
  between(from: Tick, to: Tick): number {
    return (to - from) & this.#mask;
  }
}
