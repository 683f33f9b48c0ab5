/**
 * What operators see of a cluster: the figures of `/cluster`, metrics, `top` and the page.
 *
 * Names and numbers of trackers, and sums of what was told: no address of a peer, no info hash. So
 * they need no token.
 */
import { clockAhead } from "./clocks.ts";
import type { Ledger } from "./ledger.ts";
import { lackOf, type Origin } from "./origin.ts";
import { FORMAT_VERSION } from "./wire.ts";

/** Another tracker, heard within a peer timeout. */
export interface NodeFigures {
  /** Its name; empty until its first hello. */
  node: string;
  /** 16 hexadecimal digits, new at each start. */
  origin: string;
  /** Version of the format that it speaks. */
  version: number;
  /** Since when nothing was heard of it. */
  heardSeconds: number;
  /** The last of its batches that was heard, up to which nothing is missing, and what is. */
  live: number;
  whole: number;
  lack: number;
  /** How long something of it has been missing; 0 if nothing is. */
  behindSeconds: number;
  /** It ends. */
  draining: boolean;
  /** How long it keeps a peer without an announce. */
  timeoutSeconds: number;
  /** By how much its clock is ahead of ours; less than 0 if it is late. */
  clockSeconds: number;
}

/** The figures, without those that only the link knows. */
export interface SharingFigures {
  node: string;
  origin: string;
  up: boolean;
  draining: boolean;
  /** The number of its own last batch. */
  number: number;
  /** For how long peers of other trackers have been missing here; 0 if all are here. */
  behindSeconds: number;
  /** Own deltas that were not sent: no server, one too slow, a ring that was full. */
  lost: { away: number; slow: number; ring: number };
  /** Messages that are damaged or of another version, and deltas that our lists do not let in. */
  ignored: { bad: number; version: number; lists: number };
  /** Times that numbers of another were missing. */
  gaps: number;
  pulls: { done: number; failed: number; peers: number };
  deltas: { sent: number; received: number };
  /** Other trackers that are there now. */
  heard: number;
  /** Heard last comes first. */
  nodes: NodeFigures[];
}

/** All figures, as `/cluster` shows them. */
export interface ClusterFigures extends SharingFigures {
  /** Name of the cluster. */
  name: string;
  /** Host and port of the NATS server that is connected. */
  engine: string | null;
  /** When the login at the servers ends, in seconds since 1970; null if it does not. */
  loginEndsSeconds: number | null;
  /** Bytes of messages. */
  bytes: { sent: number; received: number };
}

/** The other trackers that said something within `keptSeconds`. */
export function nodesOf(
  ledger: Ledger,
  now: number,
  keptSeconds: number,
  clock: (at: number) => number,
): NodeFigures[] {
  return [...ledger.origins]
    .filter(({ seenAt }) => now - seenAt <= keptSeconds)
    .sort((one, other) => other.seenAt - one.seenAt)
    .map((origin) => nodeOf(origin, now, clock));
}

function nodeOf(state: Origin, now: number, clock: (at: number) => number): NodeFigures {
  const { origin, live, whole, seenAt, wholeAt, hello } = state;
  const lack = lackOf(state, now);
  const since = Number.isFinite(wholeAt) ? now - wholeAt : 0;
  return {
    ...{ node: hello?.name ?? "", origin, version: FORMAT_VERSION },
    ...{ heardSeconds: round(now - seenAt), live, whole, lack },
    behindSeconds: lack === 0 ? 0 : round(Math.max(1, since)),
    draining: hello?.drains ?? false,
    timeoutSeconds: hello?.keepsSeconds ?? 0,
    clockSeconds: Math.round(clockAhead(state, clock)),
  };
}

/** Rounds to milliseconds. */
export const round = (seconds: number): number => Math.round(seconds * 1000) / 1000;
