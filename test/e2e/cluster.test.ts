/**
 * Trackers that share their peers through a real server of NATS. Skipped, and said so, where
 * `nats-server` is not installed.
 */
import { connect } from "@nats-io/transport-node";
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HELLO } from "../cluster/hello.ts";
import { NATS_SERVER, NatsServer } from "../cluster/nats.ts";
import { helloMessage } from "../../src/cluster/wire.ts";
import { announce, clustered, CONNECTED, counts, HASH_BYTES, untilAll } from "./clustered.ts";
import { announceRequest, openDatagrams } from "./datagrams.ts";
import { freePort } from "./harness.ts";

const MINUTE = 60_000;

describe.skipIf(NATS_SERVER === null)("trackers that share their peers (nats-server)", () => {
  test(
    "know within two seconds what one of them is told, over HTTP and UDP",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await clustered(nats.url, { TRACKER_CLUSTER_NODE: "one" });
      await using two = await clustered(nats.url, { TRACKER_UDP_WORKERS: "0" });
      await using three = await clustered(nats.url, { TRACKER_UDP_WORKERS: "2" });
      const all = [one, two, three];
      await Promise.all(all.map((tracker) => tracker.says(CONNECTED)));
      expect(one.stderr).toContain(`cluster=default node=one engine=127.0.0.1:${nats.port}`);
      await announce(one, 1, "left=0");
      await untilAll(all, { complete: 1, incomplete: 0 }, 2);
      for (const [i, tracker] of all.entries()) {
        using client = await openDatagrams("127.0.0.1", tracker.port);
        const connectionId = await client.connect();
        const request = announceRequest({ connectionId, infoHash: HASH_BYTES, port: 2000 + i });
        await client.exchange(request);
      }
      await untilAll(all, { complete: 1, incomplete: 3 }, 2);
      await announce(three, 2001 - 1000, "left=0&event=completed");
      await announce(two, 1, "left=0&event=stopped");
      await untilAll(all, { complete: 1, incomplete: 2, downloaded: 1 }, 2);
    },
    MINUTE,
  );

  test(
    "get back from each other what they had when one was killed",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await clustered(nats.url);
      const two = await clustered(nats.url);
      await Promise.all([one.says(CONNECTED), two.says(CONNECTED)]);
      for (let peer = 0; peer < 300; peer++) await announce(peer % 2 === 0 ? one : two, peer);
      await untilAll([one, two], { incomplete: 300 });
      two.signal("SIGKILL");
      await two.exited();
      for (let peer = 300; peer < 400; peer++) await announce(one, peer);
      await using again = await clustered(nats.url);
      await again.says("caught up with other trackers");
      await untilAll([one, again], { incomplete: 400 });
      expect(again.stderr).toMatch(/caught up with other trackers" peers=400 seconds=/);
    },
    MINUTE,
  );

  test(
    "go on alone while the server is gone or frozen, and are equal again soon after",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await clustered(nats.url);
      await using two = await clustered(nats.url);
      const both = [one, two];
      await Promise.all(both.map((tracker) => tracker.says(CONNECTED)));
      await nats.kill();
      await Promise.all(both.map((tracker) => tracker.says("cut off from the cluster")));
      for (let peer = 0; peer < 100; peer++) await announce(both[peer % 2]!, peer);
      await untilAll(both, { incomplete: 50 });
      await nats.start();
      await untilAll(both, { incomplete: 100 });
      nats.signal("SIGSTOP");
      for (let peer = 100; peer < 200; peer++) await announce(both[peer % 2]!, peer);
      await Promise.all(
        both.map((tracker) => tracker.says('reason="it does not answer pings"', 20_000)),
      );
      nats.signal("SIGCONT");
      await untilAll(both, { incomplete: 200 });
    },
    MINUTE,
  );

  test(
    "start, and answer, without a server, and find it when it is there",
    async () => {
      await using nats = await NatsServer.start();
      await nats.kill();
      await using one = await clustered(nats.url);
      await one.says("the cluster cannot be reached");
      expect(one.stderr).toContain(`remedy="start a NATS server at 127.0.0.1:${nats.port}"`);
      await announce(one, 1);
      await nats.start();
      await one.says(CONNECTED, 20_000);
      await using two = await clustered(nats.url);
      await untilAll([one, two], { incomplete: 1 });
    },
    MINUTE,
  );

  test(
    "say once, with a remedy, that a login is wrong, and share with the right one",
    async () => {
      const login = 'authorization { user: "bt", password: "p@ss" }';
      await using nats = await NatsServer.start(login);
      await using wrong = await clustered(nats.url, {
        ...{ TRACKER_CLUSTER_USER: "bt", TRACKER_CLUSTER_PASSWORD: "other" },
      });
      await wrong.says("the cluster cannot be reached");
      expect(wrong.stderr).toContain("Authorization Violation");
      expect(wrong.stderr).toContain("TRACKER_CLUSTER_USER and TRACKER_CLUSTER_PASSWORD");
      expect(wrong.stderr).not.toContain("other");
      const url = `nats://bt:p%40ss@127.0.0.1:${nats.port}`;
      await using one = await clustered(url);
      await using two = await clustered(nats.url, {
        ...{ TRACKER_CLUSTER_USER: "bt", TRACKER_CLUSTER_PASSWORD: "p@ss" },
      });
      await Promise.all([one, two].map((tracker) => tracker.says(CONNECTED)));
      await announce(one, 1);
      await untilAll([one, two], { incomplete: 1 });
      await Bun.sleep(1000);
      expect(wrong.stderr.split("the cluster cannot be reached").length).toBe(2);
      expect(await counts(wrong)).toMatchObject({ incomplete: 0 });
    },
    MINUTE,
  );

  test(
    "say that a login may not use the subjects, instead of sharing nothing in silence",
    async () => {
      await using nats = await NatsServer.start(`authorization { users: [{
        user: "u", password: "p", permissions: { publish: "buntracker.y.>", subscribe: ">" }
      }] }`);
      const login = { TRACKER_CLUSTER_USER: "u", TRACKER_CLUSTER_PASSWORD: "p" };
      await using one = await clustered(nats.url, { TRACKER_CLUSTER_NAME: "x", ...login });
      await one.says("the cluster cannot be reached");
      expect(one.stderr).toContain(
        'remedy="let this user publish and subscribe to buntracker.x.> at the server, or correct ' +
          'TRACKER_CLUSTER_NAME"',
      );
      await using two = await clustered(nats.url, { TRACKER_CLUSTER_NAME: "y", ...login });
      await two.says(CONNECTED);
      expect(one.stderr).not.toContain(CONNECTED);
      expect(one.stderr.split("the cluster cannot be reached").length).toBe(2);
    },
    MINUTE,
  );

  test(
    "notice another tracker of their name, and messages in their name",
    async () => {
      await using nats = await NatsServer.start();
      const admin = `127.0.0.1:${freePort()}`;
      const same = { TRACKER_CLUSTER_NODE: "a" };
      await using one = await clustered(nats.url, { TRACKER_ADMIN_ADDRESS: admin, ...same });
      await one.says(CONNECTED);
      const { origin } = (await (await fetch(`http://${admin}/cluster`)).json()) as {
        origin: string;
      };
      const client = await connect({ servers: `127.0.0.1:${nats.port}` });
      const hello = { ...HELLO, name: "x" };
      client.publish("buntracker.default.all", helloMessage({ origin, number: 9 }, hello));
      await one.says("another program sends in the name of this tracker");
      await client.drain();
      expect(one.stderr).not.toContain("has the name of this one");
      await using two = await clustered(nats.url, same);
      await one.says("another tracker of the cluster has the name of this one");
      expect(two.stderr).not.toContain("another program");
    },
    MINUTE,
  );

  test(
    "keep to their own lists, and to their own name",
    async () => {
      await using nats = await NatsServer.start();
      const folder = mkdtempSync(join(tmpdir(), "buntracker-cluster-"));
      const denied = join(folder, "deny");
      writeFileSync(denied, "0123456789abcdef0123456789abcdef01234567\n");
      await using one = await clustered(nats.url);
      await using two = await clustered(nats.url, { TRACKER_DENY_FILE: denied });
      await using other = await clustered(nats.url, { TRACKER_CLUSTER_NAME: "other" });
      await using third = await clustered(nats.url);
      await Promise.all([one, two, other, third].map((tracker) => tracker.says(CONNECTED)));
      await announce(one, 1);
      await untilAll([one, third], { incomplete: 1 });
      await Bun.sleep(300);
      expect(await counts(two)).toMatchObject({ incomplete: 0 });
      expect(await counts(other)).toMatchObject({ incomplete: 0 });
      rmSync(folder, { recursive: true });
    },
    MINUTE,
  );

  test(
    "are not troubled by a thousand messages a second that mean nothing",
    async () => {
      await using nats = await NatsServer.start();
      await using one = await clustered(nats.url);
      await using two = await clustered(nats.url);
      await Promise.all([one, two].map((tracker) => tracker.says(CONNECTED)));
      const client = await connect({ servers: `127.0.0.1:${nats.port}` });
      for (let round = 0; round < 3000; round++) {
        const bytes = crypto.getRandomValues(new Uint8Array(round % 200));
        // Half of them look like a message at first.
        if (round % 2 === 0) bytes.set([0x62, 0x74, 1, 1 + (round % 5)].slice(0, bytes.length));
        client.publish("buntracker.default.all", bytes);
        if (round % 100 === 0) await Bun.sleep(100);
      }
      await client.drain();
      await announce(one, 1);
      await untilAll([one, two], { incomplete: 1 });
    },
    MINUTE,
  );
});
