/**
 * A histogram of latencies: 1 µs to 70 s in buckets at most 1.6 % wide. It never grows.
 *
 * Values below 128 µs are exact; above, 64 buckets for each doubling.
 */
const EXACT = 128;
const PER_DOUBLING = 64;

export class Latencies {
  readonly #buckets = new Uint32Array(EXACT + 20 * PER_DOUBLING);
  #count = 0;
  #max = 0;

  record(microseconds: number): void {
    const value = Math.max(0, microseconds) | 0;
    this.#buckets[bucketOf(value)] += 1;
    this.#count += 1;
    if (value > this.#max) this.#max = value;
  }

  /** In microseconds; 0 if nothing was recorded. `part` is 0.5 for the median. */
  percentile(part: number): number {
    let left = Math.ceil(this.#count * part);
    for (let i = 0; i < this.#buckets.length; i++) {
      left -= this.#buckets[i];
      if (left <= 0 && this.#buckets[i] > 0) return Math.min(topOf(i), this.#max);
    }
    return this.#max;
  }

  /** p50, p99, p99.9 and the maximum, ready to be reported. */
  summary(): Record<string, number> {
    return {
      p50_us: this.percentile(0.5),
      p99_us: this.percentile(0.99),
      p999_us: this.percentile(0.999),
      max_us: this.#max,
    };
  }
}

function bucketOf(value: number): number {
  if (value < EXACT) return value;
  const shift = 31 - Math.clz32(value) - 6;
  return Math.min(EXACT + (shift - 1) * PER_DOUBLING + (value >>> shift) - 64, EXACT + 1279);
}

/** The largest value of a bucket. */
function topOf(bucket: number): number {
  if (bucket < EXACT) return bucket;
  const shift = Math.floor((bucket - EXACT) / PER_DOUBLING) + 1;
  const first = ((bucket - EXACT) % PER_DOUBLING) + 64;
  return (first + 1) * 2 ** shift - 1;
}
