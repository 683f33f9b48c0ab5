/**
 * A look at every swarm beside a server that must not wait for it: a millisecond in each turn.
 */
import { now } from "../host/clock.ts";
import { nextTurn, TURN_SECONDS } from "../host/turns.ts";
import type { Tracker } from "../swarm/tracker.ts";
import { Walk } from "../swarm/walk.ts";

/** Work of one slice, some 100 ns each: the longest an announce waits for the lock of a shard. */
export const SLICE_UNITS = 500;

/** Visits every swarm, as `Walk.slice` does. */
export async function walkAll(tracker: Tracker, visit: (swarm: number) => number): Promise<void> {
  const walk = new Walk(tracker);
  while (!walk.done) {
    await nextTurn();
    const end = now() + TURN_SECONDS;
    while (!walk.done && now() < end) walk.slice(SLICE_UNITS, visit);
  }
}
