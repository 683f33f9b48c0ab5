import { expect, test } from "bun:test";
import { Sweep } from "../../src/swarm/sweep.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import {
  DOWNLOADS_TIMEOUT,
  MIB,
  announce,
  complete,
  makeTracker,
  scrape,
  setInfoHash,
  sweepRound,
} from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

function raise(
  { tracker, store }: ReturnType<typeof makeTracker>,
  infoHash: number,
  downloads: number,
): boolean {
  setInfoHash(tracker, infoHash);
  return store.raiseDownloads(tracker.request.infoHashHalves, downloads, 0);
}

test("a swarm that is not known gets its downloads, and no peers", () => {
  const made = makeTracker();
  expect(raise(made, 1, 7)).toBe(true);
  expect(scrape(made.tracker, 1)).toEqual([0, 0, 7]);
  expect(takeCensus(made.memory).swarms).toBe(1);
  expect(brokenInvariants(made.tracker)).toEqual([]);
});

test("a download is added to what is known, and makes a swarm that is not", () => {
  const made = makeTracker();
  setInfoHash(made.tracker, 1);
  for (let i = 0; i < 300; i++) {
    expect(made.store.addDownload(made.tracker.request.infoHashHalves, 0)).toBe(true);
  }
  raise(made, 2, 7);
  made.store.addDownload(made.tracker.request.infoHashHalves, 0);
  expect(scrape(made.tracker, 1)).toEqual([0, 0, 300]);
  expect(scrape(made.tracker, 2)).toEqual([0, 0, 8]);
  expect(takeCensus(made.memory).downloads).toBe(301);
  expect(brokenInvariants(made.tracker)).toEqual([]);
});

test("raising a counter twice, or fewer than are known, changes nothing", () => {
  const made = makeTracker();
  for (const downloads of [7, 7, 3, 0]) raise(made, 1, downloads);
  expect(scrape(made.tracker, 1)).toEqual([0, 0, 7]);
});

test("a swarm with peers keeps them", () => {
  const made = makeTracker();
  announce(made.tracker, { infoHash: 1 });
  raise(made, 1, 7);
  complete(made.tracker, { infoHash: 1 });
  expect(scrape(made.tracker, 1)).toEqual([1, 0, 8]);
});

test("no downloads make no swarm", () => {
  const made = makeTracker();
  expect(raise(made, 1, 0)).toBe(true);
  expect(takeCensus(made.memory).swarms).toBe(0);
});

test("a swarm without announces goes after the time of download counters", () => {
  const made = makeTracker();
  raise(made, 1, 7);
  const sweep = new Sweep(made.tracker.store);
  sweepRound(sweep, DOWNLOADS_TIMEOUT - 1);
  expect(scrape(made.tracker, 1)).toEqual([0, 0, 7]);
  sweepRound(sweep, DOWNLOADS_TIMEOUT * 1.1);
  expect(scrape(made.tracker, 1)).toEqual([0, 0, 0]);
});

test("a counter for which there is no room is refused, and makes no other one go", () => {
  const made = makeTracker(16 * MIB);
  let infoHash = 0;
  while (raise(made, infoHash, 1)) infoHash += 1;
  // What swarms without peers may take: an eighth of the memory.
  expect(infoHash).toBeGreaterThan(40_000);
  expect(infoHash).toBeLessThan(60_000);
  for (let at = 0; at < infoHash; at++) expect(scrape(made.tracker, at)).toEqual([0, 0, 1]);
});

test("a counter stops where 31 bits end", () => {
  const made = makeTracker();
  expect(raise(made, 1, 2 ** 31 - 2)).toBe(true);
  for (let peer = 1; peer <= 3; peer++) {
    complete(made.tracker, { infoHash: 1, peer });
  }
  expect(scrape(made.tracker, 1)).toEqual([3, 0, 2 ** 31 - 1]);
  expect(raise(made, 2, 2 ** 40)).toBe(true);
  expect(scrape(made.tracker, 2)).toEqual([0, 0, 2 ** 31 - 1]);
});

test("a counter of 31 bits stays whole when the last peer of a family goes, small or large", () => {
  for (const family of [4, 6] as const) {
    for (const peers of [1, 5, 300]) {
      const made = makeTracker();
      announce(made.tracker, { infoHash: 1, family: family === 4 ? 6 : 4 });
      raise(made, 1, 0x76543210);
      for (let peer = 1; peer <= peers; peer++) announce(made.tracker, { peer, family });
      expect(scrape(made.tracker, 1)).toEqual([0, peers + 1, 0x76543210]);
      for (let peer = 1; peer <= peers; peer++) {
        announce(made.tracker, { peer, family, event: "stopped" });
      }
      sweepRound(new Sweep(made.tracker.store), 0);
      expect(scrape(made.tracker, 1)).toEqual([0, 1, 0x76543210]);
      expect(brokenInvariants(made.tracker)).toEqual([]);
    }
  }
});

test("a counter that outgrows its byte keeps its value where there is no room for more", () => {
  let refused = 0;
  // In some blocks there is room for the longer counter, in others there is none.
  for (let peers = 1; peers <= 12; peers++) {
    const made = makeTracker(4 * MIB);
    expect(raise(made, 1, 255)).toBe(true);
    for (let peer = 1; peer <= peers; peer++) announce(made.tracker, { infoHash: 1, peer });
    for (let infoHash = 2; infoHash < 60_000; infoHash++) {
      announce(made.tracker, { infoHash, peer: 1000 + infoHash });
    }
    const [, leechers] = scrape(made.tracker, 1);
    if (raise(made, 1, 300)) continue;
    refused += 1;
    complete(made.tracker, { infoHash: 1, peer: 1 });
    expect(made.tracker.reply.stored).toBe(true);
    expect(scrape(made.tracker, 1)).toEqual([1, leechers - 1, 255]);
    expect(brokenInvariants(made.tracker)).toEqual([]);
  }
  expect(refused).toBeGreaterThan(0);
});

test("counters that outgrow their byte leave no dead blocks behind that fill the memory", () => {
  const restored = (downloads: number): number => {
    const made = makeTracker(16 * MIB);
    let infoHash = 0;
    for (let failed = 0; failed < 5000; infoHash++) {
      if (!raise(made, infoHash, downloads)) failed += 1;
    }
    expect(brokenInvariants(made.tracker)).toEqual([]);
    return takeCensus(made.memory).swarms;
  };
  expect(restored(256)).toBeGreaterThan(restored(255) * 0.7);
});
