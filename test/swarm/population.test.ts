import { expect, test } from "bun:test";
import { Arena } from "../../src/swarm/arena.ts";
import { LEECHERS, SEEDERS } from "../../src/swarm/blocks.ts";
import { takeCensus } from "../../src/swarm/census.ts";
import { Population } from "../../src/swarm/population.ts";
import { makeMemory, MIB } from "./fixture.ts";

test("counts and holdings change together as peers come, switch and go", () => {
  const memory = makeMemory(16 * MIB);
  const arena = new Arena(memory);
  const population = new Population(memory, arena);
  const { holdings } = population;
  const peer = new Uint16Array([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const held = () => [holdings.heldByAddress(peer, 0, 4), holdings.heldByAddress(peer, 0, 6)];
  population.came(0, 4, LEECHERS, peer, 0);
  population.came(16, 6, SEEDERS, peer, 0);
  expect(takeCensus(memory)).toMatchObject({ leechersIpv4: 1, seedersIpv6: 1 });
  expect(held()).toEqual([1, 1]);
  population.switched(0, 4, SEEDERS);
  expect(takeCensus(memory)).toMatchObject({ seedersIpv4: 1, leechersIpv4: 0 });
  expect(held()).toEqual([1, 1]);
  population.gone(0, 4, SEEDERS, peer, 0);
  expect(takeCensus(memory)).toMatchObject({ seedersIpv4: 0, leechersIpv4: 0, peersExpired: 0 });
  arena.halves.set(peer, 5000);
  population.expired(16, 6, SEEDERS, 5000);
  expect(takeCensus(memory)).toMatchObject({ seedersIpv6: 0, peersExpired: 1 });
  expect(held()).toEqual([0, 0]);
});
