/**
 * Checks what the settings name or need, as the start does: user, lists, rules, certificate, login
 * of the cluster, state file, the limit of open files, and whether the machine has the addresses.
 *
 * The start ends at the first mistake; this check continues, so that an operator sees all mistakes
 * at once. It binds none of the ports, changes nothing, and does not change its user. What the
 * start only warns of is in foresee.ts and try-cluster.ts.
 */
import { type BadLines, showBadLines } from "../access/hash-file.ts";
import { type ListFile, readHashList, readNetworkList } from "../access/list-files.ts";
import type { Config, Origins } from "../config/schema.ts";
import { Machine } from "../host/machine.ts";
import { tryLogin } from "./cluster-login.ts";
import { countSockets, STORE_OF_UNIT } from "./kept-sockets.ts";
import { connectionsFor, type FilesConfig } from "./open-files.ts";
import { tryCertificate } from "../http/certificate.ts";
import { RuleKeeper } from "../limits/rule-keeper.ts";
import { withoutIpv6 } from "./families.ts";
import { listenError } from "./listen-error.ts";
import { forbiddenCalls } from "./system-refuses.ts";
import { readUser } from "./privileges.ts";
import { StartError } from "../host/start-error.ts";
import { countBadStateLines } from "../opentracker/state-import.ts";
import { HASH_KEY_WORDS } from "../swarm/keyed-hash.ts";
import { openLibc } from "../host/libc.ts";
import { findLibc } from "../host/mapped.ts";

/** The result of the check. */
export interface Examination {
  /** Problems that would end the start, in the order of the start. */
  problems: StartError[];
  /** Problems that the start tolerates, as sentences. */
  warnings: string[];
}

/**
 * Checks what the settings name. Skips missing settings, which could not be parsed. Rejects only
 * because of a bug. `hasIpv6` is for tests.
 */
export async function examine(
  config: Partial<Config>,
  origins: Origins = {},
  hasIpv6 = openLibc()?.hasIpv6() ?? true,
): Promise<Examination> {
  const problems: StartError[] = [];
  const warnings: string[] = [];
  const attempt = async (look: () => unknown): Promise<void> => {
    try {
      await look();
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      problems.push(error);
    }
  };
  const list = (reading: Promise<ListFile<unknown> | undefined>) =>
    attempt(async () => {
      const read = await reading;
      if (read !== undefined) warnings.push(...warningOf(read.path, read.bad));
    });
  const { user, denyFile, allowFile, denyNetworksFile } = config;
  const { rulesFile, tlsCertFile, tlsKeyFile, stateImport, snapshotFile } = config;
  const keys = new Int32Array(HASH_KEY_WORDS);
  let userId: number | undefined;
  if (user !== undefined) await attempt(() => (userId = readUser(user).id));
  await list(readHashList("TRACKER_DENY_FILE", denyFile, keys));
  await list(readHashList("TRACKER_ALLOW_FILE", allowFile, keys));
  await list(readNetworkList("TRACKER_DENY_NETWORKS_FILE", denyNetworksFile));
  await attempt(() => new RuleKeeper(rulesFile, 1).read());
  if (tlsCertFile !== undefined && tlsKeyFile !== undefined) {
    const certificate = tryCertificate(tlsCertFile, tlsKeyFile);
    if (Array.isArray(certificate)) problems.push(...certificate);
  }
  if (stateImport !== undefined) {
    await attempt(async () => {
      const count = await countBadStateLines(stateImport);
      if (count > 0) warnings.push(`${stateImport} has bad lines, which will be skipped: ${count}`);
    });
  }
  if (snapshotFile !== undefined) {
    const { examineSnapshot } = await import("../snapshot/examination.ts");
    await attempt(() => warnings.push(...examineSnapshot(snapshotFile, userId)));
  }
  const login = await tryLogin(config);
  if (Array.isArray(login)) problems.push(...login);
  if (!hasIpv6) problems.push(...withoutIpv6(config, origins).problems);
  problems.push(...impossibleSockets(config, hasIpv6));
  if (isComplete(config)) {
    const sockets = countSockets(config);
    if (sockets > STORE_OF_UNIT && findLibc() !== undefined) {
      const why = `these settings need ${sockets} sockets, and systemd keeps ${STORE_OF_UNIT}`;
      warnings.push(`${why} over a restart: set FileDescriptorStoreMax=${sockets} in the unit`);
    }
    await attempt(() => connectionsFor(new Machine(), config, findLibc() !== undefined));
  }
  return { problems, warnings };
}

/**
 * Errors for addresses that this machine does not have, and for UDP that it forbids. An unused port
 * is bound for an instant: no list of the system has all addresses, such as those of 127.0.0.0/8.
 */
function impossibleSockets(config: Partial<Config>, hasIpv6: boolean): StartError[] {
  const libc = openLibc();
  const { udpListeners = [], httpListeners = [], adminListeners = [] } = config;
  const all = { udp: udpListeners, http: httpListeners, admin: adminListeners };
  return (Object.keys(all) as (keyof typeof all)[]).flatMap((protocol) =>
    all[protocol].flatMap((listener) => {
      if (libc === undefined || (!hasIpv6 && listener.host.includes(":"))) return [];
      try {
        const fd = libc.bindUdp(listener.host, 0, false);
        const forbidden = protocol === "udp" ? libc.forbiddenCalls(fd) : [];
        libc.close(fd);
        return forbidden.length > 0 ? forbiddenCalls(forbidden) : [];
      } catch (error) {
        return [listenError(protocol, listener, error)];
      }
    }),
  );
}

/** Whether all settings are known that decide the number of open files. */
function isComplete(config: Partial<Config>): config is Partial<Config> & FilesConfig {
  const { udpListeners, udpWorkers, httpListeners, httpWorkers, adminListeners } = config;
  const needed = [udpListeners, udpWorkers, httpListeners, httpWorkers, adminListeners];
  return !needed.includes(undefined);
}

function warningOf(path: string, bad: BadLines): string[] {
  if (bad.count === 0) return [];
  return [`${path} has lines that will be skipped: ${bad.count}, namely ${showBadLines(bad)}`];
}
