/**
 * The keeper of the access lists: reads their files, changes them, and counts the changes.
 *
 *   file → bytes → list in shared memory → every thread uses it → refused swarms are removed
 *
 * Reading and taking are two steps, so that a reload of several files takes all of them or none:
 * `read` every file first, then `take` them if all were right (start/reload.ts). Every change of a
 * list waits in one queue, so two changes never write a file at the same time. A single hash is
 * changed in the file first and then in memory: a confirmed change survives a restart.
 */
import type { FileHandle } from "node:fs/promises";
import type { Log } from "../host/log.ts";
import type { Store } from "../swarm/store.ts";
import { Access, ACCESS_OK, type AccessShared, openToAll } from "./access.ts";
import { evictRefused } from "./eviction.ts";
import { enlargeHashList, hashLine, showBadLines, withoutHash } from "./hash-file.ts";
import type { HashList } from "./hash-list.ts";
import { type ListFile, readHashList, readNetworkList } from "./list-files.ts";
import type { NetworkList } from "./network-list.ts";
import { codeOf, writeRemedy } from "../host/file-errors.ts";
import { runInTurns } from "../host/turns.ts";
import { eachPieceOf } from "./pieces.ts";
import { type Fill, replaceFile } from "./replace-file.ts";

const LINE_END = 10;

/** The two lists of info hashes. */
export type ListName = "deny" | "allow";

/** Where the lists come from. */
export interface AccessSources {
  /** Paths; undefined if there is no such list. */
  denyFile?: string | undefined;
  allowFile?: string | undefined;
  denyNetworksFile?: string | undefined;
  /** Beginnings of peer ids. */
  denyPeerIds: readonly Uint8Array[];
  allowPeerIds: readonly Uint8Array[];
}

/** Hands the new lists to all threads; resolves when all threads use them. */
export type TellAccess = (update: { access: AccessShared }) => Promise<void>;

/** The outcome of a change to one list. */
export type Change =
  | { outcome: "changed" | "unchanged" | "no list" }
  | { outcome: "failed"; reason: string; remedy: string };

/** For metrics. The sizes of lists that do not exist are 0. */
export interface AccessStatus {
  denied: number;
  allowed: number;
  networks: number;
  maintenance: boolean;
  changes: number;
  changesFailed: number;
  /** Swarms removed because a list denies them. */
  evicted: number;
}

/** A swarm just removed is removed again after this time: an announce may have restored it. */
const SECOND_LOOK_MILLISECONDS = 1000;

/** The lists of all files, read together. */
export interface Lists {
  deny: HashList | undefined;
  allow: HashList | undefined;
  networks: NetworkList | undefined;
}

export class AccessKeeper {
  #shared: AccessShared;
  #lists: Lists = { deny: undefined, allow: undefined, networks: undefined };
  readonly #access = new Access();
  readonly #sources: AccessSources;
  readonly #store: Store;
  readonly #log: Log;
  readonly #tell: TellAccess;
  readonly #counts = { changes: 0, changesFailed: 0, evicted: 0 };
  /** Settles when all requested changes are done. */
  #queue: Promise<unknown> = Promise.resolve();

  /** `store` belongs to the calling thread, for eviction only; `keys` are those of the swarms. */
  constructor(sources: AccessSources, keys: Int32Array, store: Store, log: Log, tell: TellAccess) {
    this.#sources = sources;
    const { denyPeerIds: denyClients, allowPeerIds: allowClients } = sources;
    this.#shared = { ...openToAll(keys), denyClients, allowClients };
    this.#store = store;
    this.#log = log;
    this.#tell = tell;
  }

  /** The sizes of the lists, for the log: of one that does not exist undefined, not 0. */
  get sizes(): Record<"denied" | "allowed" | "networks", number | undefined> {
    const { deny, allow, networks } = this.#lists;
    return { denied: deny?.size, allowed: allow?.size, networks: networks?.size };
  }

  get status(): AccessStatus {
    const { denied = 0, allowed = 0, networks = 0 } = this.sizes;
    return {
      ...{ denied, allowed, networks },
      maintenance: this.#shared.maintenance,
      ...this.#counts,
    };
  }

  /** Runs the task after all queued changes and before any later one, so no list changes in it. */
  alone<Result>(task: () => Promise<Result>): Promise<Result> {
    const done = this.#queue.then(task);
    this.#queue = done.catch(() => {});
    return done;
  }

  /** Reads the lists from all files. Rejects with a StartError if a file cannot be read. */
  async read(): Promise<Lists> {
    const { denyFile, allowFile, denyNetworksFile } = this.#sources;
    const { keys } = this.#shared;
    return {
      deny: this.#note(await readHashList("TRACKER_DENY_FILE", denyFile, keys)),
      allow: this.#note(await readHashList("TRACKER_ALLOW_FILE", allowFile, keys)),
      networks: this.#note(await readNetworkList("TRACKER_DENY_NETWORKS_FILE", denyNetworksFile)),
    };
  }

  /** Replaces the lists; returns what all threads must then use. */
  take(lists: Lists): AccessShared {
    this.#lists = lists;
    this.#share({
      ...this.#shared,
      deny: lists.deny?.memory,
      allow: lists.allow?.memory,
      networks: lists.networks?.memory,
    });
    return this.#shared;
  }

  /** Removes the swarms that the lists refuse. Call it when all threads use the lists. */
  async evictRefused(): Promise<void> {
    const evicted = await runInTurns(evictRefused(this.#store, this.#access));
    this.#counts.evicted += evicted;
  }

  /** Adds an info hash of 20 bytes to a list or removes it, in the file and in memory. */
  change(name: ListName, hash: Uint8Array, listed: boolean): Promise<Change> {
    return this.alone(async (): Promise<Change> => {
      const path = this.#pathOf(name);
      if (path === undefined) return { outcome: "no list" };
      try {
        const written = await changeFile(path, hash, listed);
        const taken = await this.#changeList(name, hash, listed);
        const outcome = written || taken ? "changed" : "unchanged";
        if (outcome === "changed") this.#counts.changes += 1;
        return { outcome };
      } catch (error) {
        this.#counts.changesFailed += 1;
        const code = codeOf(error);
        const reason = `${path} cannot be written (${code})`;
        const remedy = writeRemedy(code);
        this.#log.error("an access list could not be changed", { reason, remedy });
        return { outcome: "failed", reason, remedy };
      }
    });
  }

  /** Whether all announces are refused. */
  get maintenance(): boolean {
    return this.#shared.maintenance;
  }

  /** Begins or ends maintenance; resolves when all threads obey it. */
  setMaintenance(maintenance: boolean): Promise<void> {
    // `maintenance` changes at once: two signals in quick succession must undo each other.
    this.#share({ ...this.#shared, maintenance });
    const told = maintenance ? "maintenance begins: announces are refused" : "maintenance ends";
    this.#log.warn(told, {}, "maintenance");
    return this.#tell({ access: this.#shared });
  }

  /** Logs the result of reading a file; returns its list. */
  #note<List extends { size: number }>(read: ListFile<List> | undefined): List | undefined {
    if (read === undefined) return undefined;
    const { path, list, bad } = read;
    if (bad.count > 0) {
      const remedy = "correct or remove them, then send SIGHUP";
      const fields = { file: path, bad: bad.count, line_numbers: showBadLines(bad), remedy };
      this.#log.warn("bad lines are skipped", fields, "list_lines");
    }
    this.#log.debug("an access list was read", { file: path, entries: list.size });
    return list;
  }

  #share(shared: AccessShared): void {
    this.#shared = shared;
    this.#access.update(shared);
  }

  #pathOf(name: ListName): string | undefined {
    return name === "deny" ? this.#sources.denyFile : this.#sources.allowFile;
  }

  /** Returns false if the list needed no change. */
  async #changeList(name: ListName, hash: Uint8Array, listed: boolean): Promise<boolean> {
    const halves = new Uint16Array(hash.slice().buffer);
    let list = this.#lists[name]!;
    let changed = false;
    if (listed) {
      let added = list.add(halves, 0);
      if (added === "full") {
        list = await runInTurns(enlargeHashList(list, this.#shared.keys));
        added = list.add(halves, 0);
        await this.#tell({ access: this.take({ ...this.#lists, [name]: list }) });
      }
      changed = added === "added";
    } else {
      changed = list.remove(halves, 0);
    }
    if (this.#access.judgeSwarm(halves, 0) !== ACCESS_OK) {
      this.#evict(hash);
      setTimeout(() => this.#evictIfRefused(hash), SECOND_LOOK_MILLISECONDS).unref();
    }
    return changed;
  }

  #evictIfRefused(hash: Uint8Array): void {
    const halves = new Uint16Array(hash.slice().buffer);
    if (this.#access.judgeSwarm(halves, 0) !== ACCESS_OK) this.#evict(hash);
  }

  #evict(hash: Uint8Array): void {
    if (this.#store.evict(new Uint16Array(hash.slice().buffer))) this.#counts.evicted += 1;
  }
}

/** Returns false if the file needed no change. Reads it twice, but never holds all of it. */
function changeFile(path: string, hash: Uint8Array, listed: boolean): Promise<boolean> {
  const without = (bytes: Uint8Array) => runInTurns(withoutHash(bytes, hash));
  let lastLineEnds = true;
  const differs = async (old: FileHandle): Promise<boolean> => {
    let found = false;
    await eachPieceOf(old, async (bytes) => {
      found ||= (await without(bytes)) !== undefined;
      lastLineEnds = bytes.at(-1) === LINE_END;
    });
    return found !== listed;
  };
  const fill: Fill = async (old, write) => {
    await eachPieceOf(old, async (bytes) =>
      write(listed ? bytes : ((await without(bytes)) ?? bytes)),
    );
    if (listed) await write(hashLine(hash, lastLineEnds));
  };
  return replaceFile(path, fill, differs);
}
