/** The figures that the page, the feed and top share. */
import { expect, test } from "bun:test";

import { COUNT, counterMemory, Counters } from "../../src/counters/counters.ts";
import { Live, type LiveSources } from "../../src/page/live.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { announce } from "../swarm/fixture.ts";
import { someMemory } from "../swarm/some-memory.ts";

/** `drops` is null where the system does not tell. */
function make(drops: number | null = 0, keptSeconds?: number) {
  const memory = someMemory();
  const counters = new Counters(counterMemory(1), 0);
  const clock = { seconds: 0, started: 1_700_000_000.9 };
  const told: { cluster?: ReturnType<NonNullable<LiveSources["cluster"]>> } = {};
  const live = new Live({
    version: "1.2.3",
    wallClock: { at: (seconds: number) => clock.started + seconds },
    counters,
    memory,
    drops: () => drops ?? undefined,
    keptSeconds: () => keptSeconds,
    cluster: () => told.cluster,
    now: () => clock.seconds,
  });
  return {
    live,
    counters,
    clock,
    told,
    tracker: new Tracker(new Store(memory), new ArrayBuffer(65536)),
  };
}

test("swarms, peers and announces per second are current", () => {
  const { live, counters, clock, tracker } = make(12);
  announce(tracker, { infoHash: 1, peer: 1, wanted: 0 }, 1);
  announce(tracker, { infoHash: 1, peer: 2, wanted: 0, seeder: true }, 1);
  announce(tracker, { infoHash: 2, peer: 3, wanted: 0, family: 6 }, 1);
  counters.row[COUNT.udpAnnouncesIpv4] = 20;
  counters.row[COUNT.httpAnnouncesIpv6] = 5;
  counters.row[COUNT.websocketAnnouncesIpv4] = 30;
  clock.seconds = 10;
  live.sample();
  const { memoryUsed, memoryMax, ...figures } = live.figures();
  expect(figures).toEqual({
    version: "1.2.3",
    startedSeconds: 1_700_000_000,
    upSeconds: 10,
    announces: [2, 0, 0, 0.5, 3, 0],
    swarms: 2,
    peers: 3,
    seeders: 1,
    peersIpv6: 1,
    drops: 12,
    keptSecondsAgo: null,
    webSockets: null,
    cluster: null,
    curve: { rates: [0, 0], webSocketRates: [0, 0], spanSeconds: 10 },
  });
  expect(memoryUsed).toBeGreaterThan(0);
  expect(memoryMax).toBeGreaterThan(memoryUsed);
});

test("tell when the swarms were last kept, also before the start", () => {
  for (const kept of [7, -30.5]) {
    const { live, clock } = make(0, kept);
    clock.seconds = 100;
    expect(live.figures().keptSecondsAgo).toBe(Math.floor(100 - kept));
  }
});

test("they are collected once a second, however many requests come", () => {
  const { live, clock, tracker } = make();
  const first = live.figures();
  announce(tracker, { infoHash: 1, peer: 1, wanted: 0 }, 1);
  clock.seconds = 0.9;
  expect(live.figures()).toBe(first);
  clock.seconds = 1.1;
  expect(live.figures().peers).toBe(1);
});

test("the time of the start follows a wall clock that is set later", () => {
  const { live, clock } = make();
  expect(live.figures().startedSeconds).toBe(1_700_000_000);
  clock.started = 1_800_000_000.5;
  clock.seconds = 2;
  expect(live.figures().startedSeconds).toBe(1_800_000_000);
});

test("drops that the system does not tell are null, not 0", () => {
  expect(make(null).live.figures().drops).toBeNull();
  expect(make(0).live.figures().drops).toBe(0);
});

test("a cluster has rates over the last ten seconds", () => {
  const { live, clock, told } = make();
  const deltas = { sent: 1000, received: 0 };
  told.cluster = { up: true, heard: 2, behindSeconds: 3, deltas };
  const other = { up: true, nodes: 2, behindSeconds: 3 };
  expect(live.figures().cluster).toEqual({ ...other, sent: 0, received: 0 });
  for (clock.seconds = 1; clock.seconds <= 30; clock.seconds++) {
    deltas.sent += 5;
    if (clock.seconds > 25) deltas.received += 10;
    live.sample();
  }
  expect(live.figures().cluster).toEqual({ ...other, sent: 5, received: 5 });
});
