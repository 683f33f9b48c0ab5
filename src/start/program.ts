/**
 * Prepares the start before any socket is bound: the memory that all threads share, their owner,
 * and the values that the steps of the start pass on. It binds nothing and starts nothing.
 */
import { outboxMemory } from "../cluster/outbox.ts";
import { hostname } from "node:os";
import { AccessKeeper } from "../access/keeper.ts";
import { peerTimeoutMax, swarmsPerAddressMax } from "../config/derived.ts";
import type { Config, Origins } from "../config/schema.ts";
import { counterMemory } from "../counters/counters.ts";
import { histogramMemory } from "../counters/histograms.ts";
import { now } from "../host/clock.ts";
import { compileAsUsual } from "../host/compiling.ts";
import { type Libc, openLibc } from "../host/libc.ts";
import { Log, logsToJournal } from "../host/log.ts";
import { Machine } from "../host/machine.ts";
import { Notifier } from "../host/notify.ts";
import type { Load } from "../limits/load.ts";
import { readPeerIdPrefix } from "../net/denied-clients.ts";
import { OwnNames } from "../net/own-names.ts";
import { notesMemory } from "../notes/notes.ts";
import { peerTicksOf, reserveSwarmMemory, type SwarmMemory } from "../swarm/memory.ts";
import { Store } from "../swarm/store.ts";
import type { UdpShared } from "../udp/answering.ts";
import { CONNECTION_TTL_SECONDS, connectionKey } from "../udp/connection-ids.ts";
import { REPLY_BYTES_MAX } from "../udp/packet.ts";
import { IPV4_ONLY, remedyForDefaults, withoutIpv6 } from "./families.ts";
import { hashKeys } from "./hash-keys.ts";
import { type ConnectionLimits, connectionsFor } from "./open-files.ts";
import { type PreparedLimits, prepareLimits } from "./prepare-limits.ts";
import { Files } from "./reload.ts";
import { reserved } from "./system-refuses.ts";
import { Threads } from "./threads.ts";

/** Actions that only `main.ts` may do. */
export interface Main {
  exit: () => never;
  /** Starts a thread for a UDP worker: a compiled program finds its file only from the entry. */
  spawnUdpWorker: () => Worker;
  /** The same for an HTTP worker. */
  spawnHttpWorker: () => Worker;
}

/** The values that the steps of the start pass on. */
export interface Program {
  /** The settings, adapted to this machine. */
  readonly config: Config;
  readonly log: Log;
  /** Undefined where batches of datagrams and socket options are not available. */
  readonly libc: Libc | undefined;
  readonly machine: Machine;
  /** Tells the supervisor. */
  readonly notifier: Notifier;
  /** Host names that requests to the operator's address may use. */
  readonly ownNames: OwnNames;
  /** The limits of connections. */
  readonly connections: ConnectionLimits;
  /** The swarms, as the event loop reaches them. */
  readonly store: Store;
  readonly threads: Threads;
  /** The files that SIGHUP reads again. */
  readonly files: Files;
  readonly load: Load;
  readonly spawnUdpWorker: () => Worker;
  readonly spawnHttpWorker: () => Worker;
  /** Threads that answer HTTP; 0 to answer it in the event loop. */
  readonly httpWorkers: number;
}

/**
 * Prepares the start. Throws a StartError if the limits of the machine are too low, or if it cannot
 * have the addresses of the settings.
 */
export function prepare(
  given: Config,
  origins: Origins,
  env: NodeJS.ProcessEnv,
  main: Main,
): Program {
  compileAsUsual();
  const libc = openLibc();
  libc?.refuseCoreDumps();
  libc?.refuseHugePages();
  const families = libc === undefined || libc.hasIpv6() ? undefined : withoutIpv6(given, origins);
  if (families !== undefined && families.problems.length > 0) throw families.problems[0];
  const config = families?.config ?? given;
  const machine = new Machine();
  const connections = connectionsFor(machine, config, libc !== undefined);
  const httpWorkers =
    libc === undefined || config.httpListeners.length === 0 ? 0 : config.httpWorkers;
  const udpWorkers = libc === undefined ? 0 : config.udpWorkers * config.udpListeners.length;
  const workers = udpWorkers + httpWorkers;
  const memory = reserved(config.memoryBytesMax, () => reserveSwarms(config, workers > 0));
  const limits = prepareLimits(config, memory, 1 + workers);
  const journal = logsToJournal(env);
  const log = new Log({ level: config.logLevel, format: config.logFormat, journal });
  if (families !== undefined && families.replaced.length > 0) {
    log.warn(IPV4_ONLY, { remedy: remedyForDefaults(families) }, "no_ipv6");
  }
  const threads = new Threads(
    shareMemory(config, memory, limits, 1 + workers),
    (reason) => {
      log.error("the tracker ends, because a part of it has failed", { reason });
      return main.exit();
    },
    libc && ((list) => libc.discardAll(list)),
  );
  const store = new Store(memory);
  const lists = keepLists(config, store, log, threads);
  return {
    config,
    log,
    libc,
    machine,
    notifier: new Notifier(env),
    ownNames: new OwnNames([hostname(), ...config.allowHosts, config.publicName ?? ""]),
    connections,
    store,
    threads,
    files: new Files(lists, limits.rules, config, threads),
    load: limits.load,
    spawnUdpWorker: main.spawnUdpWorker,
    spawnHttpWorker: main.spawnHttpWorker,
    httpWorkers,
  };
}

function reserveSwarms(config: Config, threads: boolean): SwarmMemory {
  const settings = {
    memoryMax: config.memoryBytesMax,
    peerTimeout: config.peerTimeoutSeconds,
    peerTimeoutMax: peerTimeoutMax(config),
    downloadsTimeout: config.downloadsTimeoutSeconds,
    startedSeconds: Date.now() / 1000 - now(),
    threads,
    peersPerSwarmMax: config.peersPerSwarmMax,
    peersPerAddressMax: config.peersPerAddressMax,
    claims: config.allowIpParameter,
    swarmsPerAddressMax: swarmsPerAddressMax(config),
  };
  return reserveSwarmMemory(settings, hashKeys(config, hostname()));
}

/** Memory and settings for `threads` threads, including the event loop. */
function shareMemory(
  config: Config,
  memory: SwarmMemory,
  limits: PreparedLimits,
  threads: number,
): UdpShared {
  return {
    memory,
    counters: counterMemory(threads),
    key: connectionKey(config.udpSecret),
    connectionTtlSeconds: CONNECTION_TTL_SECONDS,
    startedSeconds: Date.now() / 1000 - now(),
    intervals: limits.intervals,
    limits: limits.shared,
    histograms: histogramMemory(threads),
    ...(config.clusterUrls.length > 0 && { outbox: outboxMemory(threads) }),
    notes: notesMemory(threads, {
      tickSeconds: peerTicksOf(memory.settings).seconds,
      minimumSeconds: config.minIntervalSeconds,
    }),
    settings: {
      numwantDefault: config.numwantDefault,
      numwantMax: config.numwantMax,
      scrapeMax: config.scrapeHashesMax,
      replyBytes: REPLY_BYTES_MAX,
      allowIpField: config.allowIpParameter,
      refusePrivate: config.privateAddresses === "refuse",
      externalAddresses: config.externalAddresses,
    },
  };
}

function keepLists(
  config: Config,
  store: Store,
  log: Log,
  threads: Pick<Threads, "tell">,
): AccessKeeper {
  const sources = {
    ...config,
    denyPeerIds: config.denyClients.map((text) => readPeerIdPrefix(text)!),
    allowPeerIds: config.allowClients.map((text) => readPeerIdPrefix(text)!),
  };
  return new AccessKeeper(sources, store.memory.keys, store, log, (update) => threads.tell(update));
}
