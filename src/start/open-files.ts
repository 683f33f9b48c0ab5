/**
 * Divides the limit of open files. Without a free file, Bun tries to accept connections again and
 * again, and one core is busy (Bun 1.4.5). So HTTP connections never exceed the rest:
 *
 *   ulimit -n = open at the start │ sockets and threads │ operator │ spare │ HTTP connections
 *
 * A start with too few files is refused before any socket is bound: a thread that cannot open its
 * files crashes the process.
 */
import type { Config } from "../config/schema.ts";
import { StartError } from "../host/start-error.ts";
import type { Machine } from "../host/machine.ts";

/** Connections of the operator: Prometheus, a browser's six, `top`, health checks, … */
const OPERATOR_CONNECTIONS_MIN = 16;
/** … and programs that change a hundred hashes at once, if the limit allows it. */
const OPERATOR_CONNECTIONS_MAX = 256;
const OPERATOR_SHARE = 1 / 8;

/** A thread has an event loop, its wake-up and its socket (measured, Linux x64, Bun 1.4.5). */
const FILES_PER_UDP_WORKER = 3;
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
  "udpListeners" | "udpWorkers" | "httpListeners" | "adminListeners"
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
  const least = config.httpListeners.length === 0 ? 0 : CONNECTIONS_MIN;
  const operated = config.adminListeners.length > 0;
  const needed = own + least + (operated ? OPERATOR_CONNECTIONS_MIN : 0);
  if (limit < needed) throw tooFew(limit, needed);
  const share = Math.floor(Math.min(OPERATOR_CONNECTIONS_MAX, limit * OPERATOR_SHARE));
  const rest = Math.min(share, limit - own - least);
  const operator = operated ? Math.max(OPERATOR_CONNECTIONS_MIN, rest) : 0;
  return { http: Math.min(limit - own - operator, wanted ?? CONNECTIONS_MAX), operator };
}

/** Files that the settings need, without connections and without those that are open already. */
function filesTaken(config: FilesConfig, threads: boolean): number {
  const { udpListeners, udpWorkers, httpListeners, adminListeners } = config;
  const perUdp = threads && udpWorkers > 0 ? udpWorkers * FILES_PER_UDP_WORKER : 1;
  // A new certificate gets its own listener before the old one closes.
  const listeners = 2 * httpListeners.length + adminListeners.length;
  return udpListeners.length * perUdp + listeners + FILES_SPARE;
}

function tooFew(limit: number, needed: number): StartError {
  const message = `only ${limit} files may be open, and these settings need ${needed}`;
  const remedy = `ulimit -n ${needed}, or LimitNOFILE=${needed} in the unit of systemd`;
  return new StartError(message, `${remedy}; or fewer TRACKER_UDP_WORKERS`);
}
