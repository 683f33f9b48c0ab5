/**
 * Why a socket cannot be bound, as a sentence for the operator with a remedy.
 */
import { type Listener, showListener } from "../config/settings.ts";
import { EXIT_FAILED } from "../constants.ts";
import { StartError } from "../host/start-error.ts";

type Protocol = "udp" | "http" | "admin";

/** The error for a socket that cannot be bound. `cause` is the error of the system or Bun. */
export function listenError(protocol: Protocol, listener: Listener, cause: unknown): StartError {
  const { message, hint } = explain(protocol, listener, cause);
  return new StartError(message, hint, EXIT_FAILED);
}

/** The error for a system that forbids calls, without which no UDP socket of Bun works either. */
export function forbiddenCalls(calls: readonly string[]): StartError {
  const message = `the system forbids ${calls.join(" and ")}, so UDP cannot be answered`;
  const places = "SystemCallFilter=@network-io in the unit of systemd, the container's profile";
  const remedy = `allow recvmmsg and sendmmsg (${places}), or set TRACKER_UDP_ADDRESS to nothing`;
  return new StartError(message, remedy);
}

/** The error for a system that allows too few threads. */
export function tooFewThreads(started: number, wanted: number): StartError {
  const message = `the system allows no more threads: ${started} of ${wanted} UDP workers started`;
  const limits = "TasksMax in the unit of systemd, the limit of the container, or ulimit -u";
  return new StartError(message, `raise ${limits}; or lower TRACKER_UDP_WORKERS`);
}

function explain(protocol: Protocol, listener: Listener, cause: unknown) {
  const address = showListener(listener);
  const variable = `TRACKER_${protocol.toUpperCase()}_ADDRESS`;
  const everywhere = listener.host.includes(":") ? "[::]" : "0.0.0.0";
  const { code: name } = cause as { code?: string };
  const zone = listener.host.split("%")[1];
  // Bun gives no code for a missing interface.
  const code = zone !== undefined && (name ?? "ENOENT") === "ENOENT" ? "ENODEV" : name;
  switch (code) {
    case "EADDRINUSE":
      return {
        message: `${protocol} port ${listener.port} is already in use (${address})`,
        hint: `another tracker may be running: see ss -lnp, or set ${variable}`,
      };
    case "EACCES":
      return {
        message: `no permission for ${protocol} port ${listener.port} (${address})`,
        hint: `ports below 1024 need CAP_NET_BIND_SERVICE; or set ${variable} to a higher port`,
      };
    case "EADDRNOTAVAIL":
      return {
        message: `this machine does not have the address ${address}`,
        hint: `see ip addr, or set ${variable} to ${everywhere}:${listener.port}`,
      };
    case "ENODEV":
      return {
        message: `this machine has no interface ${zone}, which ${address} names`,
        hint: `see ip link, or set ${variable} to [::]:${listener.port}`,
      };
    default:
      return {
        message: `cannot listen for ${protocol} on ${address}: ${code ?? String(cause)}`,
        hint: `check ${variable}`,
      };
  }
}
