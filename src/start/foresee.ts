/**
 * Foresees what the start would warn of, as sentences for `buntracker check`: all that is known
 * before any traffic and without binding an address. It ends as the user that the start becomes.
 */
import {
  certificateWarning,
  type Warning,
  warnOfConntrack,
  warnOfMachine,
} from "../admin/warnings.ts";
import { quote } from "../config/settings.ts";
import type { Config, Origins } from "../config/schema.ts";
import { openLibc } from "../host/libc.ts";
import type { LogFields } from "../host/log.ts";
import { Machine } from "../host/machine.ts";
import { listAddresses } from "../host/interfaces.ts";
import { StartError } from "../host/start-error.ts";
import { IPV4_ONLY, remedyForDefaults, withoutIpv6 } from "./families.ts";
import { circumstancesOf, forewarn } from "./forewarnings.ts";
import { listenError } from "./listen-error.ts";
import { HAND_OVER, tryCertificate } from "../http/certificate.ts";
import { dropPrivileges, isReadable, missingRights } from "./privileges.ts";
import { filesOfStart, type ServiceUser, serviceUser } from "./service-user.ts";

/** Warnings about what the process has from its parent, which a service may have otherwise. */
const INHERITED: readonly Warning[] = ["root", "open_files", "receive_buffer"];

const FROM_HERE = "if started from here, ";
const LET_READ = "let its group read it (chgrp and chmod 640), and search the folders above it";

/**
 * The warnings of a start with these settings, as sentences. Becomes the user of the settings, for
 * good: only the system knows what that user may do. `hasIpv6` and `service` are for tests.
 */
export function foresee(
  given: Config,
  origins: Origins,
  hasIpv6 = openLibc()?.hasIpv6() ?? true,
  service = serviceUser(),
): string[] {
  const warnings: string[] = [];
  const tell = (kind: Warning, message: string, fields: LogFields): void => {
    const shown = INHERITED.includes(kind) ? FROM_HERE + message : message;
    warnings.push(sentenceOf(shown, fields));
  };
  const families = hasIpv6 ? undefined : withoutIpv6(given, origins);
  if (families !== undefined && families.replaced.length > 0) {
    warnings.push(sentenceOf(IPV4_ONLY, { remedy: remedyForDefaults(families) }));
  }
  const config = families?.config ?? given;
  const machine = new Machine();
  warnings.push(...forbiddenPorts(config, machine.portsForbidden()));
  warnings.push(...snapshotWarnings(config, origins), ...clusterWarnings(config, origins));
  const libc = openLibc();
  const usesBuffer = libc !== undefined && config.udpListeners.length > 0;
  const receiveBufferBytes = usesBuffer
    ? libc.receiveBufferFor(config.udpReceiveBufferBytes)
    : Infinity;
  forewarn({ tell }, { config, libc, receiveBufferBytes, addresses: listAddresses() ?? [] });
  const circumstances = circumstancesOf(config, machine);
  warnOfMachine({ tell }, circumstances);
  warnOfConntrack({ tell }, circumstances);
  warnings.push(...certificateWarnings(config));
  warnings.push(...lackedRights(config, origins, service));
  return warnings;
}

/** A certificate that expires soon. */
function certificateWarnings({ tlsCertFile, tlsKeyFile }: Config): string[] {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return [];
  const certificate = tryCertificate(tlsCertFile, tlsKeyFile);
  if (Array.isArray(certificate)) return [];
  const warning = certificateWarning(certificate.expiresSeconds, Date.now() / 1000);
  return warning === undefined ? [] : [sentenceOf(warning.message, warning.fields)];
}

/** The addresses whose port is below `from`. Port 0 is any free one, which is allowed. */
function forbiddenPorts(config: Config, from: number): string[] {
  const { udpListeners: udp, httpListeners: http, adminListeners: admin } = config;
  return Object.entries({ udp, http, admin }).flatMap(([protocol, listeners]) =>
    listeners
      .filter(({ port }) => port > 0 && port < from)
      .map((listener) => listenError(protocol as "udp", listener, { code: "EACCES" }))
      .map(({ message, hint }) => `${FROM_HERE}${message}: ${hint}`),
  );
}

/**
 * What the user lacks that the start becomes, or that systemd starts the service as. Becomes that
 * user.
 */
function lackedRights(
  config: Config,
  origins: Origins,
  service: ServiceUser | undefined,
): string[] {
  if (config.user === undefined && service !== undefined && process.geteuid?.() === 0) {
    return unreadableByService(config, origins, service);
  }
  try {
    if (config.user !== undefined) dropPrivileges(config.user);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return [`${FROM_HERE}${error.message}: ${error.hint}`];
  }
  return missingRights(config).map(({ message, ...fields }) => sentenceOf(message, fields));
}

/** The files that the service cannot read: it would not start. Becomes its user. */
function unreadableByService(
  config: Config,
  origins: Origins,
  { name, shown }: ServiceUser,
): string[] {
  const files = filesOfStart(config, origins);
  if (files.length === 0) return [];
  try {
    dropPrivileges(name);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return [`systemd starts the service as ${quote(name)}, and there is no such user: create it`];
  }
  return files
    .filter(([, file]) => !isReadable(file))
    .map(([variable, file]) => {
      const isOfHttps = file === config.tlsCertFile || file === config.tlsKeyFile;
      return `${shown} cannot read ${variable}, ${file}: ${isOfHttps ? HAND_OVER : LET_READ}`;
    });
}

/** Settings of the snapshot that have less effect than an operator may expect. */
function snapshotWarnings(config: Config, origins: Origins): string[] {
  const { snapshotFile, udpSecret, udpListeners } = config;
  if (snapshotFile === undefined) {
    if (origins["TRACKER_SNAPSHOT_INTERVAL"] !== "environment") return [];
    return ["TRACKER_SNAPSHOT_INTERVAL has no effect: set TRACKER_SNAPSHOT_FILE, or leave it out"];
  }
  if (udpSecret !== undefined) return [];
  const what =
    udpListeners.length > 0
      ? "connection ids end with a restart, so clients in the middle of one wait 15 seconds"
      : "crowded swarms lose peers over a restart";
  return [`${what}: set TRACKER_UDP_SECRET or TRACKER_UDP_SECRET_FILE`];
}

/** Settings of a cluster without that which begins one: the tracker would be alone, in silence. */
function clusterWarnings({ clusterUrls }: Config, origins: Origins): string[] {
  const isSet = (name: string): boolean =>
    name.startsWith("TRACKER_CLUSTER_") && origins[name] !== "default";
  const set = clusterUrls.length > 0 ? [] : Object.keys(origins).filter(isSet);
  const rest = set.filter((name) => name !== "TRACKER_CLUSTER_URL");
  if (rest.length === 0) return [];
  const remedy = "set TRACKER_CLUSTER_URL to share peers, or leave this out";
  return [`without TRACKER_CLUSTER_URL there is no effect of ${rest.join(", ")}: ${remedy}`];
}

/** The message, what it is about, and what helps: `a list is long (file /x): shorten it`. */
export function sentenceOf(message: string, { remedy, ...facts }: LogFields): string {
  const shown = Object.entries(facts).map(([name, fact]) => `${name} ${fact}`);
  return `${message}${shown.length > 0 ? ` (${shown.join(", ")})` : ""}: ${remedy}`;
}
