/**
 * Signals that ask for something before the program can do it: they wait until it can.
 *
 * A signal nobody listens for ends the process, and whoever sends SIGHUP after every change of a
 * file does not know that the tracker is just starting.
 */

/** Listens from now on. What the result is given is called once for each signal, late or not. */
export function listenEarly(name: NodeJS.Signals): (handler: () => void) => void {
  let waiting = 0;
  let handle = (): void => void (waiting += 1);
  process.on(name, () => handle());
  return (handler) => {
    handle = handler;
    for (; waiting > 0; waiting--) handler();
  };
}
