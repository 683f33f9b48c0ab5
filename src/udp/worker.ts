/**
 * A UDP worker: a thread that answers the datagrams of one socket, and does nothing else.
 *
 * It is told once what to work on, says that it is ready, and then stays in its loop: wait for
 * datagrams, answer the batch, wait again. While it does, no message reaches it, so whoever sends
 * one also raises the mail word. The worker then leaves its loop, its event loop hands it the
 * message, and it goes back to work, unless it was told to stop. It counts what it has read: as
 * long as the word is ahead there is more to come. Whatever it throws ends the whole process: half
 * a tracker is worse than none, which a supervisor would start again.
 *
 *   main     post message, mail += 1
 *   worker   mail ahead of read? leave the loop → message, read += 1 → back into the loop
 */
import type { AccessShared } from "../access/access.ts";
import { alignClock } from "../ops/clock.ts";
import { Answering, type UdpShared } from "./answering.ts";
import { Batches } from "./batches.ts";
import { openLibc } from "./libc.ts";

/** What the main thread tells a worker. */
export interface WorkerTask {
  shared: UdpShared;
  /** Row of its counters: 1 and up. */
  thread: number;
  fd: number;
  wildcard: boolean;
  /** How many messages were sent to this worker, this one among them; its own word. */
  mail: Int32Array;
  /** The clock of the event loop, in seconds. */
  nowSeconds: number;
}

/** What it may be told later: whom to serve from now on, or to answer what is queued and end. */
export type WorkerMail = { access: AccessShared } | "stop";

/** What a worker tells the main thread: one word for each message, in their order. */
export type WorkerNews = "ready" | "updated" | "stopped";

/** Batches answered after the word to stop: what was queued, but not what keeps coming. */
const DRAIN_BATCHES_MAX = 256;

declare const self: {
  onmessage: (event: { data: WorkerTask | WorkerMail }) => void;
  postMessage: (news: WorkerNews) => void;
};

let answering: Answering;
let batches: Batches;
let mail: Int32Array;
let read = 0;

self.onmessage = ({ data }) => {
  read += 1;
  if (data === "stop") {
    for (let batch = 0; batch < DRAIN_BATCHES_MAX && batches.drain() > 0; batch++);
    self.postMessage("stopped");
    return;
  }
  if ("access" in data) {
    answering.access.update(data.access);
    self.postMessage("updated");
  } else {
    begin(data);
    self.postMessage("ready");
  }
  while (Atomics.load(mail, 0) === read) batches.turn();
};

function begin(task: WorkerTask): void {
  const libc = openLibc();
  if (libc === undefined) throw new Error("the C library that was there is gone");
  alignClock(task.nowSeconds);
  answering = new Answering(task.shared, task.thread);
  batches = new Batches(libc, task.fd, task.wildcard, answering);
  mail = task.mail;
}
