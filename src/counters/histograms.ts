/**
 * The histograms: durations and batch sizes, counted by each thread.
 *
 * As with the counters, a thread owns one row of shared memory and is its only writer; a reader
 * adds up the rows. A histogram in a row is its buckets, one bucket for larger values, and the sum
 * of all values:
 *
 *   row   [ ≤ bound 0 | ≤ bound 1 | … | beyond | sum ][ next histogram … ]
 *
 * Observing is a short search and two additions, some ten nanoseconds, and allocates nothing.
 */

/** For requests: from a microsecond to a tenth of a second. */
const REQUEST_BOUNDS = [
  1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2, 1e-1,
] as const;
/** For work that blocks the event loop: from half a millisecond to a second. */
const TURN_BOUNDS = [5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 0.25, 1] as const;
/** For datagrams in a batch: powers of two. */
const BATCH_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128] as const;

/** For messages of a cluster: from 50 microseconds to five seconds. */
const MESSAGE_BOUNDS = [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1, 5] as const;

/** Upper bounds of the buckets, by histogram, in its unit. */
export const HISTOGRAMS = {
  udpRequestSeconds: REQUEST_BOUNDS,
  httpRequestSeconds: REQUEST_BOUNDS,
  websocketRequestSeconds: REQUEST_BOUNDS,
  batchDatagrams: BATCH_BOUNDS,
  eventLoopLagSeconds: TURN_BOUNDS,
  sweepSeconds: TURN_BOUNDS,
  clusterApplySeconds: MESSAGE_BOUNDS,
  clusterAcknowledgeSeconds: MESSAGE_BOUNDS,
} as const;

export type HistogramName = keyof typeof HISTOGRAMS;

const NAMES = Object.keys(HISTOGRAMS) as HistogramName[];
const sizeOf = (name: HistogramName): number => HISTOGRAMS[name].length + 2;

/** Columns of a row, padded so that two threads never write to the same cache line. */
const ROW_COLUMNS = Math.ceil(NAMES.reduce((sum, name) => sum + sizeOf(name), 0) / 8) * 8;

/** Where a histogram begins in its row. */
function columnOf(name: HistogramName): number {
  return NAMES.slice(0, NAMES.indexOf(name)).reduce((sum, before) => sum + sizeOf(before), 0);
}

/** Shared memory for the histograms of `threads` threads. */
export function histogramMemory(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * ROW_COLUMNS * Float64Array.BYTES_PER_ELEMENT);
}

/** One histogram of one thread. */
export class Histogram {
  readonly #bounds: Float64Array;
  /** Its buckets, the bucket for larger values, and the sum. */
  readonly #cells: Float64Array;

  /** `thread` is 0 for the event loop, 1 and up for workers. */
  constructor(memory: SharedArrayBuffer, thread: number, name: HistogramName) {
    this.#bounds = Float64Array.from(HISTOGRAMS[name]);
    this.#cells = cellsOf(memory, thread, name);
  }

  /** Counts `times` events of the same value. */
  observe(value: number, times = 1): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]) bucket++;
    this.#cells[bucket] += times;
    this.#cells[bounds.length + 1] += value * times;
  }
}

/** A histogram, summed over all threads. */
export interface HistogramTotals {
  /** Events by bucket, not cumulative; the last number counts values above all bounds. */
  buckets: number[];
  /** All events. */
  count: number;
  /** The sum of their values. */
  sum: number;
}

/** Adds up the rows of all threads. */
export function readHistogram(memory: SharedArrayBuffer, name: HistogramName): HistogramTotals {
  const size = HISTOGRAMS[name].length + 1;
  const buckets = new Array<number>(size).fill(0);
  let sum = 0;
  const threads = memory.byteLength / Float64Array.BYTES_PER_ELEMENT / ROW_COLUMNS;
  for (let thread = 0; thread < threads; thread++) {
    const cells = cellsOf(memory, thread, name);
    for (let bucket = 0; bucket < size; bucket++) buckets[bucket] += cells[bucket];
    sum += cells[size];
  }
  return { buckets, count: buckets.reduce((total, events) => total + events, 0), sum };
}

function cellsOf(memory: SharedArrayBuffer, thread: number, name: HistogramName): Float64Array {
  const row = thread * ROW_COLUMNS + columnOf(name);
  return new Float64Array(memory, row * Float64Array.BYTES_PER_ELEMENT, sizeOf(name));
}
