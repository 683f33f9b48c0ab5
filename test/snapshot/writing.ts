/**
 * A program that writes snapshots of 60,000 peers to the file in its argument, one after another,
 * until it is killed. It says "begun" before the first, and ends where the file may not grow.
 */
import { announce, makeTracker, MIB } from "../swarm/fixture.ts";
import { write } from "./fixture.ts";

const PEERS = 60_000;

const { tracker, store } = makeTracker(64 * MIB);
for (let peer = 0; peer < PEERS; peer++) {
  announce(tracker, { infoHash: peer % 30_000, peer, wanted: 0 });
}
console.log("begun");
for (let code = ""; code !== "EFBIG";) {
  try {
    await write(store, process.argv[2]!, { turns: true });
  } catch (error) {
    code = (error as NodeJS.ErrnoException).code!;
    if (code === "EFBIG") console.log(code);
  }
}
