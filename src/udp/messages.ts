/**
 * Messages to a UDP worker, whose blocking loop does not read its queue.
 *
 * So the sender of a message also raises a shared word. The worker sees that the word is ahead of
 * the messages it has read, leaves its loop, gets the message from its event loop, sends one word
 * as its answer, and returns to the loop. While the word is ahead, more messages follow.
 *
 *   main     post message, word += 1                              … the answer resolves `send`
 *   worker   word ahead? leave the loop → message, read += 1 → answer → back into the loop
 */
import type { AnsweringUpdate, UdpShared } from "./answering.ts";

/** The first message: what to work on. */
export interface WorkerTask {
  shared: UdpShared;
  /** Row of its counters: 1 and up. */
  thread: number;
  fd: number;
  wildcard: boolean;
  /** How many messages were sent to this worker, this one included; a word for it alone. */
  sent: Int32Array;
  /** Where it writes why it fails, in case the event loop reads no messages. */
  lastWords: SharedArrayBuffer;
  /** The clock of the event loop, in seconds. */
  nowSeconds: number;
}

/** Later messages: new access lists or rules, or to answer what is queued and end. */
export type WorkerMessage = AnsweringUpdate | "stop";

/** What a worker answers: one word for each message, in their order; or why it cannot go on. */
export type WorkerAnswer = "ready" | "updated" | "stopped" | { failed: string };

/** The sender's end. */
export class WorkerMessages {
  /** How many messages were sent; the worker gets it with its task. */
  readonly sent = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Pick<Worker, "postMessage">;
  readonly #waiting: (() => void)[] = [];

  /** `answered` must be called for every message the worker posts. */
  constructor(worker: Pick<Worker, "postMessage">) {
    this.#worker = worker;
  }

  /** Resolves when the worker has done what the message says. */
  send(message: WorkerTask | WorkerMessage): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.#worker.postMessage(message);
    // Only now: a worker that leaves its loop must find the message.
    Atomics.add(this.sent, 0, 1);
    return promise;
  }

  /** The worker has answered its oldest message. */
  answered(): void {
    this.#waiting.shift()?.();
  }
}
