/**
 * The report after the start: the addresses where the tracker listens, and warnings about this
 * machine.
 */
import { versionLine } from "../version.ts";
import type { Tell } from "../admin/warnings.ts";
import type { Log } from "../host/log.ts";
import { forewarn, type Prospect } from "./forewarnings.ts";
import { type Listener, showBytes, showListener, showSeconds } from "../config/settings.ts";
import { showWebListener } from "../config/settings.ts";

/** The parts that have started. */
export interface Started extends Prospect {
  log: Log;
  warnings: Tell;
  /** The number of UDP workers, for all addresses. */
  threads: number;
  /** The number of HTTP workers. */
  httpThreads: number;
  /** The operator's addresses; fewer than in the settings if the default one was in use. */
  admin: readonly Listener[];
  /** True if standard error is a terminal. */
  watched: boolean;
}

/** Reports where the tracker listens: in five lines on a terminal, else as log events. */
export function tellStarted(started: Started): void {
  const { config, log, threads, httpThreads, receiveBufferBytes } = started;
  const udp = config.udpListeners.map((listener) => `udp://${showListener(listener)}`).join(" ");
  const scheme = config.tlsCertFile === undefined ? "http" : "https";
  const http = config.httpListeners
    .map((listener) => showWebListener({ ...listener, tls: listener.tls ?? scheme === "https" }))
    .join(" ");
  const [operator = "", ...others] = started.admin.map((at) => `http://${showListener(at)}`);
  const memory = showBytes(config.memoryBytesMax);
  const interval = showSeconds(config.intervalSeconds);
  const buffer = Number.isFinite(receiveBufferBytes) ? showBytes(receiveBufferBytes) : "unknown";
  const httpMode = httpThreads === 0 ? "" : `threads: ${httpThreads}, `;
  const mode = threads === 0 ? "in the event loop" : `threads: ${threads}`;
  if (started.watched) {
    const lines = [
      `${versionLine()}, pid ${process.pid}`,
      `  ${udp === "" ? "udp is off" : `${udp}  (${mode}, receive buffer ${buffer})`}`,
      `  ${http === "" ? "http is off" : `${http}  (${httpMode}/announce and /scrape)`}`,
      `  ${operator === "" ? "admin is off" : `${[operator, ...others].join(" ")}  (/metrics)`}`,
      `  announce interval ${interval}, memory for swarms up to ${memory}`,
    ];
    process.stderr.write(`${lines.join("\n")}\n`);
  } else {
    log.info("started", { version: versionLine(), pid: process.pid });
    log.info("listening for UDP", { at: udp || "nowhere", threads, receiveBuffer: buffer });
    const threaded = httpThreads === 0 ? {} : { threads: httpThreads };
    log.info("listening for HTTP", { at: http || "nowhere", ...threaded });
    if (operator !== "") {
      const at = [operator, ...others].join(" ");
      log.info("listening for the operator", { at, metrics: `${operator}/metrics` });
    }
    log.info("ready", { interval, memory });
  }
  forewarn(started.warnings, started);
}
