/**
 * Keeps the swarms over a restart, where TRACKER_SNAPSHOT_FILE says so: what restores them, judged
 * by the lists, limits and addresses of today, and writes them from then on.
 *
 * Its modules are loaded only then: without the setting they take no memory.
 */
import { Access } from "../access/access.ts";
import { PeerGate } from "../gates/peer-gate.ts";
import { VERDICT_OK } from "../gates/verdicts.ts";
import { Limits } from "../limits/limits.ts";
import { listAddresses } from "../host/interfaces.ts";
import type { Snapshots } from "../snapshot/snapshots.ts";
import type { Judge } from "../swarm/put-back.ts";
import { readUser } from "./privileges.ts";
import type { Program } from "./program.ts";

/**
 * Restores the swarms, before any thread or socket; undefined if none are to be kept. Rejects with
 * a StartError if no snapshot could be written.
 */
export async function keepSwarms(program: Program): Promise<Snapshots | undefined> {
  const { config, store, load, log } = program;
  const { snapshotFile: path, snapshotIntervalSeconds: intervalSeconds } = config;
  if (path === undefined) return undefined;
  const { mustBeWritable, Snapshots } = await import("../snapshot/snapshots.ts");
  mustBeWritable(path);
  const user = config.user === undefined ? undefined : readUser(config.user).id;
  const snapshots = new Snapshots({ path, intervalSeconds, user, store, load, log });
  snapshots.restore(judgeOf(program));
  return snapshots;
}

/** The judge of a peer that does not announce: the same gate as for one that does. */
function judgeOf({ config, threads }: Program): Judge {
  const { access, limits } = threads.shared;
  const today = new Limits(0, limits);
  const addresses = listAddresses();
  if (addresses !== undefined) today.own.take(addresses);
  const gate = new PeerGate(new Access(access), today, config.privateAddresses === "refuse");
  return {
    maySwarm: (infoHash) => gate.judgeSwarm(infoHash) === VERDICT_OK,
    mayPeer: (bytes, at, family, port) => gate.passes(bytes, at, family, port),
  };
}
