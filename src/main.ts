/**
 * The program: starts everything in order, and ends it in order.
 *
 *   settings → memory → sockets → "listening" → … → signal → drain → exit code
 *
 * The only file that binds, spawns or exits. What is started here lives in the folder of its name.
 */
import type { udp } from "bun";
import { EXIT_FAILED, EXIT_OK, errorLines, runCli, versionLine } from "./cli.ts";
import type { Config } from "./config.ts";
import { repliesSize } from "./http/announce.ts";
import { createHttp, HTTP_BODY_BYTES_MAX } from "./http/routes.ts";
import { now } from "./ops/clock.ts";
import { counterMemory, Counters } from "./ops/counters.ts";
import { Intervals, type IntervalSettings } from "./ops/intervals.ts";
import { Log, logsToJournal } from "./ops/log.ts";
import { type Listener, showBytes, showListener, showSeconds } from "./settings.ts";
import { reserveSwarmMemory } from "./swarm/memory.ts";
import { Tracker } from "./swarm/tracker.ts";
import { Answering, type UdpShared } from "./udp/answering.ts";
import { EventLoopSource } from "./udp/event-loop.ts";
import { startSweeping } from "./upkeep.ts";

/** How long a drain may take before connections that do not end are cut, in milliseconds. */
const DRAIN_MILLISECONDS = 2000;

/** Seconds an HTTP connection may be idle. */
const HTTP_IDLE_SECONDS = 30;

process.exit(
  await runCli(process.argv.slice(2), process.env, run, {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
  }),
);

/** Runs the tracker until a signal ends it; returns the exit code. */
async function run(config: Config): Promise<number> {
  const log = new Log({
    level: config.logLevel,
    format: config.logFormat,
    journal: logsToJournal(process.env),
  });
  const signal = nextSignal();
  const shared = share(config);
  const parts: Running[] = [];
  let draining = false;
  try {
    for (const listener of config.udpListeners) parts.push(await listenUdp(listener, shared));
    const handler = makeHttp(config, shared, () => !draining);
    for (const listener of config.httpListeners) parts.push(listenHttp(listener, handler));
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    process.stderr.write(errorLines(error.message, error.hint));
    return EXIT_FAILED;
  }
  startSweeping(new Tracker(shared.memory, new ArrayBuffer(8)), config.peerTimeoutSeconds);
  tellStarted(config, log);

  const name = await signal;
  draining = true;
  log.info("draining", { signal: name });
  await Promise.all(parts.map((part) => part.stop()));
  log.info("stopped", { uptime: Math.round(now()) });
  return EXIT_OK;
}

/** Something that listens. */
interface Running {
  /** Stops accepting, answers what is queued; resolves when that is done. */
  stop(): Promise<void>;
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

/** What all threads share: memory, counters, and the settings of answers. */
function share(config: Config): UdpShared {
  const memory = reserveSwarmMemory({
    memoryMax: config.memoryBytesMax,
    peerTimeout: config.peerTimeoutSeconds,
    downloadsTimeout: config.downloadsTimeoutSeconds,
    threads: false,
  });
  return {
    memory,
    counters: counterMemory(1),
    key: connectionKey(config.udpSecret),
    connectionTtlSeconds: config.udpConnectionTtlSeconds,
    startedSeconds: Date.now() / 1000 - now(),
    intervals: intervalSettings(config),
    settings: {
      numwantDefault: config.numwantDefault,
      numwantMax: config.numwantMax,
      scrapeMax: config.scrapeHashesMax,
      replyBytes: config.udpReplyBytes,
      allowIpField: config.allowIpParameter,
      refusePrivate: config.privateAddresses === "refuse",
    },
  };
}

function intervalSettings(config: Config): IntervalSettings {
  return {
    interval: config.intervalSeconds,
    jitterPercent: config.intervalJitterPercent,
    minimum: config.minIntervalSeconds,
  };
}

/** 32 bytes: from the secret if there is one, else drawn. */
function connectionKey(secret: string | undefined): Uint8Array {
  if (secret === undefined) return crypto.getRandomValues(new Uint8Array(32));
  return new Uint8Array(Bun.SHA256.hash(secret).buffer);
}

// Listening.

/** A socket that could not be had: what happened, and what to do about it. */
class ListenError extends Error {
  readonly hint: string;

  constructor(protocol: "udp" | "http", listener: Listener, cause: unknown) {
    const address = showListener(listener);
    const code = (cause as { code?: string }).code ?? String(cause);
    const variable = protocol === "udp" ? "TRACKER_UDP_ADDRESS" : "TRACKER_HTTP_ADDRESS";
    if (code === "EADDRINUSE") {
      super(`${protocol} port ${listener.port} is already in use (${address})`);
      const list = protocol === "udp" ? "ss -lunp" : "ss -ltnp";
      this.hint = `another tracker may be running: see ${list}, or set ${variable}`;
    } else if (code === "EACCES") {
      super(`no permission for ${protocol} port ${listener.port} (${address})`);
      this.hint = `ports below 1024 need CAP_NET_BIND_SERVICE; or set ${variable} to a higher port`;
    } else if (code === "EADDRNOTAVAIL") {
      super(`this machine does not have the address ${address}`);
      this.hint = `see ip addr, or set ${variable} to [::]:${listener.port}`;
    } else {
      super(`cannot listen for ${protocol} on ${address}: ${code}`);
      this.hint = `check ${variable}`;
    }
  }
}

async function listenUdp(listener: Listener, shared: UdpShared): Promise<Running> {
  const source = new EventLoopSource(new Answering(shared, 0));
  let socket: udp.Socket<"uint8array">;
  try {
    socket = await Bun.udpSocket({
      hostname: listener.host,
      port: listener.port,
      binaryType: "uint8array",
      socket: {
        data: (socket, bytes, port, address) => source.receive(socket, bytes, port, address),
        // An error reported here is about a datagram that is gone: nothing is left to be done.
        error: () => {},
      },
    });
  } catch (error) {
    throw new ListenError("udp", listener, error);
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

function makeHttp(config: Config, shared: UdpShared, ready: () => boolean) {
  return createHttp({
    tracker: new Tracker(shared.memory, new ArrayBuffer(repliesSize(config.numwantMax))),
    counters: new Counters(shared.counters, 0),
    intervals: new Intervals(shared.intervals),
    now,
    ready,
    settings: {
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

function listenHttp(listener: Listener, handler: ReturnType<typeof createHttp>): Running {
  let server: Bun.Server<undefined>;
  try {
    server = Bun.serve({
      hostname: listener.host,
      port: listener.port,
      development: false,
      idleTimeout: HTTP_IDLE_SECONDS,
      maxRequestBodySize: HTTP_BODY_BYTES_MAX,
      fetch: handler.fetch,
    });
  } catch (error) {
    throw new ListenError("http", listener, error);
  }
  return {
    async stop() {
      await Promise.race([server.stop(), Bun.sleep(DRAIN_MILLISECONDS)]);
      await server.stop(true);
    },
  };
}

/** Tells in four lines, or as one log event each if nobody watches, where the tracker listens. */
function tellStarted(config: Config, log: Log): void {
  const udp = config.udpListeners.map((listener) => `udp://${showListener(listener)}`);
  const http = config.httpListeners.map((listener) => `http://${showListener(listener)}`);
  const memory = showBytes(config.memoryBytesMax);
  const interval = showSeconds(config.intervalSeconds);
  if (process.stderr.isTTY) {
    const lines = [
      `${versionLine()}, pid ${process.pid}`,
      `  ${udp.join(" ") || "udp is off"}`,
      `  ${http.join(" ") || "http is off"}${http.length > 0 ? "  /announce /scrape" : ""}`,
      `  announce interval ${interval}, memory up to ${memory}`,
    ];
    process.stderr.write(`${lines.join("\n")}\n`);
    return;
  }
  log.info("started", { version: versionLine(), pid: process.pid });
  log.info("listening for UDP", { at: udp.join(" ") || "nowhere" });
  log.info("listening for HTTP", { at: http.join(" ") || "nowhere" });
  log.info("ready", { interval, memory });
}
