/** The text format of Prometheus, byte by byte. */
import { expect, test } from "bun:test";

import { Exposition, EXPOSITION_TYPE } from "../../src/metrics/exposition.ts";

test("a family has its help, its type and its samples", () => {
  const text = new Exposition()
    .family("tracker_peers", "gauge", "Peers stored.")
    .sample(12, { role: "seeder", family: "ipv4" })
    .sample(0, { role: "leecher", family: "ipv4" })
    .single("tracker_swarms", "gauge", "Swarms.", 3).text;
  expect(text).toBe(
    "# HELP tracker_peers Peers stored.\n# TYPE tracker_peers gauge\n" +
      'tracker_peers{role="seeder",family="ipv4"} 12\n' +
      'tracker_peers{role="leecher",family="ipv4"} 0\n' +
      "# HELP tracker_swarms Swarms.\n# TYPE tracker_swarms gauge\ntracker_swarms 3\n",
  );
});

test("the buckets of a histogram are cumulative, and the last one holds all events", () => {
  const totals = { buckets: [2, 3, 1], count: 6, sum: 0.5 };
  const text = new Exposition()
    .family("x_seconds", "histogram", "X.")
    .histogram(totals, [0.000001, 0.1], { transport: "udp" }).text;
  expect(text.split("\n").slice(2)).toEqual([
    'x_seconds_bucket{transport="udp",le="0.000001"} 2',
    'x_seconds_bucket{transport="udp",le="0.1"} 5',
    'x_seconds_bucket{transport="udp",le="+Inf"} 6',
    'x_seconds_sum{transport="udp"} 0.5',
    'x_seconds_count{transport="udp"} 6',
    "",
  ]);
});

test("the value of a label is escaped", () => {
  const text = new Exposition().family("x", "gauge", "X.").sample(1, { a: 'b"} 2\n\\' }).text;
  expect(text.split("\n")[2]).toBe('x{a="b\\"} 2\\n\\\\"} 1');
});

test("the content type is the one that Prometheus 3 requires", () => {
  expect(EXPOSITION_TYPE).toBe("text/plain; version=0.0.4; charset=utf-8");
});
