import { expect, test } from "bun:test";
import { Arena } from "../../src/swarm/arena.ts";
import { LEECHERS, SEEDERS } from "../../src/swarm/blocks.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { Population } from "../../src/swarm/population.ts";
import { AnnounceRequest } from "../../src/swarm/requests.ts";
import { makeMemory, MIB } from "./fixture.ts";

test("counts and holdings change together as peers come, switch and go", () => {
  const memory = makeMemory(16 * MIB);
  const arena = new Arena(memory);
  const population = new Population(memory, arena);
  const { holdings } = population;
  const request = new AnnounceRequest();
  const peer = request.peerHalves;
  peer.set([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  arena.halves.set(peer, 5000);
  const held = () => [holdings.heldByAddress(peer, 0, 4), holdings.heldByAddress(peer, 0, 6)];
  population.came(0, LEECHERS, request);
  request.family = 6;
  population.came(16, SEEDERS, request);
  expect(takeCensus(memory)).toMatchObject({ leechersIpv4: 1, seedersIpv6: 1 });
  expect(held()).toEqual([1, 1]);
  population.switched(0, 4, SEEDERS);
  expect(takeCensus(memory)).toMatchObject({ seedersIpv4: 1, leechersIpv4: 0 });
  expect(held()).toEqual([1, 1]);
  population.gone(0, 64, 4, SEEDERS, 5000);
  expect(takeCensus(memory)).toMatchObject({ seedersIpv4: 0, leechersIpv4: 0, peersExpired: 0 });
  population.expired(16, 64, 6, SEEDERS, 5000);
  expect(takeCensus(memory)).toMatchObject({ seedersIpv6: 0, peersExpired: 1 });
  expect(held()).toEqual([0, 0]);
});

test("peers that are put side by side are counted and charged, each to its own address", () => {
  const memory = makeMemory(16 * MIB);
  const arena = new Arena(memory);
  const population = new Population(memory, arena);
  const { holdings } = population;
  arena.halves.set([1, 2, 3, 1, 2, 4, 5, 6, 7], 5000);
  population.put(0, 4, 1, 2, 5000);
  expect(takeCensus(memory)).toMatchObject({ seedersIpv4: 1, leechersIpv4: 2 });
  const held = [0, 6].map((at) => holdings.heldByAddress(arena.halves, 5000 + at, 4));
  expect(held).toEqual([2, 1]);
});
