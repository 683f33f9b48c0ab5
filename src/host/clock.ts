/**
 * The one clock: seconds since the process started, which never run backwards.
 *
 * The core is given the time as an argument; whoever calls it reads this clock once per batch or
 * request. A thread's own clock starts with the thread (measured, Bun 1.4.5), so a worker aligns
 * its clock with that of the event loop before it touches anything shared.
 */

/** What to add to this thread's clock to get that of the process, in seconds. */
let offset = 0;

/** Seconds since the start of the process, with fractions; never fails. Takes about 40 ns. */
export function now(): number {
  return performance.now() / 1000 + offset;
}

/**
 * Makes this thread's clock agree with the event loop's, which showed `seconds` when it started the
 * thread. The few milliseconds a thread takes to start are lost: nothing here is that exact.
 */
export function alignClock(seconds: number): void {
  offset = seconds - performance.now() / 1000;
}
