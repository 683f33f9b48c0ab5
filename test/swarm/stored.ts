/** What a store has of one peer. */
import { META_COMPLETED, SEEDERS } from "../../src/swarm/blocks.ts";
import { hashInfoHash } from "../../src/swarm/keyed-hash.ts";
import { ageOf } from "../../src/swarm/records.ts";
import { lineOf } from "../../src/swarm/table.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { setInfoHash, setPeer } from "./fixture.ts";

export interface Stored {
  seeder: boolean;
  completed: boolean;
  age: number;
}

/** A peer as a store has it; its age in seconds. */
export function storedPeer(
  tracker: Tracker,
  infoHash: number,
  family: 4 | 6,
  peer: number,
  now: number,
): Stored | undefined {
  const { store, request } = tracker;
  setInfoHash(tracker, infoHash);
  setPeer(tracker, family, peer);
  const hash = hashInfoHash(store.memory.keys, request.infoHashHalves, 0);
  const swarm = store.table.find(lineOf(hash), hash, request.infoHashHalves);
  const { members, arena, peerTicks } = store;
  if (swarm === 0 || !members.find(swarm, family, request.peerHalves, 0)) return undefined;
  const meta = arena.bytes[members.metaAt(swarm, family)]!;
  return {
    seeder: members.role === SEEDERS,
    completed: (meta & META_COMPLETED) !== 0,
    age: ageOf(meta, peerTicks.at(now)) * peerTicks.seconds,
  };
}
