/**
 * Work that is asked for by a signal, and must not run twice at once.
 *
 * Whoever asks while it runs wants what has changed since it began, so it runs once more; who asks
 * while that waits gets the same. A hundred SIGHUPs in a second are two readings of the files, not
 * a hundred, behind which every change of a list would have to wait.
 */

/** Gives what asks for `work`, which must not reject. */
export function oneAtATime(work: () => Promise<void>): () => void {
  let last = Promise.resolve();
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    last = last.then(() => {
      waiting = false;
      return work();
    });
  };
}
