/**
 * The threads that answer requests: the one owner of all of them.
 *
 *   thread 0     the event loop: HTTP, the operator, and UDP if there are no workers
 *   1 and up     workers, each with its own row of counters, loop and socket: those of UDP, then
 *                those of HTTP
 *
 * Access lists, rules and the certificate change while the program runs. All threads get a change
 * in one way: `tell` gives it to each thread, and resolves when every thread uses it. A thread that
 * starts later begins with the last update.
 */
import type { AccessShared } from "../access/access.ts";
import type { Certificate } from "../http/certificate.ts";
import type { RulesShared } from "../limits/request-rules.ts";
import { HELD_SECONDS_MAX, LOCK_LOST, watchLocks } from "../swarm/locks.ts";
import type { UdpShared } from "../udp/answering.ts";

/** A change while the program runs; fields that are left out do not change. */
export interface Update {
  access?: AccessShared | undefined;
  rules?: RulesShared | undefined;
  certificate?: Certificate;
}

/** A part of the event loop that answers requests: HTTP, or the UDP of one socket. */
export interface Part {
  /** Uses the update from the next request on. Throws if it cannot. */
  take(update: Update): void;
}

/** A thread beside the event loop. */
export interface WorkerThread {
  /** Resolves when it answers requests. */
  ready: Promise<void>;
  /** Resolves when the thread uses the update. */
  take(update: Update): Promise<void>;
  /** Answers all queued datagrams; resolves when the thread has left its loop. */
  stop(): Promise<void>;
  /** A count that grows while its loop runs, for the supervisor's watchdog. */
  turns(): number;
  /** Why the thread failed, readable without messages; undefined if it has not failed. */
  failure(): string | undefined;
}

export class Threads {
  readonly workers: WorkerThread[] = [];
  /** Ends the process because a thread failed. */
  readonly fail: (reason: string) => never;
  /** Gives the memory of a list that no thread uses any more back to the system, if it can. */
  readonly release: ((memory: SharedArrayBuffer) => void) | undefined;
  readonly #parts: Part[] = [];
  #shared: UdpShared;
  #certificate: Certificate | undefined;

  constructor(
    shared: UdpShared,
    fail: (reason: string) => never,
    release?: (memory: SharedArrayBuffer) => void,
  ) {
    this.#shared = shared;
    this.fail = fail;
    this.release = release;
  }

  /** The values for a new thread or part; can be posted to a worker as they are. */
  get shared(): UdpShared {
    return this.#shared;
  }

  /** The current certificate; undefined before the first one. */
  get certificate(): Certificate | undefined {
    return this.#certificate;
  }

  /** Adds a part to the event loop, which is thread 0. */
  addPart(part: Part): void {
    this.#parts.push(part);
  }

  /** Starts a worker of any kind: `start` gets its number and the shared values. */
  addWorker(start: (thread: number, shared: UdpShared) => WorkerThread): WorkerThread {
    if (this.workers.length === 0) watchLocks((seconds) => this.#judgeLock(seconds));
    const worker = start(this.workers.length + 1, this.#shared);
    this.workers.push(worker);
    return worker;
  }

  /**
   * Gives an update to all threads; resolves when every thread uses it. Rejects if a thread cannot
   * use it, which only a certificate can cause; then all go on with the one before.
   */
  async tell(update: Update): Promise<void> {
    for (const part of this.#parts) part.take(update);
    const { access, rules, certificate } = update;
    const replaced = access === undefined ? [] : listsOnlyIn(this.#shared.access, access);
    if (access !== undefined) this.#shared = { ...this.#shared, access };
    if (rules !== undefined) {
      this.#shared = { ...this.#shared, limits: { ...this.#shared.limits!, rules } };
    }
    const before = this.#certificate;
    if (certificate !== undefined) this.#certificate = certificate;
    const taken = await Promise.allSettled(this.workers.map((worker) => worker.take(update)));
    for (const outcome of taken) {
      if (outcome.status === "fulfilled") continue;
      if (before !== undefined) await this.#goBackTo(before);
      throw outcome.reason;
    }
    for (const memory of replaced) this.release?.(memory);
  }

  /** A worker could not use a new certificate, and others can. */
  async #goBackTo(certificate: Certificate): Promise<void> {
    this.#certificate = certificate;
    for (const part of this.#parts) part.take({ certificate });
    await Promise.allSettled(this.workers.map((worker) => worker.take({ certificate })));
  }

  /**
   * Called while the event loop waits for a lock, when it cannot read messages, not even that the
   * owner of the lock has failed. The program ends, and a supervisor starts it again.
   */
  #judgeLock(seconds: number): void {
    for (const worker of this.workers) {
      const reason = worker.failure();
      if (reason !== undefined) this.fail(reason);
    }
    if (seconds >= HELD_SECONDS_MAX) this.fail(LOCK_LOST);
  }
}

/** The memory of the lists in `before` that are not in `after`. */
function listsOnlyIn(before: AccessShared | undefined, after: AccessShared): SharedArrayBuffer[] {
  const kept = [after.deny, after.allow, after.networks];
  const lists = [before?.deny, before?.allow, before?.networks];
  return lists.flatMap((memory) => (memory === undefined || kept.includes(memory) ? [] : [memory]));
}
