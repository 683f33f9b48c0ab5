/**
 * Eviction: removes the swarms that the lists refuse.
 *
 * Walks all swarms in slices, holding the lock of one shard as briefly as the statistics do. The
 * caller first waits until all threads use the new lists: otherwise an announce in progress could
 * bring a swarm back.
 */
import { INFO_HASH_SIZE } from "../constants.ts";
import { SWARM_INFO_HASH } from "../swarm/blocks.ts";
import type { Store } from "../swarm/store.ts";
import { Walk, WALK_SLICE_UNITS } from "../swarm/walk.ts";
import { type Access, ACCESS_OK } from "./access.ts";
import type { Sliced } from "../host/turns.ts";

/** Swarms removed between two yields. */
const EVICTIONS_PER_STEP = 256;

/** Removes all swarms that `access` refuses; returns their number. */
export function* evictRefused(store: Store, access: Access): Sliced<number> {
  const walk = new Walk(store);
  const { arena } = store;
  let evicted = 0;
  while (!walk.done) {
    const refused: Uint16Array[] = [];
    walk.slice(WALK_SLICE_UNITS, (swarm) => {
      const at = (swarm + SWARM_INFO_HASH) >>> 1;
      if (access.judgeSwarm(arena.halves, at) !== ACCESS_OK) {
        refused.push(arena.halves.slice(at, at + INFO_HASH_SIZE / 2));
      }
      return 1;
    });
    yield;
    for (const [i, hash] of refused.entries()) {
      if (store.evict(hash)) evicted += 1;
      if (i % EVICTIONS_PER_STEP === EVICTIONS_PER_STEP - 1) yield;
    }
  }
  return evicted;
}
