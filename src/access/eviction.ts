/**
 * Eviction: removes the swarms that the lists refuse.
 *
 * Walks all swarms in slices, holding the lock of one shard as briefly as the statistics do. The
 * caller first waits until all threads use the new lists: otherwise an announce in progress could
 * bring a swarm back.
 */
import { INFO_HASH_SIZE } from "../constants.ts";
import { SWARM_INFO_HASH } from "../swarm/blocks.ts";
import type { Tracker } from "../swarm/tracker.ts";
import { Walk, WALK_SLICE_UNITS } from "../swarm/walk.ts";
import { type Access, ACCESS_OK } from "./access.ts";
import type { Sliced } from "../host/turns.ts";

/** Swarms removed between two yields. */
const EVICTIONS_PER_STEP = 256;

/** Removes all swarms that `access` refuses; returns their number. */
export function* evictRefused(tracker: Tracker, access: Access): Sliced<number> {
  const walk = new Walk(tracker);
  const { arena } = tracker;
  let evicted = 0;
  while (!walk.done) {
    const refused: Uint8Array[] = [];
    walk.slice(WALK_SLICE_UNITS, (swarm) => {
      const at = swarm + SWARM_INFO_HASH;
      if (access.judgeSwarm(arena.halves, at >>> 1) !== ACCESS_OK) {
        refused.push(arena.bytes.slice(at, at + INFO_HASH_SIZE));
      }
      return 1;
    });
    yield;
    for (const [i, hash] of refused.entries()) {
      tracker.request.infoHash.set(hash);
      if (tracker.evict()) evicted += 1;
      if (i % EVICTIONS_PER_STEP === EVICTIONS_PER_STEP - 1) yield;
    }
  }
  return evicted;
}
