/**
 * `buntracker cluster`: with which trackers the running one shares its peers.
 *
 *   cluster    default, by 127.0.0.1:4222
 *   tracker    a (3f0c8a1b22d45e67), batch 123
 *   state      whole
 *   deltas     1 sent, 2 received
 *   lost       0 away, 0 slow, 0 in a ring
 *   pulls      1 done, 0 failed, 5,000 peers
 *
 *   NODE                  HEARD       BATCH       WHOLE  KEEPS   STATE
 *   b                     0.4s          12          12    45m    whole
 *
 * It is 80 columns wide. What it reads may come from any program on the port: figures that are not
 * numbers are refused, and names are made printable.
 */
import { counted } from "../net/counted.ts";
import * as z from "zod/mini";

import { showSeconds } from "../config/settings.ts";
import { printable } from "./printable.ts";

const AMOUNT = z.number().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER));
const NODE = z.object({
  node: z.string(),
  origin: z.string(),
  version: AMOUNT,
  heardSeconds: AMOUNT,
  live: AMOUNT,
  whole: AMOUNT,
  lack: AMOUNT,
  behindSeconds: AMOUNT,
  draining: z.boolean(),
  timeoutSeconds: AMOUNT,
});
const CLUSTER = z.object({
  name: z.string(),
  node: z.string(),
  origin: z.string(),
  up: z.boolean(),
  engine: z.nullable(z.string()),
  draining: z.boolean(),
  number: AMOUNT,
  behindSeconds: AMOUNT,
  lost: z.object({ away: AMOUNT, slow: AMOUNT, ring: AMOUNT }),
  pulls: z.object({ done: AMOUNT, failed: AMOUNT, peers: AMOUNT }),
  deltas: z.object({ sent: AMOUNT, received: AMOUNT }),
  nodes: z.array(NODE),
});

type Cluster = z.output<typeof CLUSTER>;
type Node = z.output<typeof NODE>;

const COLUMNS = 80;
const NAME_COLUMNS = 24;
/** A tracker sends a hello each second: one that is silent for so long is gone. */
const HEARD_SECONDS = 5;

/** The cluster in an answer of the tracker; undefined if it is none. */
export function readCluster(text: string): Cluster | undefined {
  try {
    return CLUSTER.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The cluster in lines for a terminal. */
export function clusterText(cluster: Cluster): string {
  const { name, node, origin, number, lost, pulls, deltas, nodes } = cluster;
  const engine = cluster.engine ?? "no server of NATS";
  const rows = [
    ["cluster", `${printable(name)}, by ${printable(engine)}`],
    ["tracker", `${cut(node, NAME_COLUMNS)} (${printable(origin)}), batch ${number}`],
    ["state", stateOf(cluster)],
    ["deltas", `${count(deltas.sent)} sent, ${count(deltas.received)} received`],
    ["lost", `${count(lost.away)} away, ${count(lost.slow)} slow, ${count(lost.ring)} in a ring`],
    ["pulls", `${pulls.done} done, ${pulls.failed} failed, ${counted(pulls.peers, "peer", count)}`],
  ];
  const head = rows.map(([label, value]) => `${label.padEnd(10)} ${value}`);
  const lines = nodes.length === 0 ? ["no other tracker is heard"] : [HEAD, ...nodes.map(rowOf)];
  return [...head, "", ...lines].map((line) => `${line.slice(0, COLUMNS).trimEnd()}\n`).join("");
}

function stateOf({ up, draining, behindSeconds }: Cluster): string {
  const ends = draining ? ", draining" : "";
  // What is missing is not known then: nobody says what there is.
  if (!up) return `cut off, this tracker goes on alone${ends}`;
  return (behindSeconds === 0 ? "whole" : `behind for ${seconds(behindSeconds)}`) + ends;
}

const HEAD = rowOfCells(["NODE", "HEARD", "BATCH", "WHOLE", "KEEPS", "STATE"]);

function rowOf(node: Node): string {
  const { live, whole, heardSeconds, timeoutSeconds } = node;
  const name = node.node === "" ? node.origin : node.node;
  const numbers = [seconds(heardSeconds), String(live), String(whole), seconds(timeoutSeconds)];
  return rowOfCells([cut(name, NAME_COLUMNS), ...numbers, stateOfNode(node)]);
}

function stateOfNode({ lack, behindSeconds, heardSeconds, draining }: Node): string {
  if (heardSeconds > HEARD_SECONDS) return draining ? "ended" : "lost";
  if (draining) return "draining";
  return lack === 0 ? "whole" : `behind ${seconds(behindSeconds)}`;
}

function rowOfCells([name, heard, live, whole, keeps, state]: string[]): string {
  const numbers = [heard.padStart(7), live.padStart(10), whole.padStart(10), keeps.padStart(6)];
  return [name + " ".repeat(NAME_COLUMNS - Bun.stringWidth(name)), ...numbers, ` ${state}`].join(
    " ",
  );
}

/** A duration; a tenth of a second counts while it is short. */
function seconds(value: number): string {
  return value < 10 && value % 1 !== 0 ? `${value.toFixed(1)}s` : showSeconds(Math.round(value));
}

const count = (value: number): string => value.toLocaleString("en-US");

/** Cut to the columns that it may have, which letters of some scripts take two of. */
function cut(text: string, columns: number): string {
  let shown = printable(text);
  while (Bun.stringWidth(shown) > columns) shown = [...shown].slice(0, -1).join("");
  return shown;
}
