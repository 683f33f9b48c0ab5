/** A cluster in lines for a terminal. */
import { describe, expect, test } from "bun:test";
import { clusterText, readCluster } from "../../src/verbs/cluster-report.ts";
import { CLUSTER, NODE } from "../cluster/figures.ts";

test("a cluster is a line for each figure and each tracker", () => {
  expect(clusterText({ ...CLUSTER, behindSeconds: 0 })).toBe(
    [
      "cluster    default, by 127.0.0.1:4222",
      "tracker    a (00000000000000aa), batch 123",
      "state      whole",
      "deltas     1,100 sent, 2,200 received",
      "lost       1 away, 2 slow, 3 in a ring",
      "pulls      9 done, 10 failed, 5,000 peers",
      "",
      "NODE                       HEARD      BATCH      WHOLE  KEEPS  STATE",
      "b                           0.4s         12         12    45m  whole",
      "c                           0.9s         12         12    45m  draining",
      "b                             5m         12         12    45m  lost",
      "",
    ].join("\n"),
  );
});

test("what is wrong is said", () => {
  const cut = clusterText({ ...CLUSTER, up: false, engine: null, draining: true, nodes: [] });
  expect(cut).toContain("cluster    default, by no server of NATS\n");
  expect(cut).toContain("state      cut off, this tracker goes on alone, draining\n");
  expect(cut).toContain("\nno other tracker is heard\n");
  const nodes = [
    { ...NODE, lack: 14, behindSeconds: 3 },
    { ...NODE, node: "e", draining: true, heardSeconds: 60 },
  ];
  expect(clusterText({ ...CLUSTER, nodes })).toMatch(/ {2}behind 3s\n.* {2}ended\n/);
});

test("no line is wider than 80 columns, and no name drives the terminal", () => {
  const names = ["長".repeat(64), "x".repeat(64), "\x1b[2J", ""];
  const nodes = names.map((node) => ({ ...NODE, node, live: 2 ** 32, whole: 2 ** 32 }));
  const text = clusterText({ ...CLUSTER, node: "y".repeat(64), nodes });
  for (const line of text.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
  expect(text).not.toContain("\x1b");
  expect(text).toContain("00000000000000bb");
});

describe("an answer", () => {
  test("is read with what it has", () => {
    const read = readCluster(JSON.stringify(CLUSTER))!;
    expect(clusterText(read)).toBe(clusterText(CLUSTER));
  });

  test.each([
    ["no JSON", "<html>"],
    ["no cluster", "{}"],
    ["a number that is none", JSON.stringify({ ...CLUSTER, number: "many" })],
    ["a count below zero", JSON.stringify({ ...CLUSTER, nodes: [{ ...NODE, live: -1 }] })],
  ])("with %s is not one", (_, text) => {
    expect(readCluster(text)).toBeUndefined();
  });
});
