/**
 * The shard's lock: one word, held for about a microsecond.
 *
 *   0  free
 *   1  held
 *   2  held, and somebody sleeps until it is free
 *
 * A thread that finds it held tries again for a while and then sleeps: its owner may have lost the
 * processor, and spinning would keep it from getting it back.
 */

const SPINS = 100;

/** Longest sleep before the word is looked at again, in milliseconds; a wake-up may be missed. */
const SLEEP_MILLISECONDS = 2;

/** Takes the lock at `words[at]`. */
export function lock(words: Int32Array, at: number): void {
  if (Atomics.compareExchange(words, at, 0, 1) !== 0) lockContended(words, at);
}

function lockContended(words: Int32Array, at: number): void {
  for (let spin = 0; spin < SPINS; spin++) {
    if (Atomics.compareExchange(words, at, 0, 1) === 0) return;
  }
  while (Atomics.exchange(words, at, 2) !== 0) Atomics.wait(words, at, 2, SLEEP_MILLISECONDS);
}

/** Gives the lock at `words[at]` back. */
export function unlock(words: Int32Array, at: number): void {
  if (Atomics.exchange(words, at, 0) === 2) Atomics.notify(words, at, 1);
}
