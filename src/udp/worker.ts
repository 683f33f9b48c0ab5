/**
 * A UDP worker: a thread that answers the datagrams of one socket, and does nothing else.
 *
 * It gets its task once, reports that it is ready, and then stays in its loop: wait for datagrams,
 * answer the batch, wait again. It leaves the loop only for a message (messages.ts), and returns
 * unless the message is to stop. Whatever it throws ends the whole process: half a tracker is worse
 * than none, which a supervisor would start again.
 */
import { alignClock } from "../host/clock.ts";
import { garbage } from "../host/garbage.ts";
import { Answering } from "./answering.ts";
import { Batches } from "./batches.ts";
import { leaveLastWords } from "./last-words.ts";
import { openLibc, SystemError } from "../host/libc.ts";
import type { WorkerAnswer, WorkerMessage, WorkerTask } from "./messages.ts";

/** Batches answered after the message to stop: what was queued, but not what keeps coming. */
const DRAIN_BATCHES_MAX = 256;

declare const self: {
  onmessage: (event: { data: WorkerTask | WorkerMessage }) => void;
  postMessage: (answer: WorkerAnswer) => void;
};

let answering: Answering;
let batches: Batches;
let sent: Int32Array;
let lastWords: SharedArrayBuffer | undefined;
let read = 0;

self.onmessage = ({ data }) => {
  try {
    take(data);
  } catch (error) {
    // An error of the system is a sentence. A bug of ours needs its place, which Bun reports.
    if (!(error instanceof SystemError)) {
      if (lastWords !== undefined) leaveLastWords(lastWords, error);
      throw error;
    }
    self.postMessage({ failed: error.message });
  }
};

function take(data: WorkerTask | WorkerMessage): void {
  read += 1;
  if (data === "stop") {
    for (let batch = 0; batch < DRAIN_BATCHES_MAX && batches.drain() > 0; batch++);
    self.postMessage("stopped");
    return;
  }
  if ("lastWords" in data) {
    begin(data);
    self.postMessage("ready");
  } else {
    answering.take(data);
    self.postMessage("updated");
  }
  garbage.settle();
  while (Atomics.load(sent, 0) === read) batches.turn();
}

function begin(task: WorkerTask): void {
  lastWords = task.lastWords;
  const libc = openLibc();
  if (libc === undefined) throw new Error("the C library that was there is gone");
  alignClock(task.nowSeconds);
  answering = new Answering(task.shared, task.thread);
  batches = new Batches(libc, task.fd, task.wildcard, answering);
  sent = task.sent;
}
