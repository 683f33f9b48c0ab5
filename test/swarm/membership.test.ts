/** Where a peer lies after it joined, and what it was before. The twin tests the rules. */
import { describe, expect, test } from "bun:test";
import { LEECHERS, META_TICK, SEEDERS } from "../../src/swarm/blocks.ts";
import { hashInfoHash } from "../../src/swarm/keyed-hash.ts";
import { Membership } from "../../src/swarm/membership.ts";
import { reserveSwarmMemory } from "../../src/swarm/memory.ts";
import { Random } from "../../src/swarm/random.ts";
import { AnnounceRequest, NOT_STORED_ADDRESS, NOT_STORED_SWARM } from "../../src/swarm/requests.ts";
import { Store } from "../../src/swarm/store.ts";
import { lineOf } from "../../src/swarm/table.ts";
import { DOWNLOADS_TIMEOUT, fixedKeys, MIB, PEER_TIMEOUT } from "./fixture.ts";

const TICK = 5;

/** A store, and a peer that joins one swarm of it. */
function open(limits: { peersPerSwarmMax?: number; swarmsPerAddressMax?: number } = {}) {
  const settings = {
    memoryMax: 16 * MIB,
    peerTimeout: PEER_TIMEOUT,
    downloadsTimeout: DOWNLOADS_TIMEOUT,
    threads: false,
    ...limits,
  };
  const store = new Store(reserveSwarmMemory(settings, fixedKeys()));
  const request = new AnnounceRequest();
  const membership = new Membership(store, request, new Random(new Int32Array([1, 2, 3, 4])));
  const hash = hashInfoHash(fixedKeys(), request.infoHashHalves, 0);
  const line = lineOf(hash);
  const find = () => store.table.find(line, hash, request.infoHashHalves);
  const set = (peer: number, seeder: boolean): void => {
    request.peer.set([10, peer >>> 8, peer, 1, 4, peer & 7]);
    request.seeder = seeder;
    membership.member.clear();
  };
  const join = (peer: number, seeder = false): number => {
    set(peer, seeder);
    return membership.join(line, hash, find(), TICK);
  };
  const leave = (peer: number): void => {
    set(peer, false);
    membership.leave(line, hash, find());
  };
  return { store, member: membership.member, join, leave, find };
}

describe.each([
  ["a small swarm", 10],
  ["a large swarm", 1000],
])("in %s", (_name, others) => {
  const fill = () => {
    const opened = open();
    for (let peer = 1; peer <= others; peer++) opened.join(peer);
    return opened;
  };

  test("a peer that is new lies where the record says, with the tick it came at", () => {
    const { store, member, join, find } = fill();
    const swarm = join(0xfff);
    expect(swarm).toBe(find());
    expect(member).toMatchObject({ wasKnown: false, wasLeecher: false, role: LEECHERS });
    expect(member.bucket !== 0).toBe(others > 128);
    expect(store.arena.bytes[member.metaAt] & META_TICK).toBe(TICK);
    expect(store.swarms.leechers(swarm)).toBe(others + 1);
  });

  test("a peer that is known is named so, and its role changes", () => {
    const { store, member, join } = fill();
    const swarm = join(7, true);
    expect(member).toMatchObject({ wasKnown: true, wasLeecher: true, role: SEEDERS });
    expect([store.swarms.seeders(swarm), store.swarms.leechers(swarm)]).toEqual([1, others - 1]);
    join(7, true);
    expect(member).toMatchObject({ wasKnown: true, wasLeecher: false, role: SEEDERS });
  });

  test("a peer that leaves is gone, and one that is not there changes nothing", () => {
    const { store, leave, find } = fill();
    for (const peer of [7, 7, 0xfff]) leave(peer);
    expect(store.swarms.peers(find())).toBe(others - 1);
  });
});

test("a full swarm of one network each refuses a peer, and says so", () => {
  const { member, join } = open({ peersPerSwarmMax: 3 });
  for (const peer of [1, 2, 3]) join(peer << 8);
  expect(join(9 << 8)).toBe(0);
  expect(member.notStored).toBe(NOT_STORED_SWARM);
  expect(member.index).toBe(-1);
});

test("an address that may begin no swarm is refused before the swarm is made", () => {
  const { store, member, join, find } = open({ swarmsPerAddressMax: 0 });
  expect(join(1)).toBe(0);
  expect(member.notStored).toBe(NOT_STORED_ADDRESS);
  expect(find()).toBe(0);
  expect(store.arena.pagesInUse).toBe(1);
});
