/**
 * The one clock: seconds since the process started, which never run backwards.
 *
 * The core takes the time as an argument; its callers read this clock once per batch or request. A
 * thread's own clock starts with the thread (measured, Bun 1.4.5), so a worker aligns its clock
 * with that of the event loop before it uses shared memory.
 */

/** Seconds to add to this thread's clock to get the clock of the process. */
let offset = 0;

/** Seconds since the start of the process, with fractions; never fails. Takes about 40 ns. */
export function now(): number {
  return performance.now() / 1000 + offset;
}

/**
 * Sets this thread's clock to that of the event loop, which showed `seconds` when it started the
 * thread. The error is the few milliseconds a thread takes to start; no use needs more precision.
 */
export function alignClock(seconds: number): void {
  offset = seconds - performance.now() / 1000;
}
