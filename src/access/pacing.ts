/**
 * Long work in short slices: what takes a second in all must never hold the event loop for long.
 *
 * Work is a generator that yields wherever it may be interrupted, every few hundred microseconds at
 * most. `runInSlices` gives the event loop its turn whenever a slice is over.
 */

/** How long a slice may take, in milliseconds. An announce may wait for two of them. */
const SLICE_MILLISECONDS = 1;

/** Work that may be interrupted where it yields, and ends with a result. */
export type Sliced<Result> = Generator<undefined, Result>;

/** Does the work, slice by slice. Rejects with what the work throws. */
export async function runInSlices<Result>(work: Sliced<Result>): Promise<Result> {
  let end = performance.now() + SLICE_MILLISECONDS;
  for (let step = work.next(); ; step = work.next()) {
    if (step.done) return step.value;
    if (performance.now() < end) continue;
    await turn();
    end = performance.now() + SLICE_MILLISECONDS;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
