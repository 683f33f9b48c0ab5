/** The metrics of a cluster: each figure has its series, and names cannot break the page. */
import { expect, test } from "bun:test";
import { Histogram, histogramMemory } from "../../src/counters/histograms.ts";
import { writeCluster } from "../../src/metrics/cluster-metrics.ts";
import { Exposition } from "../../src/metrics/exposition.ts";
import { CLUSTER, NODE } from "../cluster/figures.ts";

const textOf = (figures = CLUSTER, memory = histogramMemory(1)): string => {
  const out = new Exposition();
  writeCluster(out, figures, memory);
  return out.text;
};

test("each figure has its series", () => {
  const lines = textOf().split("\n");
  for (const line of [
    "up 1",
    "nodes 2",
    'node_heard_seconds{node="b"} 0.4',
    'node_heard_seconds{node="c"} 0.9',
    'node_clock_seconds{node="b"} -3',
    "behind_seconds 7",
    "login_expiry_timestamp_seconds 1800000000",
    'deltas_total{direction="sent"} 1100',
    'deltas_total{direction="received"} 2200',
    'bytes_total{direction="sent"} 33000',
    'bytes_total{direction="received"} 66000',
    'lost_total{reason="away"} 1',
    'lost_total{reason="slow"} 2',
    'lost_total{reason="ring"} 3',
    'ignored_total{reason="bad"} 4',
    'ignored_total{reason="version"} 5',
    'ignored_total{reason="lists"} 6',
    "gaps_total 8",
    'pulls_total{outcome="done"} 9',
    'pulls_total{outcome="failed"} 10',
    "pulled_peers_total 5000",
    "apply_seconds_count 0",
    "acknowledge_seconds_count 0",
  ]) {
    expect(lines).toContain(`tracker_cluster_${line}`);
  }
});

test("a login that never ends has no series", () => {
  expect(textOf({ ...CLUSTER, loginEndsSeconds: null })).not.toContain("login_expiry");
});

test("a tracker that was restarted has one series, of when it was last heard", () => {
  const series = textOf().match(/^tracker_cluster_node_heard_seconds\{.*$/gm);
  expect(series).toHaveLength(2);
});

test("however many names are said, 64 have a series", () => {
  const nodes = Array.from({ length: 500 }, (_, at) => ({ ...NODE, node: `n"${at}\n` }));
  const text = textOf({ ...CLUSTER, nodes });
  const series = text.match(/^tracker_cluster_node_heard_seconds\{.*$/gm)!;
  expect(series).toHaveLength(64);
  expect(series[0]).toBe('tracker_cluster_node_heard_seconds{node="n\\"0\\n"} 0.4');
});

test("times are histograms", () => {
  const memory = histogramMemory(1);
  new Histogram(memory, 0, "clusterApplySeconds").observe(3e-4);
  new Histogram(memory, 0, "clusterAcknowledgeSeconds").observe(0.02);
  const text = textOf(CLUSTER, memory);
  expect(text).toContain('tracker_cluster_apply_seconds_bucket{le="0.0005"} 1\n');
  expect(text).toContain('tracker_cluster_acknowledge_seconds_bucket{le="0.05"} 1\n');
});
