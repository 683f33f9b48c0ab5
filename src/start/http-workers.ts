/**
 * TRACKER_HTTP_WORKERS: HTTP and HTTPS in worker threads, and what they pass on in the event loop.
 *
 *   worker       its own socket of each address ─► announces, scrapes, health
 *   worker       …
 *   event loop   a private socket ─► the page, statistics, exports, WebSockets with TLS
 *                messages ─► WebSockets without TLS
 *
 * The event loop binds all sockets and hands them over, so that a mistake of the settings ends the
 * start as without workers, and systemd can keep them. The kernel spreads connections over them.
 *
 *   limit                      with workers
 *   connections                exact: one counter. The one that gives way is of the same worker
 *   bytes that connections     exact: each worker, and the event loop, has an equal share
 *   hold (see held.ts)
 *   connections of an address  each worker allows twice its share, since chance spreads them
 *                              unevenly; the event loop the whole limit for those it gets
 *   rates, early announces,    exact: shared memory, as with UDP workers
 *   exports, WebSockets
 */
import type { WebListener } from "../config/settings.ts";
import { connectionsPerAddressMax } from "../config/derived.ts";
import { codeOf } from "../host/file-errors.ts";
import { now } from "../host/clock.ts";
import { type Libc, SystemError } from "../host/libc.ts";
import { CONNECTION_COLUMNS, ConnectionCounts } from "../http/connections.ts";
import { type Handed, takeHanded } from "../http/handing-over.ts";
import { HELD_BYTES_MAX } from "../http/held.ts";
import { passingPlace, takePassed } from "../http/passing.ts";
import { type HttpAnswer, type HttpMessage, type HttpTask, TURNS_COLUMN } from "./http-messages.ts";
import { listenError } from "./listen-error.ts";
import { type HttpFront, type HttpParts, makeServer } from "./http-server.ts";
import type { Program } from "./program.ts";
import { reportTo } from "./report-bugs.ts";
import { noPrivateSocket, tooFewThreads } from "./system-refuses.ts";
import { BACKLOG, DRAIN_MILLISECONDS, type TcpListener } from "./tcp-sockets.ts";
import type { WorkerThread } from "./threads.ts";

/** A worker, as its owner reaches it. */
interface HttpThread extends WorkerThread {
  /** Resolves when it answers. */
  listen(): Promise<void>;
}

/** Connections of one address that a worker allows at least. */
const PER_ADDRESS_MIN = 8;

/** Listens in workers. Rejects with a StartError if an address cannot be bound. */
export async function listenInWorkers(program: Program, parts: HttpParts): Promise<HttpFront> {
  const { libc, threads, httpWorkers: count, connections } = program;
  const heldBytes = Math.floor(HELD_BYTES_MAX / (count + 1));
  const { server, browsers } = makeServer(program, parts, {
    passedOn: true,
    heldBytesMax: heldBytes,
  });
  const passing = passingPlace();
  const socket = takePassed(passing, server.socket, connections.http);
  const passed = listenPrivately(passing.name, socket);
  libc!.listen(passed.fd!, BACKLOG);
  const places = bindAll(program, parts);
  const open = new Int32Array(new SharedArrayBuffer(CONNECTION_COLUMNS * 8));
  const takesHanded = takeHanded(server.socket, { libc: libc!, open });
  const perAddress = connectionsPerAddressMax(connections.http);
  const common = {
    config: httpConfig(program),
    certificate: threads.certificate,
    passing,
    limits: {
      connections: connections.http,
      perAddress: Math.max(PER_ADDRESS_MIN, Math.ceil((2 * perAddress) / count)),
      heldBytes,
    },
    open,
  };
  const rows = Array.from({ length: count }, () => {
    return new Float64Array(new SharedArrayBuffer(CONNECTION_COLUMNS * 8));
  });
  const workers = rows.map((counts, started) => {
    let made: HttpThread | undefined;
    threads.addWorker((thread, shared) => {
      const own = places.map(({ listener, sockets }) => ({
        listener,
        sockets: sockets.filter((_, at) => at % count === started),
      }));
      const task = { ...common, shared, thread, places: own, counts, nowSeconds: now() };
      return (made = startWorker(spawn(program, started), task, program, parts, takesHanded));
    });
    return made!;
  });
  await Promise.all(workers.map((worker) => worker.ready));
  return {
    server: {
      get connections() {
        return Atomics.load(open, 0);
      },
      counts: sumOf([server.counts, ...rows.map((row) => new ConnectionCounts(row))]),
    },
    browsers,
    async begin() {
      await Promise.all(workers.map((worker) => worker.listen()));
    },
    async stop() {
      // The event loop goes on with what workers pass on until they have stopped.
      const drained = Promise.race([server.stop(), Bun.sleep(DRAIN_MILLISECONDS)]);
      await Promise.all([...workers.map((worker) => worker.stop()), drained]);
      passed.stop();
      server.cut();
    },
  };
}

/** Opens the socket by which workers reach the event loop. Throws a StartError if that fails. */
function listenPrivately(name: string, socket: ReturnType<typeof takePassed>): TcpListener {
  try {
    // The types of Bun lack `allowHalfOpen` here.
    const options = { unix: name, allowHalfOpen: true, socket };
    return Bun.listen(options as never) as unknown as TcpListener;
  } catch (error) {
    throw noPrivateSocket(codeOf(error));
  }
}

/** The settings that a worker needs, and none of the secrets. */
function httpConfig({ config }: Program): HttpTask["config"] {
  const { allowHosts, warningMessage, redirectUrl, numwantDefault, numwantMax } = config;
  const { scrapeHashesMax, trustedProxies, proxyHeader, allowIpParameter } = config;
  const { privateAddresses, externalAddresses, fullScrapeNetworks, websocket } = config;
  return {
    ...{ allowHosts, warningMessage, redirectUrl, numwantDefault, numwantMax, scrapeHashesMax },
    ...{ trustedProxies, proxyHeader, allowIpParameter, privateAddresses, externalAddresses },
    ...{ fullScrapeNetworks, websocket },
  };
}

/** The counters of all threads together, as they are when they are read. */
function sumOf(all: readonly ConnectionCounts[]): HttpFront["server"]["counts"] {
  const sum = (of: (counts: ConnectionCounts) => number): number =>
    all.reduce((total, counts) => total + of(counts), 0);
  return {
    get refused() {
      return sum((counts) => counts.refused);
    },
    get crowded() {
      return sum((counts) => counts.crowded);
    },
    get malformed() {
      return sum((counts) => counts.malformed);
    },
    get expired() {
      return sum((counts) => counts.expired);
    },
    get starved() {
      return sum((counts) => counts.starved);
    },
  };
}

/** The sockets of each address, at least one for each worker. */
function bindAll({ config, libc, httpWorkers }: Program, { kept }: HttpParts) {
  return config.httpListeners.map((listener) => {
    try {
      const { sockets: inherited } = kept.take("tcp", listener);
      const sockets = bindTcp(listener, inherited, httpWorkers, libc!);
      for (const fd of sockets) kept.note("tcp", listener, fd);
      return { listener, sockets };
    } catch (error) {
      throw listenError("http", listener, error);
    }
  });
}

function spawn({ spawnHttpWorker, httpWorkers }: Program, started: number): Worker {
  try {
    return spawnHttpWorker();
  } catch {
    // Bun gives no code, and there is no other reason than a limit of threads (1.4.5).
    throw tooFewThreads(started, httpWorkers, "HTTP");
  }
}

/** Starts a worker. If it fails, the tracker ends: a restart is better than part service. */
function startWorker(
  worker: Worker,
  task: HttpTask,
  { threads, log }: Program,
  { observation }: HttpParts,
  takesHanded: (handed: Handed) => void,
): HttpThread {
  const report = reportTo(log);
  const waiting: PromiseWithResolvers<void>[] = [];
  const send = (message: HttpTask | HttpMessage): Promise<void> => {
    const answered = Promise.withResolvers<void>();
    waiting.push(answered);
    worker.postMessage(message);
    return answered.promise;
  };
  worker.onmessage = ({ data }: { data: HttpAnswer }) => {
    if (typeof data === "string") waiting.shift()?.resolve();
    else if ("refused" in data) waiting.shift()?.reject(new Error(data.refused));
    else if ("bug" in data) report(data.bug);
    else if ("handed" in data) takesHanded(data.handed);
    else {
      if (data.noted.full) observation.connectionsFull();
      for (const [seen, announces] of data.noted.unclear) {
        observation.proxyUnclearTo(seen, announces);
      }
    }
  };
  worker.onerror = ({ message }) => threads.fail(failureOf(message));
  const orFail = (error: Error) => threads.fail(failureOf(error.message));
  return {
    ready: send(task).catch(orFail),
    listen: () => send("listen").catch(orFail),
    async take({ access, rules, certificate }) {
      if (certificate !== undefined) await send({ certificate });
      if (access !== undefined || rules !== undefined) await send({ access, rules });
    },
    stop: () => send("stop"),
    turns: () => task.counts[TURNS_COLUMN],
    failure: () => undefined,
  };
}

function failureOf(reason: string): string {
  return `an HTTP worker failed: ${reason}`;
}

/**
 * `wanted` sockets at an address, the inherited ones among them, at which nothing listens yet: the
 * kernel spreads connections over them, by the addresses and ports of both sides.
 */
function bindTcp(
  listener: WebListener,
  inherited: readonly number[],
  wanted: number,
  libc: Pick<Libc, "duplicate" | "listen" | "setShared">,
): number[] {
  const [first] = inherited;
  const shared = wanted > 1;
  for (const fd of inherited) libc.setShared(fd, shared);
  const missing = wanted - inherited.length;
  if (missing <= 0) return [...inherited];
  // Sockets that share a port also share it with another tracker, silently. One that does not share
  // gets an error if the port is taken.
  if (shared && first === undefined) bind(listener, false).stop(true);
  const sockets = [...inherited];
  let { port } = listener;
  for (let bound = 0; bound < missing; bound++) {
    try {
      const socket = bind({ ...listener, port }, shared);
      ({ port } = socket);
      libc.listen(socket.fd!, BACKLOG);
      sockets.push(libc.duplicate(socket.fd!));
      socket.stop();
    } catch (error) {
      const taken = !(error instanceof SystemError) && codeOf(error) === "EADDRINUSE";
      if (first === undefined || !taken) throw error;
      // Only sockets of one user share a port, and root bound that of a `.socket` unit. So two
      // workers accept at one socket.
      sockets.push(libc.duplicate(first));
    }
  }
  return sockets;
}

/** Nothing is accepted before the event loop runs again, and by then it has stopped. */
function bind({ host, port }: WebListener, reusePort: boolean): TcpListener {
  const options = { hostname: host, port, reusePort, socket: { data() {} } };
  return Bun.listen(options) as unknown as TcpListener;
}
