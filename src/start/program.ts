/**
 * What the steps of the start hand on to each other, and what all threads share.
 */
import type { WorkerMail } from "../udp/mail.ts";
import { hostname } from "node:os";

import type { Access } from "../access/access.ts";
import type { Config } from "../config/schema.ts";
import type { Certificate } from "../http/certificate.ts";
import { OwnAddresses } from "../limits/own-addresses.ts";
import type { Limits } from "../limits/limits.ts";
import type { Load } from "../limits/load.ts";
import type { RuleKeeper } from "../limits/rule-keeper.ts";
import { now } from "../host/clock.ts";
import { counterMemory } from "../counters/counters.ts";
import { Machine } from "../host/machine.ts";
import { connectionsFor } from "./open-files.ts";
import { OwnNames } from "../net/own-names.ts";
import { histogramMemory } from "../counters/histograms.ts";
import { Log, logsToJournal } from "../host/log.ts";
import { notesMemory } from "../notes/notes.ts";
import { peerTicksOf, reserveSwarmMemory } from "../swarm/memory.ts";
import type { UdpShared } from "../udp/answering.ts";
import { CONNECTION_TTL_SECONDS, connectionKey } from "../udp/connection-ids.ts";
import { REPLY_BYTES_MAX } from "../udp/packet.ts";
import { type Libc, openLibc } from "../host/libc.ts";
import { peerTimeoutMax, prepareLimits, startFollowingAddresses } from "./prepare-limits.ts";

/** Addresses it takes at least to have them all, where they are many. */
const ADDRESSES_MIN = 16;
const CONNECTIONS_PER_ADDRESS_MIN = 64;

/** What only `main.ts` does. */
export interface Main {
  exit: () => never;
  /** A compiled program finds the file of a thread only from its entry. */
  spawn: () => Worker;
}

/** A thread that answers UDP. */
export interface UdpWorker {
  ready: Promise<void>;
  /** Resolves when it has done what the message says. */
  tell(message: WorkerMail): Promise<void>;
  /** Why it has failed, if nobody could hear that; else "". */
  lastWords(): string;
}

/** What the steps of the start hand on. */
export interface Program {
  config: Config;
  log: Log;
  /** Undefined where batches of datagrams and socket options are not to be had. */
  libc: Libc | undefined;
  shared: UdpShared;
  /** UDP workers started so far, of all addresses. */
  workers: UdpWorker[];
  /** What this thread itself judges by, over UDP and HTTP. */
  accesses: Access[];
  /** What limits requests in this thread, over UDP and HTTP. */
  limits: Limits[];
  rules: RuleKeeper;
  load: Load;
  /** Ends the process: it cannot go on as it should. */
  fail: (reason: string) => never;
  /** A new thread for a UDP worker. */
  spawn: () => Worker;
  machine: Machine;
  /** Host names under which this machine and the operator may ask. */
  ownNames: OwnNames;
  /** HTTP connections that may be open. */
  connectionsMax: number;
  /** How many of them one address may have. */
  connectionsPerAddressMax: number;
  /** Connections to the operator's port that may be open. */
  operatorConnectionsMax: number;
  /** The smallest UDP receive buffer that was granted. */
  receiveBufferBytes: number;
}

/** Something that listens. */
export interface Running {
  /** Stops accepting, answers what is queued; resolves when that is done. */
  stop(): Promise<void>;
  /** Goes on with another certificate. Connections that are open keep theirs. */
  renew?(certificate: Certificate): void;
}

/**
 * Enough for the people behind a carrier's NAT, whose requests are short, and so few that a handful
 * of addresses cannot keep everybody else out.
 */
function connectionsPerAddress(connectionsMax: number): number {
  return Math.max(CONNECTIONS_PER_ADDRESS_MIN, Math.floor(connectionsMax / ADDRESSES_MIN));
}

/** A swarm of one peer takes about 41 bytes, so an address may fill a twelfth of the memory. */
function swarmsPerAddress(memoryBytesMax: number): number {
  return Math.ceil(memoryBytesMax / 512);
}

/** Reserves what all threads share. Throws a StartError if the machine allows too little. */
export function prepare(config: Config, env: NodeJS.ProcessEnv, main: Main): Program {
  const libc = openLibc();
  libc?.refuseCoreDumps();
  const machine = new Machine();
  const connections = connectionsFor(machine, config, libc !== undefined);
  const workers = libc === undefined ? 0 : config.udpWorkers * config.udpListeners.length;
  const memory = reserveSwarmMemory({
    memoryMax: config.memoryBytesMax,
    peerTimeout: config.peerTimeoutSeconds,
    peerTimeoutMax: peerTimeoutMax(config),
    downloadsTimeout: config.downloadsTimeoutSeconds,
    threads: workers > 0,
    peersPerSwarmMax: config.peersPerSwarmMax,
    peersPerAddressMax: config.peersPerAddressMax,
    swarmsPerAddressMax: config.swarmsPerAddressMax ?? swarmsPerAddress(config.memoryBytesMax),
  });
  const limits = prepareLimits(config, memory, 1 + workers);
  startFollowingAddresses(new OwnAddresses(limits.shared.own));
  const shared: UdpShared = {
    memory,
    counters: counterMemory(1 + workers),
    key: connectionKey(config.udpSecret),
    connectionTtlSeconds: CONNECTION_TTL_SECONDS,
    startedSeconds: Date.now() / 1000 - now(),
    intervals: limits.intervals,
    limits: limits.shared,
    histograms: histogramMemory(1 + workers),
    notes: notesMemory(1 + workers, {
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
    },
  };
  const log = new Log({
    level: config.logLevel,
    format: config.logFormat,
    journal: logsToJournal(env),
  });
  return {
    config,
    log,
    libc,
    shared,
    workers: [],
    accesses: [],
    limits: [],
    rules: limits.rules,
    load: limits.load,
    fail(reason) {
      log.error("the tracker ends, because it cannot go on as it should", { reason });
      return main.exit();
    },
    spawn: main.spawn,
    machine,
    ownNames: new OwnNames([hostname(), ...config.allowHosts, config.publicName ?? ""]),
    connectionsMax: connections.http,
    connectionsPerAddressMax: connectionsPerAddress(connections.http),
    operatorConnectionsMax: connections.operator,
    receiveBufferBytes: Infinity,
  };
}
