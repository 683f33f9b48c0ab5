/**
 * Trackers that share their peers and have snapshots: what a restart asks for, and what is left
 * when all of them end at once. Skipped, and said so, where `nats-server` is not installed.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keptBytes } from "../../src/cluster/kept.ts";
import { RECORDS_BYTES_MAX } from "../../src/snapshot/format.ts";
import { writeSnapshot } from "../../src/snapshot/writer.ts";
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { until } from "../until.ts";
import { announce as fillSwarm, makeTracker, MIB } from "../swarm/fixture.ts";
import { announce, CONNECTED, type Observed, observed, untilAll } from "./clustered.ts";

const MINUTE = 60_000;
const OLD_SECONDS = 600;
const OLD_PEERS = 1000;
const CAUGHT_UP = "caught up with other trackers";

function makeFolder(): Disposable & { file: (name: string) => string } {
  const path = mkdtempSync(join(tmpdir(), "buntracker-cluster-"));
  return {
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true }),
  };
}

/** Writes a snapshot of ten minutes ago, with peers that announced then. */
async function writeOld(path: string, notes?: Uint8Array): Promise<void> {
  const { tracker, store } = makeTracker(64 * MIB);
  for (let peer = 0; peer < OLD_PEERS; peer++) {
    fillSwarm(tracker, { infoHash: peer, peer, wanted: 0 });
  }
  const begunSeconds = Math.floor(Date.now() / 1000) - OLD_SECONDS;
  const chunk = new Uint8Array(RECORDS_BYTES_MAX);
  const options = { chunk, stretch: 1, kept: 1, turns: false, clock: () => 0, notes };
  await writeSnapshot({ path, store, begunSeconds, ...options });
}

/** A tracker that keeps its swarms in a file. */
function keeping(nats: NatsServer, node: string, file: string, interval = "5m"): Promise<Observed> {
  const changes = { TRACKER_SNAPSHOT_FILE: file, TRACKER_SNAPSHOT_INTERVAL: interval };
  return observed(nats.url, node, changes);
}

const pulledBy = ({ metric }: Observed) => metric("tracker_cluster_pulled_peers_total");

describe.skipIf(NATS_SERVER === null)("trackers with snapshots (nats-server)", () => {
  test(
    "take over all of a file that names no batches, and after a restart only what is younger",
    async () => {
      using folder = makeFolder();
      await using nats = await NatsServer.start();
      const [first, second] = [folder.file("one"), folder.file("two")];
      await writeOld(first);
      await using one = await keeping(nats, "one", first);
      const two = await keeping(nats, "two", second);
      await two.says(CAUGHT_UP, 20_000);
      expect(await pulledBy(two)).toBe(OLD_PEERS);
      two.signal("SIGTERM");
      await two.exited();
      for (let peer = 0; peer < 20; peer++) await announce(one, peer);
      // What is not told yet would come without being asked for.
      const told = () => one.metric('tracker_cluster_deltas_total{direction="sent"}');
      await until(async () => (await told()) >= 20);
      await using again = await keeping(nats, "two", second);
      await again.says(CAUGHT_UP, 20_000);
      expect(await pulledBy(again)).toBe(20);
      await untilAll([one, again], { incomplete: 20 });
    },
    MINUTE,
  );

  test.each([
    ["whole", false, 0],
    ["not whole", true, OLD_PEERS],
  ])(
    "ask for no more than is missing in a file that was %s when it was written",
    async (_, behind, old) => {
      using folder = makeFolder();
      await using nats = await NatsServer.start();
      const [first, second] = [folder.file("one"), folder.file("two")];
      const origin = "0123456789abcdef";
      const known = { origin, number: 5, heard: 5, wholeSeconds: 0, namedSeconds: 0 };
      await writeOld(first, keptBytes({ behind: false, origins: [known] }));
      await writeOld(second, keptBytes({ behind, origins: [known] }));
      await using one = await keeping(nats, "one", first);
      await using three = await keeping(nats, "three", folder.file("three"));
      for (let peer = 0; peer < 20; peer++) await announce(one, peer);
      // What is not told yet would come without being asked for.
      await untilAll([three], { incomplete: 20 });
      await using two = await keeping(nats, "two", second);
      await two.says(CAUGHT_UP, 20_000);
      await untilAll([one, two], { incomplete: 20 });
      expect(await pulledBy(two)).toBe(20 + old);
    },
    MINUTE,
  );

  test(
    "have what any of them had written down, after the power of all of them failed",
    async () => {
      using folder = makeFolder();
      await using nats = await NatsServer.start();
      await using all = new AsyncDisposableStack();
      const names = ["one", "two", "three"];
      const start = async (name: string): Promise<Observed> =>
        all.use(await keeping(nats, name, folder.file(name), "2s"));
      const trackers = await Promise.all(names.map(start));
      await Promise.all(trackers.map((tracker) => tracker.says(CONNECTED)));
      for (let peer = 0; peer < 30; peer++) await announce(trackers[peer % 3], peer);
      await untilAll(trackers, { incomplete: 30 });
      await nats.kill();
      // Each has ten that it can tell nobody of.
      for (let peer = 30; peer < 60; peer++) await announce(trackers[peer % 3], peer);
      await untilAll(trackers, { incomplete: 40 });
      await Promise.all(trackers.map(untilWritten));
      await Promise.all(trackers.map((tracker) => (tracker.signal("SIGKILL"), tracker.exited())));
      await nats.start();
      const again = await Promise.all(names.map(start));
      await untilAll(again, { incomplete: 60 }, 10);
      await Promise.all(again.map((tracker) => tracker.says(CAUGHT_UP)));
    },
    MINUTE,
  );
});

/** Waits for a snapshot that was begun after this call. */
async function untilWritten({ metric }: Observed): Promise<void> {
  const written = () => metric('tracker_snapshots_total{result="written"}');
  const before = await written();
  for (let tries = 0; tries < 200 && (await written()) < before + 2; tries++) await Bun.sleep(50);
}
