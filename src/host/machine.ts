/**
 * Limits and losses of the machine, read from /proc on Linux:
 *
 *   net/udp, net/udp6               datagrams dropped because our receive buffer was full
 *   sys/net/netfilter/nf_conntrack… how full the kernel's table of connections is
 *   net/nf_conntrack                whether our port is in it (to root only)
 *   self/limits, self/fd            files we may have open, and have
 *   self/status, sys/net/ipv4/…     which ports we may not bind
 *
 * If a file is missing or not readable, the answer is undefined: other systems, containers and
 * hardened systems show less. No method throws.
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { statSync } from "node:fs";
import { join } from "node:path";
import { garbage } from "./garbage.ts";

/** How much of the table of connections is searched for our port. */
const CONNTRACK_BYTES_MAX = 256 * 1024;

/** The bytes of a file, its text, and that taken apart into lines and columns. */
const GARBAGE_PER_CHARACTER = 8;

/** The right to bind ports below 1024. [linux/capability.h] */
const CAP_NET_BIND_SERVICE = 1n << 10n;

/** A table with at least this share of its entries used is filling up. */
const CONNTRACK_FILLING = 1 / 8;

/** Columns of a line of /proc/net/udp. [proc(5)] */
const UDP_INODE = 9;
const UDP_DROPS = 12;
/** The kernel counts them in 32 bits, which a flood fills in hours. */
const UDP_DROPS_RANGE = 2 ** 32;

export interface Conntrack {
  entries: number;
  limit: number;
}

export interface OpenFiles {
  open: number;
  limit: number;
}

export class Machine {
  readonly #proc: string;
  /** Of the UDP sockets we had when `ownSockets` was called. */
  #inodes: ReadonlySet<string> = new Set();
  /** The kernel's last count for each socket, and the sum of all increases. */
  readonly #dropsBySocket = new Map<string, number>();
  #drops = 0;

  /** `proc` is for tests. */
  constructor(proc = "/proc") {
    this.#proc = proc;
  }

  /** Remembers which sockets are ours. Call it after all addresses are bound. */
  ownSockets(): void {
    const inodes = new Set<string>();
    for (const fd of this.#list("self/fd")) {
      const inode = /^socket:\[(\d+)\]$/.exec(this.#link(`self/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
    this.#inodes = inodes;
  }

  /** Leaves out what was dropped so far at these sockets, which are older than the process. */
  forgetDrops(inodes: readonly number[]): void {
    this.#inodes = new Set(inodes.map(String));
    this.drops();
    this.#drops = 0;
  }

  /**
   * Datagrams the kernel dropped at our sockets since the start. Continues when the kernel's 32-bit
   * counter wraps, if it is called at least once between two wraps.
   */
  drops(): number | undefined {
    let known = false;
    for (const path of ["net/udp", "net/udp6"]) {
      for (const line of (this.#read(path) ?? "").split("\n")) {
        const columns = line.trim().split(/\s+/);
        if (columns.length <= UDP_DROPS || !this.#inodes.has(columns[UDP_INODE])) continue;
        known = true;
        this.#countDrops(columns[UDP_INODE], Number(columns[UDP_DROPS]));
      }
    }
    return known ? this.#drops : undefined;
  }

  #countDrops(inode: string, count: number): void {
    const more = count - (this.#dropsBySocket.get(inode) ?? 0);
    this.#drops += more < 0 ? more + UDP_DROPS_RANGE : more;
    this.#dropsBySocket.set(inode, count);
  }

  /** The table of connections; undefined where the kernel has none. */
  conntrack(): Conntrack | undefined {
    const entries = this.#number("sys/net/netfilter/nf_conntrack_count");
    const limit = this.#number("sys/net/netfilter/nf_conntrack_max");
    return entries === undefined || limit === undefined ? undefined : { entries, limit };
  }

  /**
   * Whether datagrams to this port take entries of the table of connections. Without permission to
   * read the table, the answer is whether it is filling up; a few entries prove nothing.
   */
  tracksPort(port: number): boolean {
    const table = this.#read("net/nf_conntrack", CONNTRACK_BYTES_MAX);
    if (table === undefined) {
      const { entries, limit } = this.conntrack() ?? { entries: 0, limit: 1 };
      return entries > limit * CONNTRACK_FILLING;
    }
    const ours = new RegExp(` dport=${port} `);
    return table.split("\n").some((line) => / udp /.test(line) && ours.test(line));
  }

  /** Open files and their limit; undefined where the system does not tell. */
  files(): OpenFiles | undefined {
    const limit = this.#limitOfProc();
    return limit === undefined ? undefined : { open: this.#openFiles(), limit };
  }

  /** The limit of open files; undefined on Windows, which has no such limit. */
  filesLimit(): number | undefined {
    return this.#limitOfProc() ?? limitOfReport();
  }

  /** Ports below this one may not be bound; 0 if all may be, or the system does not tell. */
  portsForbidden(): number {
    const capabilities = /^CapEff:\t([0-9a-f]+)$/m.exec(this.#read("self/status") ?? "")?.[1];
    if (capabilities === undefined) return 0;
    if ((BigInt(`0x${capabilities}`) & CAP_NET_BIND_SERVICE) !== 0n) return 0;
    return this.#number("sys/net/ipv4/ip_unprivileged_port_start") ?? 0;
  }

  #limitOfProc(): number | undefined {
    const limits = this.#read("self/limits");
    const limit = /^Max open files +(\d+|unlimited)/m.exec(limits ?? "")?.[1];
    return limit === "unlimited" ? Infinity : limit === undefined ? undefined : Number(limit);
  }

  /** Since Linux 6.2 the size of the folder is the number of files, so it need not be listed. */
  #openFiles(): number {
    try {
      const { size } = statSync(join(this.#proc, "self/fd"));
      return size > 0 ? size : this.#list("self/fd").length;
    } catch {
      return this.#list("self/fd").length;
    }
  }

  #number(path: string): number | undefined {
    const text = this.#read(path)?.trim();
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  }

  #read(path: string, bytesMax = Infinity): string | undefined {
    try {
      const full = join(this.#proc, path);
      const text = Number.isFinite(bytesMax)
        ? readBegin(full, bytesMax)
        : readFileSync(full, "utf8");
      garbage.note(GARBAGE_PER_CHARACTER * text.length);
      return text;
    } catch {
      return undefined;
    }
  }

  #list(path: string): string[] {
    try {
      return readdirSync(join(this.#proc, path));
    } catch {
      return [];
    }
  }

  #link(path: string): string {
    try {
      return readlinkSync(join(this.#proc, path));
    } catch {
      return "";
    }
  }
}

/** The limit from Bun's report, on FreeBSD and macOS too. Takes 0.4 ms, so only at the start. */
function limitOfReport(): number | undefined {
  const report = process.report?.getReport() as Report | undefined;
  const limit = report?.userLimits?.open_files?.soft;
  return limit === "unlimited" ? Infinity : limit;
}

/** The part of a report that is read here. */
interface Report {
  userLimits?: { open_files?: { soft?: number | "unlimited" } };
}

/** The beginning of a file that may be long. Throws if it cannot be read. */
function readBegin(path: string, bytesMax: number): string {
  const fd = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(bytesMax);
    let size = 0;
    // The kernel returns such files in pieces.
    while (size < bytesMax) {
      const read = readSync(fd, bytes, size, bytesMax - size, null);
      if (read === 0) break;
      size += read;
    }
    return bytes.toString("latin1", 0, size);
  } finally {
    closeSync(fd);
  }
}
