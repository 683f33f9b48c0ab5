/**
 * The metrics of a cluster, `tracker_cluster_…`. A tracker without a cluster does not write them.
 */
import type { ClusterFigures, NodeFigures } from "../cluster/cluster-figures.ts";
import { HISTOGRAMS, readHistogram } from "../counters/histograms.ts";
import type { Exposition } from "./exposition.ts";

/** Names of trackers that have a series: a hostile one could say any number of names. */
const NAMES_MAX = 64;

/** Writes the metrics. */
export function writeCluster(
  out: Exposition,
  figures: ClusterFigures,
  histograms: SharedArrayBuffer,
): void {
  const { up, behindSeconds, deltas, bytes } = figures;
  const connected = "1 while a server of NATS is connected.";
  out.single("tracker_cluster_up", "gauge", connected, Number(up));
  const nodes = "Other trackers that were heard within five seconds.";
  out.single("tracker_cluster_nodes", "gauge", nodes, figures.heard);
  const seconds = "Since when another tracker was not heard, by its name.";
  out.family("tracker_cluster_node_heard_seconds", "gauge", seconds);
  const latest = latestByName(figures);
  for (const { node, heardSeconds } of latest) out.sample(heardSeconds, { node });
  const ahead = "By how much the clock of another tracker is ahead of ours, by its name.";
  out.family("tracker_cluster_node_clock_seconds", "gauge", ahead);
  for (const { node, clockSeconds } of latest) out.sample(clockSeconds, { node });
  const behind = "How long peers of other trackers have been missing here; 0 if none are.";
  out.single("tracker_cluster_behind_seconds", "gauge", behind, behindSeconds);
  const told = "Changes of peers that were told to other trackers, and by them.";
  out.family("tracker_cluster_deltas_total", "counter", told);
  for (const direction of ["sent", "received"] as const) {
    out.sample(deltas[direction], { direction });
  }
  out.family("tracker_cluster_bytes_total", "counter", "Bytes of messages of the cluster.");
  for (const direction of ["sent", "received"] as const)
    out.sample(bytes[direction], { direction });
  if (figures.loginEndsSeconds !== null) {
    const help = "When the login at the servers of NATS ends, in seconds since 1970.";
    const name = "tracker_cluster_login_expiry_timestamp_seconds";
    out.single(name, "gauge", help, figures.loginEndsSeconds);
  }
  writeMishaps(out, figures);
  const apply = "From a message of another tracker to its effect here.";
  out.family("tracker_cluster_apply_seconds", "histogram", apply);
  out.histogram(readHistogram(histograms, "clusterApplySeconds"), HISTOGRAMS.clusterApplySeconds);
  const acknowledge = "From a message to its acknowledgement by the server of NATS.";
  out.family("tracker_cluster_acknowledge_seconds", "histogram", acknowledge);
  const acknowledged = readHistogram(histograms, "clusterAcknowledgeSeconds");
  out.histogram(acknowledged, HISTOGRAMS.clusterAcknowledgeSeconds);
}

function writeMishaps(out: Exposition, { lost, ignored, gaps, pulls }: ClusterFigures): void {
  const unsent = "Changes of peers that were not told at once: others ask for what they lack.";
  out.family("tracker_cluster_lost_total", "counter", unsent);
  for (const reason of ["away", "slow", "ring"] as const) out.sample(lost[reason], { reason });
  const help = "Messages that are damaged or of another version; changes that lists refuse.";
  out.family("tracker_cluster_ignored_total", "counter", help);
  for (const reason of ["bad", "version", "lists"] as const) {
    out.sample(ignored[reason], { reason });
  }
  const missing = "How often batches of other trackers were missing.";
  out.single("tracker_cluster_gaps_total", "counter", missing, gaps);
  out.family("tracker_cluster_pulls_total", "counter", "Requests for what was missing.");
  for (const outcome of ["done", "failed"] as const) out.sample(pulls[outcome], { outcome });
  const pulled = "Peers that these brought.";
  out.single("tracker_cluster_pulled_peers_total", "counter", pulled, pulls.peers);
}

/** A tracker that was restarted has two origins and one name: what was heard last counts. */
function latestByName({ nodes }: ClusterFigures): NodeFigures[] {
  const latest = new Map<string, NodeFigures>();
  for (const one of nodes) {
    const { node } = one;
    if (node !== "" && !latest.has(node) && latest.size < NAMES_MAX) latest.set(node, one);
  }
  return [...latest.values()];
}
