/** Waiting for what happens by itself: how long it takes depends on the machine. */

const MILLISECONDS_MAX = 10_000;

/** Resolves once it is so; throws if that does not come in a time that no machine needs. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + MILLISECONDS_MAX;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`never so: ${isSo.toString()}`);
    await Bun.sleep(2);
  }
}

/** Resolves after as many rounds of the event loop: whatever was to happen at once has happened. */
export async function rounds(count: number): Promise<void> {
  for (let round = 0; round < count; round++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
