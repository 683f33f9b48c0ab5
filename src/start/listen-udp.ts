/**
 * Listening for UDP: in threads of their own where the system offers batches, else in the event
 * loop.
 */
import type { udp } from "bun";
import { now } from "../host/clock.ts";
import { listenError } from "./listen-error.ts";
import type { Listener } from "../config/settings.ts";
import { HELD_SECONDS_MAX, LOCK_LOST, watchLocks } from "../swarm/locks.ts";
import { Answering } from "../udp/answering.ts";
import { EventLoopSource } from "../udp/event-loop.ts";
import { lastWordsMemory, readLastWords } from "../udp/last-words.ts";
import type { Libc } from "../host/libc.ts";
import { Mail, type WorkerNews } from "../udp/mail.ts";
import type { Program, Running, UdpWorker } from "./program.ts";

/** How soon a worker that waits for datagrams sees that it has mail, in milliseconds. */
const MAIL_LATENCY_MILLISECONDS = 200;

/** Answers UDP on an address in threads of their own where that works, else in the event loop. */
export async function listenUdp(listener: Listener, program: Program): Promise<Running> {
  try {
    return program.libc !== undefined && program.config.udpWorkers > 0
      ? await listenInThreads(listener, program.libc, program)
      : await listenInEventLoop(listener, program);
  } catch (error) {
    throw listenError("udp", listener, error);
  }
}

async function listenInEventLoop(listener: Listener, program: Program): Promise<Running> {
  const answering = new Answering(program.shared, 0);
  program.accesses.push(answering.access);
  program.limits.push(answering.limits);
  const source = new EventLoopSource(answering);
  const socket: udp.Socket<"uint8array"> & { fd?: number } = await Bun.udpSocket({
    hostname: listener.host,
    port: listener.port,
    binaryType: "uint8array",
    socket: {
      data: (socket, bytes, port, address) => source.receive(socket, bytes, port, address),
      // An error reported here is about a datagram that is gone: nothing is left to be done.
      error: () => {},
    },
  });
  if (program.libc !== undefined && socket.fd !== undefined) {
    prepareSocket(program.libc, socket.fd, program);
  }
  return {
    async stop() {
      // One turn of the event loop delivers what the socket still holds, the next one sends.
      await Bun.sleep(1);
      source.flush(socket);
      socket.close();
    },
  };
}

/** Each thread has a socket of its own; the kernel spreads clients over them by their address. */
async function listenInThreads(listener: Listener, libc: Libc, program: Program): Promise<Running> {
  const shared = program.config.udpWorkers > 1;
  // Sockets that share a port share it with another tracker too, without a word. One that does not
  // is told that the port is taken.
  if (shared) libc.close(libc.bindUdp(listener.host, listener.port, false));
  watchLocks((seconds) => judgeLock(seconds, program));
  const wildcard = listener.host === "::" || listener.host === "0.0.0.0";
  const workers: UdpWorker[] = [];
  for (let i = 0; i < program.config.udpWorkers; i++) {
    // Sharing costs the kernel a hash for every datagram: one thread alone need not pay it.
    const fd = libc.bindUdp(listener.host, listener.port, shared);
    prepareSocket(libc, fd, program);
    if (wildcard) libc.askForDestination(fd, listener.host === "::" ? 6 : 4);
    libc.setReceiveTimeout(fd, MAIL_LATENCY_MILLISECONDS);
    workers.push(startWorker(fd, wildcard, program));
    program.workers.push(workers.at(-1)!);
  }
  await Promise.all(workers.map((worker) => worker.ready));
  return {
    async stop() {
      await Promise.all(workers.map((worker) => worker.tell("stop")));
    },
  };
}

/**
 * The event loop waits for a lock, and hears nothing meanwhile: not even that its owner has failed.
 * A supervisor starts the program again; to wait for ever would be to serve nobody.
 */
function judgeLock(seconds: number, { workers, fail }: Program): void {
  const said = workers.map((worker) => worker.lastWords()).find((words) => words !== "");
  if (said !== undefined) fail(`a UDP worker failed: ${said}`);
  if (seconds >= HELD_SECONDS_MAX) fail(LOCK_LOST);
}

/** What Bun's sockets lack: room for bursts, and no errors of one client with another's reply. */
function prepareSocket(libc: Libc, fd: number, program: Program): void {
  libc.ignoreUnreachable(fd);
  const granted = libc.setReceiveBuffer(fd, program.config.udpReceiveBufferBytes);
  program.receiveBufferBytes = Math.min(program.receiveBufferBytes, granted);
}

function startWorker(fd: number, wildcard: boolean, program: Program): UdpWorker {
  const worker = program.spawn();
  const mail = new Mail(worker);
  // A tracker that answers only some of its clients is worse than one that is started again.
  const fail = (reason: string): never => program.fail(`a UDP worker failed: ${reason}`);
  worker.onmessage = ({ data }: { data: WorkerNews }) => {
    if (typeof data === "string") mail.answered();
    else fail(data.failed);
  };
  worker.onerror = (event) => fail(event.message);
  const { shared, workers } = program;
  const thread = workers.length + 1;
  const lastWords = lastWordsMemory();
  const task = { shared, thread, fd, wildcard, mail: mail.word, lastWords, nowSeconds: now() };
  return {
    ready: mail.send(task),
    tell: (message) => mail.send(message),
    lastWords: () => readLastWords(lastWords),
  };
}
