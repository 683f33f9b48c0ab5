/**
 * Why a socket cannot be bound, as a sentence for the operator with a remedy.
 */
import { type Listener, showListener } from "../config/settings.ts";
import { EXIT_FAILED } from "../constants.ts";
import { StartError } from "../host/start-error.ts";

/** Below it only privileged processes bind ports. [ip(7)] */
const PRIVILEGED_PORTS = 1024;

type Protocol = "udp" | "http" | "admin";

/** The error for a socket that cannot be bound. `cause` is the error of the system or Bun. */
export function listenError(protocol: Protocol, listener: Listener, cause: unknown): StartError {
  const { message, hint } = explain(protocol, listener, cause);
  return new StartError(message, hint, EXIT_FAILED);
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
    case "EPERM":
      return {
        message: `no permission for ${protocol} port ${listener.port} (${address})`,
        hint:
          code === "EACCES" && listener.port < PRIVILEGED_PORTS
            ? `ports below 1024 need CAP_NET_BIND_SERVICE; or set ${variable} to a higher port`
            : "a filter or a module such as SELinux forbids it: see dmesg, and the unit of systemd",
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
    case "EMFILE":
    case "ENFILE":
    case "ENOBUFS":
    case "ENOMEM":
      return {
        message: `the system has no room for a socket at ${address} (${code})`,
        hint: "raise LimitNOFILE or ulimit -n, or give the machine more memory",
      };
    default:
      return {
        message: `cannot listen for ${protocol} on ${address}: ${code ?? String(cause)}`,
        hint: `check ${variable}`,
      };
  }
}
