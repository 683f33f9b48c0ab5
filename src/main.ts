/**
 * The program: starts everything in order, and ends it in order.
 *
 *   settings → memory → sockets → threads → "ready" → … → signal → drain → exit code
 *
 * The only file that binds, spawns or exits. What is started here lives in the folder of its name.
 *
 *   event loop       HTTP, the sweep, signals      ┐
 *   UDP workers      one blocking loop each        ├─ one memory of swarms, counters of their own
 *   (no workers      UDP in the event loop)        ┘
 */
import type { udp } from "bun";
import { Access, type AccessShared } from "./access/access.ts";
import { readPeerIdPrefix } from "./access/denied-clients.ts";
import { AccessKeeper } from "./access/keeper.ts";
import { ADMIN_BODY_BYTES_MAX, createAdmin } from "./admin/admin.ts";
import { EXIT_FAILED, EXIT_OK, errorLines, runCli, versionLine } from "./cli.ts";
import type { Config, Origins } from "./config.ts";
import { repliesSize } from "./http/announce.ts";
import { type Certificate, readCertificate } from "./http/certificate.ts";
import { tellStarted } from "./greeting.ts";
import { createHttp, HTTP_BODY_BYTES_MAX, type HttpHandler } from "./http/routes.ts";
import { now } from "./ops/clock.ts";
import { counterMemory, Counters } from "./ops/counters.ts";
import { Intervals } from "./ops/intervals.ts";
import { Log, logsToJournal } from "./ops/log.ts";
import { dropPrivileges } from "./ops/privileges.ts";
import { listenError, StartError } from "./ops/start-error.ts";
import type { Listener, WebListener } from "./settings.ts";
import { AllowedHosts } from "./stats/hosts.ts";
import { Notes, notesMemory } from "./stats/notes.ts";
import { Pages } from "./stats/pages.ts";
import { restoreAtStart } from "./stats/state-import.ts";
import { reserveSwarmMemory } from "./swarm/memory.ts";
import { Ticks } from "./swarm/ticks.ts";
import { Tracker } from "./swarm/tracker.ts";
import { Answering, type UdpShared } from "./udp/answering.ts";
import { connectionKey } from "./udp/connection-ids.ts";
import { EventLoopSource } from "./udp/event-loop.ts";
import { type Libc, openLibc } from "./udp/libc.ts";
import { Mail, type WorkerMail } from "./udp/mail.ts";
import { startForgetting, startSweeping } from "./upkeep.ts";

/** How long a drain may take before connections that do not end are cut, in milliseconds. */
const DRAIN_MILLISECONDS = 2000;

/** How soon a worker that waits for datagrams sees that it has mail, in milliseconds. */
const MAIL_LATENCY_MILLISECONDS = 200;

/** Seconds an HTTP connection may be idle. */
const HTTP_IDLE_SECONDS = 30;

process.exit(
  await runCli(process.argv.slice(2), process.env, run, {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
  }),
);

/** What the steps of the start hand on. */
interface Program {
  config: Config;
  log: Log;
  /** Undefined where batches of datagrams and socket options are not to be had. */
  libc: Libc | undefined;
  shared: UdpShared;
  /** UDP workers started so far, of all addresses. */
  workers: UdpWorker[];
  /** What this thread itself judges by, over UDP and HTTP. */
  accesses: Access[];
  /** The smallest UDP receive buffer that was granted. */
  receiveBufferBytes: number;
}

/** Something that listens. */
interface Running {
  /** Stops accepting, answers what is queued; resolves when that is done. */
  stop(): Promise<void>;
  /** Goes on with another certificate. Connections that are open keep theirs. */
  renew?(certificate: Certificate): void;
}

/** Runs the tracker until a signal ends it; returns the exit code. */
async function run(config: Config, origins: Origins): Promise<number> {
  const signal = nextSignal();
  const program = prepare(config);
  const running: Running[] = [];
  let draining = false;
  const ready = () => !draining;
  const keeper = makeKeeper(program);
  try {
    await keeper.load();
    program.shared.access = keeper.shared;
    const certificate = readCertificate(config.tlsCertFile, config.tlsKeyFile);
    for (const listener of config.udpListeners) running.push(await listenUdp(listener, program));
    if (config.stateImport !== undefined) {
      restoreAtStart(config.stateImport, program.shared.memory, program.log);
    }
    const pages = makePages(program);
    const handler = makeHttp(program, pages, ready);
    for (const listener of config.httpListeners) {
      const tls = listener.tls === false ? undefined : certificate;
      running.push(listenHttp(listener, handler, tls));
    }
    running.push(...listenAdmin(program, keeper, pages, ready, origins));
    if (config.user !== undefined) dropPrivileges(config.user);
  } catch (error) {
    process.stderr.write(explainFailure(error));
    return EXIT_FAILED;
  }
  process.on("SIGHUP", () => void reload(program, running, keeper));
  process.on("SIGUSR2", () => void keeper.setMaintenance(!keeper.maintenance));
  if (program.libc !== undefined) startForgetting(program.libc);
  startSweeping(new Tracker(program.shared.memory, new ArrayBuffer(2)), config.peerTimeoutSeconds);
  const watched = process.stderr.isTTY;
  tellStarted({ ...program, threads: program.workers.length, watched });

  const name = await signal;
  draining = true;
  program.log.info("draining", { signal: name });
  await Promise.all(running.map((part) => part.stop()));
  program.log.info("stopped", { uptime: Math.round(now()) });
  return EXIT_OK;
}

/** The first SIGTERM or SIGINT. A second one does not wait for anything. */
function nextSignal(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let signals = 0;
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      signals += 1;
      if (signals > 1) process.exit(EXIT_FAILED);
      resolve(name);
    });
  }
  return promise;
}

/** What went wrong while starting, for the operator. Our own mistakes are thrown. */
function explainFailure(error: unknown): string {
  if (error instanceof StartError) return errorLines(error.message, error.hint);
  throw error;
}

/** SIGHUP: reads the files again. What cannot be used leaves what was there before. */
async function reload(
  { config, log }: Program,
  running: Running[],
  keeper: AccessKeeper,
): Promise<void> {
  try {
    const certificate = readCertificate(config.tlsCertFile, config.tlsKeyFile);
    await keeper.reload();
    if (certificate !== undefined) for (const part of running) part.renew?.(certificate);
    const { denied, allowed, networks } = keeper.status;
    log.info("reloaded", { denied, allowed, networks });
  } catch (error) {
    log.error("reload failed, everything stays as it was", {
      reason: error instanceof Error ? error.message : String(error),
    });
  }
}

/** Reserves what all threads share. */
function prepare(config: Config): Program {
  const libc = openLibc();
  const workers = libc === undefined ? 0 : config.udpWorkers * config.udpListeners.length;
  const memory = reserveSwarmMemory({
    memoryMax: config.memoryBytesMax,
    peerTimeout: config.peerTimeoutSeconds,
    downloadsTimeout: config.downloadsTimeoutSeconds,
    threads: workers > 0,
  });
  const shared: UdpShared = {
    memory,
    counters: counterMemory(1 + workers),
    key: connectionKey(config.udpSecret),
    connectionTtlSeconds: config.udpConnectionTtlSeconds,
    startedSeconds: Date.now() / 1000 - now(),
    intervals: {
      interval: config.intervalSeconds,
      jitterPercent: config.intervalJitterPercent,
      minimum: config.minIntervalSeconds,
    },
    notes: notesMemory(1 + workers, {
      tickSeconds: new Ticks(config.peerTimeoutSeconds).seconds,
      minimumSeconds: config.minIntervalSeconds,
    }),
    settings: {
      numwantDefault: config.numwantDefault,
      numwantMax: config.numwantMax,
      scrapeMax: config.scrapeHashesMax,
      replyBytes: config.udpReplyBytes,
      allowIpField: config.allowIpParameter,
      refusePrivate: config.privateAddresses === "refuse",
    },
  };
  return {
    config,
    log: new Log({
      level: config.logLevel,
      format: config.logFormat,
      journal: logsToJournal(process.env),
    }),
    libc,
    shared,
    workers: [],
    accesses: [],
    receiveBufferBytes: Infinity,
  };
}

// Whom to serve.

function makeKeeper(program: Program): AccessKeeper {
  const { config, shared, log } = program;
  const clients = config.denyClients.map((text) => readPeerIdPrefix(text)!);
  const tracker = new Tracker(shared.memory, new ArrayBuffer(2));
  return new AccessKeeper({ ...config, clients }, shared.memory.keys, tracker, log, (access) =>
    broadcast(program, access),
  );
}

/** Tells every thread whom to serve from now on; resolves when all of them do. */
async function broadcast(program: Program, access: AccessShared): Promise<void> {
  program.shared.access = access;
  for (const own of program.accesses) own.update(access);
  await Promise.all(program.workers.map((worker) => worker.tell({ access })));
}

// UDP.

/** Answers UDP on an address in threads of their own where that works, else in the event loop. */
async function listenUdp(listener: Listener, program: Program): Promise<Running> {
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
  // Sockets that share a port share it with another tracker too, without a word. One that does not
  // is told that the port is taken.
  libc.close(libc.bindUdp(listener.host, listener.port, false));
  const wildcard = listener.host === "::" || listener.host === "0.0.0.0";
  const workers: UdpWorker[] = [];
  for (let i = 0; i < program.config.udpWorkers; i++) {
    const fd = libc.bindUdp(listener.host, listener.port, true);
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

/** What Bun's sockets lack: room for bursts, and no errors of one client with another's reply. */
function prepareSocket(libc: Libc, fd: number, program: Program): void {
  libc.ignoreUnreachable(fd);
  const granted = libc.setReceiveBuffer(fd, program.config.udpReceiveBufferBytes);
  program.receiveBufferBytes = Math.min(program.receiveBufferBytes, granted);
}

interface UdpWorker {
  ready: Promise<void>;
  /** Resolves when it has done what the message says. */
  tell(message: WorkerMail): Promise<void>;
}

function startWorker(fd: number, wildcard: boolean, program: Program): UdpWorker {
  const worker = new Worker(new URL("./udp/worker.ts", import.meta.url).href);
  const mail = new Mail(worker);
  worker.onmessage = () => mail.answered();
  // A tracker that answers only some of its clients is worse than one that is started again.
  worker.onerror = (event) => {
    program.log.error("a UDP worker failed, so the tracker ends", { reason: event.message });
    process.exit(EXIT_FAILED);
  };
  const { shared, workers } = program;
  const thread = workers.length + 1;
  const task = { shared, thread, fd, wildcard, mail: mail.word, nowSeconds: now() };
  return { ready: mail.send(task), tell: (message) => mail.send(message) };
}

// HTTP.

function makePages({ config, shared }: Program): Pages {
  return new Pages({
    memory: shared.memory,
    counters: new Counters(shared.counters, 0),
    notes: shared.notes!,
    now,
    version: versionLine(),
    settings: config,
  });
}

function makeHttp(
  { config, shared, accesses }: Program,
  pages: Pages,
  ready: () => boolean,
): HttpHandler {
  const access = new Access(shared.access);
  accesses.push(access);
  return createHttp({
    tracker: new Tracker(shared.memory, new ArrayBuffer(repliesSize(config.numwantMax))),
    counters: new Counters(shared.counters, 0),
    intervals: new Intervals(shared.intervals),
    now,
    ready,
    access,
    pages,
    notes: new Notes(shared.notes!, 0),
    allowedHosts: new AllowedHosts(config.allowHosts),
    settings: {
      warningMessage: config.warningMessage,
      redirectUrl: config.redirectUrl,
      numwantDefault: config.numwantDefault,
      numwantMax: config.numwantMax,
      scrapeMax: config.scrapeHashesMax,
      trustedProxies: config.trustedProxies,
      proxyHeader: config.proxyHeader,
      allowIpParameter: config.allowIpParameter,
      refusePrivate: config.privateAddresses === "refuse",
    },
  });
}

/**
 * Answers HTTP, or HTTPS if there is a certificate for it. A new certificate needs a new server, so
 * one with TLS shares its port: the next server takes over before the old one stops.
 */
function listenHttp(
  listener: WebListener,
  handler: HttpHandler,
  certificate: Certificate | undefined,
): Running {
  const serve = (tls: Certificate | undefined, reusePort: boolean) =>
    Bun.serve({
      hostname: listener.host,
      port: listener.port,
      development: false,
      // Bun shares a port by default: two trackers would split its clients without a word.
      reusePort,
      idleTimeout: HTTP_IDLE_SECONDS,
      maxRequestBodySize: HTTP_BODY_BYTES_MAX,
      fetch: handler.fetch,
      ...(tls === undefined ? {} : { tls }),
    });
  try {
    let server = serve(certificate, false);
    if (certificate !== undefined) {
      void server.stop(true);
      server = serve(certificate, true);
    }
    return {
      async stop() {
        await Promise.race([server.stop(), Bun.sleep(DRAIN_MILLISECONDS)]);
        await server.stop(true);
      },
      renew(next) {
        if (certificate === undefined) return;
        const old = server;
        server = serve(next, true);
        void old.stop();
      },
    };
  } catch (error) {
    throw listenError("http", listener, error);
  }
}

/**
 * Answers the operator. That the usual address is taken, by another tracker on this machine, is no
 * reason not to start; that one is taken which was asked for is.
 */
function listenAdmin(
  { config, log }: Program,
  keeper: AccessKeeper,
  pages: Pages,
  ready: () => boolean,
  origins: Origins,
): Running[] {
  const handler = createAdmin({
    token: config.adminToken,
    keeper,
    ready,
    pages: { "/hosts": () => new Response(pages.hostsText()) },
  });
  return config.adminListeners.flatMap(({ host, port }) => {
    try {
      const server = Bun.serve({
        hostname: host,
        port,
        development: false,
        reusePort: false,
        maxRequestBodySize: ADMIN_BODY_BYTES_MAX,
        fetch: handler.fetch,
      });
      return [{ stop: () => server.stop(true) }];
    } catch (error) {
      const failure = listenError("admin", { host, port }, error);
      if (origins["TRACKER_ADMIN_ADDRESS"] !== "default") throw failure;
      log.warn(failure.message, { remedy: failure.hint });
      return [];
    }
  });
}
