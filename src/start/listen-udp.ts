/**
 * Listens for UDP: in worker threads where the system offers batches, else in the event loop.
 */
import type { udp } from "bun";
import type { Listener } from "../config/settings.ts";
import { COUNT, Counters } from "../counters/counters.ts";
import { now } from "../host/clock.ts";
import type { Libc } from "../host/libc.ts";
import { Answering, type UdpShared } from "../udp/answering.ts";
import { EventLoopSource } from "../udp/event-loop.ts";
import { failureMemory, readFailure } from "../udp/worker-failure.ts";
import { type WorkerAnswer, WorkerMessages } from "../udp/messages.ts";
import { StartError } from "../host/start-error.ts";
import { forbiddenCalls, listenError } from "./listen-error.ts";
import type { Threads, WorkerThread } from "./threads.ts";

/** A worker that waits for datagrams looks for messages after this time, in milliseconds. */
const MESSAGE_LATENCY_MILLISECONDS = 200;

/** The calls of the C library for a socket. */
type SocketLibc = Pick<
  Libc,
  | "bindUdp"
  | "close"
  | "forbiddenCalls"
  | "ignoreUnreachable"
  | "setReceiveBuffer"
  | "setReceiveTimeout"
  | "askForDestination"
>;

/** What `listenUdp` needs. */
export interface UdpNeeds {
  config: {
    udpListeners: readonly Listener[];
    /** Threads for each address; 0 for none. */
    udpWorkers: number;
    udpReceiveBufferBytes: number;
  };
  /** Undefined where batches of datagrams and socket options are not available. */
  libc: SocketLibc | undefined;
  threads: Threads;
  /** Starts a thread for a UDP worker. */
  spawnUdpWorker: () => Worker;
}

/** The open UDP addresses. */
export interface UdpFront {
  /** The smallest receive buffer granted; Infinity if it is not known. */
  receiveBufferBytes: number;
  /** Answers all queued datagrams, closes the sockets, then resolves. */
  stop(): Promise<void>;
}

/** Listens for UDP on all addresses. Rejects with a StartError if one cannot be bound. */
export async function listenUdp(needs: UdpNeeds): Promise<UdpFront> {
  const fronts: UdpFront[] = [];
  for (const listener of needs.config.udpListeners) {
    try {
      fronts.push(await listenAt(listener, needs));
    } catch (error) {
      throw error instanceof StartError ? error : listenError("udp", listener, error);
    }
  }
  return {
    receiveBufferBytes: Math.min(...fronts.map((front) => front.receiveBufferBytes)),
    async stop() {
      await Promise.all(fronts.map((front) => front.stop()));
    },
  };
}

function listenAt(listener: Listener, needs: UdpNeeds): Promise<UdpFront> {
  const { libc, config } = needs;
  return libc !== undefined && config.udpWorkers > 0
    ? listenInThreads(listener, libc, needs)
    : listenInEventLoop(listener, needs);
}

async function listenInEventLoop(
  listener: Listener,
  { threads, libc, config }: UdpNeeds,
): Promise<UdpFront> {
  const answering = new Answering(threads.shared, 0);
  const source = new EventLoopSource(answering);
  const socket: udp.Socket<"uint8array"> & { fd?: number } = await Bun.udpSocket({
    hostname: listener.host,
    port: listener.port,
    binaryType: "uint8array",
    socket: {
      data: (socket, bytes, port, address) => source.receive(socket, bytes, port, address),
      // An error here is about a datagram that is already lost.
      error: () => {},
    },
  });
  threads.addPart(answering);
  const receiveBufferBytes =
    libc === undefined || socket.fd === undefined
      ? Infinity
      : prepareSocket(libc, socket.fd, config.udpReceiveBufferBytes);
  return {
    receiveBufferBytes,
    async stop() {
      // The event loop first delivers the datagrams in the socket; then the replies are sent.
      await Bun.sleep(1);
      source.flush(socket);
      socket.close();
    },
  };
}

/** Each thread has its own socket; the kernel spreads clients over them by address. */
async function listenInThreads(
  { host, port }: Listener,
  libc: SocketLibc,
  { threads, config, spawnUdpWorker }: UdpNeeds,
): Promise<UdpFront> {
  const sharesPort = config.udpWorkers > 1;
  // Sockets that share a port also share it with another tracker, silently. A socket that does not
  // share gets an error if the port is taken.
  if (sharesPort) libc.close(libc.bindUdp(host, port, false));
  const wildcard = host === "::" || host === "0.0.0.0";
  const workers: WorkerThread[] = [];
  let receiveBufferBytes = Infinity;
  for (let i = 0; i < config.udpWorkers; i++) {
    // Sharing costs the kernel a hash for every datagram, so a single thread does not share.
    const fd = libc.bindUdp(host, port, sharesPort);
    const granted = prepareSocket(libc, fd, config.udpReceiveBufferBytes);
    receiveBufferBytes = Math.min(receiveBufferBytes, granted);
    if (wildcard) libc.askForDestination(fd, host === "::" ? 6 : 4);
    libc.setReceiveTimeout(fd, MESSAGE_LATENCY_MILLISECONDS);
    const start = (thread: number, shared: UdpShared) =>
      startWorker(spawnUdpWorker(), { shared, thread, fd, wildcard }, threads.fail);
    workers.push(threads.addWorker(start));
  }
  await Promise.all(workers.map((worker) => worker.ready));
  return {
    receiveBufferBytes,
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()));
    },
  };
}

/**
 * Sets what Bun's sockets lack: a large receive buffer, and no ICMP errors of other clients.
 * Returns the size of the receive buffer granted, in bytes. Throws a StartError if a filter forbids
 * the calls that carry datagrams. Bun's sockets use the same: without recvmmsg they keep a core
 * busy and answer nothing, without sendmmsg they send nothing (Bun 1.4.5).
 */
function prepareSocket(libc: SocketLibc, fd: number, receiveBufferBytes: number): number {
  const forbidden = libc.forbiddenCalls(fd);
  if (forbidden.length > 0) throw forbiddenCalls(forbidden);
  libc.ignoreUnreachable(fd);
  return libc.setReceiveBuffer(fd, receiveBufferBytes);
}

/** The work of a worker: its socket, and its number as a thread. */
interface Work {
  shared: UdpShared;
  thread: number;
  fd: number;
  wildcard: boolean;
}

/** Starts a worker. If it fails, `fail` ends the tracker: a restart is better than part service. */
function startWorker(worker: Worker, work: Work, fail: (reason: string) => never): WorkerThread {
  const messages = new WorkerMessages(worker);
  worker.onmessage = ({ data }: { data: WorkerAnswer }) => {
    if (typeof data === "string") messages.answered();
    else fail(failureOf(data.failed));
  };
  worker.onerror = (event) => fail(failureOf(event.message));
  const counts = new Counters(work.shared.counters, work.thread).row;
  const failure = failureMemory();
  const task = { ...work, sent: messages.sent, failure, nowSeconds: now() };
  return {
    ready: messages.send(task),
    async take({ access, rules }) {
      // A worker does not use certificates, so it is not interrupted for one.
      if (access !== undefined || rules !== undefined) await messages.send({ access, rules });
    },
    stop: () => messages.send("stop"),
    turns: () => counts[COUNT.udpTurns],
    failure() {
      const reason = readFailure(failure);
      return reason === "" ? undefined : failureOf(reason);
    },
  };
}

function failureOf(reason: string): string {
  return `a UDP worker failed: ${reason}`;
}
