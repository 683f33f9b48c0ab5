/**
 * Intervals that follow the load: above the target rate, clients are told to wait longer.
 *
 * The interval in a reply decides when the client returns, so the intervals told are a schedule of
 * the returns. Each announce is given the next free place in it, 1/target after the one before:
 *
 *   backlog += (rate / target - 1) * seconds        0 to the longest interval less the usual one
 *   interval = usual interval + backlog
 *
 * A wave of twice the rate that is wanted lengthens intervals by a second each second, so what it
 * brought comes back over twice the time: at the target, after one interval and without swinging.
 * A controller of the rate itself would react too late: the rate shows the intervals told one
 * interval ago. Below the target the backlog falls at most one second each second.
 *
 * The event loop calls `update` about once a second. The interval is published as a factor of the
 * usual one, in shared memory that `Intervals` of all threads read:
 *
 *   stretch    [ f64 ]     1 or more
 *
 * Clients that were told a long interval come back late, so peers are kept as long as the longest
 * recent interval requires: `kept` is the factor by which that is longer than usual. Both go on
 * after a restart that keeps the peers, or these would be removed before they come back.
 */

export interface LoadSettings {
  /** The highest rate of announces a second that is wanted; 0: intervals do not change. */
  targetRate: number;
  /** Seconds between announces, without stretch and at most. */
  interval: number;
  intervalMax: number;
  jitterPercent: number;
}

/** Smooths the rate over some seconds, which is short compared with an interval. */
const SMOOTHING_SECONDS = 3;

/** The factor of intervals, 1 at first. */
export function stretchMemory(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
  new Float64Array(memory)[0] = 1;
  return memory;
}

/** The largest factor by which intervals may grow. */
export function stretchMax({ targetRate, interval, intervalMax }: LoadSettings): number {
  return targetRate === 0 ? 1 : Math.max(1, intervalMax / interval);
}

export class Load {
  /** Announces a second, smoothed. */
  rate = 0;
  /** The factor by which intervals are longer than usual. */
  stretch = 1;
  /** The factor by which peers must be kept longer than usual. */
  kept = 1;
  /** How long other trackers, which share their peers with this one, keep them; 0 without any. */
  othersKeptSeconds = 0;
  readonly #settings: LoadSettings;
  readonly #published: Float64Array;
  readonly #backlogMax: number;
  /** The longest interval that a reply can give. */
  readonly #windowSeconds: number;
  #backlog = 0;
  #announces = -1;
  #seconds = 0;
  /** The highest stretch in this time window and in the one before. */
  #peak = 1;
  #peakBefore = 1;
  #windowFrom = 0;

  /** `published` comes from `stretchMemory`. */
  constructor(settings: LoadSettings, published: SharedArrayBuffer) {
    const longest = settings.interval * stretchMax(settings);
    this.#settings = settings;
    this.#published = new Float64Array(published);
    this.#backlogMax = longest - settings.interval;
    this.#windowSeconds = Math.ceil(longest * (1 + settings.jitterPercent / 100));
  }

  /** `announces` is the number answered since the start; `nowSeconds` never decreases. */
  update(announces: number, nowSeconds: number): void {
    const seconds = nowSeconds - this.#seconds;
    const first = this.#announces < 0;
    if (!first && seconds <= 0) return;
    const measured = first ? 0 : (announces - this.#announces) / seconds;
    this.#announces = announces;
    this.#seconds = nowSeconds;
    if (first) return;
    this.rate += (measured - this.rate) * (1 - Math.exp(-seconds / SMOOTHING_SECONDS));
    const { targetRate, interval } = this.#settings;
    if (targetRate === 0) return;
    const backlog = this.#backlog + (this.rate / targetRate - 1) * seconds;
    this.#backlog = Math.max(0, Math.min(this.#backlogMax, backlog));
    this.stretch = 1 + this.#backlog / interval;
    this.#published[0] = this.stretch;
    this.#remember(nowSeconds);
  }

  /**
   * Continues from an earlier run: `elapsedSeconds` ago it had this `stretch` and `kept`. Call it
   * before the first `update`. Factors beyond what the settings allow are cut.
   */
  resume(stretch: number, kept: number, elapsedSeconds: number): void {
    const { interval } = this.#settings;
    const backlog = (stretch - 1) * interval - elapsedSeconds;
    this.#backlog = Math.max(0, Math.min(this.#backlogMax, backlog));
    this.stretch = 1 + this.#backlog / interval;
    this.#published[0] = this.stretch;
    // After the longest interval all peers of then have come back, or are gone.
    const recent = elapsedSeconds < this.#windowSeconds ? kept : 1;
    this.#peakBefore = Math.max(1, Math.min(recent, 1 + this.#backlogMax / interval));
    this.#peak = this.stretch;
    this.kept = Math.max(this.#peak, this.#peakBefore);
  }

  #remember(nowSeconds: number): void {
    if (nowSeconds - this.#windowFrom >= this.#windowSeconds) {
      this.#peakBefore = this.#peak;
      this.#peak = this.stretch;
      this.#windowFrom = nowSeconds;
    }
    this.#peak = Math.max(this.#peak, this.stretch);
    this.kept = Math.max(this.#peak, this.#peakBefore);
  }
}
