/**
 * Announces over time: the current rate, and the curve of the last 24 hours.
 *
 * The curve is a row of slots of equal width. It begins with slots of five seconds, so that a new
 * tracker has a curve at once. When the row is full, pairs of slots are merged, and slots are twice
 * as wide from then on. At the largest width, the oldest slot is dropped.
 *
 *   5 s × 288 = 24 min  →  10 s × 288 = 48 min  →  …  →  320 s × 270 = 24 h
 *
 * The current rate is the mean of the last ten seconds. After construction only the result of
 * `curve` is allocated.
 */

/** Seconds of the narrowest and of the widest slots. */
const WIDTH_FIRST_SECONDS = 5;
const WIDTH_LAST_SECONDS = 320;

const SPAN_SECONDS = 24 * 3600;
const SLOTS_MAX = 288;
const SLOTS_LAST = SPAN_SECONDS / WIDTH_LAST_SECONDS;

/** Seconds of the mean that is the current rate, and the samples kept for it. */
const NOW_SECONDS = 10;
const SAMPLES = 16;

/** Announces over UDP by IPv4 and IPv6, over HTTP, over WebSocket: all, or per second. */
export type ByKind = readonly [number, number, number, number, number, number];

/** A sample: seconds, then announces by kind. */
const SAMPLE_SIZE = 1 + 6;

/** The curve. */
export interface Curve {
  /** Announces per second, oldest first. */
  rates: number[];
  /** Of these, those over WebSocket; empty if there were none. */
  webSocketRates: number[];
  /** The time from the oldest to now, in seconds. */
  spanSeconds: number;
}

export class History {
  #width = WIDTH_FIRST_SECONDS;
  readonly #slots = new Float64Array(SLOTS_MAX);
  /** Of these, announces over WebSocket; made with the first. */
  #webSocketSlots: Float64Array | undefined;
  #count = 0;
  /** Announces in the current slot, and its begin. */
  #filling = 0;
  #webSocketFilling = 0;
  #slotFrom: number;
  /** The last samples: seconds, then announces by kind. */
  readonly #samples = new Float64Array(SAMPLES * SAMPLE_SIZE);
  #sampled = 0;
  #total = 0;
  #webSocketTotal = 0;

  /** `nowSeconds` is the time of the start, before any announce. */
  constructor(nowSeconds: number) {
    this.#slotFrom = nowSeconds;
    this.#keepSample(nowSeconds, [0, 0, 0, 0, 0, 0]);
  }

  /** Takes the announces answered since the start. Call it about once a second. */
  sample(nowSeconds: number, announces: ByKind): void {
    const total = announces.reduce((sum, kind) => sum + kind, 0);
    while (nowSeconds >= this.#slotFrom + this.#width) this.#endSlot();
    this.#filling += total - this.#total;
    this.#total = total;
    const webSocket = announces[4] + announces[5];
    this.#webSocketFilling += webSocket - this.#webSocketTotal;
    this.#webSocketTotal = webSocket;
    if (webSocket > 0) this.#webSocketSlots ??= new Float64Array(SLOTS_MAX);
    this.#keepSample(nowSeconds, announces);
  }

  /** Announces per second, by kind. */
  rates(): ByKind {
    const newest = (this.#sampled - 1) % SAMPLES;
    let oldest = newest;
    const samples = this.#samples;
    for (let back = 1; back < Math.min(this.#sampled, SAMPLES); back++) {
      const at = (this.#sampled - 1 - back) % SAMPLES;
      if (samples[newest * SAMPLE_SIZE] - samples[at * SAMPLE_SIZE] > NOW_SECONDS + 0.5) break;
      oldest = at;
    }
    const seconds = samples[newest * SAMPLE_SIZE] - samples[oldest * SAMPLE_SIZE];
    const rate = (kind: number): number => {
      const announces =
        samples[newest * SAMPLE_SIZE + 1 + kind] - samples[oldest * SAMPLE_SIZE + 1 + kind];
      return seconds > 0 ? announces / seconds : 0;
    };
    return [rate(0), rate(1), rate(2), rate(3), rate(4), rate(5)];
  }

  /** The last 24 hours, or the time since the start. */
  curve(): Curve {
    const ratesOf = (slots: Float64Array): number[] =>
      Array.from(slots.subarray(0, this.#count), (slot) => slot / this.#width);
    const webSocketRates = this.#webSocketSlots === undefined ? [] : ratesOf(this.#webSocketSlots);
    return { rates: ratesOf(this.#slots), webSocketRates, spanSeconds: this.#count * this.#width };
  }

  #endSlot(): void {
    if (this.#count === SLOTS_MAX) {
      this.#widen();
      return;
    }
    if (this.#width === WIDTH_LAST_SECONDS && this.#count === SLOTS_LAST) {
      this.#slots.copyWithin(0, 1, this.#count);
      this.#webSocketSlots?.copyWithin(0, 1, this.#count);
      this.#count -= 1;
    }
    this.#slots[this.#count] = this.#filling;
    if (this.#webSocketSlots !== undefined) {
      this.#webSocketSlots[this.#count] = this.#webSocketFilling;
    }
    this.#count += 1;
    this.#filling = this.#webSocketFilling = 0;
    this.#slotFrom += this.#width;
  }

  /** Merges pairs of slots. The current slot becomes the first half of a wider one. */
  #widen(): void {
    for (const slots of [this.#slots, this.#webSocketSlots ?? []]) {
      for (let at = 0; at < slots.length / 2; at++) slots[at] = slots[2 * at] + slots[2 * at + 1];
    }
    this.#count = SLOTS_MAX / 2;
    this.#width *= 2;
  }

  #keepSample(nowSeconds: number, announces: ByKind): void {
    const at = (this.#sampled % SAMPLES) * SAMPLE_SIZE;
    this.#samples[at] = nowSeconds;
    this.#samples.set(announces, at + 1);
    this.#sampled += 1;
  }
}
