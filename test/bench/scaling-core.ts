/**
 * One thread of `make scaling`: announces to shared swarms, in windows that all threads begin
 * together.
 *
 * A window counts only if every thread had its processor all the time, which is what makes the
 * figures repeatable on a machine that others use too. So each thread tells the wall time and the
 * CPU time of each window.
 *
 *   figures   [ wall | CPU ] of window 0, 1, …, in nanoseconds, for each thread
 *   words     [ threads that arrived at the next window ] [ pauses ] [ sleeps ] of each thread
 *
 * The lock pauses while it finds itself held, and sleeps when that lasts; both are counted here by
 * functions that stand in for the engine's, which are called only then.
 */
import { dlopen, ptr } from "bun:ffi";
import { EVENT_NONE, EVENT_STARTED } from "../../src/constants.ts";
import type { SwarmMemory } from "../../src/swarm/memory.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { mix, putInfoHash, Workload } from "./workload.ts";

declare const self: Worker;

/** Announces in a window: some 600 µs. */
export const WINDOW = 2000;
export const COUNTS_PER_THREAD = 2;
export const LOADS = ["even", "zipf", "half", "hot", "scrape"] as const;
export type Load = (typeof LOADS)[number];

export interface ScalingTask {
  memory: SwarmMemory;
  load: Load | "fill";
  thread: number;
  threads: number;
  windows: number;
  swarms: number;
  peers: number;
  figures: SharedArrayBuffer;
  words: SharedArrayBuffer;
}

const WANTED = 30;
/** Swarm 0 is the hot one; with `half`, every second announce goes there. */
const HOT = 0;
const CLOCK_THREAD_CPUTIME_ID = 3;

class Runner {
  readonly #task: ScalingTask;
  readonly #tracker: Tracker;
  readonly #hash: Uint32Array;
  readonly #skewed: Workload;
  readonly #hashWords = new Uint32Array(5);
  #drawn: number;

  constructor(task: ScalingTask) {
    const { memory, load, thread, swarms, peers } = task;
    this.#task = task;
    this.#drawn = mix(thread + 1);
    this.#tracker = new Tracker(new Store(memory), new ArrayBuffer(4096));
    this.#hash = this.#hashWords;
    this.#skewed = new Workload(swarms, peers, load === "zipf" || load === "fill" ? 1 : 0);
    const { request } = this.#tracker;
    request.family = 4;
    request.wanted = WANTED;
    request.offsetIpv4 = 0;
    request.offsetIpv6 = 1024;
  }

  /** The peer with this number announces, to its own swarm or to the hot one. */
  announce(peer: number, hot: boolean, event: number, nowSeconds: number): void {
    const { request } = this.#tracker;
    this.#name(hot ? HOT : this.#skewed.swarmOf(peer));
    const address = mix(peer ^ 0x1234567);
    for (let i = 0; i < 4; i++) request.peer[i] = address >>> (8 * i);
    request.peer[4] = 4 + (peer & 63);
    request.peer[5] = peer & 0xff;
    request.seeder = this.#skewed.isSeeder(peer);
    request.event = event;
    this.#tracker.announce(nowSeconds);
  }

  #name(swarm: number): void {
    putInfoHash(this.#hash, 0, swarm);
    const bytes = new Uint8Array(this.#hash.buffer);
    this.#tracker.request.infoHash.set(bytes);
  }

  /** A window of the load. */
  window(nowSeconds: number): void {
    const { load, peers } = this.#task;
    for (let n = 0; n < WINDOW; n++) {
      this.#drawn = mix(this.#drawn + 0x9e3779b9);
      if (load === "scrape") {
        this.#name(HOT);
        this.#tracker.scrape();
      } else {
        const hot = load === "hot" || (load === "half" && (n & 1) === 0);
        this.announce(this.#drawn % peers, hot, EVENT_NONE, nowSeconds);
      }
    }
  }

  /** Its share of all peers joins, in the swarms of this load. */
  fill(load: Load, nowSeconds: number): void {
    const { thread, threads, peers } = this.#task;
    for (let peer = thread; peer < peers; peer += threads) {
      if (load !== "hot") this.announce(peer, false, EVENT_STARTED, nowSeconds);
      if (load !== "even" && load !== "zipf") this.announce(peer, true, EVENT_STARTED, nowSeconds);
    }
  }
}

const time = new BigInt64Array(128);
const { symbols } = dlopen("libc.so.6", {
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
});

/** Nanoseconds of CPU that this thread has used. */
function cpuNanoseconds(): number {
  symbols.clock_gettime(CLOCK_THREAD_CPUTIME_ID, ptr(time));
  return Number(time[0]) * 1e9 + Number(time[1]);
}

/** Counts what the lock does while it is held. */
function countContention(words: Int32Array, at: number): void {
  const { pause, wait } = Atomics;
  Atomics.pause = () => {
    words[at] += 1;
    pause();
  };
  Atomics.wait = ((...args: Parameters<typeof wait>) => {
    words[at + 1] += 1;
    return wait(...args);
  }) as typeof wait;
}

/** All threads begin the next window together. */
function meet(words: Int32Array, threads: number, window: number): void {
  Atomics.add(words, 0, 1);
  while (Atomics.load(words, 0) < threads * (window + 1));
}

self.onmessage = ({ data: task }: MessageEvent<ScalingTask>) => {
  const { thread, threads, windows, load } = task;
  const runner = new Runner(task);
  const nowSeconds = 100;
  if (load !== "fill") runner.fill(load === "scrape" ? "hot" : load, nowSeconds);
  const figures = new Float64Array(task.figures);
  const words = new Int32Array(task.words);
  countContention(words, 1 + COUNTS_PER_THREAD * thread);
  for (let window = 0; window < windows; window++) {
    meet(words, threads, window);
    const wall = performance.now();
    const cpu = cpuNanoseconds();
    runner.window(nowSeconds);
    const at = 2 * (window * threads + thread);
    figures[at + 1] = cpuNanoseconds() - cpu;
    figures[at] = (performance.now() - wall) * 1e6;
  }
  self.postMessage("done");
};
