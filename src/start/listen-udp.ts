/**
 * Listens for UDP: in worker threads where the system offers batches, else in the event loop.
 */
import type { udp } from "bun";
import type { Listener } from "../config/settings.ts";
import type { Family } from "../constants.ts";
import { COUNT, Counters } from "../counters/counters.ts";
import { now } from "../host/clock.ts";
import { type Libc, SystemError } from "../host/libc.ts";
import { Answering, type UdpShared } from "../udp/answering.ts";
import { Batches, type SocketCalls } from "../udp/batches.ts";
import { EventLoopSource } from "../udp/event-loop.ts";
import { failureMemory, readFailure } from "../udp/worker-failure.ts";
import { type WorkerAnswer, WorkerMessages, type WorkerTask } from "../udp/messages.ts";
import { StartError } from "../host/start-error.ts";
import type { SocketKeeper } from "./kept-sockets.ts";
import { listenError } from "./listen-error.ts";
import { forbiddenCalls, tooFewThreads } from "./system-refuses.ts";
import type { Threads, WorkerThread } from "./threads.ts";

/** A worker that waits for datagrams looks for messages after this time, in milliseconds. */
const MESSAGE_LATENCY_MILLISECONDS = 200;

/** Limit of batches answered from a surplus socket: a buffer of 128 MiB holds as many datagrams. */
const SURPLUS_BATCHES_MAX = 5000;

/** The calls of the C library for a socket. */
type SocketLibc = Pick<
  Libc,
  | "bindUdp"
  | "path"
  | "close"
  | "duplicate"
  | "forbiddenCalls"
  | "ignoreUnreachable"
  | "setBlocking"
  | "setShared"
  | "setWhole"
  | "setReceiveBuffer"
  | "setReceiveTimeout"
  | "askForDestination"
> &
  SocketCalls;

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
  /** The sockets that outlive the process. */
  kept: SocketKeeper;
  /** Starts a thread for a UDP worker. */
  spawnUdpWorker: () => Worker;
}

/** The open UDP addresses. */
export interface UdpFront {
  /** The smallest receive buffer granted; Infinity if it is not known. */
  receiveBufferBytes: number;
  /** Answers all queued datagrams, and no later ones, then resolves. */
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
  { threads, libc, config, kept }: UdpNeeds,
): Promise<UdpFront> {
  const answering = new Answering(threads.shared, 0);
  const source = new EventLoopSource(answering);
  const { sockets, surplus } = kept.take("udp", listener);
  const inherited = sockets.length === 0 ? {} : { fd: sockets[0] };
  const socket: udp.Socket<"uint8array"> & { fd?: number } = await Bun.udpSocket({
    hostname: listener.host,
    port: listener.port,
    ...inherited,
    binaryType: "uint8array",
    socket: {
      data: (socket, bytes, port, address) => source.receive(socket, bytes, port, address),
      // An error here is about a datagram that is already lost.
      error: () => {},
    },
  });
  threads.addPart(answering);
  kept.note("udp", listener, socket.fd);
  let receiveBufferBytes = Infinity;
  if (libc !== undefined && socket.fd !== undefined) {
    receiveBufferBytes = prepareSocket(libc, socket.fd, config.udpReceiveBufferBytes);
    libc.setShared(socket.fd, false);
    // An earlier owner may have had threads, which cut what a way does not carry.
    libc.setWhole(socket.fd, false);
    answerSurplus(surplus, socket.fd, listener, libc, threads.shared);
  }
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
  listener: Listener,
  libc: SocketLibc,
  { threads, config, kept, spawnUdpWorker }: UdpNeeds,
): Promise<UdpFront> {
  const { sockets: inherited, surplus } = kept.take("udp", listener);
  const sockets = [...inherited, ...bindMissing(inherited, listener, libc, config.udpWorkers)];
  const wildcard = isWildcard(listener);
  let receiveBufferBytes = Infinity;
  for (const fd of sockets) {
    const granted = prepareSocket(libc, fd, config.udpReceiveBufferBytes);
    receiveBufferBytes = Math.min(receiveBufferBytes, granted);
    if (wildcard) libc.askForDestination(fd, familyOf(listener));
    // A worker on a socket that does not wait keeps a processor busy; those of a unit do not.
    libc.setBlocking(fd, true);
    libc.setReceiveTimeout(fd, MESSAGE_LATENCY_MILLISECONDS);
    // A datagram that is never cut into fragments needs no number. The kernel takes 0.08 µs of the
    // 3 of an echo to hash and count one (measured, Linux 6.18).
    libc.setWhole(fd, true);
    kept.note("udp", listener, fd);
  }
  answerSurplus(surplus, sockets[0], listener, libc, threads.shared);
  const workers = sockets.map((fd, started) =>
    threads.addWorker((thread, shared) => {
      const worker = spawn(spawnUdpWorker, started, sockets.length);
      return startWorker(worker, { shared, thread, fd, wildcard, libc: libc.path }, threads.fail);
    }),
  );
  await Promise.all(workers.map((worker) => worker.ready));
  return {
    receiveBufferBytes,
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()));
    },
  };
}

/** Binds the sockets that the address has too few of; returns them. */
function bindMissing(
  inherited: readonly number[],
  { host, port }: Listener,
  libc: SocketLibc,
  wanted: number,
): number[] {
  const [first] = inherited;
  // Sharing costs the kernel a hash for every datagram, so a single thread does not share.
  const shared = wanted > 1;
  for (const fd of inherited) libc.setShared(fd, shared);
  // Sockets that share a port also share it with another tracker, silently. A socket that does not
  // share gets an error if the port is taken.
  if (shared && first === undefined) libc.close(libc.bindUdp(host, port, false));
  return Array.from({ length: wanted - inherited.length }, () => {
    try {
      return libc.bindUdp(host, port, shared);
    } catch (error) {
      const taken = error instanceof SystemError && error.code === "EADDRINUSE";
      if (first === undefined || !taken) throw error;
      // Only sockets of one user share a port, and root bound that of a `.socket` unit. So two
      // threads read one socket.
      return libc.duplicate(first);
    }
  });
}

/**
 * Answers what waits in sockets that the address does not need any more, and closes them. They get
 * no further datagrams (see `takeNoMore`). Replies leave through `fd`, which has the same address.
 */
function answerSurplus(
  surplus: readonly number[],
  fd: number,
  listener: Listener,
  libc: SocketLibc,
  shared: UdpShared,
): void {
  const wildcard = isWildcard(listener);
  for (const old of surplus) {
    if (wildcard) libc.askForDestination(old, familyOf(listener));
    const calls: SocketCalls = {
      receive: (_fd, headers, count, flags) => libc.receive(old, headers, count, flags),
      send: (to, headers, count, flags) => libc.send(to, headers, count, flags),
      errno: () => libc.errno(),
    };
    const batches = new Batches(calls, fd, wildcard, new Answering(shared, 0));
    for (let batch = 0; batch < SURPLUS_BATCHES_MAX && batches.drain() > 0; batch++);
    libc.close(old);
  }
}

/** True for an address that stands for all of the machine's. */
function isWildcard({ host }: Listener): boolean {
  return host === "::" || host === "0.0.0.0";
}

function familyOf({ host }: Listener): Family {
  return host.includes(":") ? 6 : 4;
}

/** A new thread, after `started` of `wanted`. */
function spawn(spawnUdpWorker: () => Worker, started: number, wanted: number): Worker {
  try {
    return spawnUdpWorker();
  } catch {
    // Bun gives no code, and there is no other reason than a limit of threads (1.4.5).
    throw tooFewThreads(started, wanted);
  }
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
type Work = Omit<WorkerTask, "sent" | "failure" | "nowSeconds">;

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
