/**
 * Messages to a UDP worker, whose blocking loop does not read its queue.
 *
 * So the sender of a message also increments a shared counter. The worker compares the counter with
 * the number of messages it has read. If the counter is higher, the worker leaves its loop, gets
 * the message from its event loop, answers with one word, and returns to the loop if no other
 * message waits.
 *
 *   main     post message, sent += 1                              … the answer resolves `send`
 *   worker   sent > read? leave the loop → message, read += 1 → answer → back into the loop
 */
import type { AnsweringUpdate, UdpShared } from "./answering.ts";

/** The first message: the socket and the shared memory. */
export interface WorkerTask {
  shared: UdpShared;
  /** Row of the worker's counters, from 1. */
  thread: number;
  fd: number;
  wildcard: boolean;
  /** The file of the C library. */
  libc: string;
  /** Number of messages sent to this worker, including this one. */
  sent: Int32Array;
  /** Memory for the reason of a failure, in case the event loop reads no messages. */
  failure: SharedArrayBuffer;
  /** The clock of the event loop, in seconds. */
  nowSeconds: number;
}

/** Later messages: new access lists or rules; or "stop": answer what is queued, leave the loop. */
export type WorkerMessage = AnsweringUpdate | "stop";

/** Answers of a worker: one word for each message, in order; or the reason of a failure. */
export type WorkerAnswer = "ready" | "updated" | "stopped" | { failed: string };

/** The sender's end. */
export class WorkerMessages {
  /** Number of messages sent; the worker gets this memory with its task. */
  readonly sent = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Pick<Worker, "postMessage">;
  readonly #waiting: (() => void)[] = [];

  /** `answered` must be called for every message the worker posts. */
  constructor(worker: Pick<Worker, "postMessage">) {
    this.#worker = worker;
  }

  /** Resolves when the worker has processed the message. */
  send(message: WorkerTask | WorkerMessage): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.#worker.postMessage(message);
    // After the post: a worker that leaves its loop must find the message.
    Atomics.add(this.sent, 0, 1);
    return promise;
  }

  /** Call when the worker answers; the answer belongs to the oldest message. */
  answered(): void {
    this.#waiting.shift()?.();
  }
}
