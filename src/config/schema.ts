/**
 * The settings: every TRACKER_* variable, what it means, what may be written, and its default.
 *
 * `SCHEMA` is the only place a setting is written down. The help text, docs/settings.md, the
 * example file, the `config` verb and the validation are made from it, in its order; to add a
 * setting, add an entry. A rule that binds two settings goes into `rules.ts`.
 */
import { totalmem } from "node:os";
import { z } from "zod";

import { NUMWANT_CEILING, PORT_MAX, SCRAPE_HASHES_MAX } from "../constants.ts";
import { RATE_LIMIT_MODES } from "../limits/rate-limits.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../host/log.ts";
import { WARNING_SIZE_MAX } from "../net/bencode.ts";
import { bytes, choice, count, headerName, listeners, name, networks } from "./settings.ts";
import { hostName, hostNames, message, webUrl } from "./settings.ts";
import { KEY_LENGTH_MIN, peerIdPrefixes, secret, seconds, showBytes } from "./settings.ts";
import { showListener, showSeconds } from "./settings.ts";
import { showWebListener, webListeners, yesOrNo } from "./settings.ts";
import type { Kind, Listener, WebListener } from "./settings.ts";

/** Groups in the order they are shown. */
export const GROUPS = [
  "Listening",
  "Protocol",
  "Limits",
  "Addresses",
  "Access",
  "Statistics",
  "Observability",
] as const;

/** What is known of a setting besides how it is read. */
export interface Description {
  variable: string;
  group: (typeof GROUPS)[number];
  /** What it does, in a phrase. */
  text: string;
  /** What may be written, in a phrase; "" if the text says it. */
  range: string;
  /** The default as one would write it, or in words (see `computed`). */
  initial: string;
  /** True if `initial` is in words, because the value is worked out at start. */
  computed: boolean;
  /** True if the value must not be shown, and may come from the file named by `…_FILE`. */
  secret: boolean;
  show: (value: never) => string;
}

const DESCRIPTIONS = z.registry<Description>();

const LOOPBACK = "127.0.0.0/8,::1";

const HOUR = 3600;
const DAY = 24 * HOUR;
const KIB = 1024;
const MIB = 1024 ** 2;
const MEMORY_BYTES_MIN = 16 * MIB;
/** The core's arena ends at 2 GiB (see swarm/memory.ts); with its index that is all it can use. */
export const MEMORY_BYTES_CEILING = 2560 * MIB;
const MEMORY_BYTES_DEFAULT_MAX = 1024 * MIB;
/** The peers of a network lie in one page of memory; a page has room for 1,168 of IPv4. */
const PEERS_PER_ADDRESS_CEILING = 1000;
/** More than fit the memory, and more than any machine answers. */
const COUNT_MAX = 100_000_000;
const RATE_MAX = 1_000_000;

/** The settings, by the name of their value; a reader of its text for each. */
export const SCHEMA = z.object({
  // -- Listening
  udpListeners: setting("Listening", "TRACKER_UDP_ADDRESS", listeners(), {
    text: "where to answer UDP: host:port, several by comma; empty turns UDP off",
    initial: "[::]:6969",
    show: showListeners,
  }),
  httpListeners: setting("Listening", "TRACKER_HTTP_ADDRESS", webListeners(), {
    text: "where to answer HTTP: host:port or https://host:port, several by comma; empty is off",
    initial: "[::]:6969",
    show: (value: WebListener[]) => value.map(showWebListener).join(","),
  }),
  tlsCertFile: optional("Listening", "TRACKER_TLS_CERT_FILE", name(), {
    text: "certificate chain for HTTPS, as PEM; with it addresses without a scheme speak HTTPS",
    initial: "none",
  }),
  tlsKeyFile: optional("Listening", "TRACKER_TLS_KEY_FILE", name(), {
    text: "private key of the certificate; both files are read again on SIGHUP",
    initial: "none",
  }),
  user: optional("Listening", "TRACKER_USER", name(), {
    text: "user to become, once all addresses are bound, when started as root",
    initial: "none",
  }),
  udpWorkers: setting("Listening", "TRACKER_UDP_WORKERS", count(0, 64), {
    text: "threads that answer UDP on each address (Linux); 0 answers in the event loop",
    initial: "1",
  }),
  udpReceiveBufferBytes: setting(
    "Listening",
    "TRACKER_UDP_RECEIVE_BUFFER",
    bytes(64 * KIB, 1024 * MIB),
    {
      text: "room for UDP requests that wait (Linux); the system's limit may grant less",
      initial: "4MiB",
      show: showBytes,
    },
  ),

  // -- Protocol
  intervalSeconds: setting("Protocol", "TRACKER_INTERVAL", seconds(1, DAY), {
    text: "how long clients are told to wait between announces",
    initial: "30m",
    show: showSeconds,
  }),
  minIntervalSeconds: optional("Protocol", "TRACKER_MIN_INTERVAL", seconds(0, DAY), {
    text: "how long clients must wait even if they are in a hurry",
    initial: "half of TRACKER_INTERVAL",
    show: showSeconds,
  }),
  peerTimeoutSeconds: setting("Protocol", "TRACKER_PEER_TIMEOUT", seconds(2, 2 * DAY), {
    text: "how long a peer is kept after its last announce",
    initial: "45m",
    show: showSeconds,
  }),
  downloadsTimeoutSeconds: setting("Protocol", "TRACKER_DOWNLOADS_TIMEOUT", seconds(0, 7 * DAY), {
    text: "how long a swarm's count of downloads outlives its peers",
    initial: "24h",
    show: showSeconds,
  }),
  numwantDefault: setting("Protocol", "TRACKER_NUMWANT_DEFAULT", count(0, NUMWANT_CEILING), {
    text: "peers told to a client that does not say how many it wants",
    initial: "50",
  }),
  numwantMax: setting("Protocol", "TRACKER_NUMWANT_MAX", count(0, NUMWANT_CEILING), {
    text: "peers told to a client at most",
    initial: "200",
  }),
  scrapeHashesMax: setting("Protocol", "TRACKER_SCRAPE_MAX", count(1, SCRAPE_HASHES_MAX), {
    text: "info hashes one scrape may ask about at most",
    initial: "74",
  }),
  warningMessage: setting("Protocol", "TRACKER_WARNING_MESSAGE", message(WARNING_SIZE_MAX), {
    text: "what clients that announce over HTTP are told to show their user",
    initial: "",
  }),
  redirectUrl: optional("Protocol", "TRACKER_REDIRECT_URL", webUrl(), {
    text: "where people who open / in a browser are sent",
    initial: "nowhere",
  }),
  udpSecret: optional("Protocol", "TRACKER_UDP_SECRET", secret(KEY_LENGTH_MIN), {
    text: "the key of connection ids (openssl rand -hex 32), to outlive a restart",
    initial: "drawn at start",
    secret: true,
  }),

  // -- Limits
  memoryBytesMax: setting(
    "Limits",
    "TRACKER_MEMORY_MAX",
    bytes(MEMORY_BYTES_MIN, MEMORY_BYTES_CEILING),
    {
      text: "memory for swarms and peers; when it is full, new peers are answered but not stored",
      initial: "a quarter of the memory, at most 1GiB",
      compute: () => String(defaultMemoryBytes()),
      show: showBytes,
    },
  ),
  // One more than there are files for, and accepting fails and is tried without end.
  httpConnectionsMax: optional("Limits", "TRACKER_HTTP_CONNECTIONS_MAX", count(1, COUNT_MAX), {
    text: "how many HTTP connections may be open, if files allow; one more may close another",
    initial: "what ulimit -n leaves, at most 65536",
  }),
  peersPerSwarmMax: setting("Limits", "TRACKER_PEERS_PER_SWARM_MAX", count(1, COUNT_MAX), {
    text: "peers stored of one swarm at most; then new ones replace those of the largest network",
    initial: "1000000",
  }),
  // Behind one address of a carrier's NAT are some hundred customers, of whom a handful at most
  // meet in one swarm; of a commercial VPN's exit, some dozens in the most popular ones.
  peersPerAddressMax: setting(
    "Limits",
    "TRACKER_PEERS_PER_ADDRESS_MAX",
    count(1, PEERS_PER_ADDRESS_CEILING),
    {
      text: "peers of an address (of IPv6, a /64) stored in a swarm; one more replaces the oldest",
      initial: "256",
    },
  ),
  swarmsPerAddressMax: optional("Limits", "TRACKER_SWARMS_PER_ADDRESS_MAX", count(1, COUNT_MAX), {
    text: "an address (of IPv6, a /64) that has so many peers stored may begin no more swarms",
    initial: "one for each 512 bytes of TRACKER_MEMORY_MAX",
  }),
  rateLimit: setting("Limits", "TRACKER_RATE_LIMIT", choice(RATE_LIMIT_MODES), {
    text: "what to do with requests over a rate limit: nothing, count them, or refuse them",
    initial: "observe",
  }),
  // A seedbox that starts 5,000 swarms asks 5,000 times at once and then 3 times a second; behind
  // the one address of a carrier's NAT 10,000 people with 20 swarms each ask 110 times a second.
  // A minute's worth may come at once, so both have room; and a /24 full of seedboxes too.
  rateLimitAddress: setting("Limits", "TRACKER_RATE_LIMIT_ADDRESS", count(1, RATE_MAX), {
    text: "requests a second, averaged over a minute, of one address (of IPv6, one /64)",
    initial: "200",
  }),
  rateLimitNetwork: setting("Limits", "TRACKER_RATE_LIMIT_NETWORK", count(1, RATE_MAX), {
    text: "the same of one network: an IPv4 /24, an IPv6 /48",
    initial: "2000",
  }),
  targetRate: setting("Limits", "TRACKER_TARGET_RATE", count(0, COUNT_MAX), {
    text: "announces a second beyond which intervals grow; 0 leaves them as they are",
    initial: "0",
  }),
  intervalMaxSeconds: setting("Limits", "TRACKER_INTERVAL_MAX", seconds(1, DAY), {
    text: "how long intervals may become, by load or by size of the swarm, before jitter",
    initial: "2h",
    show: showSeconds,
  }),
  intervalPerDoublingSeconds: setting(
    "Limits",
    "TRACKER_INTERVAL_PER_SWARM_SIZE",
    seconds(0, HOUR),
    {
      text: "how much longer the interval is for each doubling of a swarm above 64 peers",
      initial: "0s",
      show: showSeconds,
    },
  ),
  earlyAnnounces: setting("Limits", "TRACKER_EARLY_ANNOUNCES", choice(["answer", "refuse"]), {
    text: "what to do with announces before the minimum interval is over; events are answered",
    initial: "answer",
  }),

  // -- Addresses
  trustedProxies: setting("Addresses", "TRACKER_TRUSTED_PROXIES", networks(), {
    text: "networks whose proxy header is believed, by comma, such as 127.0.0.1 or 10.0.0.0/8",
    initial: "",
    show: (value: string[]) => value.join(","),
  }),
  proxyHeader: setting("Addresses", "TRACKER_PROXY_HEADER", headerName(), {
    text: "the header in which trusted proxies name the client, such as x-real-ip or forwarded",
    initial: "x-forwarded-for",
  }),
  allowIpParameter: setting("Addresses", "TRACKER_ALLOW_IP_PARAMETER", yesOrNo(), {
    text: "let clients announce another address than the one they come from",
    initial: "no",
    show: (value: boolean) => (value ? "yes" : "no"),
  }),
  portMin: setting("Addresses", "TRACKER_PORT_MIN", count(1, PORT_MAX), {
    text: "peers with a lower port are answered, but never stored or handed out",
    initial: "1",
  }),
  privateAddresses: setting(
    "Addresses",
    "TRACKER_PRIVATE_ADDRESSES",
    choice(["accept", "refuse"]),
    {
      text: "what to do with peers in private networks",
      initial: "accept",
    },
  ),
  ownAddresses: setting("Addresses", "TRACKER_OWN_ADDRESSES", choice(["answer", "store"]), {
    text: "what to do with peers at addresses of this machine: answer them only, or store them too",
    initial: "answer",
  }),

  // -- Access
  denyFile: optional("Access", "TRACKER_DENY_FILE", name(), {
    text: "file of info hashes that are refused, one per line; read again on SIGHUP",
    initial: "none",
  }),
  allowFile: optional("Access", "TRACKER_ALLOW_FILE", name(), {
    text: "file of info hashes that alone are served, less the denied ones; read again on SIGHUP",
    initial: "none",
  }),
  denyNetworksFile: optional("Access", "TRACKER_DENY_NETWORKS_FILE", name(), {
    text: "file of networks that are refused, as CIDR or name:first-last; read again on SIGHUP",
    initial: "none",
  }),
  denyClients: setting("Access", "TRACKER_DENY_CLIENTS", peerIdPrefixes(), {
    text: "beginnings of peer ids that are refused, by comma, such as -XL; other bytes as %00",
    initial: "",
    show: (value: string[]) => value.join(","),
  }),
  rulesFile: optional("Access", "TRACKER_RULES_FILE", name(), {
    text: "file of rules that refuse, drop or count requests, one per line; read again on SIGHUP",
    initial: "none",
  }),
  adminListeners: setting("Access", "TRACKER_ADMIN_ADDRESS", listeners(), {
    text: "where to answer the operator: host:port, several by comma; empty turns it off",
    initial: "127.0.0.1:6970",
    show: showListeners,
  }),
  adminToken: optional("Access", "TRACKER_ADMIN_TOKEN", secret(), {
    text: "what changes over the admin address must show; without it they are refused",
    initial: "none",
    secret: true,
  }),

  allowHosts: setting("Access", "TRACKER_ALLOW_HOSTS", hostNames(), {
    text: "host names under which HTTP announces may come, by comma; empty allows all",
    initial: "",
    show: (value: string[]) => value.join(","),
  }),

  // -- Statistics
  statsNetworks: setting("Statistics", "TRACKER_STATS_NETWORKS", networks(), {
    text: "networks that may see /stats, by comma; 0.0.0.0/0,::/0 is everybody, empty nobody",
    initial: LOOPBACK,
    show: (value: string[]) => value.join(","),
  }),
  fullScrapeNetworks: setting("Statistics", "TRACKER_FULLSCRAPE_NETWORKS", networks(), {
    text: "who may have full scrapes and exports, by comma; empty is nobody",
    initial: LOOPBACK,
    show: (value: string[]) => value.join(","),
  }),
  fullScrapeIntervalSeconds: setting("Statistics", "TRACKER_FULLSCRAPE_INTERVAL", seconds(0, DAY), {
    text: "how often a network may have one of each",
    initial: "5m",
    show: showSeconds,
  }),
  stateImport: optional("Statistics", "TRACKER_STATE_IMPORT", name(), {
    text: "opentracker's statedump, whose download counters are restored at start",
    initial: "none",
  }),

  // -- Observability
  publicName: optional("Observability", "TRACKER_PUBLIC_NAME", hostName(), {
    text: "the tracker's host name, under which the page at / shows its announce URLs",
    initial: "the one in the request",
  }),
  logLevel: setting("Observability", "TRACKER_LOG_LEVEL", choice(LOG_LEVELS), {
    text: "the least important events that are logged",
    initial: "info",
  }),
  logFormat: setting("Observability", "TRACKER_LOG_FORMAT", choice(LOG_FORMATS), {
    text: "how a line of the log is written",
    initial: "logfmt",
  }),
});

/** What the authors of an entry may say about it. */
interface Entry {
  text: string;
  initial: string;
  secret?: boolean;
  show?: (value: never) => string;
  /** The default as text, if it is worked out at start; `initial` is then in words. */
  compute?: () => string;
}

/** A setting that always has a value. */
function setting<V>(group: Description["group"], variable: string, kind: Kind<V>, entry: Entry) {
  const { initial, compute } = entry;
  const schema = kind.schema.prefault(compute ?? (() => initial));
  return schema.register(DESCRIPTIONS, toDescription(group, variable, kind.range, entry));
}

/** A setting without a value of its own unless one is given; `initial` says what happens then. */
function optional<V>(group: Description["group"], variable: string, kind: Kind<V>, entry: Entry) {
  const description = toDescription(group, variable, kind.range, entry);
  return kind.schema.optional().register(DESCRIPTIONS, { ...description, computed: true });
}

function toDescription(
  group: Description["group"],
  variable: string,
  range: string,
  { text, initial, secret = false, show = String, compute }: Entry,
): Description {
  const computed = compute !== undefined;
  return { variable, group, text, range, initial, computed, secret, show };
}

/** What is known of a setting of the schema. */
export function describe(field: z.ZodType): Description {
  return DESCRIPTIONS.get(field)!;
}

function showListeners(value: Listener[]): string {
  return value.map(showListener).join(",");
}

/** A quarter of what the machine or its container has, in whole MiB and within bounds. */
function defaultMemoryBytes(): number {
  const constrained = process.constrainedMemory();
  const memory = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  const quarter = Math.floor(memory / 4 / MIB) * MIB;
  return Math.max(MEMORY_BYTES_MIN, Math.min(quarter, MEMORY_BYTES_DEFAULT_MAX));
}

/** The settings as the program uses them. An undefined one has no value until start draws it. */
export type Config = Omit<z.output<typeof SCHEMA>, "minIntervalSeconds"> & {
  minIntervalSeconds: number;
};

/** Where a setting got its value from, by variable. */
export type Origins = Record<string, "default" | "environment">;
