/**
 * Long work in short slices: what takes a second in all must never hold the event loop for long.
 *
 * Work is a generator that yields wherever it may be interrupted, every few hundred microseconds at
 * most. `runInSlices` waits for its next turn whenever one is over.
 */
import { now } from "../host/clock.ts";
import { nextTurn, TURN_SECONDS } from "../host/turns.ts";

/** Work that may be interrupted where it yields, and ends with a result. */
export type Sliced<Result> = Generator<undefined, Result>;

/** Does the work, slice by slice. Rejects with what the work throws. */
export async function runInSlices<Result>(work: Sliced<Result>): Promise<Result> {
  for (let end = 0; ;) {
    if (now() >= end) {
      await nextTurn();
      end = now() + TURN_SECONDS;
    }
    const step = work.next();
    if (step.done) return step.value;
  }
}
