/**
 * The shard's lock: one word, held for about a microsecond.
 *
 *   0  free
 *   1  held
 *   2  held, and another thread sleeps until it is free
 *
 * A thread that finds it held looks again for a while and then sleeps: its owner may have lost the
 * processor, and spinning would keep it from getting it back. It only reads while it looks, and
 * pauses in between: each attempt to change the word would take the line from its owner. An owner
 * that is stopped, or has ended by an exception, never gives the lock back, and what it was
 * changing is half done: no thread can go on.
 * So a thread that sleeps for long asks its watcher now and then, which ends the program in time.
 *
 * The word does not name its owner: a thread that is stopped lives, and one look at the word must
 * stay one instruction. Only sleeps are counted, not the time: they stand still with the process.
 */

/** Looks at a lock that is held before the thread sleeps. */
const LOOKS = 50;

/**
 * Pauses between two looks: 1, 2, 4, … and then this many. All looks take some 30 µs. A lock is
 * held for 0.3 µs, and a sleep costs 60 to 90: where one announce in a hundred slept, two threads
 * in one swarm did half of what they do now.
 */
const PAUSES_MAX = 16;

/** Longest sleep before the word is looked at again, in milliseconds; a wake-up may be missed. */
const SLEEP_MILLISECONDS = 2;

/** How often a watcher is asked, in sleeps: about every tenth of a second. */
const SLEEPS_PER_LOOK = 50;

/** Longer than any owner is kept from the processor, or waits for memory that was swapped out. */
export const HELD_SECONDS_MAX = 10;

/** Told how long this thread has slept for one lock, in seconds; throws when that is too long. */
export type LockWatcher = (seconds: number) => void;

/** Why no thread can go on. */
export const LOCK_LOST = "a thread that holds a lock of the swarms has stopped, or is gone";

const failWhenLost: LockWatcher = (seconds) => {
  if (seconds >= HELD_SECONDS_MAX) throw new Error(LOCK_LOST);
};

let watcher = failWhenLost;

/** From now on this thread asks `other`; without it, it throws after HELD_SECONDS_MAX. */
export function watchLocks(other = failWhenLost): void {
  watcher = other;
}

/** Takes the lock at `words[at]`. */
export function lock(words: Int32Array, at: number): void {
  if (Atomics.compareExchange(words, at, 0, 1) !== 0) lockContended(words, at);
}

function lockContended(words: Int32Array, at: number): void {
  for (let look = 0, pauses = 1; look < LOOKS; look++) {
    for (let i = 0; i < pauses; i++) Atomics.pause();
    pauses = Math.min(2 * pauses, PAUSES_MAX);
    if (Atomics.load(words, at) !== 0) continue;
    if (Atomics.compareExchange(words, at, 0, 1) === 0) return;
  }
  let sleeps = 0;
  while (Atomics.exchange(words, at, 2) !== 0) {
    if (Atomics.wait(words, at, 2, SLEEP_MILLISECONDS) !== "timed-out") continue;
    sleeps += 1;
    if (sleeps % SLEEPS_PER_LOOK === 0) watcher((sleeps * SLEEP_MILLISECONDS) / 1000);
  }
}

/** Gives the lock at `words[at]` back. */
export function unlock(words: Int32Array, at: number): void {
  if (Atomics.exchange(words, at, 0) === 2) Atomics.notify(words, at, 1);
}
