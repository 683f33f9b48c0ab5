/**
 * Work that a signal requests and that must not run twice at the same time.
 *
 * A request during the work is about changes since it began, so the work runs once more; further
 * requests before that run add nothing. A hundred SIGHUPs in a second are two readings of the
 * files, not a hundred, behind which every change of a list would have to wait.
 */

/** Returns a function that requests `work`, which must not reject. */
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
