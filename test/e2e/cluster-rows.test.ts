/**
 * Rows of the table of failures (docs/cluster.md), through a real server of NATS. Skipped, and said
 * so, where `nats-server` is not installed.
 */
import { connect } from "@nats-io/transport-node";
import { dlopen } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deltasMessage, helloMessage, KIND_HELLO, readMessage } from "../../src/cluster/wire.ts";
import { RECORDS_BYTES_MAX } from "../../src/snapshot/format.ts";
import { writeSnapshot } from "../../src/snapshot/writer.ts";
import { HELLO } from "../cluster/hello.ts";
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { announce as fillSwarm, makeTracker, MIB } from "../swarm/fixture.ts";
import {
  announce,
  clustered,
  CONNECTED,
  counts,
  type Observed,
  observed,
  untilAll,
} from "./clustered.ts";
import { freePort, type Tracker } from "./harness.ts";

const MINUTE = 60_000;
const BEHIND = "tracker_cluster_behind_seconds ";

/** Lets so many new peers announce over UDP, and waits until all are answered. */
async function load({ port }: Tracker, peers: number): Promise<void> {
  const program = join(import.meta.dir, "../bench/udp-load.ts");
  const size = ["--swarms", String(peers / 10), "--peers", String(peers), "--skew", "0"];
  const rest = ["--networks", "16384", "--seconds", "20", "--port", String(port)];
  const command = [process.execPath, program, "--mode", "fill", ...size, ...rest];
  const child = Bun.spawn(command, { stdio: ["ignore", "ignore", "inherit"] });
  expect(await child.exited).toBe(0);
}

/** Writes a snapshot of so many peers, each in a swarm of its own. */
async function writePeers(path: string, peers: number): Promise<void> {
  const { tracker, store } = makeTracker(256 * MIB);
  for (let peer = 0; peer < peers; peer++) {
    fillSwarm(tracker, { infoHash: peer, peer, wanted: 0 });
  }
  const begunSeconds = Math.floor(Date.now() / 1000);
  const chunk = new Uint8Array(RECORDS_BYTES_MAX);
  const options = { chunk, stretch: 1, kept: 1, turns: false, clock: () => 0 };
  await writeSnapshot({ path, store, begunSeconds, ...options });
}

async function untilEqual(one: Observed, other: Observed): Promise<void> {
  const seen = async () => Promise.all([one, other].map(({ metric }) => metric("tracker_peers")));
  let peers = await seen();
  for (let tries = 0; tries < 300 && (peers[0] !== peers[1] || peers[0] === 0); tries++) {
    await Bun.sleep(50);
    peers = await seen();
  }
  expect(peers[1]).toBe(peers[0]);
  expect(peers[0]).toBeGreaterThan(1000);
}

/** Both are connected, and know a peer that announced to the first. */
async function shareOnePeer(one: Tracker, two: Tracker): Promise<void> {
  await Promise.all([one, two].map((tracker) => tracker.says(CONNECTED)));
  await announce(one, 1);
  await untilAll([one, two], { incomplete: 1 });
}

describe.skipIf(NATS_SERVER === null)("trackers that share their peers (nats-server)", () => {
  test(
    "say by name which of them ends, is lost, and is heard again",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await clustered(nats.url, { TRACKER_CLUSTER_NODE: "one" });
      await one.says(CONNECTED);
      const two = await clustered(nats.url, { TRACKER_CLUSTER_NODE: "two" });
      await one.says('"a tracker of the cluster is there" node=two');
      two.signal("SIGTERM");
      await one.says('"a tracker of the cluster ends" node=two');
      await two.exited();
      const again = await clustered(nats.url, { TRACKER_CLUSTER_NODE: "two" });
      await one.says('"a tracker of the cluster is heard again" node=two');
      expect(one.stderr).not.toContain("no longer heard");
      again.signal("SIGKILL");
      await again.exited();
      await one.says('"a tracker of the cluster is no longer heard" node=two', 20_000);
      await using third = await clustered(nats.url, { TRACKER_CLUSTER_NODE: "two" });
      await third.says(CONNECTED);
      const twice = /heard again" node=two .*heard again" node=two /s;
      for (let tries = 0; tries < 100 && !twice.test(one.stderr); tries++) await Bun.sleep(50);
      expect(one.stderr).toMatch(twice);
    },
    MINUTE,
  );

  test(
    "with less memory than the others count the peers of a pull that find no room, and warn",
    async () => {
      await using nats = await NatsServer.start();
      const folder = mkdtempSync(join(tmpdir(), "buntracker-cluster-"));
      await using cleanup = new AsyncDisposableStack();
      cleanup.defer(() => rmSync(folder, { recursive: true }));
      const file = join(folder, "swarms");
      const peers = 400_000;
      await writePeers(file, peers);
      await using large = await observed(nats.url, "large", { TRACKER_SNAPSHOT_FILE: file });
      await large.says(CONNECTED);
      expect(await large.metric("tracker_peers{")).toBe(peers);
      // Alone, it counts as caught up after three seconds; before that no tracker asks it.
      for (let tries = 0; tries < 200 && (await large.metric(BEHIND)) > 0; tries++) {
        await Bun.sleep(50);
      }
      await using small = await observed(nats.url, "small", { TRACKER_MEMORY_MAX: "16MiB" });
      await small.says("caught up with other trackers; not all fit the memory", 30_000);
      const told = /level=warn msg="caught up [^"]*" peers=(\d+) withoutRoom=(\d+) .*remedy="a la/;
      const [stored, left] = told.exec(small.stderr)!.slice(1).map(Number);
      expect([stored! + left!, await small.metric("tracker_peers{")]).toEqual([peers, stored!]);
      expect(await small.metric("tracker_announces_not_stored_total")).toBe(left!);
      await small.says("memory is full", 20_000);
    },
    MINUTE,
  );

  test(
    "whose names change without end do not fill the log",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await clustered(nats.url);
      await one.says(CONNECTED);
      const client = await connect({ servers: `127.0.0.1:${nats.port}` });
      for (let second = 0; second < 8; second++) {
        for (let n = 1; n <= 60; n++) {
          const origin = n.toString(16).padStart(16, "0");
          const changes = { keepsSeconds: 60 + second, drains: second % 2 === 1 };
          const hello = { ...HELLO, ...changes, name: `n${n}` };
          client.publish("buntracker.default.all", helloMessage({ origin, number: 0 }, hello));
        }
        await Bun.sleep(1000);
      }
      await client.drain();
      await one.says("more was to be said of other trackers than the log takes");
      // 64 at once, one for each three seconds, and those of its own start.
      expect(one.stderr.split("\n").filter((line) => / node=n\d/.test(line)).length).toBeLessThan(
        70,
      );
    },
    MINUTE,
  );

  test(
    "lose nothing when all of them are restarted, one after the other",
    async () => {
      await using nats = await NatsServer.start();
      await using all = new AsyncDisposableStack();
      const names = ["one", "two", "three"];
      const start = async (name: string): Promise<Tracker> =>
        all.use(await clustered(nats.url, { TRACKER_CLUSTER_NODE: name }));
      const trackers = await Promise.all(names.map(start));
      await Promise.all(trackers.map((tracker) => tracker.says(CONNECTED)));
      let peers = 0;
      for (; peers < 300; peers++) await announce(trackers[peers % 3]!, peers);
      await untilAll(trackers, { incomplete: peers });
      for (const [at, name] of names.entries()) {
        trackers[at]!.signal("SIGTERM");
        const others = trackers.filter((_, other) => other !== at);
        for (const end = peers + 50; peers < end; peers++)
          await announce(others[peers % 2]!, peers);
        await trackers[at]!.exited();
        trackers[at] = await start(name);
        await trackers[at]!.says("caught up with other trackers", 20_000);
      }
      await untilAll(trackers, { incomplete: 450 });
      for (const { stderr } of trackers) expect(stderr).not.toContain("no longer heard");
    },
    MINUTE,
  );

  test(
    "warn of one that keeps peers for another time, by its name",
    async () => {
      await using nats = await NatsServer.start();
      const hour = { TRACKER_CLUSTER_NODE: "hour", TRACKER_PEER_TIMEOUT: "1h" };
      await using one = await clustered(nats.url, { TRACKER_CLUSTER_NODE: "usual" });
      await using two = await clustered(nats.url, hour);
      await one.says('keeps peers for a longer time" node=hour seconds=3600 here=2700');
      await two.says('keeps peers for a shorter time" node=usual seconds=2700 here=3600');
      expect(one.stderr).toContain("TRACKER_PEER_TIMEOUT at all trackers");
    },
    MINUTE,
  );

  test(
    "warn of one whose clock differs, by its name, and have it as a metric",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await observed(nats.url, "one");
      await using two = await observed(nats.url, "two");
      await Promise.all([one, two].map((tracker) => tracker.says(CONNECTED)));
      const client = await connect({ servers: `127.0.0.1:${nats.port}` });
      const says = setInterval(() => {
        const clockSeconds = Date.now() / 1000 + 200;
        const hello = helloMessage(
          { origin: "00000000000000ff", number: 0 },
          { ...HELLO, clockSeconds, name: "ahead" },
        );
        client.publish("buntracker.default.all", hello);
      }, 500);
      const line = 'msg="the clock of a tracker of the cluster differs from ours" node=ahead';
      await one.says(line, 20_000);
      clearInterval(says);
      expect(one.stderr).toMatch(
        /differs from ours" node=ahead seconds=(199|200)[.\d]* remedy="set/,
      );
      const name = "tracker_cluster_node_clock_seconds";
      expect(await one.metric(`${name}{node="ahead"}`)).toBeWithin(199, 202);
      expect(await one.metric(`${name}{node="two"}`)).toBeWithin(-2, 3);
      expect(one.stderr).not.toContain('differs from ours" node=two');
      await client.drain();
    },
    MINUTE,
  );

  test(
    "say once that one speaks another version, by its name, and count its messages",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await observed(nats.url, "one");
      await one.says(CONNECTED);
      const client = await connect({ servers: `127.0.0.1:${nats.port}` });
      const later = helloMessage({ origin: "00000000000000ee", number: 0 }, HELLO);
      later[2] = 9;
      for (let n = 0; n < 20; n++) client.publish("buntracker.default.all", later);
      await client.drain();
      await one.says('speaks another version: it shares nothing" node=b version=9');
      expect(await one.metric('tracker_cluster_ignored_total{reason="version"}')).toBe(20);
      expect(one.stderr.split("speaks another version").length).toBe(2);
      expect(await one.metric("tracker_cluster_nodes")).toBe(0);
    },
    MINUTE,
  );

  test(
    "are whole again after a message in the name of one that has a number which it never reached",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await observed(nats.url, "one");
      await using two = await observed(nats.url, "two");
      await shareOnePeer(one, two);
      const client = await connect({ servers: `127.0.0.1:${nats.port}` });
      const heard = Promise.withResolvers<string>();
      client.subscribe("buntracker.default.all", {
        callback(_, { data }) {
          const message = readMessage(data);
          if (typeof message === "string" || message.kind !== KIND_HELLO) return;
          if (message.name === "one") heard.resolve(message.origin);
        },
      });
      const sender = { origin: await heard.promise, number: 4_000_000_000 };
      client.publish("buntracker.default.all", deltasMessage(sender, new Uint8Array(0)));
      await client.drain();
      await one.says("another program sends in the name of this tracker");
      const isBehind = async () => (await two.metric(BEHIND)) > 0;
      for (let tries = 0; tries < 100 && !(await isBehind()); tries++) await Bun.sleep(20);
      expect(await isBehind()).toBe(true);
      for (let tries = 0; tries < 400 && (await isBehind()); tries++) await Bun.sleep(50);
      expect(await isBehind()).toBe(false);
      await announce(one, 2);
      await untilAll([one, two], { incomplete: 2 }, 2);
    },
    MINUTE,
  );

  test(
    "go on sharing at one that is in maintenance, which is current when it ends",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await observed(nats.url, "one");
      await using two = await observed(nats.url, "two");
      await Promise.all([one, two].map((tracker) => tracker.says(CONNECTED)));
      two.signal("SIGUSR2");
      await two.says("maintenance");
      const path = `announce?info_hash=${"%01".repeat(20)}&peer_id=${"p".repeat(20)}&port=1&left=1`;
      expect(await (await fetch(`http://127.0.0.1:${two.port}/${path}`)).text()).toContain(
        "failure reason",
      );
      for (let peer = 0; peer < 20; peer++) await announce(one, peer);
      for (let tries = 0; tries < 100 && (await two.metric("tracker_peers{")) < 20; tries++) {
        await Bun.sleep(50);
      }
      two.signal("SIGUSR2");
      await untilAll([one, two], { incomplete: 20 });
    },
    MINUTE,
  );

  test(
    "keep a peer whose stop they missed, and of two counters the higher, as is accepted",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await observed(nats.url, "one");
      await using two = await observed(nats.url, "two");
      const both = [one, two];
      await Promise.all(both.map((tracker) => tracker.says(CONNECTED)));
      for (let peer = 0; peer < 4; peer++) await announce(one, peer);
      await untilAll(both, { incomplete: 4 });
      await nats.kill();
      await Promise.all(both.map((tracker) => tracker.says("cut off from the cluster")));
      await announce(one, 0, "left=0&event=completed");
      for (const peer of [1, 2]) await announce(two, peer, "left=0&event=completed");
      await announce(one, 3, "left=1&event=stopped");
      expect(await Promise.all(both.map(counts))).toMatchObject([
        { complete: 1, incomplete: 2, downloaded: 1 },
        { complete: 2, incomplete: 2, downloaded: 2 },
      ]);
      await nats.start();
      await untilAll(both, { complete: 3, downloaded: 2 }, 30);
      expect((await counts(two)).incomplete).toBe(1);
    },
    MINUTE,
  );

  test(
    "get back what one of them did not read in time",
    async () => {
      const monitor = freePort();
      await using nats = await NatsServer.start(
        `http: "127.0.0.1:${monitor}", write_deadline: "1s", max_pending: 1MB`,
      );
      const slowReaders = async (): Promise<number> => {
        const answer = await fetch(`http://127.0.0.1:${monitor}/varz`);
        return ((await answer.json()) as { slow_consumers: number }).slow_consumers;
      };
      await using one = await observed(nats.url, "one");
      await using two = await observed(nats.url, "two");
      await Promise.all([one, two].map((tracker) => tracker.says(CONNECTED)));
      two.signal("SIGSTOP");
      for (let round = 1; round <= 10 && (await slowReaders()) === 0; round++) {
        await load(one, 100_000 * round);
      }
      expect(await slowReaders()).toBeGreaterThan(0);
      two.signal("SIGCONT");
      await two.says("cut off from the cluster", 20_000);
      await untilEqual(one, two);
      expect(await two.metric('tracker_cluster_pulls_total{outcome="done"}')).toBeGreaterThan(0);
    },
    2 * MINUTE,
  );

  test.skipIf(process.platform !== "linux")(
    "get back what found no room in the ring of one whose event loop stood still",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await observed(nats.url, "one");
      await using two = await observed(nats.url, "two");
      await shareOnePeer(one, two);
      {
        using _stopped = stopEventLoop(one.pid);
        // A ring holds 75,000; the UDP thread answers all the same.
        await load(one, 100_000);
      }
      await untilEqual(one, two);
      expect(await one.metric('tracker_cluster_lost_total{reason="ring"}')).toBeGreaterThan(1000);
      expect(await two.metric("tracker_cluster_gaps_total")).toBeGreaterThan(0);
    },
    2 * MINUTE,
  );
});

/** Stops the first thread of a child, and no other, until it is disposed of. [ptrace(2)] */
function stopEventLoop(pid: number): Disposable {
  const [SEIZE, INTERRUPT, DETACH] = [0x4206, 0x4207, 17];
  const { symbols } = dlopen("libc.so.6", {
    ptrace: { args: ["i64", "i32", "i64", "i64"], returns: "i64" },
  });
  const ask = (request: number): void => {
    if (Number(symbols.ptrace(request, pid, 0, 0)) !== 0) throw new Error("ptrace has failed");
  };
  ask(SEIZE);
  ask(INTERRUPT);
  return { [Symbol.dispose]: () => ask(DETACH) };
}
