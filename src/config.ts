/**
 * The configuration: every TRACKER_* variable, what it means, and whether the values make sense.
 *
 * `SCHEMA` is the only place a setting is written down. The help text, the table in the README, the
 * example file, the `config` verb and the validation are made from it, in its order; to add a
 * setting, add an entry. A rule that binds two settings goes into `rules.ts`.
 *
 * Nothing is guessed: a variable with the prefix that is not a setting is a mistake. All mistakes
 * are reported together, as one sentence each. Pure but for reading the files of secrets.
 */
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { z } from "zod";

import { NUMWANT_CEILING, SCRAPE_HASHES_MAX } from "./constants.ts";
import { LOG_FORMATS, LOG_LEVELS } from "./ops/log.ts";
import { RULES } from "./rules.ts";
import { WARNING_SIZE_MAX } from "./http/bencode.ts";
import { bytes, choice, count, headerName, listeners, name, networks } from "./settings.ts";
import { hostNames, message, urlPath, webUrl } from "./settings.ts";
import { peerIdPrefixes, quote, secret, seconds, showBytes } from "./settings.ts";
import { showListener, showSeconds } from "./settings.ts";
import { showWebListener, webListeners, yesOrNo } from "./settings.ts";
import type { Kind, Listener, WebListener } from "./settings.ts";

/** What every variable of ours begins with. */
export const PREFIX = "TRACKER_";

/** The exit code of a process that was given an invalid configuration. [sysexits.h, EX_CONFIG] */
export const EXIT_CONFIG = 78;

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

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KIB = 1024;
const MIB = 1024 ** 2;
const MEMORY_BYTES_MIN = 16 * MIB;
/** The core's arena ends at 2 GiB (see swarm/memory.ts); with its index that is under 3 GiB. */
const MEMORY_BYTES_CEILING = 3 * 1024 * MIB;
const MEMORY_BYTES_DEFAULT_MAX = 1024 * MIB;

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
  intervalJitterPercent: setting("Protocol", "TRACKER_INTERVAL_JITTER", count(0, 50), {
    text: "how far each reply's interval may differ, in percent, so that clients spread out",
    initial: "10",
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
  udpReplyBytes: setting("Protocol", "TRACKER_UDP_REPLY_BYTES", bytes(508, 1472), {
    text: "longest UDP reply, so that it fits one packet",
    initial: "1232",
    show: showBytes,
  }),
  udpConnectionTtlSeconds: setting(
    "Protocol",
    "TRACKER_UDP_CONNECTION_TTL",
    seconds(2 * MINUTE, DAY),
    {
      text: "how long a UDP client may use its connection id",
      initial: "10m",
      show: showSeconds,
    },
  ),
  udpSecret: optional("Protocol", "TRACKER_UDP_SECRET", secret(), {
    text: "the key of connection ids; if set, ids outlive a restart",
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

  // -- Addresses
  trustedProxies: setting("Addresses", "TRACKER_TRUSTED_PROXIES", networks(), {
    text: "networks whose proxy header is believed, by comma, such as 127.0.0.1 or 10.0.0.0/8",
    initial: "",
    show: (value: string[]) => value.join(","),
  }),
  proxyHeader: setting("Addresses", "TRACKER_PROXY_HEADER", headerName(), {
    text: "the header in which trusted proxies name the client",
    initial: "x-forwarded-for",
  }),
  allowIpParameter: setting("Addresses", "TRACKER_ALLOW_IP_PARAMETER", yesOrNo(), {
    text: "let clients announce another address than the one they come from",
    initial: "no",
    show: (value: boolean) => (value ? "yes" : "no"),
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
  statsPath: setting("Statistics", "TRACKER_STATS_PATH", urlPath(), {
    text: "where the statistics are on the HTTP addresses, without a slash; empty for nowhere",
    initial: "stats",
  }),
  statsNetworks: setting("Statistics", "TRACKER_STATS_NETWORKS", networks(), {
    text: "who may see them, by comma; 0.0.0.0/0,::/0 is everybody",
    initial: LOOPBACK,
    show: (value: string[]) => value.join(","),
  }),
  fullScrapeNetworks: setting("Statistics", "TRACKER_FULLSCRAPE_NETWORKS", networks(), {
    text: "who may have full scrapes and exports, by comma",
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
  logLevel: setting("Observability", "TRACKER_LOG_LEVEL", choice(LOG_LEVELS), {
    text: "the least important events that are logged",
    initial: "info",
  }),
  logFormat: setting("Observability", "TRACKER_LOG_FORMAT", choice(LOG_FORMATS), {
    text: "how a line of the log is written",
    initial: "logfmt",
  }),
});

/** The settings as the program uses them. An undefined one has no value until start draws it. */
export type Config = Omit<z.output<typeof SCHEMA>, "minIntervalSeconds"> & {
  minIntervalSeconds: number;
};

/** Where a setting got its value from, by variable. */
export type Origins = Record<string, "default" | "environment">;

/**
 * The configuration the environment asks for, or everything that is wrong with it, one sentence
 * each, in the order of the schema. Variables without our prefix are not looked at. Never throws.
 */
export function readConfig(
  env: Record<string, string | undefined>,
): { config: Config; origins: Origins } | { problems: string[] } {
  const problems = unknownVariables(env);
  const origins: Origins = {};
  const values: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(SCHEMA.shape)) {
    const description = describe(field);
    const given = readVariable(env, description);
    if ("problem" in given) {
      problems.push(given.problem);
      continue;
    }
    origins[description.variable] = given.text === undefined ? "default" : "environment";
    const result = field.safeParse(given.text);
    if (result.success) values[key] = result.data;
    else problems.push(...complaints(description, given.text ?? "", result.error));
  }
  if (values["minIntervalSeconds"] === undefined && env["TRACKER_MIN_INTERVAL"] === undefined) {
    values["minIntervalSeconds"] = Math.floor(Number(values["intervalSeconds"]) / 2);
  }
  // Settings that could not be read are missing here; a comparison with one of them breaks no rule.
  const config = values as Config;
  problems.push(...RULES.flatMap((rule) => rule(config) ?? []));
  return problems.length > 0 ? { problems } : { config, origins };
}

/** What is known of the settings, in the order of the schema. */
export function descriptions(): Description[] {
  return Object.values(SCHEMA.shape).map(describe);
}

/** Every setting with the value it has, as one would write it; secrets as `(set)`. */
export function effectiveValues(config: Config): { variable: string; value: string }[] {
  return Object.entries(SCHEMA.shape).map(([key, field]) => {
    const description = describe(field);
    const value = config[key as keyof Config] as never;
    if (value === undefined)
      return { variable: description.variable, value: `(${description.initial})` };
    const shown = description.secret ? "(set)" : description.show(value);
    return { variable: description.variable, value: shown };
  });
}

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

function describe(field: z.ZodType): Description {
  return DESCRIPTIONS.get(field)!;
}

/** The text of a variable, or of the file its twin names; undefined if neither is set. */
function readVariable(
  env: Record<string, string | undefined>,
  { variable, secret }: Description,
): { text: string | undefined } | { problem: string } {
  const twin = `${variable}_FILE`;
  const text = env[variable];
  const path = secret ? env[twin] : undefined;
  if (path === undefined) return { text };
  if (text !== undefined) return { problem: `${variable} and ${twin} are both set: keep one` };
  try {
    return { text: readFileSync(path, "utf8") };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    const hint = "check the path and its permissions";
    return { problem: `${twin} is ${quote(path)}, which cannot be read (${code}): ${hint}` };
  }
}

/** What zod has to say, as sentences of ours. */
function complaints({ variable, secret }: Description, text: string, error: z.ZodError): string[] {
  const shown = secret ? `a secret of ${text.trim().length} characters` : quote(text);
  return error.issues.map(({ message }) => `${variable} is ${shown}, ${message}`);
}

/** One sentence for each variable that has our prefix but is none of our settings. */
function unknownVariables(env: Record<string, string | undefined>): string[] {
  const known = descriptions().flatMap(({ variable, secret }) =>
    secret ? [variable, `${variable}_FILE`] : [variable],
  );
  const strangers = Object.keys(env).filter(
    (name) => name.startsWith(PREFIX) && env[name] !== undefined && !known.includes(name),
  );
  return strangers.sort().map((name) => {
    const nearest = known
      .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
      .reduce((best, other) => (other.distance < best.distance ? other : best));
    return `${quote(name).slice(1, -1)} is not a setting: did you mean ${nearest.candidate}`;
  });
}

/** Letters to insert, delete or replace until one name is the other. [Levenshtein 1966] */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[to.length];
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
