/**
 * A UDP worker: a thread that only answers the datagrams of one socket.
 *
 * It gets its task, reports that it is ready, and stays in its loop: wait for datagrams, answer the
 * batch, wait again. It leaves the loop only for a message (messages.ts), and returns to it unless
 * the message is "stop". An exception ends the whole process, because a supervisor restarts a
 * tracker that has ended, but not one that has lost a thread.
 */
import { alignClock } from "../host/clock.ts";
import { compileAsUsual } from "../host/compiling.ts";
import { releaseStart } from "../host/garbage.ts";
import { Answering } from "./answering.ts";
import { Batches } from "./batches.ts";
import { writeFailure } from "./worker-failure.ts";
import { openLibc, SystemError } from "../host/libc.ts";
import type { WorkerAnswer, WorkerMessage, WorkerTask } from "./messages.ts";

/** Limit of batches answered after "stop": enough for queued datagrams, but it ends in a flood. */
const DRAIN_BATCHES_MAX = 256;

declare const self: {
  onmessage: (event: { data: WorkerTask | WorkerMessage }) => void;
  postMessage: (answer: WorkerAnswer) => void;
};

let answering: Answering;
let batches: Batches;
let sent: Int32Array;
let failure: SharedArrayBuffer | undefined;
let read = 0;

self.onmessage = ({ data }) => {
  try {
    take(data);
  } catch (error) {
    // An error of the system is sent as its sentence. A bug is rethrown, so Bun reports its stack.
    if (!(error instanceof SystemError)) {
      if (failure !== undefined) writeFailure(failure, error);
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
  if ("failure" in data) {
    begin(data);
    self.postMessage("ready");
    releaseStart();
  } else {
    answering.take(data);
    self.postMessage("updated");
  }
  while (Atomics.load(sent, 0) === read) batches.turn();
}

function begin(task: WorkerTask): void {
  compileAsUsual();
  failure = task.failure;
  const libc = openLibc(task.libc);
  if (libc === undefined) throw new Error("the C library that was there is gone");
  alignClock(task.nowSeconds);
  answering = new Answering(task.shared, task.thread);
  batches = new Batches(libc, task.fd, task.wildcard, answering);
  sent = task.sent;
}
