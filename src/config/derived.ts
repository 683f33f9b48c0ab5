/**
 * Numbers computed from several settings, or for a setting that is not set.
 */
import { INTERVAL_JITTER_PERCENT, shortestDraw } from "../limits/intervals.ts";
import { type LoadSettings, stretchMax } from "../limits/load.ts";
import type { Config } from "./schema.ts";

/** The fewest addresses that can hold all HTTP connections, if there are many connections. */
const ADDRESSES_MIN = 16;
const CONNECTIONS_PER_ADDRESS_MIN = 64;

/** A peer takes 8 bytes at least, and chance spreads all of them over 65,536 cells; twice that. */
const MEMORY_BYTES_PER_CHANCE = (8 * 65_536) / 2;

/** A swarm of one peer takes about 41 bytes, so an address may fill a twelfth of the memory. */
const MEMORY_BYTES_PER_SWARM_OF_ADDRESS = 512;

/** The fewest IPv6 /48 that can hold all WebSockets: one has 65,536 /64 with a limit each. */
const WEBSOCKET_SITES_MIN = 4;

/** Pages that play a video have a few swarms each. */
const PEERS_PER_WEBSOCKET = 8;

/** Memory beside swarms and workers. */
const MEMORY_BYTES_PROGRAM = 60 * 2 ** 20;
/** A thread with an engine of its own (measured, Linux x64, Bun 1.4.5). */
const MEMORY_BYTES_PER_WORKER = 5.3 * 2 ** 20;

/** The settings of the load. */
export function loadSettings(config: Config): LoadSettings {
  return {
    targetRate: config.targetRate,
    interval: config.intervalSeconds,
    intervalMax: config.intervalMaxSeconds,
    jitterPercent: INTERVAL_JITTER_PERCENT,
  };
}

/** The longest peer timeout that the load can cause, in seconds. */
export function peerTimeoutMax(config: Config): number {
  return Math.ceil(config.peerTimeoutSeconds * stretchMax(loadSettings(config)));
}

/** The shortest interval that a client may get, in seconds. */
export function shortestInterval(config: Config): number {
  const shortest = shortestDraw(config.intervalSeconds, INTERVAL_JITTER_PERCENT);
  return Math.min(config.minIntervalSeconds, shortest);
}

/**
 * The smallest usable limit of swarms for one address. Counters are shared by hashing: in memory
 * full of peers an address without swarms may appear to have some (see swarm/holdings.ts).
 */
export function swarmsPerAddressMin(memoryBytesMax: number): number {
  return Math.ceil(memoryBytesMax / MEMORY_BYTES_PER_CHANCE);
}

/** Swarms that one address may begin. */
export function swarmsPerAddressMax(config: Config): number {
  const usual = Math.ceil(config.memoryBytesMax / MEMORY_BYTES_PER_SWARM_OF_ADDRESS);
  return config.swarmsPerAddressMax ?? usual;
}

/** Memory that the tracker may take, in bytes, without answers and requests that wait. */
export function memoryNeeded(config: Config): number {
  const { memoryBytesMax, udpListeners, udpWorkers, httpListeners, httpWorkers } = config;
  const workers = udpListeners.length * udpWorkers + (httpListeners.length > 0 ? httpWorkers : 0);
  return memoryBytesMax + MEMORY_BYTES_PROGRAM + workers * MEMORY_BYTES_PER_WORKER;
}

/**
 * HTTP connections that one address may have: enough for the clients behind a carrier's NAT, whose
 * requests are short, and few enough that a handful of addresses cannot use all connections.
 */
export function connectionsPerAddressMax(connectionsMax: number): number {
  return Math.max(CONNECTIONS_PER_ADDRESS_MIN, Math.floor(connectionsMax / ADDRESSES_MIN));
}

/** The limits of WebSockets among `connectionsMax` connections over HTTP. */
export function webSocketLimits(config: Config, connectionsMax: number) {
  const half = Math.max(1, Math.floor(connectionsMax / 2));
  const connections = Math.min(config.websocketConnectionsMax ?? half, connectionsMax);
  return {
    connectionsMax: connections,
    perSiteMax: Math.max(
      connectionsPerAddressMax(connectionsMax),
      Math.floor(connections / WEBSOCKET_SITES_MIN),
    ),
    perOriginMax: config.websocketConnectionsPerOriginMax ?? connections,
    peersMax: config.websocketPeersMax ?? PEERS_PER_WEBSOCKET * connections,
  };
}
