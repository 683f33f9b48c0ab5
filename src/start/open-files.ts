/**
 * What open files are kept for. Without one left, Bun accepts connections in vain and without rest,
 * and one core is busy for nothing (Bun 1.4.5); so HTTP never has more than these leave:
 *
 *   ulimit -n = open at the start │ sockets and threads │ operator │ spare │ HTTP connections
 *
 * A start that would leave too few is refused before anything is bound: a thread that cannot have
 * its files ends the process with a crash.
 */
import type { Config } from "../config/schema.ts";
import { StartError } from "../host/start-error.ts";
import type { Machine } from "../host/machine.ts";

/** Connections of the operator: Prometheus, a browser's six, `top`, health checks, … */
const OPERATOR_CONNECTIONS_MIN = 16;
/** … and programs that change a hundred hashes at once, where there is room for them. */
const OPERATOR_CONNECTIONS_MAX = 256;
const OPERATOR_SHARE = 1 / 8;

/** A thread has an event loop, its wake-up and its socket (measured, Linux x64, Bun 1.4.5). */
const FILES_PER_UDP_WORKER = 3;
/** Files that are open for a moment: lists and drafts, certificates, /proc, one connection more. */
const FILES_SPARE = 16;
/** What a system has open that does not tell; 8 of Bun's own were seen. */
const FILES_OPEN_USUAL = 16;
/** What a system allows that does not tell. */
const FILES_LIMIT_USUAL = 1024;
/** HTTP connections held at most, where the system would let us have more. */
const CONNECTIONS_MAX = 65_536;
/** With fewer, HTTP is not worth the name. */
const CONNECTIONS_MIN = 8;

/** The settings that decide. */
export type FilesConfig = Pick<
  Config,
  "udpListeners" | "udpWorkers" | "httpListeners" | "adminListeners"
> & { httpConnectionsMax?: number | undefined };

/** How many connections may be open. */
export interface ConnectionLimits {
  http: number;
  operator: number;
}

/**
 * How many connections there are files for, whatever is wanted. `threads` says whether UDP workers
 * are threads here. Throws a StartError that names the files it takes, if there are not as many.
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

/** Files that the settings take beside those of connections and those that are open already. */
function filesTaken(config: FilesConfig, threads: boolean): number {
  const { udpListeners, udpWorkers, httpListeners, adminListeners } = config;
  const perUdp = threads && udpWorkers > 0 ? udpWorkers * FILES_PER_UDP_WORKER : 1;
  // A new certificate has a listener of its own before the old one goes.
  const listeners = 2 * httpListeners.length + adminListeners.length;
  return udpListeners.length * perUdp + listeners + FILES_SPARE;
}

function tooFew(limit: number, needed: number): StartError {
  const message = `only ${limit} files may be open, and these settings need ${needed}`;
  const remedy = `ulimit -n ${needed}, or LimitNOFILE=${needed} in the unit of systemd`;
  return new StartError(message, `${remedy}; or fewer TRACKER_UDP_WORKERS`);
}
