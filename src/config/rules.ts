/**
 * Rules between two or more settings, whose values are valid alone but not together.
 *
 * Settings that could not be parsed are undefined in the arguments of a rule, which then reports
 * nothing; they are reported already. A setting that has no effect because of another one breaks no
 * rule: one environment may serve several trackers.
 */
import { resolve } from "node:path";

import type { Config, Origins } from "./schema.ts";
import { doublings, INTERVAL_JITTER_PERCENT, longestDraw } from "../limits/intervals.ts";
import { swarmsPerAddressMin } from "./derived.ts";
import {
  type Listener,
  showBytes,
  showListener,
  showSeconds,
  showWebListener,
} from "./settings.ts";

/** The default of TRACKER_PROXY_HEADER. */
const PROXY_HEADER_USUAL = "x-forwarded-for";

/** Returns a sentence about the contradiction, or undefined without one. */
type Rule = (config: Config, origins: Origins) => string | undefined;

/** Rules between settings, in the order in which they are reported. */
export const RULES: Rule[] = [
  bothOrNone("TRACKER_TLS_CERT_FILE", "TRACKER_TLS_KEY_FILE"),
  (config) => {
    const asked = config.httpListeners?.find((listener) => listener.tls === true);
    if (asked === undefined || config.tlsCertFile !== undefined) return undefined;
    const why = "which needs a certificate: set TRACKER_TLS_CERT_FILE";
    return `TRACKER_HTTP_ADDRESS has ${showWebListener(asked)}, ${why}`;
  },
  (config) => {
    if (config.tlsCertFile === undefined || config.tlsKeyFile === undefined) return undefined;
    if (config.httpListeners?.every(({ tls }) => tls === false) !== true) return undefined;
    const why = "but no address of TRACKER_HTTP_ADDRESS speaks HTTPS";
    return `TRACKER_TLS_CERT_FILE is set, ${why}: write https:// before one, or leave it out`;
  },
  sameFile,
  ({ snapshotFile, tlsCertFile, tlsKeyFile }) => {
    if (snapshotFile === undefined) return undefined;
    const files = { TRACKER_TLS_CERT_FILE: tlsCertFile, TRACKER_TLS_KEY_FILE: tlsKeyFile };
    const same = Object.entries(files).find(
      ([, path]) => path !== undefined && resolve(path) === resolve(snapshotFile),
    );
    if (same === undefined) return undefined;
    return `${same[0]} and TRACKER_SNAPSHOT_FILE are the same file: each needs its own`;
  },
  besideSnapshot,
  bothOrNone("TRACKER_CLUSTER_USER", "TRACKER_CLUSTER_PASSWORD"),
  ({ clusterUser, clusterCredentialsFile, clusterUrls = [] }) => {
    if (clusterCredentialsFile === undefined) return undefined;
    const inUrl = clusterUrls.some(({ user }) => user !== undefined);
    if (clusterUser === undefined && !inUrl) return undefined;
    const other = inUrl ? "TRACKER_CLUSTER_URL has a user" : "TRACKER_CLUSTER_USER is set";
    return `TRACKER_CLUSTER_CREDENTIALS_FILE is set, and ${other}: keep one way to log in`;
  },
  bothOrNone("TRACKER_CLUSTER_TLS_CERT_FILE", "TRACKER_CLUSTER_TLS_KEY_FILE"),
  ({ clusterTlsCaFile, clusterTlsCertFile, clusterUrls = [] }) => {
    const file = clusterTlsCaFile === undefined ? "CERT" : "CA";
    if ((clusterTlsCaFile ?? clusterTlsCertFile) === undefined || clusterUrls.length === 0) {
      return undefined;
    }
    if (clusterUrls.some(({ tls }) => tls)) return undefined;
    const why = "but no server of TRACKER_CLUSTER_URL is reached by tls://";
    return `TRACKER_CLUSTER_TLS_${file}_FILE is set, ${why}: write tls:// there, or leave it out`;
  },
  ({ udpListeners = [] }) => {
    const udp = udpListeners.map(({ host, port }) => ({ host, port, of: "TRACKER_UDP_ADDRESS" }));
    return sameAddress(udp);
  },
  ({ httpListeners = [], adminListeners = [] }) => {
    const http = httpListeners.map(({ host, port }) => ({
      host,
      port,
      of: "TRACKER_HTTP_ADDRESS",
    }));
    const admin = adminListeners.map((listener) => ({ ...listener, of: "TRACKER_ADMIN_ADDRESS" }));
    return sameAddress([...http, ...admin]);
  },
  ({ adminListeners = [] }) => {
    // No URL can name such an address, so browsers and Prometheus could not use it. [RFC 9844 5]
    const zoned = adminListeners.find(({ host }) => host.includes("%"));
    if (zoned === undefined) return undefined;
    const why = "and the operator is not answered at link-local addresses";
    return `TRACKER_ADMIN_ADDRESS has ${showListener(zoned)}, ${why}: write [::1]:${zoned.port}`;
  },
  (config) => {
    if (config.udpListeners?.length !== 0 || config.httpListeners?.length !== 0) return undefined;
    return "TRACKER_UDP_ADDRESS and TRACKER_HTTP_ADDRESS are both empty: keep at least one";
  },
  (config) => {
    if (!(config.minIntervalSeconds > config.intervalSeconds)) return undefined;
    const [min, interval] = [config.minIntervalSeconds, config.intervalSeconds].map(showSeconds);
    const hint = `choose at most ${interval}`;
    return `TRACKER_MIN_INTERVAL is ${min}, longer than TRACKER_INTERVAL: ${hint}`;
  },
  ({ swarmsPerAddressMax, memoryBytesMax }) => {
    if (swarmsPerAddressMax === undefined || memoryBytesMax === undefined) return undefined;
    const least = swarmsPerAddressMin(memoryBytesMax);
    if (swarmsPerAddressMax >= least) return undefined;
    const why = `fewer than addresses can be told apart by in ${showBytes(memoryBytesMax)}`;
    const hint = `choose at least ${least}`;
    return `TRACKER_SWARMS_PER_ADDRESS_MAX is ${swarmsPerAddressMax}, ${why}: ${hint}`;
  },
  (config) => {
    if (!(config.numwantDefault > config.numwantMax)) return undefined;
    const { numwantDefault, numwantMax } = config;
    const hint = `choose at most ${numwantMax}`;
    return `TRACKER_NUMWANT_DEFAULT is ${numwantDefault}, more than TRACKER_NUMWANT_MAX: ${hint}`;
  },
  (config) => {
    const longest = longestDraw(longestUsual(config), INTERVAL_JITTER_PERCENT);
    if (!(config.peerTimeoutSeconds <= longest)) return undefined;
    const [timeout, wait] = [config.peerTimeoutSeconds, longest].map(showSeconds);
    const why = "peers would be forgotten between two announces";
    return `TRACKER_PEER_TIMEOUT is ${timeout}, so ${why}: choose more than ${wait}`;
  },
  (config, origins) => {
    const grows = config.targetRate > 0 || config.intervalPerDoublingSeconds > 0;
    const meant = origins["TRACKER_INTERVAL_MAX"] === "environment";
    if (!grows && !meant) return undefined;
    if (!(config.intervalMaxSeconds < config.intervalSeconds)) return undefined;
    const [max, interval] = [config.intervalMaxSeconds, config.intervalSeconds].map(showSeconds);
    const hint = `choose at least ${interval}`;
    return `TRACKER_INTERVAL_MAX is ${max}, shorter than TRACKER_INTERVAL: ${hint}`;
  },
  (config) => {
    const { rateLimitAddress, rateLimitNetwork } = config;
    if (!(rateLimitNetwork < rateLimitAddress)) return undefined;
    const why = `is ${rateLimitNetwork}, less than one address of it may ask`;
    return `TRACKER_RATE_LIMIT_NETWORK ${why}: choose at least ${rateLimitAddress}`;
  },
  (config) => {
    if (config.earlyAnnounces !== "refuse" || config.minIntervalSeconds !== 0) return undefined;
    const why = "but with TRACKER_MIN_INTERVAL of 0s none is early";
    return `TRACKER_EARLY_ANNOUNCES is refuse, ${why}: choose a longer one, or answer`;
  },
  (config) => {
    if (config.trustedProxies?.length !== 0) return undefined;
    if (config.proxyHeader === undefined || config.proxyHeader === PROXY_HEADER_USUAL)
      return undefined;
    const why = "but without TRACKER_TRUSTED_PROXIES no header is trusted";
    return `TRACKER_PROXY_HEADER is ${config.proxyHeader}, ${why}: set the proxy's address there`;
  },
  ({ publicName, allowHosts = [] }) => {
    if (publicName === undefined || allowHosts.length === 0) return undefined;
    if (allowHosts.includes(publicName)) return undefined;
    const why = "under which TRACKER_ALLOW_HOSTS refuses announces";
    return `TRACKER_PUBLIC_NAME is ${publicName}, ${why}: add it there`;
  },
];

/**
 * Two settings that have no effect alone. One that is set, but could not be read, has no origin: it
 * is reported already, and is not missing.
 */
function bothOrNone(one: string, other: string): Rule {
  return (_, origins) => {
    const [isOne, isOther] = [one, other].map((variable) => origins[variable] !== "default");
    if (isOne === isOther) return undefined;
    const [given, missing] = isOne ? [one, other] : [other, one];
    return `${given} is set without ${missing}: set both`;
  };
}

/** Files that must not be the same, because each is read in its own format. */
const FILES = {
  denyFile: "TRACKER_DENY_FILE",
  allowFile: "TRACKER_ALLOW_FILE",
  denyNetworksFile: "TRACKER_DENY_NETWORKS_FILE",
  rulesFile: "TRACKER_RULES_FILE",
  stateImport: "TRACKER_STATE_IMPORT",
  snapshotFile: "TRACKER_SNAPSHOT_FILE",
} as const;

function sameFile(config: Config): string | undefined {
  const seen = new Map<string, string>();
  for (const [key, variable] of Object.entries(FILES)) {
    const path = config[key as keyof typeof FILES];
    if (path === undefined) continue;
    const other = seen.get(resolve(path));
    if (other !== undefined) {
      const lists = `${other} and ${variable}`;
      const pair = lists === "TRACKER_DENY_FILE and TRACKER_ALLOW_FILE";
      const why = pair ? "nothing would be served" : "each needs its own";
      return `${lists} are the same file: ${why}`;
    }
    seen.set(resolve(path), variable);
  }
  return undefined;
}

/** What the snapshot writes beside its file: drafts, and what is used where the file is not. */
const BESIDE_SNAPSHOT = [".new", ".v1", ".v1.new"];

/** The snapshot would overwrite a file of another setting. */
function besideSnapshot(config: Config): string | undefined {
  const { snapshotFile } = config;
  if (snapshotFile === undefined) return undefined;
  const beside = BESIDE_SNAPSHOT.map((end) => resolve(snapshotFile) + end);
  const files = {
    ...FILES,
    tlsCertFile: "TRACKER_TLS_CERT_FILE",
    tlsKeyFile: "TRACKER_TLS_KEY_FILE",
  } as const;
  for (const [key, variable] of Object.entries(files)) {
    const path = config[key as keyof typeof files];
    if (path === undefined || !beside.includes(resolve(path))) continue;
    const why = "which TRACKER_SNAPSHOT_FILE is written through or beside";
    return `${variable} is ${path}, ${why}: choose another name`;
  }
  return undefined;
}

/** An address, and the variable that names it. */
type Place = Listener & { of: string };

/** A sentence about two addresses that cannot both be bound; undefined without a conflict. */
function sameAddress(places: Place[]): string | undefined {
  for (const [at, later] of places.entries()) {
    const earlier = places.slice(0, at).find((place) => overlap(place, later));
    if (earlier === undefined) continue;
    const [one, other] = [earlier, later].map(showListener);
    if (earlier.of === later.of) {
      return `${later.of} has ${one} and ${other}, which cannot both be bound: keep one`;
    }
    const why = `where ${earlier.of} answers at ${one} already`;
    return `${later.of} has ${other}, ${why}: choose another port`;
  }
  return undefined;
}

/** True if sockets at both addresses conflict. Port 0 is any free port. */
function overlap(a: Listener, b: Listener): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  if (a.host === b.host) return true;
  // `::` takes IPv4 as well.
  if (a.host === "::" || b.host === "::") return true;
  const everyIpv4 = [a, b].some(({ host }) => host === "0.0.0.0");
  return everyIpv4 && !a.host.includes(":") && !b.host.includes(":");
}

/**
 * The longest interval without load, in seconds: that of the largest swarm. Load needs no rule,
 * because it lengthens intervals and the peer timeout by the same factor.
 */
function longestUsual(config: Config): number {
  const { intervalSeconds, intervalMaxSeconds, intervalPerDoublingSeconds } = config;
  if (intervalPerDoublingSeconds === 0) return intervalSeconds;
  const largest = intervalPerDoublingSeconds * doublings(config.peersPerSwarmMax);
  return Math.min(intervalSeconds + largest, Math.max(intervalSeconds, intervalMaxSeconds));
}
