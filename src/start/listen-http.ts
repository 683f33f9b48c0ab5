/**
 * Listening for HTTP and HTTPS, and on the operator's own address.
 */
import type { TCPSocketListener } from "bun";
import { Access } from "../access/access.ts";
import type { AccessKeeper } from "../access/keeper.ts";
import { type AdminPage, createAdmin } from "../admin/admin.ts";
import { versionLine } from "../version.ts";
import type { Origins } from "../config/schema.ts";
import { repliesSize } from "../http/announce.ts";
import type { Certificate } from "../http/certificate.ts";
import type { Connection } from "../http/connection.ts";
import { GATHERED_MAX } from "../http/gathered.ts";
import type { Warnings } from "../admin/warnings.ts";
import { createHttp } from "../http/routes.ts";
import { HttpServer } from "../http/server.ts";
import { Limits } from "../limits/limits.ts";
import { Histogram } from "../counters/histograms.ts";
import { now } from "../host/clock.ts";
import { Networks } from "../net/addresses.ts";
import { Counters } from "../counters/counters.ts";
import { Intervals } from "../limits/intervals.ts";
import type { Log } from "../host/log.ts";
import { listenError } from "./listen-error.ts";
import type { Listener, WebListener } from "../config/settings.ts";
import { AllowedHosts } from "../notes/hosts.ts";
import { Notes } from "../notes/notes.ts";
import { Pages } from "../opentracker/pages.ts";
import { Anticipation } from "../swarm/anticipation.ts";
import { Tracker } from "../swarm/tracker.ts";
import type { Libc } from "../host/libc.ts";
import type { Observation } from "./observe.ts";
import type { Program, Running } from "./program.ts";

/** How long a drain may take before connections that do not end are cut, in milliseconds. */
const DRAIN_MILLISECONDS = 2000;

/** Connections that may wait to be accepted. Bun asks for 512, which a wave of clients fills. */
const BACKLOG = 4096;

/**
 * Answers that wait in the system for one client; Linux takes twice as much, with its own records.
 * By itself it lets them grow to 4 MiB: 1,000 clients that did not read held 1,520 MiB of the
 * kernel's memory. An export over 50 ms still gets some 2 MB a second.
 */
const SEND_BUFFER_BYTES = 64 * 1024;

/** No stranger comes from there, but a proxy does, or a measurement, with many connections. */
const LOOPBACK = ["127.0.0.0/8", "::1"];

/** Statistics and exports. */
export function makePages({ config, shared }: Program): Pages {
  return new Pages({
    memory: shared.memory,
    counters: new Counters(shared.counters, 0),
    notes: shared.notes!,
    now,
    version: versionLine(),
    settings: config,
  });
}

/** Announces, scrapes and everything else that is asked over HTTP. */
export function makeHttp(
  program: Program,
  pages: Pages,
  observation: Observation,
  ready: () => boolean,
): HttpServer {
  const { config, shared, accesses, limits: allLimits, log } = program;
  const access = new Access(shared.access);
  accesses.push(access);
  const limits = new Limits(0, shared.limits);
  allLimits.push(limits);
  const tracker = new Tracker(shared.memory, new ArrayBuffer(repliesSize(config.numwantMax)));
  const handler = createHttp({
    tracker,
    anticipation: new Anticipation(tracker.arena, tracker.table, GATHERED_MAX),
    counters: new Counters(shared.counters, 0),
    intervals: new Intervals(shared.intervals),
    now,
    ready,
    access,
    limits,
    pages,
    front: observation.front,
    requestSeconds: new Histogram(shared.histograms!, 0, "httpRequestSeconds"),
    notes: new Notes(shared.notes!, 0),
    allowedHosts: new AllowedHosts(config.allowHosts),
    ownNames: program.ownNames,
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
  return new HttpServer(handler, {
    connectionsMax: program.connectionsMax,
    connectionsPerAddressMax: program.connectionsPerAddressMax,
    exempt: new Networks([...LOOPBACK, ...config.trustedProxies]),
    full: () => observation.connectionsFull(),
    report: reportTo(log),
  });
}

/** Tells the operator what must not happen: a handler threw. */
function reportTo(log: Log): (error: unknown) => void {
  return (error) => {
    log.error("a request was not answered, which is our mistake", {
      reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  };
}

/** What Bun tells and takes beyond its types: the number of the socket that listens. */
type TcpListener = TCPSocketListener<Connection> & { fd?: number };

/**
 * Answers HTTP, or HTTPS if there is a certificate for it. Bun gives a listener one certificate for
 * life, so a new one needs a new listener, which takes over before the old one stops:
 *
 *   Linux     on the same socket, so that whoever waits to be accepted waits on
 *   others    on the same port; whoever waited on the old socket is reset
 */
export function listenHttp(
  listener: WebListener,
  server: HttpServer,
  certificate: Certificate | undefined,
  libc: Libc | undefined,
): Running {
  // The end of a client's side is not the end of ours: its answer is still to come.
  const common = { hostname: listener.host, allowHalfOpen: true, socket: server.socket };
  const listen = (tls: Certificate | undefined, place: { reusePort: boolean } | { fd: number }) => {
    const certified = tls === undefined ? {} : { tls };
    const options = { ...common, port: listener.port, ...place, ...certified };
    const socket: TcpListener = Bun.listen(options);
    if (socket.fd !== undefined) {
      libc?.listen(socket.fd, BACKLOG);
      libc?.setSendBuffer(socket.fd, SEND_BUFFER_BYTES);
    }
    return socket;
  };
  try {
    let socket = listen(certificate, { reusePort: false });
    if (certificate !== undefined && libc === undefined) {
      socket.stop(true);
      socket = listen(certificate, { reusePort: true });
    }
    return {
      async stop() {
        socket.stop();
        await Promise.race([server.stop(), Bun.sleep(DRAIN_MILLISECONDS)]);
        server.cut();
      },
      renew(next) {
        if (certificate === undefined) return;
        const old = socket;
        const fd = old.fd === undefined ? undefined : libc?.duplicate(old.fd);
        socket = listen(next, fd === undefined ? { reusePort: true } : { fd });
        old.stop();
      },
    };
  } catch (error) {
    throw listenError("http", listener, error);
  }
}

/**
 * Answers the operator. That the usual address is taken, by another tracker on this machine, is no
 * reason not to start; that one is taken which was asked for is, and any if a token is set.
 *
 * Not by Bun.serve, which cannot limit connections: they would take the files of others.
 */
export function listenAdmin(
  { config, log, operatorConnectionsMax, ownNames }: Program,
  keeper: AccessKeeper,
  pages: Readonly<Record<string, AdminPage>>,
  ready: () => boolean,
  origins: Origins,
  warnings: Warnings,
): (Running & { listener: Listener })[] {
  const handler = createAdmin({
    token: config.adminToken,
    keeper,
    now,
    ready,
    names: ownNames,
    refused: (reason) => warnings.tellRefused(reason),
    pages,
  });
  const options = { connectionsMax: operatorConnectionsMax, report: reportTo(log) };
  const server = new HttpServer(handler, options);
  return config.adminListeners.flatMap(({ host, port }) => {
    try {
      const place = { hostname: host, port, reusePort: false, allowHalfOpen: true };
      const socket: TcpListener = Bun.listen({ ...place, socket: server.socket });
      const stop = async () => {
        socket.stop();
        server.cut();
      };
      return [{ listener: { host, port }, stop }];
    } catch (error) {
      const failure = listenError("admin", { host, port }, error);
      // A token is for this tracker alone: it must not be sent to what holds the port instead.
      const meant = origins["TRACKER_ADMIN_ADDRESS"] !== "default";
      if (meant || config.adminToken !== undefined) throw failure;
      log.warn(failure.message, { remedy: failure.hint }, "admin_address");
      return [];
    }
  });
}
