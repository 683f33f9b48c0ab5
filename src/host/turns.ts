/**
 * Turns for long work: whoever does something long does a millisecond of it in each turn.
 *
 * In one round of the event loop one turn is given, however many wait for theirs, and requests are
 * answered between two rounds. So ten pages of statistics at once take longer, but keep an announce
 * no longer than one does. Those who wait are served in their order.
 *
 *   loop   requests │ turn of A │ requests │ turn of B │ requests │ turn of A …
 */

/** How long one may work in a turn, in seconds. */
export const TURN_SECONDS = 0.001;

const waiting: (() => void)[] = [];

/** Resolves when the event loop has answered what was waiting, and nobody else has this turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(giveTurn);
  });
}

function giveTurn(): void {
  const resolve = waiting.shift()!;
  if (waiting.length > 0) setImmediate(giveTurn);
  resolve();
}
