/**
 * A UDP worker: a thread that answers the datagrams of one socket, and does nothing else.
 *
 * It is told once what to work on, says that it is ready, and then stays in its loop: wait for
 * datagrams, answer the batch, wait again. It never returns to an event loop, so the only word that
 * still reaches it is the shared stop word. Whatever it throws ends the whole process: half a
 * tracker is worse than none, which a supervisor would start again.
 */
import { alignClock } from "../ops/clock.ts";
import { Answering, type UdpShared } from "./answering.ts";
import { Batches } from "./batches.ts";
import { openLibc } from "./libc.ts";

/** What the main thread tells a worker. */
export interface WorkerTask {
  shared: UdpShared;
  /** Row of its counters: 1 and up. */
  thread: number;
  fd: number;
  wildcard: boolean;
  /** Not 0 once the worker is to answer what is queued and end. */
  stop: Int32Array;
  /** The clock of the event loop, in seconds. */
  nowSeconds: number;
}

/** What a worker tells the main thread. */
export type WorkerNews = "ready" | "stopped";

/** Batches answered after the stop word: what was queued, but not what keeps coming. */
const DRAIN_BATCHES_MAX = 256;

declare const self: {
  onmessage: (event: { data: WorkerTask }) => void;
  postMessage: (news: WorkerNews) => void;
};

self.onmessage = ({ data }) => {
  alignClock(data.nowSeconds);
  work(data);
  self.postMessage("stopped");
};

function work({ shared, thread, fd, wildcard, stop }: WorkerTask): void {
  const libc = openLibc();
  if (libc === undefined) throw new Error("the C library that was there is gone");
  const batches = new Batches(libc, fd, wildcard, new Answering(shared, thread));
  self.postMessage("ready");
  while (Atomics.load(stop, 0) === 0) batches.turn();
  for (let batch = 0; batch < DRAIN_BATCHES_MAX && batches.drain() > 0; batch++);
}
