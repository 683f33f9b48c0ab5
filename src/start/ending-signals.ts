/**
 * Signals that end the program: the first one drains it, a second one ends it at once.
 *
 * One Ctrl-C under `make run` may arrive as two signals: the terminal sends one to the whole group
 * of processes, and a parent in it may pass its own on. So a repeat of the first signal within
 * 300 ms is the same signal.
 */

/** A person needs longer than this to press the key again. */
export const ECHO_MILLISECONDS = 300;

/** The source of signals: the process. */
export interface SignalSource {
  on(name: NodeJS.Signals, handler: () => void): unknown;
}

/**
 * Listens for signals of these names. Resolves to the name of the first; calls `hurry` for every
 * later one that is not a repeat of it.
 */
export function untilSignal(
  names: readonly NodeJS.Signals[],
  source: SignalSource,
  hurry: () => void,
  nowMilliseconds: () => number = () => performance.now(),
): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let first: { name: NodeJS.Signals; at: number } | undefined;
  for (const name of names) {
    source.on(name, () => {
      if (first === undefined) {
        first = { name, at: nowMilliseconds() };
        resolve(name);
      } else if (name !== first.name || nowMilliseconds() - first.at > ECHO_MILLISECONDS) {
        hurry();
      }
    });
  }
  return promise;
}
