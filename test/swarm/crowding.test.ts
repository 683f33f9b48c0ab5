/** No place owns a swarm, nor a reply. */
import { describe, expect, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { BUCKET_PEERS_MAX } from "../../src/swarm/directories.ts";
import { reserveSwarmMemory, type SwarmSettings } from "../../src/swarm/memory.ts";
import { NOT_STORED_SWARM } from "../../src/swarm/requests.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { announce, announceFrom, countsOf, DOWNLOADS_TIMEOUT, fixedKeys } from "./fixture.ts";
import { MIB, PEER_TIMEOUT, scrape, sweepRound, trackerOver } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

function trackerWith(limits: Partial<SwarmSettings>, memoryMax = 64 * MIB): Tracker {
  const settings = { peerTimeout: PEER_TIMEOUT, downloadsTimeout: DOWNLOADS_TIMEOUT };
  return trackerOver(
    reserveSwarmMemory({ memoryMax, threads: false, ...settings, ...limits }, fixedKeys()),
  );
}

/** Twenty honest peers, each of a network of its own, of which one in four seeds. */
function comeHonest(tracker: Tracker, family: 4 | 6, now = 0): string[] {
  return Array.from({ length: 20 }, (_, i) => {
    const address = family === 4 ? [60 + i, 5, 5, 5] : [0x26, i, 5, 5, 5, 5, 5, 5];
    announceFrom(tracker, { address, family, port: 5555, seeder: i % 4 === 0, now });
    const bytes = new Uint8Array(16);
    bytes.set(address);
    return family === 4 ? `${address.join(".")}:5555` : `[${bytes.toHex()}]:5555`;
  });
}

describe("peers of one address in a swarm", () => {
  for (const [name, max] of [
    ["small", 5],
    ["large", 200],
  ] as const) {
    test(`are at most as many as set, in a ${name} swarm; one more replaces the oldest`, () => {
      const tracker = trackerWith({ peersPerAddressMax: max });
      const address = [9, 9, 9, 9];
      for (let port = 1; port <= max + 50; port++) {
        const now = port * 2;
        announceFrom(tracker, { address, port, seeder: port % 2 === 0, now });
        expect(tracker.reply.stored).toBe(true);
        const { seeders, leechers } = tracker.reply;
        expect(seeders + leechers).toBe(Math.min(port, max));
      }
      // Another address of the same network has room, and is told of the others.
      const told = announceFrom(tracker, { address: [9, 9, 9, 8], wanted: 500, now: 600 });
      const ports = told.map((peer) => Number(peer.split(":")[1])).sort((a, b) => a - b);
      // A tick is ten seconds: the oldest are known to five announces.
      expect(ports.length).toBe(max);
      expect(ports[0]).toBeGreaterThan(40);
      expect(ports.at(-1)).toBe(max + 50);
      expect(brokenInvariants(tracker)).toEqual([]);
    });
  }

  test("are those of a /64 with IPv6", () => {
    const tracker = trackerWith({ peersPerAddressMax: 3 });
    for (let i = 0; i < 10; i++) {
      announceFrom(tracker, { address: [0x20, 1, 0, 0, 0, 0, 0, 1, i], family: 6 });
    }
    expect(countsOf(tracker)).toEqual([0, 3, 0]);
    announceFrom(tracker, { address: [0x20, 1, 0, 0, 0, 0, 0, 2], family: 6 });
    expect(countsOf(tracker)).toEqual([0, 4, 0]);
  });

  test("may change their role when there are as many as may be", () => {
    const tracker = trackerWith({ peersPerAddressMax: 200 });
    for (let port = 1; port <= 200; port++) announceFrom(tracker, { address: [9, 9, 9, 9], port });
    for (let port = 1; port <= 200; port++) {
      announceFrom(tracker, { address: [9, 9, 9, 9], port, seeder: true });
    }
    expect(countsOf(tracker)).toEqual([200, 0, 0]);
  });
});

describe("a swarm that is full", () => {
  test.each([5, 300])("at %d peers of as many networks takes no more of them", (max) => {
    const tracker = trackerWith({ peersPerSwarmMax: max });
    for (let peer = 1; peer <= max + 20; peer++) announce(tracker, { infoHash: 1, peer });
    expect(countsOf(tracker)).toEqual([0, max, 0]);
    expect(tracker.reply.notStored).toBe(NOT_STORED_SWARM);
    announce(tracker, { infoHash: 1, peer: max, seeder: true });
    expect(countsOf(tracker)).toEqual([1, max - 1, 0]);
    announce(tracker, { infoHash: 1, peer: 1, event: "stopped" });
    announce(tracker, { infoHash: 1, peer: max + 1 });
    expect(tracker.reply.stored).toBe(true);
    expect(countsOf(tracker)).toEqual([1, max - 1, 0]);
  });

  for (const max of [60, 400]) {
    for (const family of [4, 6] as const) {
      test(`at ${max} peers lets newcomers replace peers of what holds most, IPv${family}`, () => {
        const tracker = trackerWith({ peersPerSwarmMax: max });
        for (let port = 1; port <= 2 * max; port++) {
          announceFrom(tracker, { address: [9, 9, 9, port & 0xff], port, seeder: port % 2 === 0 });
        }
        expect(tracker.reply.seeders + tracker.reply.leechers).toBe(max);
        const honest = comeHonest(tracker, family);
        expect(tracker.reply.stored).toBe(true);
        expect(tracker.reply.seeders + tracker.reply.leechers).toBe(max);
        const told = announceFrom(tracker, {
          address: [1, 1, 1, 1],
          port: 0,
          wanted: 1000,
          bothFamilies: true,
        });
        expect(honest.filter((peer) => told.includes(peer))).toEqual(honest);
        expect(brokenInvariants(tracker)).toEqual([]);
      });
    }
  }
});

test("in a full swarm the network that holds most gives way, of whichever family it is", () => {
  const tracker = trackerWith({ peersPerSwarmMax: 300 });
  const honest: string[] = [];
  for (let i = 0; i < 44; i++) {
    const address = [60 + (i >> 1), 5, 5, i & 1];
    announceFrom(tracker, { address, port: 5555 });
    honest.push(`${address.join(".")}:5555`);
  }
  for (let port = 1; port <= 256; port++) {
    announceFrom(tracker, { address: [0x20, 1], family: 6, port });
  }
  for (let i = 0; i < 40; i++) {
    announceFrom(tracker, { address: [120 + i, 1, 1, 1] });
    expect(tracker.reply.stored).toBe(true);
  }
  const told = announceFrom(tracker, { address: [1, 1, 1, 1], port: 0, wanted: 500 });
  expect(honest.filter((peer) => !told.includes(peer))).toEqual([]);
});

test("an address that makes room in its other role does not overfill the bucket it joins", () => {
  const tracker = trackerWith({ peersPerAddressMax: 256 });
  for (let host = 1; host <= 5; host++) {
    for (let port = 1; port <= 256; port++) {
      announceFrom(tracker, { address: [9, 9, 9, host], port });
    }
  }
  for (let port = 1; port <= 256; port++) {
    announceFrom(tracker, { address: [9, 9, 9, 6], port, seeder: true });
  }
  for (let port = 1000; port < 1300; port++) {
    announceFrom(tracker, { address: [9, 9, 9, 6], port });
    expect(tracker.reply.stored).toBe(true);
  }
  expect(takeCensus(tracker.store.memory).peersNotStored).toEqual([0, 0, 0, 0, 0]);
  expect(brokenInvariants(tracker)).toEqual([]);
});

test.each([4, 6] as const)(
  "leechers of IPv%d become seeders though their bucket is full",
  (family) => {
    const tracker = trackerWith({});
    const crowd = family === 4 ? [9, 9, 9, 9] : [0x20, 1];
    for (let port = 1; port <= BUCKET_PEERS_MAX[family]; port++) {
      announceFrom(tracker, { address: crowd, family, port, seeder: true });
    }
    // Of the same network, so that they share its bucket.
    const address = family === 4 ? [9, 9, 9, 1] : [0x20, 1, 0, 0, 0, 0, 1];
    for (let port = 1; port <= 40; port++) announceFrom(tracker, { address, family, port });
    for (let port = 1; port <= 40; port++) {
      announceFrom(tracker, { address, family, port, seeder: true });
    }
    expect(tracker.reply.leechers).toBe(0);
    expect(brokenInvariants(tracker)).toEqual([]);
  },
);

describe("a network's peers in a large swarm", () => {
  test.each([4, 6] as const)("of IPv%d fill one page, and then replace each other", (family) => {
    const tracker = trackerWith({});
    const address = family === 4 ? [9, 9, 9, 9] : [0x20, 1];
    for (let port = 1; port <= 3000; port++) {
      announceFrom(tracker, { address, family, port });
      expect(tracker.reply.stored).toBe(true);
    }
    expect(countsOf(tracker)).toEqual([0, BUCKET_PEERS_MAX[family], 0]);
    const honest = comeHonest(tracker, family);
    const asks = { address: [1, 1, 1, 1], family, port: 0, wanted: 450 };
    const told = announceFrom(tracker, asks);
    expect(told).toContain(honest[1]);
    sweepRound(new Sweep(tracker.store), 2 * PEER_TIMEOUT);
    expect(scrape(tracker, 1)).toEqual([0, 0, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
  });
});

describe("of 500 replies of 50, nine in ten hold one of 20 honest peers that came before", () => {
  /** Peers that attack, how many networks they are of, and how many of one come in a row. */
  const ATTACKS = [
    [108, 2, 11],
    [108, 16, 11],
    [108, 16, 1],
    [1500, 16, 11],
    [256, 16, 1],
    [1024, 64, 1],
    [1024, 64, 16],
  ] as const;
  test.each(ATTACKS)("%d peers of %d networks in runs of %d", (peers, networks, run) => {
    const tracker = trackerWith({ peersPerAddressMax: 256 });
    const honest = comeHonest(tracker, 4);
    for (let i = 0; i < peers; i++) {
      const network = Math.floor(i / run) % networks;
      announceFrom(tracker, { address: [9, 9, network, 9], port: 1 + i });
    }
    let held = 0;
    for (let i = 0; i < 500; i++) {
      const told = announceFrom(tracker, { address: [77, 7, 7, 7], port: 0, wanted: 50 });
      if (told.some((peer) => honest.includes(peer))) held += 1;
    }
    expect(held).toBeGreaterThanOrEqual(450);
  });
});

describe("of 100 replies of 50, more than 90 hold one of 20 honest peers beside", () => {
  /** How many attackers there are, ports of each for 16, and the address of number `i`. */
  const ATTACKS: Record<string, [4 | 6, number, number, (i: number) => number[]]> = {
    "16 addresses of one network": [4, 16, 4096, (i) => [9, 9, 9, i]],
    "16 addresses of as many networks": [4, 16, 65_535, (i) => [9, 9, i, 9]],
    "16 IPv6 networks of one /32": [6, 16, 4096, (i) => [0x20, 1, 13, 13, i]],
    "65,536 IPv6 networks of one /48": [
      6,
      65_536,
      8192,
      (i) => [0x20, 1, 13, 13, 1, 1, i >> 8, i & 255],
    ],
  };
  for (const [name, [family, places, ports, addressOf]] of Object.entries(ATTACKS)) {
    for (const first of ["attackers", "honest"] as const) {
      test(`${name}, when ${first} come first`, () => {
        const tracker = trackerWith({ peersPerAddressMax: 256, peersPerSwarmMax: 1_000_000 });
        let honest = first === "honest" ? comeHonest(tracker, family) : [];
        for (let i = 0; i < 16 * ports; i++) {
          const port = 1 + Math.floor(i / places);
          const seeder = i % 3 !== 0;
          announceFrom(tracker, { address: addressOf(i % places), family, port, seeder });
        }
        if (first === "attackers") honest = comeHonest(tracker, family);
        for (const seeder of [false, true]) {
          let held = 0;
          for (let i = 0; i < 100; i++) {
            const address = family === 4 ? [77, 7, 7, 7] : [0x2a, 7];
            const asks = { address, family, port: 7, wanted: 50, seeder } as const;
            const told = announceFrom(tracker, asks);
            expect(told.length).toBe(50);
            expect(new Set(told).size).toBe(50);
            if (told.some((peer) => honest.includes(peer))) held += 1;
          }
          expect(held).toBeGreaterThanOrEqual(90);
        }
      }, 60_000);
    }
  }
});
