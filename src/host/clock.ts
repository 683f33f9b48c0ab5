/**
 * The one clock: seconds since the process started, which never run backwards; and the wall clock,
 * for people, which an administrator or NTP may set at any time.
 *
 * The core takes the time as an argument; its callers read this clock once per batch or request. A
 * thread's own clock starts with the thread (measured, Bun 1.4.5), so a worker aligns its clock
 * with that of the event loop before it uses shared memory.
 */

/** Seconds to add to this thread's clock to get the clock of the process. */
let offset = 0;

/** Seconds since the start of the process, with fractions; never fails. Takes about 40 ns. */
export function now(): number {
  return performance.now() / 1000 + offset;
}

/**
 * Sets this thread's clock to that of the event loop, which showed `seconds` when it started the
 * thread. The error is the few milliseconds a thread takes to start; no use needs more precision.
 */
export function alignClock(seconds: number): void {
  offset = seconds - performance.now() / 1000;
}

/** A wall clock that was set by less is as it was: the time of the start must not tremble. */
const STEP_SECONDS = 1;

/**
 * Translates the time of the process for people, by the wall clock as it is set now. Translate when
 * a time is shown, never before: a machine without a battery starts in 1970, and its clock is set
 * seconds later.
 */
export class WallClock {
  readonly #wallSeconds: () => number;
  readonly #ownSeconds: () => number;
  #started = NaN;

  /** The arguments are for tests. */
  constructor(wallSeconds = () => Date.now() / 1000, ownSeconds = now) {
    this.#wallSeconds = wallSeconds;
    this.#ownSeconds = ownSeconds;
  }

  /**
   * The seconds since 1970 when `now` showed `seconds`. Two calls differ only if the wall clock was
   * set in between: Prometheus takes any other start for a restart.
   */
  at(seconds: number): number {
    const started = this.#wallSeconds() - this.#ownSeconds();
    if (!(Math.abs(started - this.#started) < STEP_SECONDS)) this.#started = started;
    return this.#started + seconds;
  }
}
