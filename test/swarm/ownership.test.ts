/** Only the address that stored a peer touches it, and is charged for it. */
import { describe, expect, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import type { SwarmSettings } from "../../src/swarm/memory.ts";
import {
  NOT_STORED_ADDRESS,
  NOT_STORED_CLAIM,
  NOT_STORED_SWARM,
} from "../../src/swarm/requests.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { announceFrom, countsOf, makeMemory, MIB, PEER_TIMEOUT } from "./fixture.ts";
import { type PlacedAnnounce, scrape, sweepRound, trackerOver } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

const VICTIM = [60, 1, 1, 1];
const STRANGER = [70, 1, 1, 1];
const OTHER = [80, 1, 1, 1];

function open(limits: Partial<SwarmSettings> = {}, memoryMax = 64 * MIB): Tracker {
  return trackerOver(makeMemory(memoryMax, false, { claims: true, ...limits }));
}

/** Announces and returns whether the peer is stored now. */
function stores(tracker: Tracker, announced: PlacedAnnounce): boolean {
  announceFrom(tracker, announced);
  return tracker.reply.stored;
}

const heldBy = (tracker: Tracker, [a, b, c, d]: number[]): number =>
  tracker.store.population.holdings.heldByAddress(
    new Uint16Array([a! | (b! << 8), c! | (d! << 8)]),
    0,
    4,
  );

for (const [kind, beside] of [
  ["small", 0],
  ["large", 300],
] as const) {
  describe(`in a ${kind} swarm`, () => {
    const filled = (limits: Partial<SwarmSettings> = {}): Tracker => {
      const tracker = open(limits);
      for (let i = 0; i < beside; i++) announceFrom(tracker, { address: [9, i >> 8, i & 255, 1] });
      return tracker;
    };

    test("a client that claims the address of a peer cannot stop, change or refresh it", () => {
      const tracker = filled();
      expect(stores(tracker, { address: VICTIM, seeder: true })).toBe(true);
      for (const from of [STRANGER, [0x2a, 1], OTHER.concat(1)]) {
        announceFrom(tracker, { address: VICTIM, from, event: "stopped" });
        expect(countsOf(tracker)).toEqual([1, beside, 0]);
        expect(stores(tracker, { address: VICTIM, from, now: PEER_TIMEOUT / 2 })).toBe(false);
        expect(tracker.reply.notStored).toBe(NOT_STORED_CLAIM);
        expect(tracker.reply.ticksSinceLast).toBe(-1);
        expect(countsOf(tracker)).toEqual([1, beside, 0]);
      }
      expect(heldBy(tracker, STRANGER)).toBe(0);
      sweepRound(new Sweep(tracker.store), PEER_TIMEOUT + 20);
      expect(scrape(tracker, 1)).toEqual([0, 0, 0]);
      expect(brokenInvariants(tracker)).toEqual([]);
    });

    test("only the owner of a claim can refresh, change and stop it", () => {
      const tracker = filled();
      expect(stores(tracker, { address: VICTIM, from: STRANGER })).toBe(true);
      expect(stores(tracker, { address: VICTIM, from: OTHER })).toBe(false);
      announceFrom(tracker, { address: VICTIM, from: OTHER, event: "stopped" });
      expect(stores(tracker, { address: VICTIM, from: STRANGER, seeder: true })).toBe(true);
      expect(tracker.reply.ticksSinceLast).toBe(0);
      expect(countsOf(tracker)).toEqual([1, beside, 0]);
      expect([heldBy(tracker, STRANGER), heldBy(tracker, VICTIM)]).toEqual([1, 0]);
      expect(brokenInvariants(tracker)).toEqual([]);
      announceFrom(tracker, { address: VICTIM, from: STRANGER, event: "stopped" });
      expect(countsOf(tracker)).toEqual([0, beside, 0]);
      expect(heldBy(tracker, STRANGER)).toBe(0);
      expect(stores(tracker, { address: VICTIM, from: OTHER })).toBe(true);
      expect(brokenInvariants(tracker)).toEqual([]);
    });

    test("an address has its ports for itself, whatever was claimed before", () => {
      const tracker = filled();
      const claim = { address: VICTIM, from: STRANGER, seeder: true };
      expect(stores(tracker, claim)).toBe(true);
      announceFrom(tracker, { address: VICTIM, from: STRANGER, event: "completed", seeder: true });
      expect(stores(tracker, { address: VICTIM })).toBe(true);
      expect(countsOf(tracker)).toEqual([0, beside + 1, 0]);
      expect([heldBy(tracker, STRANGER), heldBy(tracker, VICTIM)]).toEqual([0, 1]);
      expect(stores(tracker, claim)).toBe(false);
      announceFrom(tracker, { address: VICTIM, event: "completed", seeder: true });
      expect(countsOf(tracker)).toEqual([1, beside, 1]);
      expect(brokenInvariants(tracker)).toEqual([]);
    });

    test("an address stops what others claimed in its name", () => {
      const tracker = filled();
      announceFrom(tracker, { address: VICTIM, from: STRANGER, seeder: true });
      announceFrom(tracker, { address: VICTIM, event: "stopped" });
      expect(countsOf(tracker)).toEqual([0, beside, 0]);
      expect(brokenInvariants(tracker)).toEqual([]);
    });

    test("a claim makes no seeder of peers that are stored or that come later", () => {
      const tracker = filled();
      for (let i = 0; i < 50; i++) announceFrom(tracker, { address: [60, i, 1, 1] });
      for (let i = 0; i < 100; i++) {
        announceFrom(tracker, { address: [60, i, 1, 1], from: STRANGER, seeder: true });
      }
      for (let i = 50; i < 100; i++) announceFrom(tracker, { address: [60, i, 1, 1] });
      expect(countsOf(tracker)).toEqual([0, beside + 100, 0]);
    });

    test("an address claims as many peers as it may have of its own, and each is its", () => {
      const tracker = filled({ peersPerAddressMax: 20 });
      const stored = Array.from({ length: 30 }, (_, i) =>
        stores(tracker, { address: [60, i, 1, 1], from: STRANGER }),
      ).filter((done) => done).length;
      expect(stored).toBe(20);
      expect(tracker.reply.notStored).toBe(NOT_STORED_CLAIM);
      expect(stores(tracker, { address: [60, 90, 1, 1], from: OTHER })).toBe(true);
      expect(stores(tracker, { address: [60, 90, 1, 1], from: STRANGER, infoHash: 2 })).toBe(true);
      expect(heldBy(tracker, STRANGER)).toBe(21);
      expect(brokenInvariants(tracker)).toEqual([]);
    });

    test("peers of an address give way to each other only after what others claim there", () => {
      const tracker = filled({ peersPerAddressMax: 20 });
      for (let port = 1; port <= 5; port++) announceFrom(tracker, { address: VICTIM, port });
      for (let port = 100; port < 200; port++) {
        announceFrom(tracker, { address: VICTIM, from: port % 2 ? STRANGER : OTHER, port });
      }
      expect(countsOf(tracker)).toEqual([0, beside + 5 + 40, 0]);
      for (let port = 6; port <= 20; port++) {
        const seeder = port % 2 === 0;
        expect(stores(tracker, { address: VICTIM, port, seeder })).toBe(true);
      }
      // All 20 are there: none has to be stored anew.
      for (let port = 1; port <= 20; port++) {
        announceFrom(tracker, { address: VICTIM, port });
        expect(tracker.reply.ticksSinceLast).toBe(0);
      }
      expect(brokenInvariants(tracker)).toEqual([]);
    });
  });
}

describe("a victim whose address is claimed a thousand times", () => {
  test("begins as many swarms as ever, while the stranger has used its own quota up", () => {
    const tracker = open({ swarmsPerAddressMax: 100 });
    let claimed = 0;
    for (let infoHash = 0; infoHash < 1000; infoHash++) {
      if (stores(tracker, { infoHash, address: VICTIM, from: STRANGER })) claimed += 1;
    }
    expect(claimed).toBe(100);
    expect(tracker.reply.notStored).toBe(NOT_STORED_ADDRESS);
    for (let i = 0; i < 20; i++) {
      expect(stores(tracker, { infoHash: 5000 + i, address: VICTIM })).toBe(true);
      expect(stores(tracker, { infoHash: 6000 + i, address: STRANGER })).toBe(false);
    }
    expect(heldBy(tracker, VICTIM)).toBe(20);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("is not charged for swarms that others leave in its name", () => {
    const tracker = open();
    for (let infoHash = 0; infoHash < 50; infoHash++) {
      const claim = { infoHash, address: VICTIM, from: STRANGER };
      announceFrom(tracker, claim);
      announceFrom(tracker, { ...claim, event: "completed", seeder: true });
      announceFrom(tracker, { ...claim, event: "stopped" });
    }
    expect(takeCensus(tracker.store.memory)).toMatchObject({ swarms: 50, swarmsEmpty: 50 });
    expect([heldBy(tracker, STRANGER), heldBy(tracker, VICTIM)]).toEqual([50, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("counts its download, and the stranger one for each of its own ports", () => {
    const tracker = open();
    const download = (announced: PlacedAnnounce): void => {
      announceFrom(tracker, announced);
      announceFrom(tracker, { ...announced, event: "completed", seeder: true });
      announceFrom(tracker, { ...announced, event: "stopped" });
    };
    for (let i = 0; i < 100; i++) download({ address: [60, 1, 1, i], from: STRANGER });
    expect(scrape(tracker, 1)[2]).toBe(1);
    download({ address: [60, 1, 1, 7] });
    expect(scrape(tracker, 1)[2]).toBe(2);
  });
});

describe("a swarm that is full of peers and claims", () => {
  test("lets claims go before peers, and takes no more claims", () => {
    const tracker = open({ peersPerSwarmMax: 40 });
    for (let i = 0; i < 20; i++) announceFrom(tracker, { address: [60, 1, 1, i] });
    for (let i = 0; i < 30; i++) {
      const stored = stores(tracker, { address: [61, i, 1, 1], from: STRANGER });
      expect(stored).toBe(i < 20);
    }
    expect(tracker.reply.notStored).toBe(NOT_STORED_SWARM);
    // The peers of one network would be the first to go, if there were no claims.
    for (let i = 0; i < 20; i++) expect(stores(tracker, { address: [90, i, 1, 1] })).toBe(true);
    expect(heldBy(tracker, STRANGER)).toBe(0);
    for (let i = 0; i < 20; i++) {
      announceFrom(tracker, { address: [60, 1, 1, i] });
      expect(tracker.reply.ticksSinceLast).toBe(0);
    }
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("lets them go too where the page of a network is full of them", () => {
    const tracker = open({}, 1024 * MIB);
    for (let i = 0; i < 200; i++) announceFrom(tracker, { address: [9, 1, i, 1] });
    for (let port = 1; port <= 20; port++) announceFrom(tracker, { address: VICTIM, port });
    const address = [60, 1, 1, 9];
    for (let port = 1; port <= 1200; port++) announceFrom(tracker, { address, from: OTHER, port });
    expect(tracker.reply.notStored).toBe(NOT_STORED_SWARM);
    for (let port = 21; port <= 60; port++) {
      expect(stores(tracker, { address: VICTIM, port })).toBe(true);
    }
    for (let port = 1; port <= 60; port++) {
      announceFrom(tracker, { address: VICTIM, port });
      expect(tracker.reply.ticksSinceLast).toBe(0);
    }
    expect(brokenInvariants(tracker)).toEqual([]);
  });
});

test("claims end with their peers: by age, with their swarm, and when they are replaced", () => {
  const tracker = open({}, 512 * MIB);
  const claim = (infoHash: number, n: number, now = 0): boolean =>
    stores(tracker, { infoHash, address: [60, n, 1, 1], from: [70, 1, 1, n], now });
  for (let n = 0; n < 200; n++) claim(1, n);
  for (let n = 0; n < 100; n++) claim(2, n);
  expect(brokenInvariants(tracker)).toEqual([]);
  claim(2, 0);
  expect(tracker.store.evict(tracker.request.infoHashHalves)).toBe(true);
  expect(brokenInvariants(tracker)).toEqual([]);
  expect(heldBy(tracker, [70, 1, 1, 5])).toBe(1);
  for (let n = 0; n < 100; n++) claim(2, n, PEER_TIMEOUT / 2);
  sweepRound(new Sweep(tracker.store), PEER_TIMEOUT + 20);
  expect(scrape(tracker, 1)).toEqual([0, 0, 0]);
  expect(scrape(tracker, 2)).toEqual([0, 100, 0]);
  expect(heldBy(tracker, [70, 1, 1, 150])).toBe(0);
  expect(brokenInvariants(tracker)).toEqual([]);
});
