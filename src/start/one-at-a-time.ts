/**
 * Work that a signal requests, and that must not run twice at once.
 *
 * A request while it runs is about what has changed since it began, so it runs once more; requests
 * while that waits are the same one. A hundred SIGHUPs in a second are two readings of the files,
 * not a hundred, behind which every change of a list would have to wait.
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
