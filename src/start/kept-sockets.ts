/**
 * The sockets that outlive the process: systemd keeps them while the tracker restarts, and requests
 * wait in them meanwhile.
 *
 *   start   the environment names them ─► each address of the settings takes its own, or binds one
 *   ready   all are stored with systemd ─► the next start gets them
 *
 * A socket that nobody reads still gets its share of the requests for its address. So one that the
 * settings do not need any more is taken out of systemd's store, and closed. That is done before
 * anything is bound, because it may be at an address that is wanted now.
 */
import type { Config } from "../config/schema.ts";
import type { Listener } from "../config/settings.ts";
import {
  addressText,
  type InheritedSocket,
  inheritedSockets,
  openSocketCalls,
  type ServerSocket,
  type SocketCalls,
} from "../host/inherited.ts";
import type { Libc } from "../host/libc.ts";
import type { Log } from "../host/log.ts";
import type { Machine } from "../host/machine.ts";
import type { Notifier } from "../host/notify.ts";

/** The kind of the warnings here. */
const WARNING = "kept_sockets";

type Protocol = ServerSocket["protocol"];

/** The settings that say which sockets there are. */
export type SocketsConfig = Pick<
  Config,
  "udpListeners" | "udpWorkers" | "httpListeners" | "adminListeners"
>;

/** What `KeptSockets` needs. */
export interface KeptSocketsNeeds {
  config: SocketsConfig;
  libc: Pick<Libc, "scopeOf"> | undefined;
  log: Pick<Log, "info" | "warn">;
  notifier: Pick<Notifier, "store" | "forget" | "barrier">;
}

/** The inherited sockets of an address. */
export interface TakenSockets {
  /** To answer requests with. */
  sockets: number[];
  /** UDP sockets beyond the number of threads: to be emptied and closed. */
  surplus: number[];
}

/** What those who listen need of `KeptSockets`. */
export type SocketKeeper = Pick<KeptSockets, "take" | "note">;

/** FileDescriptorStoreMax of the unit in the release. */
export const STORE_OF_UNIT = 512;

/** The number of sockets that a supervisor keeps with these settings. */
export function countSockets(config: SocketsConfig): number {
  const { udpListeners, udpWorkers, httpListeners, adminListeners } = config;
  const udp = udpListeners.length * Math.max(1, udpWorkers);
  return udp + httpListeners.length + adminListeners.length;
}

/**
 * Takes over the sockets that the environment names, and closes those that no setting names. What
 * the kernel drops at the others is counted from now on, so call it early.
 */
export function keepSockets(
  needs: KeptSocketsNeeds & { machine: Pick<Machine, "forgetDrops"> },
  env: Record<string, string | undefined>,
): KeptSockets {
  const size = Number(env["FDSTORE"] ?? "");
  const kept = new KeptSockets(needs, size > 0 ? size : Infinity);
  let calls: SocketCalls | undefined;
  const inherited = inheritedSockets(env, () => (calls = openSocketCalls()));
  if (calls !== undefined) kept.sort(inherited, calls);
  needs.machine.forgetDrops(inherited.map(({ inode }) => inode));
  return kept;
}

export class KeptSockets {
  readonly #needs: KeptSocketsNeeds;
  readonly #storeSize: number;
  /** By protocol and address. */
  readonly #inherited = new Map<string, TakenSockets>();
  /** Sockets of a `.socket` unit, which systemd keeps anyway. */
  readonly #lent = new Set<number>();
  /** Sockets in use, by the name under which they are stored. */
  readonly #bound = new Map<string, number[]>();

  /** `storeSize` is the number of sockets that the supervisor keeps, Infinity if it is unknown. */
  constructor(needs: KeptSocketsNeeds, storeSize: number) {
    this.#needs = needs;
    this.#storeSize = storeSize;
  }

  /** The inherited sockets of an address, which belong to the caller from now on. */
  take(protocol: Protocol, listener: Listener): TakenSockets {
    const key = this.#inherited.size === 0 ? "" : this.#keyOf(protocol, listener);
    const taken = this.#inherited.get(key) ?? { sockets: [], surplus: [] };
    this.#inherited.delete(key);
    return taken;
  }

  /** Notes a socket in use. Port 0 of the settings is another port at the next start. */
  note(protocol: Protocol, { host, port }: Listener, fd: number | undefined): void {
    if (fd === undefined || port === 0 || this.#lent.has(fd)) return;
    const name = nameOf(protocol, host, port);
    this.#bound.set(name, [...(this.#bound.get(name) ?? []), fd]);
  }

  /** Gives the sockets in use to the supervisor. */
  store(): void {
    const { config, log, notifier } = this.#needs;
    for (const [name, fds] of this.#bound) if (!notifier.store(name, fds)) return;
    const sockets = countSockets(config);
    if (sockets <= this.#storeSize) return;
    const remedy = `set FileDescriptorStoreMax=${sockets} in the unit`;
    const fields = { sockets, kept: this.#storeSize, remedy };
    log.warn("systemd keeps too few sockets over a restart", fields, WARNING);
  }

  /** Finds the address of each inherited socket, and closes those without one. */
  sort(
    inherited: readonly InheritedSocket[],
    calls: Pick<SocketCalls, "takeNoMore" | "close">,
  ): void {
    const { config, log, notifier } = this.#needs;
    const wanted = this.#wanted(config);
    const unneeded = new Set<string>();
    for (const { protocol, at, fd, name } of inherited) {
      const key = `${protocol} ${at}`;
      const room = wanted.get(key) ?? 0;
      const taken = this.#inherited.get(key) ?? { sockets: [], surplus: [] };
      if (taken.sockets.length < room) {
        taken.sockets.push(fd);
        if (!isOurs(protocol, name)) this.#lent.add(fd);
        this.#inherited.set(key, taken);
        continue;
      }
      unneeded.add(name);
      this.#tellUnneeded(key, isOurs(protocol, name));
      if (room === 0) {
        calls.close(fd);
      } else {
        calls.takeNoMore(fd);
        taken.surplus.push(fd);
      }
    }
    if (inherited.length > 0) {
      log.info("sockets were open before the start", { sockets: inherited.length });
    }
    if (unneeded.size === 0) return;
    for (const name of unneeded) notifier.forget(name);
    notifier.barrier();
  }

  /** A socket of a `.socket` unit stays open there, and nobody answers its requests. */
  #tellUnneeded(at: string, ours: boolean): void {
    const { log } = this.#needs;
    if (ours) {
      log.info("a socket of the last run is closed, because the settings do not need it", { at });
      return;
    }
    const remedy = "take it out of its unit, or change the settings";
    log.warn(
      "the tracker was given a socket that the settings do not need",
      { at, remedy },
      WARNING,
    );
  }

  /** How many sockets each address of the settings can use. */
  #wanted({ udpListeners, udpWorkers, httpListeners, adminListeners }: SocketsConfig) {
    const wanted = new Map<string, number>();
    for (const at of udpListeners) wanted.set(this.#keyOf("udp", at), Math.max(1, udpWorkers));
    const web = [...httpListeners, ...adminListeners];
    for (const at of web) wanted.set(this.#keyOf("tcp", at), Infinity);
    return wanted;
  }

  /** An interface that is missing fails when its address is bound. */
  #keyOf(protocol: Protocol, { host, port }: Listener): string {
    try {
      return `${protocol} ${addressText(host, port, this.#needs.libc?.scopeOf(host) ?? 0)}`;
    } catch {
      return "";
    }
  }
}

/** The name in the supervisor's store, which may hold no colon. */
function nameOf(protocol: Protocol, host: string, port: number): string {
  const address = host.includes(":") ? `[${host.replaceAll(":", "_")}]` : host;
  return `${protocol}-${address}-${port}`;
}

/** Whether a name is one that `nameOf` gives: then an earlier run has stored the socket. */
function isOurs(protocol: Protocol, name: string): boolean {
  return name.startsWith(`${protocol}-`) && /-\d+$/.test(name);
}
