/**
 * Restoring: a download counter that is known from elsewhere, given back to its swarm.
 */
import { DOWNLOADS_MAX } from "./blocks.ts";
import { compact, WASTE_ANNOUNCE } from "./compact.ts";
import { hashInfoHash } from "./keyed-hash.ts";
import type { SwarmMemory } from "./memory.ts";
import { lineOf } from "./table.ts";
import type { Tracker } from "./tracker.ts";

/**
 * Gives the swarm of the info hash in `tracker.request` at least so many downloads. One that is not
 * known is made, without peers; it goes as any other does when its time is over. Doing it again
 * changes nothing. Returns false if there is no room.
 */
export function restoreDownloads(
  tracker: Tracker,
  memory: SwarmMemory,
  downloads: number,
  nowSeconds: number,
): boolean {
  const { arena, table, swarms, emptySwarms, emptyTicks } = tracker;
  const { infoHashHalves } = tracker.request;
  const hash = hashInfoHash(memory.keys, infoHashHalves, 0);
  const line = lineOf(hash);
  tracker.enter(line);
  // A counter that outgrows its byte leaves a block behind.
  compact(arena, table, line, WASTE_ANNOUNCE);
  let swarm = table.find(line, hash, infoHashHalves);
  if (swarm === 0 && downloads > 0 && !emptySwarms.isFull(line)) {
    swarm = swarms.create(line, hash, infoHashHalves, 4);
    if (swarm !== 0) emptySwarms.mark(line, hash, swarm, emptyTicks.at(nowSeconds), 0);
  }
  if (swarm !== 0 && downloads > swarms.downloads(swarm)) {
    swarm = swarms.setDownloads(line, swarm, Math.min(downloads, DOWNLOADS_MAX));
  }
  tracker.leave(line);
  return swarm !== 0 || downloads === 0;
}
