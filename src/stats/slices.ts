/**
 * Long work beside a server that must not wait for it: a millisecond at a time, and then the event
 * loop has its turn.
 */
import { now } from "../ops/clock.ts";
import type { Tracker } from "../swarm/tracker.ts";
import { Walk } from "../swarm/walk.ts";

/** How long the event loop is kept at a time, in seconds; a slice of a walk comes on top. */
export const TURN_SECONDS = 0.001;

/** Work of one slice, some 100 ns each: the longest an announce waits for the lock of a shard. */
export const SLICE_UNITS = 500;

/** Resolves once the event loop has answered what was waiting. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Visits every swarm, as `Walk.slice` does. */
export async function walkAll(tracker: Tracker, visit: (swarm: number) => number): Promise<void> {
  const walk = new Walk(tracker);
  while (!walk.done) {
    const end = now() + TURN_SECONDS;
    while (!walk.done && now() < end) walk.slice(SLICE_UNITS, visit);
    await nextTurn();
  }
}
