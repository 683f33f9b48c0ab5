import { expect, test } from "bun:test";
import { countNetworks, rankSwarms } from "../../src/opentracker/ranking.ts";
import { announce, announceFrom, makeTracker } from "../swarm/fixture.ts";

const hashOf = (infoHash: number): string =>
  "5A".repeat(16) + infoHash.toString(16).toUpperCase().padStart(8, "0");

test("swarms are ranked by peers, seeders and leechers of both families", async () => {
  const { tracker } = makeTracker();
  for (let infoHash = 1; infoHash <= 300; infoHash++) announce(tracker, { infoHash });
  for (let peer = 2; peer <= 6; peer++) announce(tracker, { infoHash: 200, peer, family: 6 });
  for (let peer = 2; peer <= 4; peer++) announce(tracker, { infoHash: 7, peer, seeder: true });
  const { peers, seeders, leechers } = await rankSwarms(tracker.store, 10);
  expect(peers.slice(0, 2)).toEqual([
    { infoHash: hashOf(200), count: 6 },
    { infoHash: hashOf(7), count: 4 },
  ]);
  expect(seeders).toEqual([{ infoHash: hashOf(7), count: 3 }]);
  expect(leechers[0]).toEqual({ infoHash: hashOf(200), count: 6 });
  expect(peers).toHaveLength(10);
  expect(leechers.map(({ count }) => count)).toEqual([6, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
});

test("networks are counted over all swarms, IPv4 by /28 and /24, IPv6 by /48", async () => {
  const { tracker } = makeTracker();
  const from = (infoHash: number, c: number, d: number): void =>
    void announceFrom(tracker, { infoHash, address: [10, 0, c, d] });
  for (let host = 0; host < 64; host++) from(1, 0, host);
  for (let host = 1; host < 4; host++) from(2, 0, host);
  for (let host = 0; host < 2; host++) from(3, 1, host);
  for (let host = 1; host < 6; host++) {
    announceFrom(tracker, { infoHash: 4, address: [0x20, 0, 0, 0, 0, 0, host], family: 6 });
  }
  const networks = await countNetworks(tracker.store, 3);
  expect(networks.ipv4By28).toEqual([
    { high: 0x0a000000, low: 0, count: 19 },
    { high: 0x0a000010, low: 0, count: 16 },
    { high: 0x0a000020, low: 0, count: 16 },
  ]);
  expect(networks.ipv4By24).toEqual([
    { high: 0x0a000000, low: 0, count: 67 },
    { high: 0x0a000100, low: 0, count: 2 },
  ]);
  expect(networks.ipv6By48).toEqual([{ high: 0x20000000, low: 0, count: 5 }]);
});

test("without swarms the lists are empty", async () => {
  const { tracker } = makeTracker();
  expect(await rankSwarms(tracker.store, 10)).toEqual({ peers: [], seeders: [], leechers: [] });
});
