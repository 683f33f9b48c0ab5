/**
 * The keeper of the access lists: reads their files, changes them, and keeps count.
 *
 *   file → bytes → list in shared memory → every thread uses it → swarms refused now go
 *
 * Reading and taking are two steps, so that a reload of several files can be all or nothing: `read`
 * everything first, `take` it when nothing was wrong (start/reload.ts). Everything that changes a
 * list waits in one queue, so two changes never meet in a file. A single hash is changed in the
 * file first, and only then in memory: a change that was confirmed survives a restart.
 */
import type { FileHandle } from "node:fs/promises";
import type { Log } from "../host/log.ts";
import type { Tracker } from "../swarm/tracker.ts";
import { Access, ACCESS_OK, type AccessShared, openToAll } from "./access.ts";
import { evictRefused } from "./eviction.ts";
import { enlargeHashList, hashLine, showBadLines, withoutHash } from "./hash-file.ts";
import type { HashList } from "./hash-list.ts";
import { codeOf, type ListFile, readHashList, readNetworkList } from "./list-files.ts";
import type { NetworkList } from "./network-list.ts";
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
  clients: readonly Uint8Array[];
}

/** Hands the new lists to all threads; resolves when all of them use these. */
export type TellAccess = (update: { access: AccessShared }) => Promise<void>;

/** What became of a change to one list. */
export type Change =
  { outcome: "changed" | "unchanged" | "no list" } | { outcome: "failed"; reason: string };

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

/** When a hash that was just refused is looked for again: an announce may have been under way. */
const SECOND_LOOK_MILLISECONDS = 1000;

/** The lists of one reading of all files. */
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
  readonly #tracker: Tracker;
  readonly #log: Log;
  readonly #tell: TellAccess;
  readonly #counts = { changes: 0, changesFailed: 0, evicted: 0 };
  /** Settles when everything that was asked for is done. */
  #queue: Promise<unknown> = Promise.resolve();

  /** `tracker` is one of the calling thread, for eviction alone; `keys` are those of the swarms. */
  constructor(
    sources: AccessSources,
    keys: Int32Array,
    tracker: Tracker,
    log: Log,
    tell: TellAccess,
  ) {
    this.#sources = sources;
    this.#shared = { ...openToAll(keys), clients: sources.clients };
    this.#tracker = tracker;
    this.#log = log;
    this.#tell = tell;
  }

  get status(): AccessStatus {
    const { deny, allow, networks } = this.#lists;
    return {
      denied: deny?.size ?? 0,
      allowed: allow?.size ?? 0,
      networks: networks?.size ?? 0,
      maintenance: this.#shared.maintenance,
      ...this.#counts,
    };
  }

  /** Runs the task while no list can change: after the changes that wait, before later ones. */
  alone<Result>(task: () => Promise<Result>): Promise<Result> {
    const done = this.#queue.then(task);
    this.#queue = done.catch(() => {});
    return done;
  }

  /** The lists in all files. Rejects with a StartError if one cannot be read. */
  async read(): Promise<Lists> {
    const { denyFile, allowFile, denyNetworksFile } = this.#sources;
    const { keys } = this.#shared;
    return {
      deny: this.#note(await readHashList("TRACKER_DENY_FILE", denyFile, keys)),
      allow: this.#note(await readHashList("TRACKER_ALLOW_FILE", allowFile, keys)),
      networks: this.#note(await readNetworkList("TRACKER_DENY_NETWORKS_FILE", denyNetworksFile)),
    };
  }

  /** Makes these the lists; returns what all threads must then hold. */
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

  /** Removes the swarms that the lists refuse. Call it when all threads use these lists. */
  async evictRefused(): Promise<void> {
    this.#counts.evicted += await runInTurns(evictRefused(this.#tracker, this.#access));
  }

  /** Puts an info hash of 20 bytes on a list or takes it off, in the file and in memory. */
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
        const reason = `${path} cannot be written (${codeOf(error)})`;
        this.#log.error("an access list could not be changed", { reason });
        return { outcome: "failed", reason };
      }
    });
  }

  /** Whether announces are refused for a while. */
  get maintenance(): boolean {
    return this.#shared.maintenance;
  }

  /** Begins or ends maintenance; resolves when all threads act on it. */
  setMaintenance(maintenance: boolean): Promise<void> {
    // It shows at once: two signals, one right after the other, must undo each other.
    this.#share({ ...this.#shared, maintenance });
    const told = maintenance ? "maintenance begins: announces are refused" : "maintenance ends";
    this.#log.warn(told, {}, "maintenance");
    return this.#tell({ access: this.#shared });
  }

  /** Logs what came of a file; returns the list that was in it. */
  #note<List extends { size: number }>(read: ListFile<List> | undefined): List | undefined {
    if (read === undefined) return undefined;
    const { path, list, bad } = read;
    if (bad.count > 0) {
      const fields = { file: path, bad: bad.count, lines: showBadLines(bad) };
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

  /** Returns false if the list was so already. */
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
    this.#tracker.request.infoHash.set(hash);
    if (this.#tracker.evict()) this.#counts.evicted += 1;
  }
}

/** Returns false if the file was so already. Reads it twice, but never holds the whole of it. */
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
