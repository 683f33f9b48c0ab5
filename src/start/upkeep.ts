/**
 * Background work of the event loop: it sweeps the swarms, releases unused memory (code, garbage,
 * and free pages), and follows the load and this machine's addresses. No timer keeps the process
 * alive.
 *
 * A round over all shards takes ROUND_SECONDS_MAX, or less with a short peer timeout. Some 20 times
 * a second the shards that are due are swept in slices, for one turn at most; the rest waits for
 * the next turn. With many swarms a round takes longer. That is harmless while every peer is
 * visited before its age counter wraps; if a round may become too long for that, the turns are
 * longer.
 */
import { type CounterName, Counters } from "../counters/counters.ts";
import { Histogram } from "../counters/histograms.ts";
import { now } from "../host/clock.ts";
import { garbage } from "../host/garbage.ts";
import { takeTurn, TURN_SECONDS } from "../host/turns.ts";
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
import { listAddresses } from "../host/interfaces.ts";
import { OwnAddresses } from "../limits/own-addresses.ts";
import type { Program } from "./program.ts";

const ROUND_SECONDS_MAX = 60;
/** Rounds in a peer timeout: a peer is removed at most 1/8 of it too late. */
const ROUNDS_PER_TIMEOUT = 8;

const TURN_MILLISECONDS = 50;
/** Work of one slice, some 100 ns each: the longest an announce can wait for the sweep. */
const SLICE_UNITS = 2000;
/** How often garbage and the pages of code are released. */
const SETTLE_MILLISECONDS = 30_000;
const FORGET_MILLISECONDS = 5000;

/**
 * The longest turn, used if age counters might wrap: a fifth of the time, some 600,000 swarms a
 * second. With 6 million swarms and TRACKER_PEER_TIMEOUT=60s a millisecond was not enough.
 */
const TURN_SECONDS_MAX = 10 * TURN_SECONDS;

/** How often the load is measured. */
const LOAD_MILLISECONDS = 1000;
/** How often the addresses of the machine are read: they can change. */
const ADDRESSES_MILLISECONDS = 60_000;

/** Counters of announces that were answered. */
const ANNOUNCES: CounterName[] = [
  "udpAnnouncesIpv4",
  "udpAnnouncesIpv6",
  "httpAnnouncesIpv4",
  "httpAnnouncesIpv6",
  "websocketAnnouncesIpv4",
  "websocketAnnouncesIpv6",
];

/** Counters of early announces. */
const EARLY: CounterName[] = ["udpEarly", "httpEarly"];

/** Counters of answered announces over a rate limit that were not early. */
const OVER_RATE: CounterName[] = [
  "udpOverRateAnnounces",
  "httpOverRateAnnounces",
  "websocketOverRateAnnounces",
];

/** Pages released to the system in one turn, some 1.5 µs each: 5 MiB a second. */
const GIVEN_BACK_A_TURN = 32;
/** Free pages that are kept for reuse: this number, or this share of the pages in use. */
const FREE_KEPT_MIN = 64;
const FREE_KEPT_SHARE = 1 / 128;

/** Starts all background work; returns the sweep, for metrics. */
export function startUpkeep({ config, libc, load, store, threads }: Program): Sweep {
  const { memory, counters, histograms, limits } = threads.shared;
  startReleasing(libc);
  every(LOAD_MILLISECONDS, followLoad(load, new Counters(counters, 0), memory));
  every(ADDRESSES_MILLISECONDS, followAddresses(new OwnAddresses(limits?.own), config));
  const slices = new Histogram(histograms!, 0, "sweepSeconds");
  return startSweeping(store, config.peerTimeoutSeconds, {
    observe: (seconds) => slices.observe(seconds),
    libc,
  });
}

/** Runs the task now, and again after each interval. */
function every(milliseconds: number, task: () => void): void {
  task();
  setInterval(task, milliseconds).unref();
}

/**
 * Releases garbage, and the pages of code that are not in use. What runs once in a while, such as a
 * collection or the compiler, brings in 6 to 14 MB of code, because the kernel maps 64 KiB around
 * each page that is missing. A release takes 1 ms; when it came each 30 seconds, a tracker took 10
 * MB more on average. (Linux 6.18, 2026-11)
 */
function startReleasing(libc: Pick<Libc, "forgetStartupCode"> | undefined): void {
  // Once, although little may be noted by then.
  setTimeout(() => garbage.collect(), SETTLE_MILLISECONDS).unref();
  // The collector's own pages go at the release that follows, so it is started first.
  setInterval(() => garbage.settle(), SETTLE_MILLISECONDS).unref();
  setInterval(() => libc?.forgetStartupCode(), FORGET_MILLISECONDS).unref();
}

/** Options of `startSweeping`. */
export interface SweepingOptions {
  /** Gets the seconds of each slice. */
  observe?: (seconds: number) => void;
  /** If left out, free pages are not released to the system. */
  libc?: Pick<Libc, "pageSize" | "discard"> | undefined;
}

/** Sweeps until the process ends, and releases free pages to the system. */
export function startSweeping(
  store: Store,
  peerTimeoutSeconds: number,
  options: SweepingOptions = {},
): Sweep {
  const sweep = new Sweep(store);
  const work = makeSweeping(sweep, store, peerTimeoutSeconds, options);
  let waiting = false;
  const turn = (): void => {
    waiting = false;
    work();
  };
  const timer = setInterval(() => {
    if (waiting) return;
    waiting = true;
    takeTurn(turn);
  }, TURN_MILLISECONDS);
  timer.unref();
  return sweep;
}

/** The work of one turn: sweeps the shards that are due, and releases some pages. */
export function makeSweeping(
  sweep: Sweep,
  store: Store,
  peerTimeoutSeconds: number,
  { observe = () => {}, libc }: SweepingOptions = {},
): () => void {
  const round = Math.min(ROUND_SECONDS_MAX, peerTimeoutSeconds / ROUNDS_PER_TIMEOUT);
  const start = now();
  // A peer may be visited at the begin of one round and at the end of the next.
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

/** Length of a turn after `shards` shards and `seconds` of a round that must end in `latest`. */
export function turnSeconds(shards: number, seconds: number, latest: number): number {
  return shards < (seconds / latest) * SHARD_COUNT ? TURN_SECONDS_MAX : TURN_SECONDS;
}

/** Releases a few free pages; does nothing if the system's pages are larger than ours. */
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

/** Each call measures the load, and sets the stretch of intervals and the peer timeout. */
export function followLoad(
  load: Load,
  counters: Counters,
  memory: SwarmMemory,
  clock = now,
): () => void {
  const { peerTimeout } = memory.settings;
  let kept = peerTimeout;
  const total = (names: CounterName[]): number =>
    names.reduce((sum, name) => sum + counters.total(name), 0);
  return () => {
    // Early announces do not count: otherwise one client could lengthen intervals for hours.
    const uncounted = total(EARLY) + total(OVER_RATE);
    // Announces over a rate limit do not count, so that one network cannot lengthen intervals.
    load.update(total(ANNOUNCES) - uncounted, clock());
    const seconds = Math.max(peerTimeout * load.kept, load.othersKeptSeconds);
    if (seconds === kept) return;
    kept = seconds;
    setPeerTimeout(memory, kept);
  };
}

/**
 * Each call reads this machine's addresses; without an answer the list does not change. An external
 * address is that of peers behind us, also if this machine is the router that has it.
 */
function followAddresses(own: OwnAddresses, { externalAddresses }: Program["config"]): () => void {
  return () => {
    const addresses = listAddresses();
    if (addresses === undefined) return;
    own.take(addresses.filter((address) => !externalAddresses.includes(address)));
  };
}
