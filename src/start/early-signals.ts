/**
 * Keeps signals that arrive during the start until the program can act on them.
 *
 * A signal without a handler ends the process, and a script that sends SIGHUP after each change
 * of a file does not know that the tracker is still starting.
 */

/** Listens for a signal. The handler given later is called once for each signal, early or not. */
export function listenEarly(name: NodeJS.Signals): (handler: () => void) => void {
  let waiting = 0;
  let handle = (): void => void (waiting += 1);
  process.on(name, () => handle());
  return (handler) => {
    handle = handler;
    for (; waiting > 0; waiting--) handler();
  };
}
