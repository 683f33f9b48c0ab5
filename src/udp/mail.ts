/**
 * Mail to a UDP worker, which is never at home: it stays in its loop and reads no messages.
 *
 * So whoever sends one also raises a shared word. The worker sees that the word is ahead of what it
 * has read, leaves its loop, is handed the message by its event loop, answers with one word of its
 * own, and goes back to work. As long as the word is ahead there is more to come.
 *
 *   main     post message, word += 1                              … the answer resolves `send`
 *   worker   word ahead? leave the loop → message, read += 1 → answer → back into the loop
 */
import type { AccessShared } from "../access/access.ts";
import type { RulesShared } from "../limits/request-rules.ts";
import type { UdpShared } from "./answering.ts";

/** The first message: what to work on. */
export interface WorkerTask {
  shared: UdpShared;
  /** Row of its counters: 1 and up. */
  thread: number;
  fd: number;
  wildcard: boolean;
  /** How many messages were sent to this worker, this one among them; its own word. */
  mail: Int32Array;
  /** Where it says why it fails, should nobody hear it. */
  lastWords: SharedArrayBuffer;
  /** The clock of the event loop, in seconds. */
  nowSeconds: number;
}

/** What it may be told later: whom to serve, by which rules, or to answer what waits and end. */
export type WorkerMail = { access: AccessShared } | { rules: RulesShared } | "stop";

/** What a worker answers: one word for each message, in their order; or why it cannot go on. */
export type WorkerNews = "ready" | "updated" | "stopped" | { failed: string };

/** The sender's end of a worker's mail. */
export class Mail {
  /** How many messages were sent; to be given to the worker with its task. */
  readonly word = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Pick<Worker, "postMessage">;
  readonly #waiting: (() => void)[] = [];

  /** `answered` must be called for every message the worker posts. */
  constructor(worker: Pick<Worker, "postMessage">) {
    this.#worker = worker;
  }

  /** Resolves when the worker has done what the message says. */
  send(message: WorkerTask | WorkerMail): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.#worker.postMessage(message);
    // Only now: a worker that leaves its loop must find the message.
    Atomics.add(this.word, 0, 1);
    return promise;
  }

  /** The worker has answered the message that waits longest. */
  answered(): void {
    this.#waiting.shift()?.();
  }
}
