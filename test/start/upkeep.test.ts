/** Upkeep: sweep rounds end in time, the load is followed, and no process is kept alive. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { COUNT, type CounterName, counterMemory, Counters } from "../../src/counters/counters.ts";
import { now } from "../../src/host/clock.ts";
import { Load, stretchMemory } from "../../src/limits/load.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { POOL_FREE_COUNT, POOL_PEER_LIFETIME, SHARD_COUNT } from "../../src/swarm/memory.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { Ticks } from "../../src/swarm/ticks.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { followLoad, makeSweeping, turnSeconds } from "../../src/start/upkeep.ts";
import { announce } from "../swarm/fixture.ts";
import { brokenInvariants } from "../swarm/invariants.ts";
import { someMemory } from "../swarm/some-memory.ts";

test("every old peer is removed within an eighth of the timeout, and no other", async () => {
  const memory = someMemory({ peerTimeout: 40, downloadsTimeout: 4 });
  const tracker = new Tracker(new Store(memory), new ArrayBuffer(65536));
  for (let infoHash = 1; infoHash <= 2000; infoHash++) {
    announce(tracker, { infoHash, peer: 1, wanted: 0 }, now() - (infoHash % 2 === 0 ? 100 : 0));
  }
  const turn = makeSweeping(new Sweep(tracker.store), tracker.store, 4);
  turn();
  expect(takeCensus(memory).leechersIpv4).toBeGreaterThan(1500);
  // Half a second is a round; a busy machine may need a few of them.
  const deadline = now() + 3;
  while (takeCensus(memory).leechersIpv4 > 1000 && now() < deadline) {
    await Bun.sleep(10);
    turn();
  }
  expect(takeCensus(memory)).toMatchObject({ leechersIpv4: 1000, swarms: 1000 });
});

test("a round ends before age counters wrap, with 300,000 new swarms a second", () => {
  /** Measured where swarms lie apart, with another thread beside: by a turn of a millisecond. */
  const SWARMS_PER_SECOND_OF_TURN = 3_000_000;
  const TURN = 0.05;
  const visits = (swarms: number, latest: number) => {
    const shardsPerSecond = (SWARMS_PER_SECOND_OF_TURN / swarms) * SHARD_COUNT;
    let [shards, begun, longest, took] = [0, 0, 0, 0];
    for (let seconds = 0; seconds < 600; seconds += TURN) {
      const turn = turnSeconds(shards, seconds - begun, latest);
      took += turn;
      shards += turn * shardsPerSecond;
      if (shards < SHARD_COUNT) continue;
      longest = Math.max(longest, seconds - begun);
      [shards, begun] = [0, seconds];
    }
    return { longest, share: took / 600 };
  };
  const { slackSeconds } = new Ticks(60);
  expect(slackSeconds).toBe(67);
  for (const swarms of [1e5, 1e6, 6e6, 18e6]) {
    expect([swarms, visits(swarms, slackSeconds / 2).longest < slackSeconds / 2 + 1]).toEqual([
      swarms,
      true,
    ]);
  }
  // By default there is most of an hour for it, and turns stay short.
  expect(visits(18e6, new Ticks(2700).slackSeconds / 2).share).toBeCloseTo(0.02, 3);
});

/** A tracker that lost many swarms, and the turns of its upkeep. */
function afterTheRush(pageSize: number) {
  const memory = someMemory({ memoryMax: 64 * 2 ** 20, peerTimeout: 40, downloadsTimeout: 4 });
  const tracker = new Tracker(new Store(memory), new ArrayBuffer(65536));
  for (let infoHash = 1; infoHash <= 120_000; infoHash++) {
    announce(tracker, { infoHash, peer: 1, wanted: 0 }, now() - 100);
  }
  const discarded = new Map<number, number>();
  const libc = {
    pageSize,
    discard(bytes: Uint8Array, from: number, size: number): boolean {
      expect([from % pageSize, size % pageSize]).toEqual([0, 0]);
      bytes.fill(0xee, from, from + size);
      discarded.set(from, size);
      return true;
    },
  };
  const turn = makeSweeping(new Sweep(tracker.store), tracker.store, 4, { libc });
  return { tracker, discarded, turn };
}

test("free pages are released to the system, except a few", async () => {
  const { tracker, discarded, turn } = afterTheRush(4096);
  const { shards } = tracker.store.arena;
  const deadline = now() + 8;
  while (
    (tracker.store.arena.pagesInUse > 300 || shards[POOL_FREE_COUNT] > 64) &&
    now() < deadline
  ) {
    await Bun.sleep(2);
    turn();
  }
  expect(tracker.store.arena.pagesInUse).toBeLessThanOrEqual(300);
  expect(shards[POOL_FREE_COUNT]).toBe(64);
  expect(discarded.size).toBeGreaterThan(200);
  expect(new Set(discarded.values())).toEqual(new Set([8192]));
  expect(brokenInvariants(tracker)).toEqual([]);
  for (let infoHash = 1; infoHash <= 60_000; infoHash++) {
    announce(tracker, { infoHash, peer: 1, wanted: 0 }, now());
  }
  expect(brokenInvariants(tracker)).toEqual([]);
}, 30_000);

test("if many pages are in use, 1/128 of them stays free for reuse", async () => {
  const { tracker, discarded, turn } = afterTheRush(4096);
  const { arena } = tracker.store;
  Object.defineProperty(arena, "pagesInUse", { get: () => 128 * 150 });
  const deadline = now() + 8;
  while (discarded.size < 60 && now() < deadline) {
    await Bun.sleep(2);
    turn();
    expect(arena.shards[POOL_FREE_COUNT] >= 150 || discarded.size === 0).toBe(true);
  }
  expect(discarded.size).toBeGreaterThanOrEqual(60);
}, 30_000);

test("if the system's pages are larger than ours, none are released", async () => {
  const { tracker, discarded, turn } = afterTheRush(16_384);
  const deadline = now() + 8;
  while (tracker.store.arena.pagesInUse > 300 && now() < deadline) {
    await Bun.sleep(2);
    turn();
  }
  expect(tracker.store.arena.shards[POOL_FREE_COUNT]).toBeGreaterThan(200);
  expect(discarded.size).toBe(0);
}, 30_000);

test("a process without other work ends", async () => {
  const program = `
    import { Store } from "./src/swarm/store.ts";
    import { startSweeping } from "./src/start/upkeep.ts";
    import { someMemory } from "./test/swarm/some-memory.ts";
    startSweeping(new Store(someMemory()), 60);
  `;
  const child = Bun.spawn([process.execPath, "-e", program], {
    cwd: join(import.meta.dir, "../.."),
    timeout: 4000,
    stderr: "pipe",
  });
  expect(await child.exited).toBe(0);
  expect(child.signalCode).toBeNull();
});

/** The load after these announces within a second. */
function loadAfter(counted: Partial<Record<CounterName, number>>) {
  const memory = someMemory({ peerTimeoutMax: 10_800 });
  const settings = { targetRate: 10, interval: 1800, intervalMax: 7200, jitterPercent: 10 };
  const load = new Load(settings, stretchMemory());
  const counters = new Counters(counterMemory(1), 0);
  let seconds = 0;
  const measure = followLoad(load, counters, memory, () => seconds++);
  measure();
  const lifetime = () => new Int32Array(memory.shards)[POOL_PEER_LIFETIME];
  const before = lifetime();
  for (const [name, count] of Object.entries(counted)) {
    counters.row[COUNT[name as CounterName]] += count;
  }
  measure();
  return { load, before, after: lifetime() };
}

test("while the load is high, peers are kept longer", () => {
  const { load, before, after } = loadAfter({
    udpAnnouncesIpv4: 100_000,
    httpAnnouncesIpv6: 100_000,
  });
  expect(load.rate).toBeGreaterThan(1000);
  expect(before).toBe(15);
  expect(after).toBeGreaterThan(15);
});

test("peers are kept as long as another tracker keeps them, but no longer than can be", () => {
  const memory = someMemory({ peerTimeout: 600, peerTimeoutMax: 1200 });
  const settings = { targetRate: 0, interval: 300, intervalMax: 300, jitterPercent: 0 };
  const load = new Load(settings, stretchMemory());
  const measure = followLoad(load, new Counters(counterMemory(1), 0), memory, () => 0);
  const minutes = [0, 900, 5000, 0].map((seconds) => {
    load.othersKeptSeconds = seconds;
    measure();
    return (new Int32Array(memory.shards)[POOL_PEER_LIFETIME] * 20) / 60;
  });
  expect(minutes).toEqual([10, 15, 20, 10]);
});

test("early announces, and those over a rate limit, lengthen no interval", () => {
  const { load } = loadAfter({
    udpAnnouncesIpv4: 100_000,
    udpEarly: 100_000,
    httpAnnouncesIpv6: 50_000,
    httpOverRateAnnounces: 50_000,
  });
  expect([load.rate, load.stretch]).toEqual([0, 1]);
});
