import { describe, expect, test } from "bun:test";
import { takeCensus } from "../../src/swarm/census.ts";
import { reserveSwarmMemory, type SwarmSettings } from "../../src/swarm/memory.ts";
import { Newcomers } from "../../src/swarm/newcomers.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import {
  announce,
  countsOf,
  DOWNLOADS_TIMEOUT,
  fixedKeys,
  MIB,
  PEER_TIMEOUT,
  sweepRound,
  trackerOver,
} from "./fixture.ts";

function memoryWith(limits: Partial<SwarmSettings>) {
  const settings = { peerTimeout: PEER_TIMEOUT, downloadsTimeout: DOWNLOADS_TIMEOUT };
  return reserveSwarmMemory(
    { memoryMax: 16 * MIB, threads: false, ...settings, ...limits },
    fixedKeys(),
  );
}

const halves = (...values: number[]): Uint16Array => new Uint16Array(values);

describe("swarms that one address may begin", () => {
  test("are as many as the setting says, and then no more", () => {
    const newcomers = new Newcomers(memoryWith({ swarmsPerAddressMax: 3 }));
    const address = halves(1, 2, 3);
    expect([1, 2, 3, 4, 5].map(() => newcomers.admits(address, 4))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test("are counted by address, whatever the port", () => {
    const newcomers = new Newcomers(memoryWith({ swarmsPerAddressMax: 1 }));
    expect(newcomers.admits(halves(1, 2, 1000), 4)).toBe(true);
    expect(newcomers.admits(halves(1, 2, 2000), 4)).toBe(false);
    expect(newcomers.admits(halves(1, 3, 1000), 4)).toBe(true);
  });

  test("are counted by the /64 of an IPv6 address", () => {
    const newcomers = new Newcomers(memoryWith({ swarmsPerAddressMax: 1 }));
    expect(newcomers.admits(halves(1, 2, 3, 4, 5, 6, 7, 8, 1000), 6)).toBe(true);
    expect(newcomers.admits(halves(1, 2, 3, 4, 9, 9, 9, 9, 1000), 6)).toBe(false);
    expect(newcomers.admits(halves(1, 2, 3, 5, 5, 6, 7, 8, 1000), 6)).toBe(true);
  });

  test("are hardly mistaken for another's: of 10,000 with one each nobody is refused", () => {
    const newcomers = new Newcomers(memoryWith({ swarmsPerAddressMax: 3 }));
    let refused = 0;
    for (let i = 0; i < 10_000; i++) if (!newcomers.admits(halves(i, 7, 1), 4)) refused++;
    expect(refused).toBe(0);
  });

  test("have no limit without the setting", () => {
    const newcomers = new Newcomers(memoryWith({}));
    for (let i = 0; i < 1000; i++) expect(newcomers.admits(halves(1, 2, 3), 4)).toBe(true);
  });

  test("beyond the limit are answered, not stored; swarms of others are joined as ever", () => {
    const memory = memoryWith({ swarmsPerAddressMax: 2 });
    const tracker = trackerOver(memory);
    for (let infoHash = 1; infoHash <= 4; infoHash++) announce(tracker, { infoHash, peer: 1 });
    expect(takeCensus(memory).swarms).toBe(2);
    expect(tracker.reply.stored).toBe(false);
    announce(tracker, { infoHash: 4, peer: 2 });
    announce(tracker, { infoHash: 4, peer: 1 });
    expect(tracker.reply.stored).toBe(true);
    expect(countsOf(tracker)).toEqual([0, 2, 0]);
  });

  test("begin anew after a peer timeout", () => {
    const memory = memoryWith({ swarmsPerAddressMax: 1 });
    const tracker = trackerOver(memory);
    const sweep = new Sweep(tracker);
    announce(tracker, { infoHash: 1, peer: 1 });
    announce(tracker, { infoHash: 2, peer: 1 });
    expect(tracker.reply.stored).toBe(false);
    sweepRound(sweep, PEER_TIMEOUT);
    announce(tracker, { infoHash: 2, peer: 1 }, PEER_TIMEOUT);
    expect(tracker.reply.stored).toBe(true);
  });
});

describe("peers that one swarm may have", () => {
  test.each([5, 300])("are at most %d; those who are there may change their role", (max) => {
    const memory = memoryWith({ peersPerSwarmMax: max });
    const tracker = trackerOver(memory);
    for (let peer = 1; peer <= max + 20; peer++) announce(tracker, { infoHash: 1, peer });
    expect(countsOf(tracker)).toEqual([0, max, 0]);
    expect(tracker.reply.stored).toBe(false);
    announce(tracker, { infoHash: 1, peer: max, seeder: true });
    expect(countsOf(tracker)).toEqual([1, max - 1, 0]);
    announce(tracker, { infoHash: 1, peer: 1, event: "stopped" });
    announce(tracker, { infoHash: 1, peer: max + 1 });
    expect(tracker.reply.stored).toBe(true);
    expect(countsOf(tracker)).toEqual([1, max - 1, 0]);
  });
});
