/**
 * The threads that answer requests: the one owner of all of them.
 *
 *   thread 0     the event loop: HTTP, the operator, and UDP where it has no threads of its own
 *   1 and up     workers, each with a row of counters, a loop and a socket of its own
 *
 * What changes while the program runs (access lists, rules, the certificate) reaches all of them in
 * one way: `tell` hands it to each thread, and resolves when every thread uses it. What starts
 * later begins with what was told last.
 */
import type { AccessShared } from "../access/access.ts";
import type { Certificate } from "../http/certificate.ts";
import type { RulesShared } from "../limits/request-rules.ts";
import { HELD_SECONDS_MAX, LOCK_LOST, watchLocks } from "../swarm/locks.ts";
import type { UdpShared } from "../udp/answering.ts";

/** What may change while the program runs; what is left out stays as it is. */
export interface Update {
  access?: AccessShared;
  rules?: RulesShared;
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
  /** Answers what is queued; resolves when that is done, and the thread has left its loop. */
  stop(): Promise<void>;
  /** Grows while its loop turns: the supervisor's watchdog looks at it. */
  turns(): number;
  /** Why it has failed, even if the event loop cannot read messages; undefined if it has not. */
  failure(): string | undefined;
}

export class Threads {
  readonly workers: WorkerThread[] = [];
  /** Ends the process, because a thread cannot go on as it should. */
  readonly fail: (reason: string) => never;
  readonly #parts: Part[] = [];
  #shared: UdpShared;
  #certificate: Certificate | undefined;

  constructor(shared: UdpShared, fail: (reason: string) => never) {
    this.#shared = shared;
    this.fail = fail;
  }

  /** What a thread or a part of the event loop begins with; can be posted to a worker as it is. */
  get shared(): UdpShared {
    return this.#shared;
  }

  /** The certificate that HTTPS begins with; undefined before there is one. */
  get certificate(): Certificate | undefined {
    return this.#certificate;
  }

  /** Adds a part to the event loop, which is thread 0. */
  addPart(part: Part): void {
    this.#parts.push(part);
  }

  /** Starts a worker, of any kind: `start` is given its number and what it begins with. */
  addWorker(start: (thread: number, shared: UdpShared) => WorkerThread): WorkerThread {
    if (this.workers.length === 0) watchLocks((seconds) => this.#judgeLock(seconds));
    const worker = start(this.workers.length + 1, this.#shared);
    this.workers.push(worker);
    return worker;
  }

  /**
   * Hands an update to all threads; resolves when every thread uses it. Rejects if a part of the
   * event loop cannot use it, which only a certificate can cause: then no other thread gets it.
   */
  async tell(update: Update): Promise<void> {
    for (const part of this.#parts) part.take(update);
    const { access, rules, certificate } = update;
    if (access !== undefined) this.#shared = { ...this.#shared, access };
    if (rules !== undefined) {
      this.#shared = { ...this.#shared, limits: { ...this.#shared.limits!, rules } };
    }
    if (certificate !== undefined) this.#certificate = certificate;
    await Promise.all(this.workers.map((worker) => worker.take(update)));
  }

  /**
   * The event loop waits for a lock, and reads no messages meanwhile: not even that the lock's
   * owner has failed. A supervisor starts the program again; waiting for ever would serve nobody.
   */
  #judgeLock(seconds: number): void {
    for (const worker of this.workers) {
      const reason = worker.failure();
      if (reason !== undefined) this.fail(reason);
    }
    if (seconds >= HELD_SECONDS_MAX) this.fail(LOCK_LOST);
  }
}
