/**
 * Three trackers and three servers of NATS under load: a tracker and a server are killed and begin
 * again, and then all trackers have the same. Skipped, and said so, without `nats-server`.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { NATS_SERVER, type NatsServer, startThreeServers } from "../cluster/nats.ts";
import { freePort, startTracker, type Tracker } from "./harness.ts";

const LOAD_SECONDS = 12;
/** Half of them are announces, and nearly each is of a new peer. */
const REQUESTS_PER_SECOND = 20_000;
const EQUAL_SECONDS_MAX = 30;
const [FIRST, SECOND] = [0, 1];

/** The tracker `at`, whose nearest server is `at`. */
async function start(servers: NatsServer[], at: number): Promise<[Tracker, string]> {
  const admin = `127.0.0.1:${freePort()}`;
  const urls = servers.map((_, i) => servers[(at + i) % servers.length].url);
  const tracker = await startTracker({
    address: "127.0.0.1",
    env: {
      ...{ TRACKER_CLUSTER_URL: urls.join(), TRACKER_ADMIN_ADDRESS: admin },
      ...{ TRACKER_OWN_ADDRESSES: "store", TRACKER_MEMORY_MAX: "256MiB" },
    },
  });
  return [tracker, `http://${admin}/metrics`];
}

/** Its swarms, and its peers of each role. */
async function counts(metrics: string): Promise<string> {
  const lines = (await (await fetch(metrics)).text()).split("\n");
  return lines.filter((line) => /^tracker_(swarms|peers)\b/.test(line)).join("\n");
}

function load(port: number) {
  const program = join(import.meta.dir, "../bench/udp-load.ts");
  const rate = ["--mode", "rate", "--rate", String(REQUESTS_PER_SECOND)];
  const size = ["--swarms", "50000", "--peers", "400000", "--skew", "0", "--networks", "16384"];
  const time = ["--port", String(port), "--seconds", String(LOAD_SECONDS)];
  const command = [process.execPath, program, ...rate, ...size, ...time];
  return Bun.spawn(command, { stdio: ["ignore", "ignore", "inherit"] });
}

test.skipIf(NATS_SERVER === null || process.platform !== "linux")(
  "trackers are equal after kill -9 of one and of a server under load (nats-server)",
  async () => {
    await using all = new AsyncDisposableStack();
    const servers = await startThreeServers();
    for (const server of servers) all.use(server);
    const started = await Promise.all(servers.map((_, at) => start(servers, at)));
    const metrics = started.map(([, url]) => url);
    for (const [tracker] of started) all.use(tracker);
    await Promise.all(started.map(([tracker]) => tracker.says("connected to the cluster")));
    const [[first], [second]] = started;

    const loading = load(first.port);
    all.defer(() => loading.kill());
    await Bun.sleep(2000);
    second.signal("SIGKILL");
    await second.exited();
    await Bun.sleep(2000);
    const [again, url] = await start(servers, SECOND);
    all.use(again);
    metrics[SECOND] = url;
    await again.says("caught up with other trackers");
    await servers[FIRST].kill();
    await first.says("cut off from the cluster");
    await Bun.sleep(1000);
    await servers[FIRST].start();
    expect(await loading.exited).toBe(0);

    let seen: string[] = [];
    for (const end = performance.now() + EQUAL_SECONDS_MAX * 1000; performance.now() < end;) {
      seen = await Promise.all(metrics.map(counts));
      if (new Set(seen).size === 1) break;
      await Bun.sleep(200);
    }
    expect(seen).toEqual(seen.map(() => seen[FIRST]));
    expect(Number(/^tracker_swarms (\d+)/m.exec(seen[FIRST])![1])).toBeGreaterThan(1000);
  },
  120_000,
);
