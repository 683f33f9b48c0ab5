/**
 * Addresses on a machine without IPv6, such as one that was started with ipv6.disable=1, or where a
 * service may not use it (RestrictAddressFamilies=AF_INET).
 *
 *   default address         0.0.0.0 instead of [::], and a warning
 *   an address was asked    the start ends, and says which setting to change
 *
 * This is decided before anything is bound: of the errors of Bun's sockets only some name the cause
 * (Bun 1.4.5: `Failed to listen at ::`, without a code, over TCP).
 */
import type { Config, Origins } from "../config/schema.ts";
import { type Listener, showListener, showWebListener } from "../config/settings.ts";
import type { WebListener } from "../config/settings.ts";
import { StartError } from "../host/start-error.ts";

/** The settings that are addresses, each with its variable. */
const ADDRESSES = {
  udpListeners: "TRACKER_UDP_ADDRESS",
  httpListeners: "TRACKER_HTTP_ADDRESS",
  adminListeners: "TRACKER_ADMIN_ADDRESS",
} as const;

type Listeners = Partial<Pick<Config, keyof typeof ADDRESSES>>;

/** The settings for this machine. */
export interface Adapted<Settings> {
  config: Settings;
  /** One for each variable whose addresses cannot be bound. */
  problems: StartError[];
  /** The variables whose default was replaced. */
  replaced: string[];
}

/** Adapts the addresses to a machine without IPv6; variables without an origin were set. */
export function withoutIpv6<Settings extends Listeners>(
  config: Settings,
  origins: Origins,
): Adapted<Settings> {
  const adapted: Adapted<Settings> = { config: { ...config }, problems: [], replaced: [] };
  for (const key of Object.keys(ADDRESSES) as (keyof typeof ADDRESSES)[]) {
    const variable = ADDRESSES[key];
    const listeners: readonly Listener[] = config[key] ?? [];
    const first = listeners.find(({ host }) => host.includes(":"));
    if (first === undefined) continue;
    if (origins[variable] === "default") {
      const ipv4 = listeners.map((listener) => ({ ...listener, host: "0.0.0.0" }));
      Object.assign(adapted.config, { [key]: ipv4 });
      adapted.replaced.push(variable);
    } else {
      adapted.problems.push(noIpv6(variable, first, listeners.length > 1));
    }
  }
  return adapted;
}

/** The warning for defaults that were replaced. */
export const IPV4_ONLY = "this machine has no IPv6: clients are answered over IPv4 only";

/** What confirms that this is meant: each of these variables with the address that it got. */
export function remedyForDefaults({ replaced, config }: Adapted<Listeners>): string {
  const keys = Object.keys(ADDRESSES) as (keyof typeof ADDRESSES)[];
  // All defaults have the same port.
  const key = keys.find((candidate) => replaced.includes(ADDRESSES[candidate]))!;
  const address = (config[key] ?? []).map(showListener).join(",");
  return `enable IPv6, or set ${replaced.join(" and ")} to ${address} if this is meant`;
}

function noIpv6(
  variable: string,
  listener: Listener & Partial<WebListener>,
  isOneOfMany: boolean,
): StartError {
  const host = listener.host === "::1" ? "127.0.0.1" : "0.0.0.0";
  const instead = showWebListener({ tls: undefined, ...listener, host });
  const message = `this machine has no IPv6, so ${showListener(listener)} cannot be bound`;
  const remedy = isOneOfMany ? `leave it out of ${variable}` : `set ${variable} to ${instead}`;
  return new StartError(message, remedy);
}
