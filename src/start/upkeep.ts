/**
 * What the event loop does beside answering: it sweeps the swarms, releases memory that is not in
 * use (code, garbage, and pages that swarms have left), and follows the load and this machine's
 * addresses. No timer keeps the process alive.
 *
 * A round over all shards takes ROUND_SECONDS, or less if peers live shorter. Some 20 times a
 * second the shards that have come due are swept in slices, for one turn at most; what is left over
 * is left to the next one. With many swarms a round takes longer, and does no harm while every peer
 * is met once before its age begins again: where that is in danger the turns are longer.
 */
import { type CounterName, Counters } from "../counters/counters.ts";
import { Histogram } from "../counters/histograms.ts";
import { now } from "../host/clock.ts";
import { garbage } from "../host/garbage.ts";
import { nextTurn, TURN_SECONDS } from "../host/turns.ts";
import type { Arena } from "../swarm/arena.ts";
import {
  PAGE_SHIFT,
  PAGE_SIZE,
  setPeerTimeout,
  SHARD_COUNT,
  type SwarmMemory,
} from "../swarm/memory.ts";
import { Sweep } from "../swarm/sweep.ts";
import type { Store } from "../swarm/store.ts";
import type { Libc } from "../host/libc.ts";
import type { Load } from "../limits/load.ts";
import { listAddresses, OwnAddresses } from "../limits/own-addresses.ts";
import type { Program } from "./program.ts";

const ROUND_SECONDS_MAX = 60;
/** A peer is at most this part of its timeout older than it should be. */
const ROUNDS_PER_TIMEOUT = 8;

const TURN_MILLISECONDS = 50;
/** Work of one slice, some 100 ns each: the longest an announce can wait for the sweep. */
const SLICE_UNITS = 2000;
/** How soon, and then how often, memory that is not in use is let go, in milliseconds. */
const FORGET_FIRST_MILLISECONDS = 5000;
const FORGET_MILLISECONDS = 30_000;

/**
 * How long a turn may be where ages would begin again: a fifth of the time, some 600,000 swarms in
 * a second. With 6 million swarms and TRACKER_PEER_TIMEOUT=60s a millisecond was not enough.
 */
const TURN_SECONDS_MAX = 10 * TURN_SECONDS;

/** How often garbage is collected where there is too little of it for that. */
const SETTLE_MILLISECONDS = 30_000;

/** How often the load is measured. */
const LOAD_MILLISECONDS = 1000;
/** How often the machine is asked for its addresses: networks come and go. */
const ADDRESSES_MILLISECONDS = 60_000;

/** Announces that were answered, whose clients will come back. */
const ANNOUNCES: CounterName[] = [
  "udpAnnouncesIpv4",
  "udpAnnouncesIpv6",
  "httpAnnouncesIpv4",
  "httpAnnouncesIpv6",
];

/** Announces that came early, and those among them that were refused, which are not above. */
const EARLY: CounterName[] = ["udpEarly", "httpEarly"];
const REFUSED_EARLY: CounterName[] = ["udp:early", "http:early"];

/** Announces that were only counted as too many of their address or network, and not early. */
const OVER_RATE: CounterName[] = ["udpOverRateAnnounces", "httpOverRateAnnounces"];

/** Pages given back to the system in one turn, some 1.5 µs each: 5 MiB a second. */
const GIVEN_BACK_A_TURN = 32;
/** Free pages that stay for who needs some soon: so many, or this part of those in use. */
const FREE_KEPT_MIN = 64;
const FREE_KEPT_SHARE = 1 / 128;

/** Starts all of it; returns the sweep, for its numbers. */
export function startUpkeep({ config, libc, load, store, threads }: Program): Sweep {
  const { memory, counters, histograms, limits } = threads.shared;
  if (libc !== undefined) startForgetting(libc);
  every(SETTLE_MILLISECONDS, () => garbage.settle());
  every(LOAD_MILLISECONDS, followLoad(load, new Counters(counters, 0), memory));
  every(ADDRESSES_MILLISECONDS, followAddresses(new OwnAddresses(limits?.own)));
  const slices = new Histogram(histograms!, 0, "sweepSeconds");
  return startSweeping(store, config.peerTimeoutSeconds, {
    observe: (seconds) => slices.observe(seconds),
    libc,
  });
}

/** Does the task now, and again after each interval. */
function every(milliseconds: number, task: () => void): void {
  task();
  setInterval(task, milliseconds).unref();
}

/** Keeps resident only the code that is in use. */
function startForgetting(libc: Pick<Libc, "forgetStartupCode">): void {
  setTimeout(() => libc.forgetStartupCode(), FORGET_FIRST_MILLISECONDS).unref();
  setInterval(() => libc.forgetStartupCode(), FORGET_MILLISECONDS).unref();
}

/** What `startSweeping` can do without. */
export interface SweepingOptions {
  /** Gets the seconds of each slice. */
  observe?: (seconds: number) => void;
  /** Where it is left out, memory that has been in use stays with the process. */
  libc?: Pick<Libc, "pageSize" | "discard"> | undefined;
}

/** Sweeps for ever, and gives the memory of pages that are free for long back to the system. */
export function startSweeping(
  store: Store,
  peerTimeoutSeconds: number,
  options: SweepingOptions = {},
): Sweep {
  const sweep = new Sweep(store);
  const work = makeSweeping(sweep, store, peerTimeoutSeconds, options);
  let waiting = false;
  const timer = setInterval(() => {
    if (waiting) return;
    waiting = true;
    void nextTurn().then(() => {
      waiting = false;
      work();
    });
  }, TURN_MILLISECONDS);
  timer.unref();
  return sweep;
}

/** The work of one turn: sweeps what has come due, and gives some pages back. */
export function makeSweeping(
  sweep: Sweep,
  store: Store,
  peerTimeoutSeconds: number,
  { observe = () => {}, libc }: SweepingOptions = {},
): () => void {
  const round = Math.min(ROUND_SECONDS_MAX, peerTimeoutSeconds / ROUNDS_PER_TIMEOUT);
  const start = now();
  // Of two visits of a peer one may come at the beginning of its round, the next at the end.
  const latest = Math.min(store.peerTicks.slackSeconds, store.emptyTicks.slackSeconds) / 2;
  const giveBack = makeGivingBack(store.arena, libc);
  return () => {
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
    giveBack();
  };
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

/** Measures the load at each call, stretches intervals by it and keeps peers longer. */
export function followLoad(
  load: Load,
  counters: Counters,
  memory: SwarmMemory,
  clock = now,
): () => void {
  let kept = 1;
  const total = (names: CounterName[]): number =>
    names.reduce((sum, name) => sum + counters.total(name), 0);
  return () => {
    // An early announce has a place in the schedule: one client could fill it for hours otherwise.
    const early = total(EARLY) - total(REFUSED_EARLY);
    // One address or network has the share in it that it may have of the tracker, and no more.
    load.update(total(ANNOUNCES) - early - total(OVER_RATE), clock());
    if (load.kept === kept) return;
    kept = load.kept;
    setPeerTimeout(memory, memory.settings.peerTimeout * kept);
  };
}

/** Lists this machine's addresses at each call; without an answer the list stays as it was. */
function followAddresses(own: OwnAddresses): () => void {
  return () => {
    const addresses = listAddresses();
    if (addresses !== undefined) own.take(addresses);
  };
}
