/**
 * The trackers for browsers that buntracker is compared with over WebSocket, and what is known of
 * one that cannot be had.
 *
 * wt-tracker is on no registry, and the server under it is a binary for one version of Node. So its
 * figures are those of a run that had all four in turn on a machine like this one, and they are
 * used as a share of what another tracker takes in this run. That is an estimate: neither shares
 * nor microseconds are the same in another run. On one day buntracker took 0.83 to 0.85 of
 * wt-tracker's microseconds, and 1.03 to 1.06 of them as a share of what npm's server took.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../e2e/harness.ts";
import {
  type Absent,
  type Contender,
  isUpgrading,
  launch,
  makeFolder,
  skipped,
  startBittorrentTracker,
  startBuntracker,
  TOOLS,
} from "./contenders.ts";

/** A cycle as the load generator has it. */
export interface Cycle {
  offers: number;
  sdp: number;
  /** µs of CPU a cycle that were measured of wt-tracker fdb52ac and of the other two. */
  measured: { "wt-tracker": number; aquatic_ws: number; "bittorrent-tracker": number };
}

/** Medians of 3 alternating rounds; 1,000 connections, 50 swarms, 2 cores, 2026-11. */
export const CYCLES: Cycle[] = [
  {
    offers: 10,
    sdp: 560,
    measured: { "wt-tracker": 278, aquatic_ws: 406, "bittorrent-tracker": 485 },
  },
  {
    offers: 5,
    sdp: 2000,
    measured: { "wt-tracker": 213, aquatic_ws: 309, "bittorrent-tracker": 358 },
  },
];

/** All that can be compared over WebSocket, by name. */
export const START_WS: Record<string, () => Promise<Contender | Absent>> = {
  buntracker: () => startBuntracker("buntracker", ["127.0.0.1"]),
  aquatic_ws: startAquaticWs,
  "bittorrent-tracker": () => startBittorrentTracker("ws"),
};

async function startAquaticWs(): Promise<Contender | Absent> {
  const program = join(TOOLS, "aquatic/bin/aquatic_ws");
  if (!existsSync(program)) return skipped("aquatic_ws");
  const port = freePort();
  const file = join(await makeFolder(), "aquatic.toml");
  await Bun.write(
    file,
    `socket_workers = 1\nswarm_workers = 1\n[network]\naddress = "127.0.0.1:${port}"\n`,
  );
  return launch("aquatic_ws", port, [program, "-c", file], {}, isUpgrading);
}
