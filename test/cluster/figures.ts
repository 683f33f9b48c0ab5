/** Figures of a cluster, as `/cluster` shows them. */
import type { ClusterFigures, NodeFigures } from "../../src/cluster/cluster-figures.ts";

export const NODE: NodeFigures = {
  ...{ node: "b", origin: "00000000000000bb", version: 1, heardSeconds: 0.4 },
  ...{ live: 12, whole: 12, lack: 0, behindSeconds: 0, draining: false, timeoutSeconds: 2700 },
  clockSeconds: -3,
};

export const CLUSTER: ClusterFigures = {
  ...{ name: "default", node: "a", origin: "00000000000000aa", up: true },
  ...{ engine: "127.0.0.1:4222", draining: false, number: 123, behindSeconds: 7 },
  lost: { away: 1, slow: 2, ring: 3 },
  ignored: { bad: 4, version: 5, lists: 6 },
  gaps: 8,
  pulls: { done: 9, failed: 10, peers: 5000 },
  deltas: { sent: 1100, received: 2200 },
  bytes: { sent: 33_000, received: 66_000 },
  heard: 2,
  loginEndsSeconds: 1_800_000_000,
  nodes: [
    NODE,
    { ...NODE, node: "c", origin: "00000000000000cc", heardSeconds: 0.9, draining: true },
    { ...NODE, origin: "00000000000000b0", heardSeconds: 300 },
  ],
};
