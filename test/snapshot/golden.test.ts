/**
 * The snapshot of format 1 that every later version must read: golden-1.btswarms, as it was written
 * once. Where a new format makes this test fail, the reader is wrong and not the file.
 */
import { expect, test } from "bun:test";
import { copyFileSync, chmodSync } from "node:fs";
import { join } from "node:path";
import { SnapshotReader } from "../../src/snapshot/reader.ts";
import { PutBack } from "../../src/swarm/put-back.ts";
import type { Tracker } from "../../src/swarm/tracker.ts";
import { announce, complete, makeTracker, scrape } from "../swarm/fixture.ts";
import { storedPeer } from "../swarm/stored.ts";
import { ALL, BEGUN, makeFolder } from "./fixture.ts";

const GOLDEN = join(import.meta.dir, "golden-1.btswarms");
/** The tracker was 500 seconds old when the file was begun; a tick of it lasts 10 seconds. */
const NOW = 500;
const LARGE = 300;

/** What the file holds. */
function goldenTracker(): Tracker {
  const { tracker } = makeTracker();
  complete(tracker, { infoHash: 1, peer: 1 }, 100);
  announce(tracker, { infoHash: 1, peer: 2 }, 200);
  announce(tracker, { infoHash: 1, peer: 3, family: 6, seeder: true }, 300);
  announce(tracker, { infoHash: 2, peer: 4, family: 6 }, 490);
  for (let peer = 0; peer < LARGE; peer++) {
    announce(tracker, { infoHash: 3, peer, seeder: peer % 2 === 0, wanted: 0 }, 200 + peer);
  }
  for (let peer = 0; peer < 260; peer++) complete(tracker, { infoHash: 4, peer }, 400);
  for (let peer = 0; peer < 260; peer++) {
    announce(tracker, { infoHash: 4, peer, event: "stopped" }, 400);
  }
  return tracker;
}

test("the snapshot of format 1 is read, with every peer, role, age and counter", () => {
  using folder = makeFolder();
  // A checkout may let its group write.
  copyFileSync(GOLDEN, folder.file);
  chmodSync(folder.file, 0o600);
  const reader = SnapshotReader.open(folder.file)!;
  reader.verify();
  expect(reader.header).toEqual({ begunSeconds: BEGUN, tickSeconds: 10, stretch: 1.5, kept: 2 });
  const { tracker } = makeTracker();
  const back = new PutBack(tracker.store, ALL);
  reader.restore(back, 0, 60);
  reader.close();
  expect(back.counts).toMatchObject({ swarms: 3, peers: 304, expired: 0, refused: 0 });
  const expected = goldenTracker();
  for (let infoHash = 1; infoHash <= 4; infoHash++) {
    expect(scrape(tracker, infoHash)).toEqual(scrape(expected, infoHash));
    for (const family of [4, 6] as const) {
      for (let peer = 0; peer < LARGE; peer++) {
        const before = storedPeer(expected, infoHash, family, peer, NOW);
        expect(storedPeer(tracker, infoHash, family, peer, 60)).toEqual(before);
      }
    }
  }
});
