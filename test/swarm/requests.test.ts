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

test("a request is a claim if its peer has another address than it comes from", () => {
  const request = new AnnounceRequest();
  const ask = (peer: number[], family: 4 | 6, from: number[], fromFamily: 4 | 6): void => {
    request.peer.fill(0);
    request.peer.set(peer);
    request.family = family;
    request.comesFrom(new Uint8Array([99, ...from, ...new Array(16).fill(0)]), 1, fromFamily);
  };
  ask([1, 2, 3, 4, 5, 6], 4, [1, 2, 3, 4], 4);
  expect(request.claimed).toBe(false);
  expect(request.chargedHalves).toBe(request.peerHalves);
  for (const from of [
    [1, 2, 3, 5],
    [0, 2, 3, 4],
  ]) {
    ask([1, 2, 3, 4, 5, 6], 4, from, 4);
    expect(request.claimed).toBe(true);
    expect([...request.source.subarray(0, 6)]).toEqual([...from, 5, 6]);
    expect([request.chargedHalves, request.chargedFamily]).toEqual([request.sourceHalves, 4]);
  }
  ask([1, 2, 3, 4, 5, 6], 4, [1, 2, 3, 4], 6);
  expect(request.claimed).toBe(true);
  expect([...request.source]).toEqual([1, 2, 3, 4, ...new Array(12).fill(0), 5, 6]);
  expect(request.chargedFamily).toBe(6);
  ask([1, 2, 3, 4, ...new Array(12).fill(0), 5, 6], 6, [1, 2, 3, 4], 6);
  expect(request.claimed).toBe(false);
  expect(request.chargedFamily).toBe(6);
});
