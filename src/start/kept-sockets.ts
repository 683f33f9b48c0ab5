/**
 * The sockets that outlive the process: systemd keeps them while the tracker restarts, and requests
 * wait in them meanwhile.
 *
 *   start   the environment names them ─► each address of the settings takes its own, or binds one
 *   ready   all are stored with systemd ─► the next start gets them
 *
 * A socket that nobody reads still gets its share of the requests for its address. So one that the
 * settings do not need any more is taken out of systemd's store, and closed. That is done before
 * anything is bound, because it may be at an address that is wanted now. So is a UDP socket that is
 * connected: a run that was not heard by systemd leaves its surplus ones there (see `takeNoMore`),
 * and in place of a good one it would answer nobody. One that was shut down would keep a core busy.
 */
import type { Config } from "../config/schema.ts";
import type { Listener } from "../config/settings.ts";
import type { InheritedSocket, ServerSocket, SocketCalls } from "../host/inherited.ts";
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
  "udpListeners" | "udpWorkers" | "httpListeners" | "httpWorkers" | "adminListeners"
>;

/** What `KeptSockets` needs. */
export interface KeptSocketsNeeds {
  config: SocketsConfig;
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
  const { udpListeners, udpWorkers, httpListeners, httpWorkers, adminListeners } = config;
  const udp = udpListeners.length * Math.max(1, udpWorkers);
  const http = httpListeners.length * Math.max(1, httpWorkers);
  return udp + http + adminListeners.length;
}

/**
 * Takes over the sockets that the environment names, and closes those that no setting names. What
 * the kernel drops at the others is counted from now on, so call it early.
 */
export async function keepSockets(
  needs: KeptSocketsNeeds & {
    libc: Pick<Libc, "scopeOf"> | undefined;
    machine: Pick<Machine, "forgetDrops">;
  },
  env: Record<string, string | undefined>,
): Promise<KeptSockets> {
  const size = Number(env["FDSTORE"] ?? "");
  const kept = new KeptSockets(needs, size > 0 ? size : Infinity);
  const { libc, machine } = needs;
  if (env["LISTEN_FDS"] === undefined || libc === undefined) return kept;
  const { addressText, inheritedSockets, openSocketCalls } = await import("../host/inherited.ts");
  const calls = openSocketCalls();
  if (calls === undefined) return kept;
  const inherited = inheritedSockets(env, calls);
  const write = ({ host, port }: Listener) => addressText(host, port, libc.scopeOf(host));
  kept.sort(inherited, calls, write);
  machine.forgetDrops(inherited.map(({ inode }) => inode));
  return kept;
}

export class KeptSockets {
  readonly #needs: KeptSocketsNeeds;
  readonly #storeSize: number;
  /** By protocol and address of the settings. */
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
    const place = placeOf(protocol, listener);
    const taken = this.#inherited.get(place) ?? { sockets: [], surplus: [] };
    this.#inherited.delete(place);
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

  /**
   * Finds the address of each inherited socket, and closes those without one. `write` gives an
   * address as the sockets have it, and throws if its interface is missing.
   */
  sort(
    inherited: readonly InheritedSocket[],
    calls: Pick<SocketCalls, "takeNoMore" | "close">,
    write: (listener: Listener) => string,
  ): void {
    const { config, log, notifier } = this.#needs;
    const wanted = placesOf(config, write);
    const unneeded = new Set<string>();
    for (const { protocol, at, flaw, fd, name } of inherited) {
      const { place = "", most = 0 } = wanted.get(`${protocol} ${at}`) ?? {};
      const taken = this.#inherited.get(place) ?? { sockets: [], surplus: [] };
      if (flaw === "" && taken.sockets.length < most) {
        taken.sockets.push(fd);
        if (!isOurs(protocol, name)) this.#lent.add(fd);
        this.#inherited.set(place, taken);
        continue;
      }
      unneeded.add(name);
      this.#tellUnneeded(`${protocol} ${at}`, isOurs(protocol, name), flaw);
      if (flaw !== "" || most === 0) {
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
    // A message that is not heard has waited two seconds, and the next one would, too.
    for (const name of unneeded) if (!notifier.forget(name)) return;
    notifier.barrier();
  }

  /** A socket of a `.socket` unit stays open there, and nobody answers its requests. */
  #tellUnneeded(at: string, ours: boolean, flaw: string): void {
    const { log } = this.#needs;
    if (ours) {
      const reason = flaw === "" ? "the settings do not need it" : `it ${flaw}`;
      log.info(`a socket of the last run is closed, because ${reason}`, { at });
      return;
    }
    const which = flaw === "" ? "the settings do not need" : flaw;
    const remedy =
      flaw === ""
        ? "take it out of its unit, or change the settings"
        : "give it one that is bound only";
    log.warn(`the tracker was given a socket that ${which}`, { at, remedy }, WARNING);
  }
}

/** The key of an address of the settings. */
function placeOf(protocol: Protocol, { host, port }: Listener): string {
  return `${protocol} ${host} ${port}`;
}

/** The addresses of the settings as sockets have them, and how many sockets each can use. */
function placesOf(config: SocketsConfig, write: (listener: Listener) => string) {
  const { udpListeners, udpWorkers, httpListeners, adminListeners } = config;
  const places = new Map<string, { place: string; most: number }>();
  const add = (protocol: Protocol, listener: Listener, most: number): void => {
    try {
      const place = placeOf(protocol, listener);
      places.set(`${protocol} ${write(listener)}`, { place, most });
    } catch {
      // A missing interface has its error when the address is bound.
    }
  };
  for (const listener of udpListeners) add("udp", listener, Math.max(1, udpWorkers));
  for (const listener of [...httpListeners, ...adminListeners]) add("tcp", listener, Infinity);
  return places;
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
