/**
 * The report after the start: the addresses where the tracker listens, and warnings about this
 * machine.
 */
import { isIPv6 } from "node:net";
import { versionLine } from "../version.ts";
import type { Config } from "../config/schema.ts";
import { IP_PARAMETER, type Warnings } from "../admin/warnings.ts";
import type { Log } from "../host/log.ts";
import { type Listener, showBytes, showListener, showSeconds } from "../config/settings.ts";
import { showWebListener } from "../config/settings.ts";

/** The parts that have started. */
export interface Started {
  config: Config;
  log: Log;
  warnings: Pick<Warnings, "tell">;
  /** Undefined where batches of datagrams and socket options are not available. */
  libc: unknown;
  /** The number of UDP workers, for all addresses. */
  threads: number;
  /** The smallest UDP receive buffer granted; Infinity if no buffer was requested. */
  receiveBufferBytes: number;
  /** The operator's addresses; fewer than in the settings if the default one was in use. */
  admin: readonly Listener[];
  /** Addresses of this machine, without loopback. */
  addresses: readonly string[];
  /** True if standard error is a terminal. */
  watched: boolean;
}

/** The largest buffer that Linux grants: it stores twice the size in an int. [socket(7)] */
const RECEIVE_BUFFER_BYTES_MAX = 2 ** 30 - 1;

/** Reports where the tracker listens: in five lines on a terminal, else as log events. */
export function tellStarted(started: Started): void {
  const { config, log, libc, threads, receiveBufferBytes } = started;
  const udp = config.udpListeners.map((listener) => `udp://${showListener(listener)}`).join(" ");
  const scheme = config.tlsCertFile === undefined ? "http" : "https";
  const http = config.httpListeners
    .map((listener) => showWebListener({ ...listener, tls: listener.tls ?? scheme === "https" }))
    .join(" ");
  const [operator = "", ...others] = started.admin.map((at) => `http://${showListener(at)}`);
  const memory = showBytes(config.memoryBytesMax);
  const interval = showSeconds(config.intervalSeconds);
  const buffer = Number.isFinite(receiveBufferBytes) ? showBytes(receiveBufferBytes) : "unknown";
  const mode = threads === 0 ? "in the event loop" : `threads: ${threads}`;
  if (started.watched) {
    const lines = [
      `${versionLine()}, pid ${process.pid}`,
      `  ${udp === "" ? "udp is off" : `${udp}  (${mode}, receive buffer ${buffer})`}`,
      `  ${http === "" ? "http is off" : `${http}  (/announce and /scrape)`}`,
      `  ${operator === "" ? "admin is off" : `${[operator, ...others].join(" ")}  (/metrics)`}`,
      `  announce interval ${interval}, memory for swarms up to ${memory}`,
    ];
    process.stderr.write(`${lines.join("\n")}\n`);
  } else {
    log.info("started", { version: versionLine(), pid: process.pid });
    log.info("listening for UDP", { at: udp || "nowhere", threads, receiveBuffer: buffer });
    log.info("listening for HTTP", { at: http || "nowhere" });
    if (operator !== "") {
      const at = [operator, ...others].join(" ");
      log.info("listening for the operator", { at, metrics: `${operator}/metrics` });
    }
    log.info("ready", { interval, memory });
  }
  if (libc === undefined && udp !== "" && config.udpWorkers > 0 && process.platform === "linux") {
    const slow = "UDP is answered in the event loop: the C library could not be opened";
    log.warn(slow, {}, "c_library");
  }
  if (config.allowIpParameter) {
    const { message, remedy } = IP_PARAMETER;
    started.warnings.tell("ip_parameter", message, { remedy });
  }
  if (threads === 0) warnOfSource(started);
  if (receiveBufferBytes < Math.min(config.udpReceiveBufferBytes, RECEIVE_BUFFER_BYTES_MAX)) {
    const small = "the system limits the UDP receive buffer, so bursts may be dropped";
    started.warnings.tell("receive_buffer", small, {
      granted: showBytes(receiveBufferBytes),
      remedy: `sysctl -w net.core.rmem_max=${config.udpReceiveBufferBytes}`,
    });
  }
}

/** Bun's sockets do not tell the destination of a request, and clients need replies from there. */
function warnOfSource({ config, log, addresses }: Started): void {
  const hosts = config.udpListeners.map(({ host }) => host);
  const reachable = addresses.filter((address) => !/^fe80:/i.test(address));
  const ipv6 = reachable.filter((address) => isIPv6(address)).length;
  const ipv4 = reachable.length - ipv6;
  const isUnclear = (host: string): boolean =>
    host === "::" ? ipv4 > 1 || ipv6 > 1 : host === "0.0.0.0" && ipv4 > 1;
  if (!hosts.some(isUnclear)) return;
  const unclear = "in the event loop, UDP replies have the address that routing picks";
  const remedy = "name each of this machine's addresses in TRACKER_UDP_ADDRESS";
  log.warn(unclear, { addresses: ipv4 + ipv6, remedy }, "udp_source");
}
