/**
 * Divides the limit of open files. Without a free file, Bun tries to accept connections again and
 * again, and one core is busy (Bun 1.4.5). So HTTP connections never exceed the rest, or a third of
 * it with HTTP workers:
 *
 *   ulimit -n = open at the start │ sockets and threads │ operator │ spare │ HTTP connections
 *
 * A start with too few files is refused before any socket is bound: a thread that cannot open its
 * files crashes the process.
 */
import type { Config } from "../config/schema.ts";
import { STRANGERS_MAX } from "../constants.ts";
import { StartError } from "../host/start-error.ts";
import type { Machine } from "../host/machine.ts";

/** Connections of the operator: Prometheus, a browser's six, `top`, health checks, … */
const OPERATOR_CONNECTIONS_MIN = 16;
/** … and programs that change a hundred hashes at once, if the limit allows it. */
const OPERATOR_CONNECTIONS_MAX = 256;
const OPERATOR_SHARE = 1 / 8;

/** A thread has an event loop, its wake-up and its socket (measured, Linux x64, Bun 1.4.5). */
const FILES_PER_UDP_WORKER = 3;
/** The same without a socket. */
const FILES_PER_HTTP_WORKER = 2;
/** A worker may pass on any connection, and both ends of a private socket are then open as well. */
const FILES_PER_PASSED = 3;
/** Files that are open briefly: lists and drafts, certificates, /proc, one more connection. */
const FILES_SPARE = 16;
/** Assumed open files where the system does not tell; Bun opens 8. */
const FILES_OPEN_USUAL = 16;
/** The assumed limit where the system does not tell. */
const FILES_LIMIT_USUAL = 1024;
/** The most HTTP connections, even if the system allows more. */
const CONNECTIONS_MAX = 65_536;
/** With fewer connections HTTP is not usable. */
const CONNECTIONS_MIN = 8;

/** The settings that decide the number of files. */
export type FilesConfig = Pick<
  Config,
  "udpListeners" | "udpWorkers" | "httpListeners" | "httpWorkers" | "adminListeners"
> & { httpConnectionsMax?: number | undefined };

/** The limits of connections. */
export interface ConnectionLimits {
  http: number;
  operator: number;
}

/**
 * The limits of connections that the open files allow. `threads` is true if UDP workers are
 * threads. Throws a StartError with the number of files needed if the limit is lower.
 */
export function connectionsFor(
  machine: Pick<Machine, "files" | "filesLimit">,
  config: FilesConfig,
  threads: boolean,
): ConnectionLimits {
  const wanted = config.httpConnectionsMax;
  const unknown = wanted === undefined ? FILES_LIMIT_USUAL : Infinity;
  const limit = machine.filesLimit() ?? unknown;
  const own = (machine.files()?.open ?? FILES_OPEN_USUAL) + filesTaken(config, threads);
  const files = threads && config.httpWorkers > 0 ? FILES_PER_PASSED : 1;
  const least = config.httpListeners.length === 0 ? 0 : CONNECTIONS_MIN * files;
  const operated = config.adminListeners.length > 0;
  const needed = own + least + (operated ? OPERATOR_CONNECTIONS_MIN : 0);
  if (limit < needed) throw tooFew(limit, needed, config.httpWorkers);
  const share = Math.floor(Math.min(OPERATOR_CONNECTIONS_MAX, limit * OPERATOR_SHARE));
  const rest = Math.min(share, limit - own - least);
  const operator = operated ? Math.max(OPERATOR_CONNECTIONS_MIN, rest) : 0;
  const most = Math.floor((limit - own - operator) / files);
  return { http: Math.min(most, wanted ?? CONNECTIONS_MAX), operator };
}

/** Files that the settings need, without connections and without those that are open already. */
function filesTaken(config: FilesConfig, threads: boolean): number {
  const { udpListeners, udpWorkers, httpListeners, httpWorkers, adminListeners } = config;
  const perUdp = threads && udpWorkers > 0 ? udpWorkers * FILES_PER_UDP_WORKER : 1;
  // A new certificate gets its own listener before the old one closes.
  const sets = threads ? Math.max(1, httpWorkers) : 1;
  const listeners = 2 * sets * httpListeners.length + adminListeners.length;
  const perHttp = threads && httpListeners.length > 0 ? httpWorkers * FILES_PER_HTTP_WORKER : 0;
  // With the private socket itself.
  const strangers = perHttp > 0 ? 1 + STRANGERS_MAX : 0;
  return udpListeners.length * perUdp + perHttp + strangers + listeners + FILES_SPARE;
}

function tooFew(limit: number, needed: number, httpWorkers: number): StartError {
  const http = httpWorkers > 0 ? " or TRACKER_HTTP_WORKERS" : "";
  const message = `only ${limit} files may be open, and these settings need ${needed}`;
  const remedy = `ulimit -n ${needed}, or LimitNOFILE=${needed} in the unit of systemd`;
  return new StartError(message, `${remedy}; or fewer TRACKER_UDP_WORKERS${http}`);
}
