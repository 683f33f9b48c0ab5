/**
 * The settings: every TRACKER_* variable with its meaning, its allowed values and its default.
 *
 * `SCHEMA` is the only place that defines settings. The help text, docs/settings.md, the
 * example file, the `config` verb and the validation are made from it, in its order; to add a
 * setting, add an entry. A rule that binds two settings goes into `rules.ts`.
 */
import * as z from "zod/mini";

import { NUMWANT_CEILING, PORT_MAX, SCRAPE_HASHES_MAX } from "../constants.ts";
import { RATE_LIMIT_MODES } from "../limits/rate-limits.ts";
import { LOG_FORMATS, LOG_LEVELS } from "../host/log.ts";
import { memoryLimit } from "../host/memory-limit.ts";
import { WARNING_SIZE_MAX } from "../net/bencode.ts";
import { optional, setting } from "./description.ts";
import { bytes, choice, count, externals, headerName, listeners, name } from "./settings.ts";
import { networks } from "./settings.ts";
import { hostName, hostNames, message, webUrl } from "./settings.ts";
import { KEY_LENGTH_MIN, peerIdPrefixes, secret, seconds, showBytes } from "./settings.ts";
import { showListener, showSeconds } from "./settings.ts";
import { showWebListener, webListeners, yesOrNo } from "./settings.ts";
import type { Listener, WebListener } from "./settings.ts";
import { CLUSTER_SETTINGS } from "./cluster-settings.ts";
import { WEBSOCKET_SETTINGS } from "./websocket-settings.ts";

const LOOPBACK = "127.0.0.0/8,::1";

const HOUR = 3600;
const DAY = 24 * HOUR;
const KIB = 1024;
const MIB = 1024 ** 2;
export const MEMORY_BYTES_MIN = 16 * MIB;
/** The core's arena is at most 2 GiB (see swarm/memory.ts); this is the arena with its index. */
export const MEMORY_BYTES_CEILING = 2560 * MIB;
/** More threads than any address needs. */
export const WORKERS_MAX = 64;
const MEMORY_BYTES_DEFAULT_MAX = 1024 * MIB;
/** The peers of a network lie in one page of memory; a page has room for 1,168 of IPv4. */
const PEERS_PER_ADDRESS_CEILING = 1000;
/** More than fits the memory, and more than any machine answers. */
const COUNT_MAX = 100_000_000;
const RATE_MAX = 1_000_000;

/** The settings, by the name of their value, each with the reader of its text. */
export const SCHEMA = z.object({
  // -- Listening
  udpListeners: setting("Listening", "TRACKER_UDP_ADDRESS", listeners(), {
    text: "where to answer UDP: host:port, several by comma; empty turns UDP off",
    reason: "For another port, or to answer on some of the machine's addresses only.",
    initial: "[::]:6969",
    show: showListeners,
  }),
  httpListeners: setting("Listening", "TRACKER_HTTP_ADDRESS", webListeners(), {
    text: "where to answer HTTP: host:port or https://host:port, several by comma; empty is off",
    reason:
      "For port 80 or 443, for loopback alone behind a proxy, or to be a tracker for UDP alone.",
    initial: "[::]:6969",
    show: (value: WebListener[]) => value.map(showWebListener).join(","),
  }),
  tlsCertFile: optional("Listening", "TRACKER_TLS_CERT_FILE", name(), {
    text: "certificate chain for HTTPS, as PEM; with it addresses without a scheme speak HTTPS",
    reason: "To answer HTTPS without a proxy.",
    initial: "none",
  }),
  tlsKeyFile: optional("Listening", "TRACKER_TLS_KEY_FILE", name(), {
    text: "private key of the certificate; both files are read again on SIGHUP",
    reason: "To answer HTTPS without a proxy; a renewed certificate needs SIGHUP, no restart.",
    initial: "none",
  }),
  user: optional("Listening", "TRACKER_USER", name(), {
    text: "user to become, once all addresses are bound, when started as root",
    reason: "For a port below 1024 where no service manager starts the tracker as another user.",
    initial: "none",
  }),
  udpWorkers: setting("Listening", "TRACKER_UDP_WORKERS", count(0, WORKERS_MAX), {
    text: "threads that answer UDP on each address (Linux); 0 answers in the event loop",
    reason:
      "One is enough for 200 million peers; add more if datagrams are dropped and cores are idle.",
    initial: "1",
  }),
  httpWorkers: setting("Listening", "TRACKER_HTTP_WORKERS", count(0, WORKERS_MAX), {
    text: "threads that answer announces over HTTP (Linux); 0 answers them in the event loop",
    reason:
      "Where the tracker itself speaks HTTPS: set it to the number of processors that are idle.",
    initial: "0",
  }),
  udpReceiveBufferBytes: setting(
    "Listening",
    "TRACKER_UDP_RECEIVE_BUFFER",
    bytes(64 * KIB, 1024 * MIB),
    {
      text: "room for UDP requests that wait (Linux); the system's limit may grant less",
      reason: "What does not fit is dropped: raise it when tracker_udp_receive_drops_total grows.",
      initial: "4MiB",
      show: showBytes,
    },
  ),

  // -- Protocol
  intervalSeconds: setting("Protocol", "TRACKER_INTERVAL", seconds(1, DAY), {
    text: "how long clients wait between announces",
    reason: "A longer one saves traffic, a shorter one keeps swarms fresh.",
    initial: "30m",
    show: showSeconds,
  }),
  minIntervalSeconds: optional("Protocol", "TRACKER_MIN_INTERVAL", seconds(0, DAY), {
    text: "how long clients wait at least, even if they need peers",
    reason: "Lower it on a small tracker, so that clients with too few peers may ask again soon.",
    initial: "half of TRACKER_INTERVAL",
    show: showSeconds,
  }),
  peerTimeoutSeconds: setting("Protocol", "TRACKER_PEER_TIMEOUT", seconds(2, 2 * DAY), {
    text: "how long a peer is stored after its last announce",
    reason: "A longer one keeps peers whose announces are lost, but also peers that have left.",
    initial: "45m",
    show: showSeconds,
  }),
  downloadsTimeoutSeconds: setting("Protocol", "TRACKER_DOWNLOADS_TIMEOUT", seconds(0, 7 * DAY), {
    text: "how long a swarm's count of downloads outlives its peers",
    reason:
      "Raise it where the counts are shown to people, lower it where many swarms come and go.",
    initial: "24h",
    show: showSeconds,
  }),
  numwantDefault: setting("Protocol", "TRACKER_NUMWANT_DEFAULT", count(0, NUMWANT_CEILING), {
    text: "peers in a reply when the client does not say how many it wants",
    reason: "Fewer save traffic; swarms of slow or unreachable peers need more.",
    initial: "50",
  }),
  numwantMax: setting("Protocol", "TRACKER_NUMWANT_MAX", count(0, NUMWANT_CEILING), {
    text: "peers in a reply at most",
    reason: "It bounds the traffic of clients that want many peers.",
    initial: "200",
  }),
  scrapeHashesMax: setting("Protocol", "TRACKER_SCRAPE_MAX", count(1, SCRAPE_HASHES_MAX), {
    text: "info hashes in one scrape at most",
    reason: "Lower it when scrapes cost too much traffic.",
    initial: "74",
  }),
  warningMessage: setting("Protocol", "TRACKER_WARNING_MESSAGE", message(WARNING_SIZE_MAX), {
    text: "text that clients show their user after an announce over HTTP or WebSocket",
    reason: "To announce a move, an upgrade or an end.",
    initial: "",
  }),
  redirectUrl: optional("Protocol", "TRACKER_REDIRECT_URL", webUrl(), {
    text: "where to send browsers that open /",
    reason: "For a tracker whose site is elsewhere; without it / shows the page of the tracker.",
    initial: "nowhere",
  }),
  udpSecret: optional("Protocol", "TRACKER_UDP_SECRET", secret(KEY_LENGTH_MIN), {
    text: "key of connection ids and kept swarms (openssl rand -hex 32), to outlive a restart",
    reason: "Spares clients a connect and crowded swarms a loss; machines can share an address.",
    initial: "drawn at start",
    secret: true,
  }),

  // -- WebSocket
  ...WEBSOCKET_SETTINGS,

  // -- Limits
  memoryBytesMax: setting(
    "Limits",
    "TRACKER_MEMORY_MAX",
    bytes(MEMORY_BYTES_MIN, MEMORY_BYTES_CEILING),
    {
      text: "memory for swarms and peers; when it is full, new peers are answered but not stored",
      reason: "To leave memory to other programs, or to store more peers: see docs/operating.md.",
      initial: "a quarter of the memory, at most 1GiB",
      compute: () => String(defaultMemoryBytes()),
      show: showBytes,
    },
  ),
  // With more connections than open files allow, accepting fails and is repeated endlessly.
  httpConnectionsMax: optional("Limits", "TRACKER_HTTP_CONNECTIONS_MAX", count(1, COUNT_MAX), {
    text: "how many HTTP connections may be open; one more may close another",
    reason: "Lower it to bound the memory and the files of HTTP.",
    initial: "what ulimit -n leaves, at most 65536",
  }),
  peersPerSwarmMax: setting("Limits", "TRACKER_PEERS_PER_SWARM_MAX", count(1, COUNT_MAX), {
    text: "peers stored of one swarm at most; then new ones replace those of the largest network",
    reason: "Lower it so that one swarm cannot fill the memory.",
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
      reason: "Raise it where many clients of a swarm share an address, as behind a large VPN.",
      initial: "256",
    },
  ),
  swarmsPerAddressMax: optional("Limits", "TRACKER_SWARMS_PER_ADDRESS_MAX", count(1, COUNT_MAX), {
    text: "peers an address (of IPv6, a /64) may have stored, beyond which it begins no swarms",
    reason: "Lower it when few addresses fill the memory with swarms.",
    initial: "one for each 512 bytes of TRACKER_MEMORY_MAX",
  }),
  rateLimit: setting("Limits", "TRACKER_RATE_LIMIT", choice(RATE_LIMIT_MODES), {
    text: "what to do with requests over a rate limit: nothing, count them, or refuse them",
    reason:
      "Set enforce once tracker_over_rate_requests_total shows that only abusers are over a limit.",
    initial: "observe",
  }),
  // A seedbox that starts 5,000 swarms asks 5,000 times at once and then 3 times a second; behind
  // the one address of a carrier's NAT 10,000 people with 20 swarms each ask 110 times a second.
  // A minute's worth may come at once, so both have room; and a /24 full of seedboxes too.
  rateLimitAddress: setting("Limits", "TRACKER_RATE_LIMIT_ADDRESS", count(1, RATE_MAX), {
    text: "requests a second, averaged over a minute, of one address (of IPv6, one /64)",
    reason: "Raise it when honest seedboxes or carriers are over it, lower it on a small tracker.",
    initial: "200",
  }),
  rateLimitNetwork: setting("Limits", "TRACKER_RATE_LIMIT_NETWORK", count(1, RATE_MAX), {
    text: "requests a second, averaged over a minute, of one network: an IPv4 /24, an IPv6 /48",
    reason: "The same as for an address, for attackers that have many addresses.",
    initial: "2000",
  }),
  targetRate: setting("Limits", "TRACKER_TARGET_RATE", count(0, COUNT_MAX), {
    text: "announces a second beyond which intervals grow; 0 leaves them as they are",
    reason: "To stay below what the machine or its line can take, without turning clients away.",
    initial: "0",
  }),
  intervalMaxSeconds: setting("Limits", "TRACKER_INTERVAL_MAX", seconds(1, DAY), {
    text: "how long intervals may become, by load or by size of the swarm",
    reason: "It bounds how stale swarms may become under load.",
    initial: "2h",
    show: showSeconds,
  }),
  intervalPerDoublingSeconds: setting(
    "Limits",
    "TRACKER_INTERVAL_PER_SWARM_SIZE",
    seconds(0, HOUR),
    {
      text: "how much longer the interval is for each doubling of a swarm above 64 peers",
      reason: "Clients of large swarms find peers without the tracker, so they may ask less often.",
      initial: "0s",
      show: showSeconds,
    },
  ),
  earlyAnnounces: setting("Limits", "TRACKER_EARLY_ANNOUNCES", choice(["answer", "refuse"]), {
    text: "whether announces before the minimum interval is over get peers (answer), or none",
    reason:
      "Set refuse when clients that ask too often are a large part of the load. Those with " +
      "started, completed or stopped are never early, nor is the first one of an address and port.",
    initial: "answer",
  }),

  // -- Addresses
  trustedProxies: setting("Addresses", "TRACKER_TRUSTED_PROXIES", networks(), {
    text: "networks of proxies whose header is trusted, by comma, such as 127.0.0.1 or 10.0.0.0/8",
    reason: "Behind a reverse proxy: without it all clients have the address of the proxy.",
    initial: "",
    show: (value: string[]) => value.join(","),
  }),
  proxyHeader: setting("Addresses", "TRACKER_PROXY_HEADER", headerName(), {
    text: "the header in which trusted proxies name the client, such as x-real-ip or forwarded",
    reason: "For a proxy that does not send X-Forwarded-For.",
    initial: "x-forwarded-for",
  }),
  allowIpParameter: setting("Addresses", "TRACKER_ALLOW_IP_PARAMETER", yesOrNo(), {
    text: "accept announces for another address than that of the client",
    reason: "For closed networks: on the Internet strangers list peers that do not exist.",
    initial: "no",
    show: (value: boolean) => (value ? "yes" : "no"),
  }),
  portMin: setting("Addresses", "TRACKER_PORT_MIN", count(1, PORT_MAX), {
    text: "peers with a lower port are answered, but never stored or handed out",
    reason: "Set 1024 so that no client can direct peers to well-known services.",
    initial: "1",
  }),
  privateAddresses: setting(
    "Addresses",
    "TRACKER_PRIVATE_ADDRESSES",
    choice(["accept", "refuse"]),
    {
      text: "what to do with peers in private networks",
      reason: "Set refuse on a public tracker whose machine has private networks beside it.",
      initial: "accept",
    },
  ),
  externalAddresses: setting("Addresses", "TRACKER_EXTERNAL_ADDRESS", externals(), {
    text: "public address under which peers with private ones are stored; one of each family",
    reason:
      "For a tracker and its seeders behind one NAT: clients outside are told its address, where " +
      "each seeder needs a forwarded port of its own. Clients inside get it too, so the NAT must " +
      "let them reach it (hairpin).",
    initial: "",
    show: (value: string[]) => value.join(","),
  }),
  ownAddresses: setting("Addresses", "TRACKER_OWN_ADDRESSES", choice(["answer", "store"]), {
    text: "what to do with peers at addresses of this machine: answer them only, or store them too",
    reason: "Set store if you seed from the tracker's machine.",
    initial: "answer",
  }),

  // -- Access
  denyFile: optional("Access", "TRACKER_DENY_FILE", name(), {
    text: "file of info hashes that are refused, one per line; read again on SIGHUP",
    reason:
      "To refuse what you were asked to refuse. A line may be a magnet link. The verbs deny and " +
      "forget change it.",
    initial: "none",
  }),
  allowFile: optional("Access", "TRACKER_ALLOW_FILE", name(), {
    text: "file of info hashes to serve and no others, less the denied ones; read again on SIGHUP",
    reason: "To serve your own swarms only. The verbs allow and forget change it.",
    initial: "none",
  }),
  denyNetworksFile: optional("Access", "TRACKER_DENY_NETWORKS_FILE", name(), {
    text: "file of networks that are refused, as CIDR or name:first-last; read again on SIGHUP",
    reason: "To refuse networks by a list, such as a PeerGuardian list of ranges.",
    initial: "none",
  }),
  denyClients: setting("Access", "TRACKER_DENY_CLIENTS", peerIdPrefixes(), {
    text: "prefixes of peer ids that are refused, by comma, such as -XL; other bytes as %00",
    reason: "To refuse clients that harm swarms, such as those that never upload.",
    initial: "",
    show: (value: string[]) => value.join(","),
  }),
  allowClients: setting("Access", "TRACKER_ALLOW_CLIENTS", peerIdPrefixes(), {
    text: "prefixes of peer ids that are served and no others, less the denied ones; empty is all",
    reason: "To serve the clients that your site allows only. A peer id is easy to forge.",
    initial: "",
    show: (value: string[]) => value.join(","),
  }),
  rulesFile: optional("Access", "TRACKER_RULES_FILE", name(), {
    text: "file of rules that refuse, drop or count requests, one per line; read again on SIGHUP",
    reason: "To refuse requests by several conditions at once, over HTTP by header too.",
    initial: "none",
  }),
  adminListeners: setting("Access", "TRACKER_ADMIN_ADDRESS", listeners(), {
    text: "where to answer the operator: host:port, several by comma; empty turns it off",
    reason: "For another port, or so that Prometheus on another machine can reach it.",
    initial: "127.0.0.1:6970",
    show: showListeners,
  }),
  adminToken: optional("Access", "TRACKER_ADMIN_TOKEN", secret(), {
    text: "token that changes over the admin address need; without it they are refused",
    reason: "To change lists and maintenance while the tracker runs.",
    initial: "none",
    secret: true,
  }),

  allowHosts: setting("Access", "TRACKER_ALLOW_HOSTS", hostNames(), {
    text: "host names that HTTP announces may use, by comma; empty allows all",
    reason: "To refuse clients that reach the tracker by a name of somebody else.",
    initial: "",
    show: (value: string[]) => value.join(","),
  }),

  // -- Statistics
  statsNetworks: setting("Statistics", "TRACKER_STATS_NETWORKS", networks(), {
    text: "networks that may read /stats, by comma; 0.0.0.0/0,::/0 is all, empty none",
    reason: "To show statistics to everybody, or to a machine that collects them.",
    initial: LOOPBACK,
    show: (value: string[]) => value.join(","),
  }),
  fullScrapeNetworks: setting("Statistics", "TRACKER_FULLSCRAPE_NETWORKS", networks(), {
    text: "networks that may have full scrapes and exports, by comma; empty allows none",
    reason:
      "For a site that mirrors all counts. An export of a large tracker is hundreds of megabytes.",
    initial: LOOPBACK,
    show: (value: string[]) => value.join(","),
  }),
  fullScrapeIntervalSeconds: setting("Statistics", "TRACKER_FULLSCRAPE_INTERVAL", seconds(0, DAY), {
    text: "how often a network may have one of each export",
    reason: "It bounds what exports cost.",
    initial: "5m",
    show: showSeconds,
  }),
  stateImport: optional("Statistics", "TRACKER_STATE_IMPORT", name(), {
    text: "opentracker's statedump; its download counters are restored at start",
    reason: "To move from opentracker: see docs/opentracker.md.",
    initial: "none",
  }),

  // -- Restart
  snapshotFile: optional("Restart", "TRACKER_SNAPSHOT_FILE", name(), {
    text:
      "file that keeps the swarms over a restart, peers' addresses included; only its owner may " +
      "read it",
    reason:
      "So that a restart forgets nobody. Under systemd /run/buntracker/swarms is in memory, and " +
      "gone when the service is stopped; /var/lib/buntracker/swarms outlives a reboot.",
    initial: "none",
    example: {
      value: "/run/buntracker/swarms",
      text:
        "In memory, gone when the service is stopped; takes as much memory as the peers, twice " +
        "that while\n# it is written. /var/lib/buntracker/swarms outlives a reboot.",
    },
  }),
  snapshotIntervalSeconds: setting("Restart", "TRACKER_SNAPSHOT_INTERVAL", seconds(0, DAY), {
    text: "how often it is written while the tracker runs; 0 only when it ends",
    reason: "After a crash or a power cut, what came since the last writing is lost.",
    initial: "5m",
    show: showSeconds,
  }),

  // -- Cluster
  ...CLUSTER_SETTINGS,

  // -- Observability
  publicName: optional("Observability", "TRACKER_PUBLIC_NAME", hostName(), {
    text: "host name of the tracker in the announce URLs of the page at /",
    reason: "When people open the page under another name than clients should use.",
    initial: "the one in the request",
  }),
  logLevel: setting("Observability", "TRACKER_LOG_LEVEL", choice(LOG_LEVELS), {
    text: "the least severe events that are logged",
    reason: "Set warn for problems alone.",
    initial: "info",
  }),
  logFormat: setting("Observability", "TRACKER_LOG_FORMAT", choice(LOG_FORMATS), {
    text: "format of each line of the log",
    reason: "Set json for a collector that reads JSON.",
    initial: "logfmt",
  }),
});

function showListeners(value: Listener[]): string {
  return value.map(showListener).join(",");
}

/** A quarter of the memory of the machine or its container, in whole MiB and within bounds. */
function defaultMemoryBytes(): number {
  const limit = memoryLimit();
  const quarter = Number.isFinite(limit) ? Math.floor(limit / 4 / MIB) * MIB : MEMORY_BYTES_MIN;
  return Math.max(MEMORY_BYTES_MIN, Math.min(quarter, MEMORY_BYTES_DEFAULT_MAX));
}

/** The settings as the program uses them. */
export type Config = Omit<z.output<typeof SCHEMA>, "minIntervalSeconds"> & {
  minIntervalSeconds: number;
};

/** The origin of each value, by variable: with the path, if a file of a secret has it. */
export type Origins = Record<string, "default" | "environment" | `file ${string}`>;
