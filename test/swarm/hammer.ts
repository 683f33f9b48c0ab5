/** A thread that announces to a few swarms, as fast as it can, beside others that do the same. */
import type { SwarmMemory } from "../../src/swarm/memory.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { announce, trackerOver } from "./fixture.ts";

declare const self: Worker;

export interface HammerTask {
  memory: SwarmMemory;
  thread: number;
  announces: number;
}

self.onmessage = ({ data }: MessageEvent<HammerTask>) => {
  const { memory, thread, announces } = data;
  const tracker = trackerOver(memory, thread + 5);
  const sweep = new Sweep(tracker.store);
  let state = thread + 1;
  const below = (n: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * n);
  };
  let odd = 0;
  for (let i = 0; i < announces; i++) {
    // Swarm 0 grows large, the others come and go; peers of one thread are even, of the other odd.
    const infoHash = below(3) === 0 ? 0 : below(40);
    const peer = 2 * below(infoHash === 0 ? 1500 : 200) + thread;
    const family = below(2) === 0 ? 4 : 6;
    const seeder = below(2) === 0;
    // Half of the swarms are downloaded, time and again, and stay; the others go with their peers.
    const last = infoHash < 20 && seeder ? "completed" : "none";
    const event = infoHash > 0 && below(3) === 0 ? "stopped" : last;
    const keys = announce(tracker, { infoHash, peer, family, event, seeder });
    if (keys.some((key) => key.includes(" ")) || new Set(keys).size !== keys.length) odd += 1;
    if (i % 64 === 0) sweep.slice(0, 50);
  }
  // At the end everybody is there, so that the result can be known.
  for (let peer = 0; peer < 500; peer++) {
    announce(tracker, { infoHash: 77, peer: 2 * peer + thread, seeder: thread === 0 });
  }
  postMessage({ odd });
};
