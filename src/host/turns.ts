/**
 * Turns for long work in the event loop: a millisecond of work in each turn, then requests.
 *
 * The event loop gives one turn in each round, however much work waits, and answers requests
 * between two rounds. So ten pages of statistics at once take longer, but delay an announce no more
 * than one page does. Waiting work gets its turns in the order of arrival.
 *
 *   loop   requests │ turn of A │ requests │ turn of B │ requests │ turn of A …
 *
 * Long work is a generator that yields every few hundred microseconds at most, wherever it may be
 * interrupted; `runInTurns` runs it.
 */
import { now } from "./clock.ts";

/** Length of a turn, in seconds. */
export const TURN_SECONDS = 0.001;

/** Work that may be interrupted where it yields, and returns a result. */
export type Sliced<Result> = Generator<undefined, Result>;

const waiting: (() => void)[] = [];

/** Resolves when the event loop has answered the waiting requests; one caller in each turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(giveTurn);
  });
}

/**
 * Calls `turn` when its turn comes: at once if no work waits, which makes no garbage. With a
 * promise each, 20 turns a second made 4 KB of it, an idle heap grew again and again, and while a
 * heap grows the engine holds half a megabyte in reserve.
 */
export function takeTurn(turn: () => void): void {
  if (waiting.length === 0) turn();
  else waiting.push(turn);
}

function giveTurn(): void {
  const resolve = waiting.shift()!;
  if (waiting.length > 0) setImmediate(giveTurn);
  resolve();
}

/** Runs the work, as many slices as fit in each turn. Rejects with what the work throws. */
export async function runInTurns<Result>(work: Sliced<Result>): Promise<Result> {
  for (let end = 0; ;) {
    if (now() >= end) {
      await nextTurn();
      end = now() + TURN_SECONDS;
    }
    const step = work.next();
    if (step.done) return step.value;
  }
}
