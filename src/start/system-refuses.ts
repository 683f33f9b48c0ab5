/**
 * What the system may refuse the start, besides addresses: calls, threads, memory. Each is a
 * sentence for the operator with a remedy.
 */
import { showBytes } from "../config/settings.ts";
import { StartError } from "../host/start-error.ts";

/** The error for a system that forbids calls, without which no UDP socket of Bun works either. */
export function forbiddenCalls(calls: readonly string[]): StartError {
  const message = `the system forbids ${calls.join(" and ")}, so UDP cannot be answered`;
  const places = "SystemCallFilter=@network-io in the unit of systemd, the container's profile";
  const remedy = `allow recvmmsg and sendmmsg (${places}), or set TRACKER_UDP_ADDRESS to nothing`;
  return new StartError(message, remedy);
}

/** The error for a system that allows too few threads. */
export function tooFewThreads(
  started: number,
  wanted: number,
  protocol: "UDP" | "HTTP" = "UDP",
): StartError {
  const those = `${started} of ${wanted} ${protocol} workers started`;
  const message = `the system allows no more threads: ${those}`;
  const limits = "TasksMax in the unit of systemd, the limit of the container, or ulimit -u";
  return new StartError(message, `raise ${limits}; or lower TRACKER_${protocol}_WORKERS`);
}

/** The error for a system without the sockets by which HTTP workers reach the event loop. */
export function noPrivateSocket(code: string): StartError {
  const message = `the system refuses a Unix socket (${code}), which HTTP workers need`;
  const places = "RestrictAddressFamilies in the unit of systemd, the container's profile";
  return new StartError(message, `allow AF_UNIX (${places}), or set TRACKER_HTTP_WORKERS=0`);
}

/** What `reserve` returns. Throws a StartError if the system refuses it the memory. */
export function reserved<Memory>(memoryBytesMax: number, reserve: () => Memory): Memory {
  try {
    return reserve();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const message = `the system does not reserve ${showBytes(memoryBytesMax)} for swarms`;
    const limits = "LimitAS or LimitDATA of systemd, ulimit -v or -d, or vm.overcommit_memory=2";
    throw new StartError(message, `lower TRACKER_MEMORY_MAX; what limits it is ${limits}`);
  }
}
