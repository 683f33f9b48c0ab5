import { expect, test } from "bun:test";
import { AnnounceReply, AnnounceRequest } from "../../src/swarm/requests.ts";

test("a request's info hash and peer are the same bytes, whole and by halves", () => {
  const { infoHash, infoHashHalves, peer, peerHalves } = new AnnounceRequest();
  expect([infoHash.length, infoHashHalves.length]).toEqual([20, 10]);
  expect([peer.length, peerHalves.length]).toEqual([18, 9]);
  infoHash.set([1, 2], 18);
  peer.set([3, 4], 0);
  expect(infoHashHalves[9]).toBe(0x0201);
  expect(peerHalves[0]).toBe(0x0403);
  expect(infoHash.subarray(0, 18).every((byte) => byte === 0)).toBe(true);
});

test("a reply says nothing before it is filled", () => {
  expect({ ...new AnnounceReply() }).toMatchObject({
    seeders: 0,
    leechers: 0,
    downloads: 0,
    peersIpv4: 0,
    peersIpv6: 0,
    stored: false,
  });
});
