/**
 * The clocks of other trackers, as their hellos tell them.
 *
 * Nothing that is shared depends on clocks. But ages are kept in ticks (swarm/ticks.ts), and where
 * the clocks of two trackers agree, a tick begins at both in the same moment: then a pull takes the
 * age of a peer over as it is (taking.ts). Else each pull makes it a tick older. What counts is the
 * clock of the start: a tracker counts its ticks from there.
 */
import type { Origin } from "./origin.ts";

/** Ticks (90 s by default) by which the clocks of two trackers may differ to count as equal. */
export const CLOCK_TICKS = 2;

/**
 * By how many seconds the clock of another tracker is ahead of ours; less than 0 if it is late.
 * `clock` is ours, in seconds since 1970, for a moment.
 */
export function clockAhead(
  { hello, helloAt }: Pick<Origin, "hello" | "helloAt">,
  clock: (at: number) => number,
): number {
  return hello === undefined ? 0 : hello.clockSeconds - clock(helloAt);
}
