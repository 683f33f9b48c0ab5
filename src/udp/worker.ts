/**
 * A UDP worker: a thread that answers the datagrams of one socket, and does nothing else.
 *
 * It is told once what to work on, says that it is ready, and then stays in its loop: wait for
 * datagrams, answer the batch, wait again. It leaves the loop only for mail (`mail.ts`), and goes
 * back unless it was told to stop. Whatever it throws ends the whole process: half a tracker is
 * worse than none, which a supervisor would start again.
 */
import { alignClock } from "../host/clock.ts";
import { Answering } from "./answering.ts";
import { Batches } from "./batches.ts";
import { leaveLastWords } from "./last-words.ts";
import { openLibc, SystemError } from "../host/libc.ts";
import type { WorkerMail, WorkerNews, WorkerTask } from "./mail.ts";

/** Batches answered after the word to stop: what was queued, but not what keeps coming. */
const DRAIN_BATCHES_MAX = 256;

declare const self: {
  onmessage: (event: { data: WorkerTask | WorkerMail }) => void;
  postMessage: (news: WorkerNews) => void;
};

let answering: Answering;
let batches: Batches;
let mail: Int32Array;
let lastWords: SharedArrayBuffer | undefined;
let read = 0;

self.onmessage = ({ data }) => {
  try {
    take(data);
  } catch (error) {
    // What the system says is a sentence; of our own mistakes the place matters, which Bun tells.
    if (!(error instanceof SystemError)) {
      if (lastWords !== undefined) leaveLastWords(lastWords, error);
      throw error;
    }
    self.postMessage({ failed: error.message });
  }
};

function take(data: WorkerTask | WorkerMail): void {
  read += 1;
  if (data === "stop") {
    for (let batch = 0; batch < DRAIN_BATCHES_MAX && batches.drain() > 0; batch++);
    self.postMessage("stopped");
    return;
  }
  if ("access" in data) {
    answering.access.update(data.access);
    self.postMessage("updated");
  } else if ("rules" in data) {
    answering.limits.rules.update(data.rules);
    self.postMessage("updated");
  } else {
    begin(data);
    self.postMessage("ready");
  }
  while (Atomics.load(mail, 0) === read) batches.turn();
}

function begin(task: WorkerTask): void {
  lastWords = task.lastWords;
  const libc = openLibc();
  if (libc === undefined) throw new Error("the C library that was there is gone");
  alignClock(task.nowSeconds);
  answering = new Answering(task.shared, task.thread);
  batches = new Batches(libc, task.fd, task.wildcard, answering);
  mail = task.mail;
}
