/** Waiting for what happens by itself: how long it takes depends on the machine. */

/** Far more than anything takes, because several test processes may share a small machine. */
const MILLISECONDS_MAX = 25_000;

/** Resolves once it is so; throws if that does not come in a time that no machine needs. */
export async function until(
  isSo: () => boolean | Promise<boolean>,
  pauseMilliseconds = 2,
): Promise<void> {
  const deadline = performance.now() + MILLISECONDS_MAX;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`never so: ${isSo.toString()}`);
    await Bun.sleep(pauseMilliseconds);
  }
}

/** Resolves after as many rounds of the event loop: whatever was to happen at once has happened. */
export async function rounds(count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
