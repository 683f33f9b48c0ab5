/** The metrics: every counter appears, under the names that alerts and dashboard use. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import { WARNINGS } from "../../src/admin/warnings.ts";
import { Histogram, histogramMemory } from "../../src/counters/histograms.ts";
import { metricsText, type MetricsSources } from "../../src/metrics/metrics.ts";
import { COUNT, counterMemory, Counters, COUNTERS } from "../../src/counters/counters.ts";
import { POOL_AVAILABLE } from "../../src/swarm/memory.ts";
import { Sweep } from "../../src/swarm/sweep.ts";
import { Store } from "../../src/swarm/store.ts";
import { Tracker } from "../../src/swarm/tracker.ts";
import { garbage } from "../../src/host/garbage.ts";
import { countsOf, LOG_WARNINGS } from "../../src/host/log.ts";
import { CLUSTER } from "../cluster/figures.ts";
import { announce } from "../swarm/fixture.ts";
import { someMemory } from "../swarm/some-memory.ts";

const SNAPSHOTS = {
  intervalSeconds: 300,
  keptSeconds: 40,
  bytes: 104_000,
  peers: 10_000,
  durationSeconds: 0.3,
  written: 3,
  failed: 1,
  restoredPeers: 9000,
  restoredSwarms: 500,
};

function sources(other: Partial<MetricsSources> = {}): MetricsSources {
  const memory = someMemory();
  return {
    build: { version: "1.2.3", commit: "abcdef0" },
    wallClock: { at: (seconds) => 1_700_000_000.25 + seconds },
    counters: new Counters(counterMemory(2), 0),
    histograms: histogramMemory(2),
    memory,
    sweep: { sizes: new Float64Array(5), roundEndedSeconds: 0 },
    log: {
      counts: { debug: 0, info: 4, warn: 0, error: 0 },
      warned: { ...countsOf(LOG_WARNINGS), list_lines: 3 },
    },
    warnings: {
      counts: { ...countsOf(WARNINGS), root: 1 },
    },
    machine: {
      drops: () => 17,
      conntrack: () => ({ entries: 5, limit: 262144 }),
      files: () => ({ open: 20, limit: 1024 }),
    },
    snapshots: SNAPSHOTS,
    access: () => ({
      denied: 3,
      allowed: 0,
      networks: 2,
      maintenance: false,
      changes: 0,
      changesFailed: 0,
      evicted: 0,
    }),
    reloads: () => ({ good: 1, failed: 0, lastSeconds: 60 }),
    rules: () => [{ line: 4, text: "drop", count: 9 }],
    receiveBufferBytes: () => 4194304,
    stretch: () => 1,
    certificateExpires: () => 1_800_000_000,
    connections: () => ({ open: 2, limit: 960, closed: { too_many: 0, malformed: 3 } }),
    browsers: () => ({
      ...{ connections: 5, limit: 480, swarms: 3, seeders: 1, leechers: 4 },
      closed: { silent: 2, protocol: 0 },
    }),
    cluster: () => CLUSTER,
    ...other,
  };
}

/** The samples, by name and labels. */
function samples(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const [, series, value] = /^(.+) (\S+)$/.exec(line)!;
      return [series, Number(value)];
    }),
  );
}

test("the expiry of the certificate is a metric where there is one", () => {
  const name = "tracker_certificate_expiry_timestamp_seconds";
  expect(samples(metricsText(sources())).get(name)).toBe(1_800_000_000);
  const without = sources({ certificateExpires: () => undefined });
  expect(samples(metricsText(without)).has(name)).toBe(false);
});

test("every counter appears in exactly one series", () => {
  for (const name of COUNTERS) {
    const given = sources();
    const before = samples(metricsText(given));
    given.counters.row[COUNT[name]] = 1_000_003;
    const after = [...samples(metricsText(given))];
    const changed = after.filter(([series, value]) => {
      return series.startsWith("tracker_") && value !== before.get(series);
    });
    expect(
      changed.map(([, value]) => value),
      name,
    ).toEqual([1_000_003]);
  }
});

test("times follow a wall clock that is set after the start", () => {
  const times = (started: number) => {
    const sweep = { sizes: new Float64Array(5), roundEndedSeconds: 40 };
    const wallClock = { at: (seconds: number) => started + seconds };
    const all = samples(metricsText(sources({ sweep, wallClock })));
    return [
      "tracker_start_time_seconds",
      "process_start_time_seconds",
      "tracker_sweep_completed_timestamp_seconds",
      "tracker_reload_timestamp_seconds",
    ].map((name) => all.get(name));
  };
  expect(times(0)).toEqual([0, 0, 40, 60]);
  expect(times(1_800_000_000)).toEqual([
    1_800_000_000, 1_800_000_000, 1_800_000_040, 1_800_000_060,
  ]);
});

test("counters of all threads are added up", () => {
  const given = sources();
  given.counters.row[COUNT.udpAnnouncesIpv6] = 5;
  new Counters(given.counters.memory, 1).row[COUNT.udpAnnouncesIpv6] = 7;
  const series = 'tracker_requests_answered_total{transport="udp",action="announce",family="ipv6"}';
  expect(samples(metricsText(given)).get(series)).toBe(12);
});

test("no series appears twice, and every family has one head before its samples", () => {
  const text = metricsText(sources());
  const names = text.split("\n").flatMap((line) => /^(\S+) \S+$/.exec(line)?.[1] ?? []);
  expect(new Set(names).size).toBe(names.length);
  const heads = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(new Set(heads).size).toBe(heads.length);
});

test("swarms, peers, drops, limits, lists and rules have their numbers", () => {
  const given = sources();
  const tracker = new Tracker(new Store(given.memory), new ArrayBuffer(65536));
  announce(tracker, { infoHash: 1, peer: 1, wanted: 0 }, 1);
  const sweep = new Sweep(tracker.store);
  while (sweep.roundEndedSeconds === 0) sweep.slice(2, 10_000);
  const told = samples(metricsText({ ...given, sweep }));
  expect(told.get("tracker_swarms")).toBe(1);
  expect(told.get('tracker_peers{role="leecher",family="ipv4"}')).toBe(1);
  expect(told.get('tracker_swarms_by_size{peers_max="1"}')).toBe(1);
  expect(told.get("tracker_sweep_completed_timestamp_seconds")).toBe(1_700_000_002.25);
  expect(told.get("tracker_udp_receive_drops_total")).toBe(17);
  expect(told.get("tracker_udp_receive_buffer_bytes")).toBe(4194304);
  expect(told.get("tracker_conntrack_limit")).toBe(262144);
  expect(told.get("process_max_fds")).toBe(1024);
  expect(told.get('tracker_access_list_entries{list="networks"}')).toBe(2);
  expect(told.get('tracker_rule_matches_total{line="4"}')).toBe(9);
  expect(told.get('tracker_warnings_total{warning="root"}')).toBe(1);
  expect(told.get('tracker_warnings_total{warning="list_lines"}')).toBe(3);
  expect(told.get('tracker_log_messages_total{level="info"}')).toBe(4);
  expect(told.get("tracker_reload_timestamp_seconds")).toBe(1_700_000_060.25);
  expect(told.get('tracker_build_info{version="1.2.3",commit="abcdef0",bun="1.4.5"}')).toBe(1);
  expect(
    told.get("tracker_peer_memory_pages_used")! / told.get("tracker_peer_memory_pages")!,
  ).toBeLessThan(0.1);
});

test("snapshots have their numbers, and without a file no series", () => {
  const none = metricsText(sources({ snapshots: undefined }));
  expect(none).not.toMatch(/tracker_(snapshot|restored)/);
  const told = samples(metricsText(sources()));
  expect(told.get("tracker_snapshot_timestamp_seconds")).toBe(1_700_000_040.25);
  expect(told.get("tracker_snapshot_interval_seconds")).toBe(300);
  expect(told.get("tracker_snapshot_bytes")).toBe(104_000);
  expect(told.get("tracker_snapshot_peers")).toBe(10_000);
  expect(told.get("tracker_snapshot_duration_seconds")).toBe(0.3);
  expect(told.get('tracker_snapshots_total{result="written"}')).toBe(3);
  expect(told.get('tracker_snapshots_total{result="failed"}')).toBe(1);
  expect(told.get("tracker_restored_peers")).toBe(9000);
  expect(told.get("tracker_restored_swarms")).toBe(500);
  // A restored file keeps its time, so that a start does not make it young; without one the time
  // is that of the start.
  for (const keptSeconds of [undefined, -500]) {
    const early = samples(metricsText(sources({ snapshots: { ...SNAPSHOTS, keptSeconds } })));
    const expected = 1_700_000_000.25 + (keptSeconds ?? 0);
    expect(early.get("tracker_snapshot_timestamp_seconds")).toBe(expected);
  }
});

test("a page taken during a scrape does not make the size of the table negative", () => {
  const given = sources();
  const words = new Int32Array(given.memory.shards);
  const memory = new Proxy(given.memory, {
    get(target, name) {
      if (name === "shards") words[POOL_AVAILABLE] -= 1;
      return Reflect.get(target, name);
    },
  });
  const told = samples(metricsText({ ...given, memory }));
  expect(told.get('tracker_memory_bytes{area="table"}')).toBe(0);
});

test("histograms of all threads are added up", () => {
  const given = sources();
  new Histogram(given.histograms, 1, "udpRequestSeconds").observe(4e-6, 64);
  const told = samples(metricsText(given));
  const bucket = (le: string) =>
    told.get(`tracker_request_duration_seconds_bucket{transport="udp",le="${le}"}`);
  expect([bucket("0.000002"), bucket("0.000005"), bucket("+Inf")]).toEqual([0, 64, 64]);
});

test("WebSockets have series of their own, and none where they are off", () => {
  const given = sources();
  given.counters.row[COUNT.websocketAnswersPassed] = 3;
  given.counters.row[COUNT.websocketOffers] = 7;
  const told = samples(metricsText(given));
  expect(told.get("tracker_websocket_connections")).toBe(5);
  expect(told.get("tracker_websocket_connections_limit")).toBe(480);
  expect(told.get('tracker_websocket_connections_closed_total{reason="silent"}')).toBe(2);
  expect(told.get("tracker_websocket_swarms")).toBe(3);
  expect(told.get('tracker_websocket_peers{role="leecher"}')).toBe(4);
  expect(told.get('tracker_websocket_offers_total{result="passed"}')).toBe(7);
  expect(told.get("tracker_websocket_answers_total")).toBe(3);
  expect(metricsText(sources({ browsers: () => undefined }))).not.toMatch(/tracker_websocket_/);
});

test("a cluster has series of its own, and none where there is none", () => {
  const told = samples(metricsText(sources()));
  expect(told.get("tracker_cluster_nodes")).toBe(2);
  expect(metricsText(sources({ cluster: () => undefined }))).not.toMatch(/tracker_cluster_/);
});

test("a value that the system does not tell has no series, instead of 0", () => {
  const machine = { drops: () => undefined, conntrack: () => undefined, files: () => undefined };
  const text = metricsText(sources({ machine, receiveBufferBytes: () => Infinity }));
  expect(text).not.toMatch(/drops|conntrack_(entries|limit)|_fds|receive_buffer_bytes|Infinity/);
});

test("all metrics of the alerts and the dashboard exist", () => {
  const root = resolve(import.meta.dir, "../../dist");
  const files = ["prometheus/buntracker.rules.yml", "grafana/buntracker.json"];
  const asked = files.flatMap((file) =>
    readFileSync(resolve(root, file), "utf8").match(/\b(tracker|process)_[a-z_]+\b/g)!,
  );
  const text = metricsText(sources());
  expect(asked.length).toBeGreaterThan(20);
  const series = [...samples(text).keys()].map((name) => name.replace(/\{.*/, ""));
  expect([...new Set(asked)].filter((name) => !series.includes(name))).toEqual([]);
});

test("promtool accepts the metrics, where it is installed", () => {
  const promtool = Bun.which("promtool");
  if (promtool === null) return;
  const stdin = Buffer.from(metricsText(sources()));
  const check = Bun.spawnSync([promtool, "check", "metrics"], { stdin });
  expect(check.stdout.toString() + check.stderr.toString()).toBe("");
  expect(check.exitCode).toBe(0);
});

test("the page notes its garbage", () => {
  const before = garbage.noted;
  const { length } = metricsText(sources());
  expect(garbage.noted - before).toBeGreaterThan(2 * length);
});
