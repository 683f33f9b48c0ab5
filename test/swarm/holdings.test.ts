/** What addresses and networks may hold, and that it is charged for as long as it lasts. */
import { describe, expect, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { Holdings } from "../../src/swarm/holdings.ts";
import {
  POOL_AVAILABLE,
  reserveSwarmMemory,
  type SwarmSettings,
  takeShortage,
} from "../../src/swarm/memory.ts";
import { NOT_STORED_ADDRESS, NOT_STORED_NETWORK } from "../../src/swarm/requests.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { announce, announceFrom, complete, countsOf, DOWNLOADS_TIMEOUT } from "./fixture.ts";
import { fixedKeys, MIB, PEER_TIMEOUT, sweepRound, trackerOver } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";

function memoryWith(limits: Partial<SwarmSettings>) {
  const settings = { peerTimeout: PEER_TIMEOUT, downloadsTimeout: DOWNLOADS_TIMEOUT };
  return reserveSwarmMemory(
    { memoryMax: 16 * MIB, threads: false, ...settings, ...limits },
    fixedKeys(),
  );
}

const halves = (...values: number[]): Uint16Array => new Uint16Array(values);

describe("what an address holds", () => {
  test("is counted for an IPv4 address whatever the port, and for the /64 of an IPv6 one", () => {
    const holdings = new Holdings(memoryWith({}));
    holdings.charge(halves(1, 2, 1000), 0, 4);
    holdings.charge(halves(1, 2, 2000), 0, 4);
    holdings.charge(halves(1, 3, 1000), 0, 4);
    expect(holdings.heldByAddress(halves(1, 2, 7), 0, 4)).toBe(2);
    expect(holdings.heldByAddress(halves(1, 3, 7), 0, 4)).toBe(1);
    holdings.charge(halves(1, 2, 3, 4, 5, 6, 7, 8, 1000), 0, 6);
    holdings.charge(halves(1, 2, 3, 4, 9, 9, 9, 9, 1000), 0, 6);
    expect(holdings.heldByAddress(halves(1, 2, 3, 4, 0, 0, 0, 0, 1), 0, 6)).toBe(2);
    expect(holdings.heldByAddress(halves(1, 2, 3, 5, 0, 0, 0, 0, 1), 0, 6)).toBe(0);
    holdings.discharge(halves(1, 2, 1000), 0, 4);
    expect(holdings.heldByAddress(halves(1, 2, 7), 0, 4)).toBe(1);
  });

  test("is hardly mistaken for another's: of 10,000 with one each none seems to have four", () => {
    const holdings = new Holdings(memoryWith({}));
    for (let i = 0; i < 10_000; i++) holdings.charge(halves(i, 7, 1), 0, 4);
    let most = 0;
    for (let i = 0; i < 10_000; i++) {
      most = Math.max(most, holdings.heldByAddress(halves(i, 7, 1), 0, 4));
    }
    expect(most).toBeLessThan(4);
  });
});

describe("changes of a thread that answers requests in batches", () => {
  const peer = halves(1, 2, 1000);

  function threads(limits: Partial<SwarmSettings> = {}): [Holdings, Holdings] {
    const memory = memoryWith({ threads: true, ...limits });
    const gathering = new Holdings(memory);
    gathering.gather();
    return [gathering, new Holdings(memory)];
  }

  test("reach the other threads when the batch ends", () => {
    const [gathering, other] = threads();
    for (let i = 0; i < 3; i++) gathering.charge(peer, 0, 4);
    gathering.discharge(peer, 0, 4);
    expect(other.heldByAddress(peer, 0, 4)).toBe(0);
    gathering.settle();
    expect(other.heldByAddress(peer, 0, 4)).toBe(2);
    gathering.settle();
    expect(other.heldByAddress(peer, 0, 4)).toBe(2);
  });

  test("are known to the thread itself at once", () => {
    const [gathering] = threads({ swarmsPerAddressMax: 2 });
    gathering.charge(peer, 0, 4);
    expect(gathering.mayBegin(peer, 0, 4)).toBe(true);
    gathering.charge(peer, 0, 4);
    expect(gathering.mayBegin(peer, 0, 4)).toBe(false);
    gathering.discharge(peer, 0, 4);
    expect(gathering.heldByAddress(peer, 0, 4)).toBe(1);
  });

  test("are not lost when there are more than are gathered", () => {
    const [gathering, other] = threads();
    for (let i = 0; i < 1000; i++) gathering.charge(halves(1, i % 5, 1000), 0, 4);
    expect(other.heldByAddress(peer, 0, 4)).toBeGreaterThan(100);
    gathering.settle();
    for (let i = 0; i < 5; i++) expect(other.heldByAddress(halves(1, i, 9), 0, 4)).toBe(200);
  });

  test("keep a network out of memory that is tight, though none has reached other threads", () => {
    const tight = memoryWith({ threads: true });
    const words = new Int32Array(tight.shards);
    words[POOL_AVAILABLE] = 1;
    const gathering = new Holdings(tight);
    gathering.gather();
    expect(gathering.mayStore(peer, 0, 4)).toBe(true);
    for (let i = 0; i < 100; i++) gathering.charge(halves(1, 2, 1000 + i), 0, 4);
    expect(gathering.mayStore(peer, 0, 4)).toBe(false);
  });
});

describe("an address that holds as much as it may", () => {
  test("begins no more swarms, is answered, and joins the swarms of others as ever", () => {
    const memory = memoryWith({ swarmsPerAddressMax: 2 });
    const tracker = trackerOver(memory);
    for (let infoHash = 1; infoHash <= 4; infoHash++) announce(tracker, { infoHash, peer: 1 });
    expect(takeCensus(memory).swarms).toBe(2);
    expect(tracker.reply.notStored).toBe(NOT_STORED_ADDRESS);
    expect(takeCensus(memory).peersNotStored).toEqual([0, 0, 2, 0, 0]);
    announce(tracker, { infoHash: 4, peer: 2 });
    announce(tracker, { infoHash: 4, peer: 1 });
    expect(tracker.reply.stored).toBe(true);
    expect(countsOf(tracker)).toEqual([0, 2, 0]);
  });

  test("begins others once its peers stop or expire, and not before, however long it takes", () => {
    const memory = memoryWith({ swarmsPerAddressMax: 1 });
    const tracker = trackerOver(memory);
    const sweep = new Sweep(tracker.store);
    const begins = (infoHash: number, now: number): boolean => {
      announce(tracker, { infoHash, peer: 1 }, now);
      return tracker.reply.stored;
    };
    expect([begins(1, 0), begins(2, 0)]).toEqual([true, false]);
    // Ten timeouts later it still holds its swarm, for it has announced all the time.
    let now = 0;
    for (; now < 10 * PEER_TIMEOUT; now += PEER_TIMEOUT / 2) {
      expect(begins(1, now)).toBe(true);
      sweepRound(sweep, now);
    }
    expect(begins(2, now)).toBe(false);
    announce(tracker, { infoHash: 1, peer: 1, event: "stopped" }, now);
    expect([begins(2, now), begins(3, now)]).toEqual([true, false]);
    now += PEER_TIMEOUT + 20;
    sweepRound(sweep, now);
    expect(begins(3, now)).toBe(true);
  });

  test("is charged for a download counter that it left until that counter goes", () => {
    const memory = memoryWith({ swarmsPerAddressMax: 1 });
    const tracker = trackerOver(memory);
    const sweep = new Sweep(tracker.store);
    complete(tracker, { infoHash: 1, peer: 1 });
    announce(tracker, { infoHash: 1, peer: 1, event: "stopped" });
    announce(tracker, { infoHash: 2, peer: 1 });
    expect(tracker.reply.notStored).toBe(NOT_STORED_ADDRESS);
    sweepRound(sweep, DOWNLOADS_TIMEOUT);
    announce(tracker, { infoHash: 2, peer: 1 }, DOWNLOADS_TIMEOUT);
    expect(tracker.reply.notStored).toBe(NOT_STORED_ADDRESS);
    sweepRound(sweep, DOWNLOADS_TIMEOUT + 120);
    announce(tracker, { infoHash: 2, peer: 1 }, DOWNLOADS_TIMEOUT + 120);
    expect(tracker.reply.stored).toBe(true);
    expect(brokenInvariants(tracker)).toEqual([]);
  });

  test("is discharged when a list makes its swarms go", () => {
    const memory = memoryWith({ swarmsPerAddressMax: 150 });
    const tracker = trackerOver(memory);
    for (let port = 1; port <= 150; port++) announceFrom(tracker, { address: [9, 9, 9, 9], port });
    announceFrom(tracker, { address: [9, 9, 9, 9], infoHash: 2 });
    expect(tracker.reply.stored).toBe(false);
    announceFrom(tracker, { address: [8, 8, 8, 8], infoHash: 1 });
    expect(tracker.store.evict(tracker.request.infoHashHalves)).toBe(true);
    announceFrom(tracker, { address: [9, 9, 9, 9], infoHash: 2 });
    expect(tracker.reply.stored).toBe(true);
    expect(brokenInvariants(tracker)).toEqual([]);
  });
});

describe("a network that fills memory with plain announces", () => {
  for (const family of [4, 6] as const) {
    test(`of IPv${family} leaves a quarter of it, and others may use nearly all of that`, () => {
      const memory = memoryWith({});
      const tracker = trackerOver(memory);
      const prefix = family === 4 ? [10, 0, 0] : [0x20, 1, 0xd, 0xb8, 0, 0];
      for (let infoHash = 0; infoHash < 500_000; infoHash++) {
        announceFrom(tracker, { infoHash, address: [...prefix, infoHash & 0xff], family });
      }
      expect(tracker.reply.notStored).toBe(NOT_STORED_NETWORK);
      expect([takeShortage(memory), takeShortage(memory)]).toEqual([true, false]);
      const { memoryOfPages, swarms } = takeCensus(memory);
      expect(swarms).toBeGreaterThan(100_000);
      expect(memoryOfPages).toBeLessThan(0.76 * memory.arena.byteLength);
      // Peers in swarms that were there before, and swarms of their own.
      let stored = 0;
      for (let i = 0; i < 20; i++) {
        announceFrom(tracker, { infoHash: i, address: [20, i, 1, 1] });
        if (tracker.reply.stored) stored += 1;
        announceFrom(tracker, { infoHash: 1_000_000 + i, address: [20, i, 1, 1] });
        if (tracker.reply.stored) stored += 1;
      }
      expect(stored).toBe(40);
      // Those of the network that are stored go on.
      announceFrom(tracker, { infoHash: 5, address: [...prefix, 5], family });
      expect(tracker.reply.stored).toBe(true);
      expect(brokenInvariants(tracker)).toEqual([]);
    }, 30_000);
  }

  test("has followers that never take the last of what is left", () => {
    const memory = memoryWith({});
    const tracker = trackerOver(memory);
    let infoHash = 0;
    for (let network = 0; network < 40; network++) {
      for (let i = 0; i < 40_000; i++) {
        announceFrom(tracker, { infoHash: infoHash++, address: [30, network, 1, i & 0xff] });
      }
    }
    for (let i = 0; i < 20; i++) {
      announceFrom(tracker, { infoHash: infoHash++, address: [20, i, 1, 1] });
      expect(tracker.reply.stored).toBe(true);
    }
  }, 30_000);
});
