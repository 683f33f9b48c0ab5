/**
 * Warnings about problems of the machine or the settings, with the command that solves each.
 *
 * Each kind of warning has a counter and is logged once: at the start, or when it first occurs.
 * Only warnings that depend on the load are logged again, after an hour, and the one of a proxy's
 * header for other headers.
 */
import { MEMORY_BYTES_MIN } from "../config/schema.ts";
import { countsOf, type Log, type LogFields } from "../host/log.ts";
import type { Census } from "../swarm/census.ts";
import type { Machine } from "../host/machine.ts";

/** The kinds of warnings; also the label of their counter. */
export const WARNINGS = [
  "receive_buffer",
  "conntrack",
  "open_files",
  "root",
  "private_address",
  "own_address",
  "connections",
  "operator_host",
  "operator_token",
  "memory_full",
  "ip_parameter",
  "memory_max",
  "c_library",
  "compiler",
  "workers",
  "udp_source",
  "trusted_proxies",
  "external_address",
  "proxy_header",
  "certificate",
] as const;

export type Warning = (typeof WARNINGS)[number];

const MIB = 2 ** 20;

/** With a lower limit of open files, a busy tracker refuses connections. */
const OPEN_FILES_FEW = 16_384;
/** The largest usual share of announces from one private address: more means a NAT before us. */
const PRIVATE_SHARE_MAX = 1 / 4;

/** Sets of headers without a client that are logged: a stranger can make thousands of them. */
const PROXY_HEADERS_TOLD_MAX = 8;
/** The headers that proxies usually write: no other is proposed, since a client may send any. */
const PROXY_HEADERS = [
  "x-forwarded-for",
  "x-real-ip",
  "forwarded",
  "cf-connecting-ip",
  "true-client-ip",
];

/** What TRACKER_ALLOW_IP_PARAMETER opens; `check` says it too. */
export const IP_PARAMETER = {
  message:
    "clients may announce addresses that are not theirs: a stranger can list peers that do not " +
    "exist, and have clients connect to machines that never asked",
  remedy: "TRACKER_ALLOW_IP_PARAMETER=no, unless the tracker cannot see the addresses of clients",
};

/** A warning that depends on the load is logged again after this time. */
export const AGAIN_SECONDS = 3600;

const DAY_SECONDS = 24 * 3600;
/** Certificates of 90 days are renewed 30 days before their end: with less, renewal has failed. */
const CERTIFICATE_DAYS_MIN = 14;

/** The facts of the machine and the process that do not depend on traffic. */
export interface Circumstances {
  machine: Pick<Machine, "conntrack" | "files" | "tracksPort">;
  /** Our UDP ports. */
  udpPorts: readonly number[];
  /** Whether HTTP is on: each of its connections is an open file. */
  http: boolean;
  /** The user id of the process, 0 for root; undefined where users have no number. */
  user: number | undefined;
  /** Bytes that the tracker may take, those of them for swarms, and those that it may have. */
  memory: { needed: number; swarms: number; limit: number };
}

/** The facts that the warnings check. */
export interface Surroundings extends Circumstances {
  /** The largest share of announces from one private address, 0 to 1. */
  privateShare: () => number;
  /** Announces of peers with an address of this machine, which were answered but not stored. */
  ownAnnounces: () => number;
  /** Whether a peer was not stored for lack of memory since the last call. */
  memoryIsShort: () => boolean;
  /** The census of all swarms. */
  census: () => Census;
  /** When the certificate of HTTPS expires, in seconds since 1970; undefined without one. */
  certificateExpires: () => number | undefined;
}

export class Warnings {
  /** How often each warning occurred. */
  readonly counts = countsOf(WARNINGS);
  readonly #log: Pick<Log, "warn">;
  readonly #around: Surroundings;
  readonly #proxyHeadersTold = new Set<string>();
  #connectionsToldSeconds = -Infinity;
  #memoryToldSeconds = -Infinity;
  #certificateToldSeconds = -Infinity;

  constructor(log: Pick<Log, "warn">, around: Surroundings) {
    this.#log = log;
    this.#around = around;
  }

  /** Checks the memory. Call it before threads start: with many, the tracker is killed then. */
  lookBeforeThreads(): void {
    warnOfMemory(this, this.#around);
  }

  /** Checks everything that is known at the start. */
  lookAtStart(): void {
    warnOfMachine(this, this.#around);
    this.look();
  }

  /** Checks what only traffic shows. Call it about every minute. */
  look(): void {
    if (this.counts.conntrack === 0) warnOfConntrack(this, this.#around);
    this.#lookAtAnnounces();
    this.lookAtCertificate(Date.now() / 1000);
  }

  /** Checks whether the certificate expires soon: logged once a day until it is renewed. */
  lookAtCertificate(nowSeconds1970: number): void {
    if (nowSeconds1970 - this.#certificateToldSeconds < DAY_SECONDS) return;
    const warning = certificateWarning(this.#around.certificateExpires(), nowSeconds1970);
    if (warning === undefined) return;
    this.#certificateToldSeconds = nowSeconds1970;
    this.counts.certificate += 1;
    this.#log.warn(warning.message, warning.fields, null);
  }

  /** Checks what a first-time user expects at once. Call it about every second. */
  lookOften(): void {
    if (this.counts.own_address > 0 || this.#around.ownAnnounces() === 0) return;
    this.tell(
      "own_address",
      "a client on this machine was answered, but no other peer gets its address",
      {
        remedy: "TRACKER_OWN_ADDRESSES=store, if peers should download from this machine",
      },
    );
  }

  /** Logs and counts a warning, the first time only. */
  tell(kind: Warning, message: string, fields: LogFields): void {
    if (this.counts[kind] > 0) return;
    this.counts[kind] += 1;
    this.#log.warn(message, fields, null);
  }

  /** The operator's address refused a request. All are counted, the first of a kind is logged. */
  tellRefused(reason: "host" | "token"): void {
    const kind = `operator_${reason}` as const;
    if (this.counts[kind] > 0) this.counts[kind] += 1;
    else if (reason === "token") {
      this.tell(kind, "a request to the operator's address had a wrong token", {
        remedy: "if you did not send it, check which machines reach TRACKER_ADMIN_ADDRESS",
      });
    } else {
      this.tell(kind, "a request to the operator's address named an unknown host", {
        remedy: "use its address or localhost, or set TRACKER_PUBLIC_NAME to that name",
      });
    }
  }

  /**
   * A trusted proxy did not name a client in the header `wanted`; `seen` gives the names of those
   * that came. All are counted. Each new set of headers is logged, since the first may be the
   * choice of a stranger, up to a bound.
   */
  tellProxy(wanted: string, seen: () => string[], announces = 1): void {
    this.counts.proxy_header += announces;
    if (this.#proxyHeadersTold.size >= PROXY_HEADERS_TOLD_MAX) return;
    const names = seen();
    const set = names.join(" ") || "none";
    if (this.#proxyHeadersTold.has(set)) return;
    this.#proxyHeadersTold.add(set);
    const other = names.find((name) => name !== wanted && PROXY_HEADERS.includes(name));
    const remedy = names.includes(wanted)
      ? "have the proxy write nothing but addresses into that header"
      : other === undefined
        ? "have the proxy send that header, or take it out of TRACKER_TRUSTED_PROXIES"
        : `TRACKER_PROXY_HEADER=${other}, only if the proxy itself writes it: clients can too`;
    const message = "announces are refused, because a trusted proxy does not name its clients";
    this.#log.warn(message, { wanted, seen: set, remedy }, null);
  }

  /** The limit of HTTP connections is reached. May be called for each new connection. */
  tellConnections(limit: number, nowSeconds: number): void {
    if (nowSeconds - this.#connectionsToldSeconds < AGAIN_SECONDS) return;
    this.#connectionsToldSeconds = nowSeconds;
    this.counts.connections += 1;
    const fields = {
      limit: String(limit),
      remedy: "raise LimitNOFILE or ulimit -n, and TRACKER_HTTP_CONNECTIONS_MAX where it is set",
    };
    const message = "the limit of HTTP connections is reached: a new one may close another";
    this.#log.warn(message, fields, null);
  }

  /** Checks whether peers are not stored for lack of memory. Call it about every second. */
  lookAtMemory(nowSeconds: number): void {
    if (nowSeconds - this.#memoryToldSeconds < AGAIN_SECONDS) return;
    if (!this.#around.memoryIsShort()) return;
    const census = this.#around.census();
    this.#memoryToldSeconds = nowSeconds;
    this.counts.memory_full += 1;
    const message = "memory is full: new peers are answered but not stored";
    this.#log.warn(
      message,
      {
        limit: showMebibytes(census.memoryMax),
        peers: String(census.peers),
        swarms: String(census.swarms),
        swarms_without_peers: String(census.swarmsEmpty),
        remedy:
          "raise TRACKER_MEMORY_MAX; hardly more than one peer for each swarm means a flood: " +
          "set TRACKER_RATE_LIMIT=enforce",
      },
      null,
    );
  }

  #lookAtAnnounces(): void {
    if (this.counts.private_address > 0) return;
    const share = this.#around.privateShare();
    if (share <= PRIVATE_SHARE_MAX) return;
    const message =
      "many announces come from one private address: a NAT or proxy hides the clients";
    this.tell("private_address", message, {
      share: `${Math.round(share * 100)}%`,
      remedy: "docker run --network host, or TRACKER_TRUSTED_PROXIES for a proxy of your own",
    });
  }
}

/** Gets a warning: see `Warnings`. */
export type Tell = Pick<Warnings, "tell">;

/** Warns of what is known of the machine before any traffic, but for the table of connections. */
export function warnOfMachine(warnings: Tell, circumstances: Circumstances): void {
  const { http, machine, user } = circumstances;
  const files = http ? machine.files() : undefined;
  if (files !== undefined && files.limit < OPEN_FILES_FEW) {
    warnings.tell("open_files", "the limit of open files is low, and each HTTP connection is one", {
      limit: String(files.limit),
      remedy: "ulimit -n 65536, or LimitNOFILE=65536 in the unit of systemd",
    });
  }
  if (user === 0) {
    warnings.tell("root", "the tracker runs as root without need", {
      remedy: "TRACKER_USER=nobody",
    });
  }
  warnOfMemory(warnings, circumstances);
}

function warnOfMemory(warnings: Tell, { memory }: Pick<Circumstances, "memory">): void {
  if (memory.needed <= memory.limit) return;
  const message = "the tracker may take more memory than there is, and would then be killed";
  const room = Math.floor((memory.limit - memory.needed + memory.swarms) / MIB) * MIB;
  const least = memory.needed - memory.swarms + MEMORY_BYTES_MIN;
  warnings.tell("memory_max", message, {
    needed: showMebibytes(memory.needed),
    there: showMebibytes(memory.limit),
    remedy:
      room >= MEMORY_BYTES_MIN
        ? `TRACKER_MEMORY_MAX of ${showMebibytes(room)} at most`
        : `${showMebibytes(least)} of memory at least, or fewer TRACKER_UDP_WORKERS`,
  });
}

/** What to warn of a certificate that has expired or soon will; undefined if it is good. */
export function certificateWarning(
  expiresSeconds: number | undefined,
  nowSeconds1970: number,
): { message: string; fields: LogFields } | undefined {
  const fields = expiryFields(expiresSeconds, nowSeconds1970);
  if (fields === undefined) return undefined;
  const remedy = "renew it, such as by certbot renew, then reload: systemctl reload buntracker";
  const message =
    "expired" in fields
      ? "the certificate has expired: clients refuse HTTPS"
      : "the certificate expires soon, so its renewal may have failed";
  return { message, fields: { ...fields, remedy } };
}

/** When something that ends has expired or soon will, for a warning; undefined if it is good. */
export function expiryFields(
  expiresSeconds: number | undefined,
  nowSeconds1970: number,
): LogFields | undefined {
  if (expiresSeconds === undefined) return undefined;
  const days = (expiresSeconds - nowSeconds1970) / DAY_SECONDS;
  if (days >= CERTIFICATE_DAYS_MIN) return undefined;
  const when = showMinute(expiresSeconds);
  const whole = String(Math.floor(Math.abs(days)));
  return days <= 0 ? { expired: when, days_ago: whole } : { expires: when, days_left: whole };
}

/** A moment, to a minute. */
export const showMinute = (seconds1970: number): string =>
  new Date(seconds1970 * 1000).toISOString().slice(0, 16) + "Z";

/** Warns if the kernel tracks UDP clients as connections, which may begin at any time. */
export function warnOfConntrack(warnings: Tell, { machine, udpPorts }: Circumstances): void {
  const conntrack = machine.conntrack();
  const port = udpPorts.find((candidate) => machine.tracksPort(candidate));
  if (conntrack === undefined || port === undefined) return;
  const { entries, limit } = conntrack;
  warnings.tell(
    "conntrack",
    "the kernel tracks UDP clients as connections, and drops new ones when its table is full",
    { table: `${entries} of ${limit}`, remedy: noTrackCommand(port) },
  );
}

function showMebibytes(bytes: number): string {
  return `${Math.round(bytes / MIB)}MiB`;
}

/** The command that keeps a port out of the table of connections, for IPv4 and IPv6. */
export function noTrackCommand(port: number): string {
  const chain = (hook: string) => `nft add chain inet buntracker ${hook}`;
  return [
    "nft add table inet buntracker",
    `${chain("prerouting")} '{ type filter hook prerouting priority raw; }'`,
    `${chain("output")} '{ type filter hook output priority raw; }'`,
    `nft add rule inet buntracker prerouting udp dport ${port} notrack`,
    `nft add rule inet buntracker output udp sport ${port} notrack`,
  ].join(" && ");
}
