/** One peer is found and taken out, in small swarms and in large ones. */
import { expect, test } from "bun:test";
import { LEECHERS, SEEDERS } from "../../src/swarm/blocks.ts";
import { hashOf, announce, makeTracker, scrape, setPeer } from "./fixture.ts";
import { brokenInvariants } from "./invariants.ts";
import { lineOf } from "../../src/swarm/table.ts";

test.each([20, 400])("each of %d peers is found in its role, and goes once", (peers) => {
  for (const family of [4, 6] as const) {
    const { tracker } = makeTracker();
    const { request, store } = tracker;
    const { table, members } = store;
    for (let peer = 0; peer < peers; peer++) {
      announce(tracker, { family, peer, seeder: peer % 4 === 0 });
    }
    const hash = hashOf(tracker, 1);
    const line = lineOf(hash);
    const find = (peer: number): boolean => {
      setPeer(tracker, family, peer);
      const swarm = table.find(line, hash, request.infoHashHalves);
      return members.find(swarm, family, request.peerHalves, 0);
    };
    expect(find(peers)).toBe(false);
    for (let peer = 0; peer < peers; peer += 2) {
      expect(find(peer)).toBe(true);
      expect(members.role).toBe(peer % 4 === 0 ? SEEDERS : LEECHERS);
      members.removeFound(line, table.find(line, hash, request.infoHashHalves), family);
      expect(find(peer)).toBe(false);
    }
    expect(scrape(tracker, 1)).toEqual([0, peers / 2, 0]);
    expect(brokenInvariants(tracker)).toEqual([]);
  }
});
