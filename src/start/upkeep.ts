/**
 * What the event loop does beside answering: sweeping the swarms, and letting go of memory that is
 * not in use, be it code or pages that swarms have left.
 *
 * A round over all shards takes ROUND_SECONDS, or less if peers live shorter. Some 20 times a
 * second the shards that have come due are swept in slices, for one turn at most; what is left over
 * is left to the next one. With many swarms a round takes longer, and does no harm while every peer
 * is met once before its age begins again: where that is in danger the turns are longer.
 */
import { now } from "../host/clock.ts";
import { nextTurn, TURN_SECONDS } from "../host/turns.ts";
import type { Arena } from "../swarm/arena.ts";
import { PAGE_SHIFT, PAGE_SIZE, SHARD_COUNT } from "../swarm/memory.ts";
import { Sweep } from "../swarm/sweep.ts";
import type { Tracker } from "../swarm/tracker.ts";
import type { Libc } from "../host/libc.ts";

const ROUND_SECONDS_MAX = 60;
/** A peer is at most this part of its timeout older than it should be. */
const ROUNDS_PER_TIMEOUT = 8;

const TURN_MILLISECONDS = 50;
/** Work of one slice, some 100 ns each: the longest an announce can wait for the sweep. */
const SLICE_UNITS = 2000;
/** How soon, and then how often, code that is not in use is let go, in milliseconds. */
const FORGET_FIRST_MILLISECONDS = 5000;
const FORGET_MILLISECONDS = 30_000;

/**
 * How long a turn may be where ages would begin again: a fifth of the time, some 600,000 swarms in
 * a second. With 6 million swarms and TRACKER_PEER_TIMEOUT=60s a millisecond was not enough.
 */
const TURN_SECONDS_MAX = 10 * TURN_SECONDS;

/** Pages given back to the system in one turn, some 1.5 µs each: 5 MiB a second. */
const GIVEN_BACK_A_TURN = 32;
/** Free pages that stay for who needs some soon: so many, or this part of those in use. */
const FREE_KEPT_MIN = 64;
const FREE_KEPT_SHARE = 1 / 128;

/** Keeps resident only the code that is in use. The timers do not keep the process alive. */
export function startForgetting(libc: Pick<Libc, "forgetStartupCode">): void {
  setTimeout(() => libc.forgetStartupCode(), FORGET_FIRST_MILLISECONDS).unref();
  setInterval(() => libc.forgetStartupCode(), FORGET_MILLISECONDS).unref();
}

/** What `startSweeping` can do without. */
export interface SweepingOptions {
  /** Told how many seconds each slice took. */
  observe?: (seconds: number) => void;
  /** Where it is left out, memory that has been in use stays with the process. */
  libc?: Pick<Libc, "pageSize" | "discard"> | undefined;
}

/**
 * Sweeps for ever, and gives the memory of pages that are free for long back to the system; the
 * timer does not keep the process alive.
 */
export function startSweeping(
  tracker: Tracker,
  peerTimeoutSeconds: number,
  { observe = () => {}, libc }: SweepingOptions = {},
): Sweep {
  const sweep = new Sweep(tracker);
  const round = Math.min(ROUND_SECONDS_MAX, peerTimeoutSeconds / ROUNDS_PER_TIMEOUT);
  const start = now();
  // Of two visits of a peer one may come at the beginning of its round, the next at the end.
  const latest = Math.min(tracker.peerTicks.slackSeconds, tracker.emptyTicks.slackSeconds) / 2;
  const sweepOnce = (): void => {
    const turn = now();
    const due = ((turn - start) / round) * SHARD_COUNT;
    const inRound = turn - Math.max(start, sweep.roundEndedSeconds);
    const most = turnSeconds(sweep.shardsDone % SHARD_COUNT, inRound, latest);
    let slice = turn;
    while (sweep.shardsDone < due && slice - turn < most) {
      sweep.slice(turn, SLICE_UNITS);
      const end = now();
      observe(end - slice);
      slice = end;
    }
  };
  const giveBack = makeGivingBack(tracker.arena, libc);
  let waiting = false;
  const timer = setInterval(() => {
    if (waiting) return;
    waiting = true;
    void nextTurn().then(() => {
      waiting = false;
      sweepOnce();
      giveBack();
    });
  }, TURN_MILLISECONDS);
  timer.unref();
  return sweep;
}

/** How long a turn may be, so many shards and seconds into a round that must end in `latest`. */
export function turnSeconds(shards: number, seconds: number, latest: number): number {
  return shards < (seconds / latest) * SHARD_COUNT ? TURN_SECONDS_MAX : TURN_SECONDS;
}

/** What gives a few free pages back; nothing does if the system's pages are larger than ours. */
function makeGivingBack(arena: Arena, libc: SweepingOptions["libc"]): () => void {
  if (libc === undefined || PAGE_SIZE % libc.pageSize !== 0) return () => {};
  const taken = new Int32Array(GIVEN_BACK_A_TURN);
  return () => {
    const kept = Math.max(FREE_KEPT_MIN, arena.pagesInUse * FREE_KEPT_SHARE);
    const count = arena.takeFreePages(taken, kept);
    for (let i = 0; i < count; i++) libc.discard(arena.bytes, taken[i] << PAGE_SHIFT, PAGE_SIZE);
    if (count > 0) arena.giveBlank(taken, count);
  };
}
