/** Threads that share the swarms: they see each other's peers and do each other no harm. */
import { expect, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { HELD_SECONDS_MAX, lock, LOCK_LOST, unlock, watchLocks } from "../../src/swarm/locks.ts";
import { PAGE_SIZE } from "../../src/swarm/memory.ts";
import { MIB, announce, complete, countsOf, makeMemory, scrape, trackerOver } from "./fixture.ts";
import type { HammerTask } from "./hammer.ts";
import { brokenInvariants } from "./invariants.ts";

test("a lock is a word that is 1 while it is held", () => {
  const words = new Int32Array(new SharedArrayBuffer(12));
  lock(words, 1);
  expect([...words]).toEqual([0, 1, 0]);
  unlock(words, 1);
  expect([...words]).toEqual([0, 0, 0]);
});

test("a thread that finds a lock held waits until it is free", async () => {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const program = `
    import { lock, unlock } from ${JSON.stringify(import.meta.resolve("../../src/swarm/locks.ts"))};
    self.onmessage = ({ data: words }) => {
      Atomics.store(words, 1, 1);
      lock(words, 0);
      Atomics.store(words, 1, 2);
      unlock(words, 0);
      postMessage("done");
    };`;
  const url = URL.createObjectURL(new Blob([program], { type: "application/typescript" }));
  const worker = new Worker(url);
  const done = new Promise((resolve) => (worker.onmessage = resolve));
  lock(words, 0);
  worker.postMessage(words);
  while (Atomics.load(words, 1) === 0) await Bun.sleep(1);
  await Bun.sleep(30);
  expect(Atomics.load(words, 1)).toBe(1);
  // It sleeps and has said so.
  expect(Atomics.load(words, 0)).toBe(2);
  unlock(words, 0);
  await done;
  expect([...words]).toEqual([0, 2]);
  worker.terminate();
});

test("a thread that waits long asks its watcher ten times a second, and ends if it throws", () => {
  const shared = new Int32Array(new SharedArrayBuffer(4)).fill(1);
  const asked: number[] = [];
  watchLocks((seconds) => {
    asked.push(seconds);
    if (asked.length === 3) throw new Error("enough");
  });
  expect(() => lock(shared, 0)).toThrow("enough");
  expect(asked).toEqual([0.1, 0.2, 0.3]);
  watchLocks();
});

test("without a watcher a wait ends all the same", () => {
  const shared = new Int32Array(new SharedArrayBuffer(4)).fill(1);
  const begun = performance.now();
  expect(() => lock(shared, 0)).toThrow(LOCK_LOST);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(HELD_SECONDS_MAX * 1000);
}, 60_000);

test("two trackers over the same memory see each other's peers", () => {
  const memory = makeMemory(16 * MIB, true);
  const [one, two] = [trackerOver(memory, 1), trackerOver(memory, 2)];
  complete(one, { peer: 1 });
  expect(announce(two, { peer: 2 })).toEqual(["4/1"]);
  expect(countsOf(two)).toEqual([1, 1, 1]);
  for (let peer = 10; peer < 400; peer++) announce(peer % 2 === 0 ? one : two, { peer });
  expect(scrape(one, 1)).toEqual([1, 391, 1]);
  expect(scrape(two, 1)).toEqual([1, 391, 1]);
  announce(two, { peer: 1, event: "stopped" });
  expect(scrape(one, 1)).toEqual([0, 391, 1]);
  expect(brokenInvariants(one)).toEqual([]);
  expect(brokenInvariants(two)).toEqual([]);
});

test("two threads that hammer the same shards leave sound swarms behind", async () => {
  const memory = makeMemory(16 * MIB, true);
  const results = [0, 1].map((thread) => {
    const worker = new Worker(new URL("./hammer.ts", import.meta.url).href);
    const task: HammerTask = { memory, thread, announces: 150_000 };
    worker.postMessage(task);
    return new Promise<{ odd: number }>((resolve, reject) => {
      worker.onerror = (event) => reject(new Error(event.message));
      worker.onmessage = ({ data }) => {
        worker.terminate();
        resolve(data);
      };
    });
  });
  const tracker = trackerOver(memory, 9);
  // What is free belongs to nobody: beside them, it is overwritten.
  const { arena } = tracker.store;
  const taken = new Int32Array(8);
  let overwritten = 0;
  const timer = setInterval(() => {
    const count = arena.takeFreePages(taken, 0);
    for (const page of taken.subarray(0, count)) {
      arena.bytes.fill(0xee, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    }
    arena.giveBlank(taken, count);
    overwritten += count;
  }, 1);
  expect(await Promise.all(results)).toEqual([{ odd: 0 }, { odd: 0 }]);
  clearInterval(timer);
  expect(overwritten).toBeGreaterThan(100);
  expect(brokenInvariants(tracker)).toEqual([]);
  expect(scrape(tracker, 77)).toEqual([500, 500, 0]);
  const [seeders, leechers] = scrape(tracker, 0);
  expect(seeders + leechers).toBeGreaterThan(5000);
  expect(takeCensus(memory).swarms).toBe(41);
  const downloads = Array.from({ length: 20 }, (_, infoHash) => scrape(tracker, infoHash)[2]);
  expect(Math.min(...downloads)).toBeGreaterThan(255);
  expect(downloads.reduce((sum, count) => sum + count)).toBe(takeCensus(memory).downloads);
}, 30_000);
