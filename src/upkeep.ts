/**
 * What the event loop does beside answering: sweeping the swarms, and letting go of unused code.
 *
 * A round over all shards takes ROUND_SECONDS, or less if peers live shorter. Some 20 times a
 * second the shards that have come due are swept in slices, for one turn at most; what is left over
 * is left to the next one.
 */
import { now } from "./ops/clock.ts";
import { nextTurn, TURN_SECONDS } from "./ops/turns.ts";
import { SHARD_COUNT } from "./swarm/memory.ts";
import { Sweep } from "./swarm/sweep.ts";
import type { Tracker } from "./swarm/tracker.ts";
import type { Libc } from "./udp/libc.ts";

const ROUND_SECONDS_MAX = 60;
/** A peer is at most this part of its timeout older than it should be. */
const ROUNDS_PER_TIMEOUT = 8;

const TURN_MILLISECONDS = 50;
/** Work of one slice, some 100 ns each: the longest an announce can wait for the sweep. */
const SLICE_UNITS = 2000;
/** How soon, and then how often, code that is not in use is let go, in milliseconds. */
const FORGET_FIRST_MILLISECONDS = 5000;
const FORGET_MILLISECONDS = 30_000;

/** Keeps resident only the code that is in use. The timers do not keep the process alive. */
export function startForgetting(libc: Pick<Libc, "forgetStartupCode">): void {
  setTimeout(() => libc.forgetStartupCode(), FORGET_FIRST_MILLISECONDS).unref();
  setInterval(() => libc.forgetStartupCode(), FORGET_MILLISECONDS).unref();
}

/**
 * Sweeps for ever; the timer does not keep the process alive. `observe` is told how many seconds
 * each slice took.
 */
export function startSweeping(
  tracker: Tracker,
  peerTimeoutSeconds: number,
  observe: (seconds: number) => void = () => {},
): Sweep {
  const sweep = new Sweep(tracker);
  const round = Math.min(ROUND_SECONDS_MAX, peerTimeoutSeconds / ROUNDS_PER_TIMEOUT);
  const start = now();
  const sweepOnce = (): void => {
    const turn = now();
    const due = ((turn - start) / round) * SHARD_COUNT;
    let slice = turn;
    while (sweep.shardsDone < due && slice - turn < TURN_SECONDS) {
      sweep.slice(turn, SLICE_UNITS);
      const end = now();
      observe(end - slice);
      slice = end;
    }
  };
  let waiting = false;
  const timer = setInterval(() => {
    if (waiting) return;
    waiting = true;
    void nextTurn().then(() => {
      waiting = false;
      sweepOnce();
    });
  }, TURN_MILLISECONDS);
  timer.unref();
  return sweep;
}
