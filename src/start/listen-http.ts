/**
 * Listens for HTTP and HTTPS: one server behind all addresses.
 */
import type { TCPSocketListener } from "bun";
import { Access } from "../access/access.ts";
import { Outbox } from "../cluster/outbox.ts";
import { versionLine } from "../version.ts";
import { repliesSize } from "../http/announce.ts";
import { answerPlainHttp, type Certificate, renewAll } from "../http/certificate.ts";
import { connectionsPerAddressMax } from "../config/derived.ts";
import type { Connection } from "../http/connection.ts";
import { GATHERED_MAX } from "../http/gathered.ts";
import { createHttp } from "../http/routes.ts";
import { HttpServer } from "../http/server.ts";
import { Limits } from "../limits/limits.ts";
import { Histogram } from "../counters/histograms.ts";
import { now } from "../host/clock.ts";
import { Networks } from "../net/addresses.ts";
import type { RequestHead } from "../net/head.ts";
import { Counters } from "../counters/counters.ts";
import { Intervals } from "../limits/intervals.ts";
import type { WebListener } from "../config/settings.ts";
import type { Front } from "../page/front.ts";
import { Browsers } from "./browsers.ts";
import { reportTo } from "./report-bugs.ts";
import { listenError } from "./listen-error.ts";
import { AllowedHosts } from "../notes/hosts.ts";
import { Notes } from "../notes/notes.ts";
import { Pages } from "../opentracker/pages.ts";
import { Prefetch } from "../swarm/prefetch.ts";
import { Tracker } from "../swarm/tracker.ts";
import type { Libc } from "../host/libc.ts";
import type { SocketKeeper } from "./kept-sockets.ts";
import type { Program } from "./program.ts";

/** After this time of draining, the remaining connections are closed, in milliseconds. */
const DRAIN_MILLISECONDS = 2000;

/** The backlog of connections. Bun sets 512, which a wave of clients fills. */
const BACKLOG = 4096;

/**
 * The send buffer of a connection; Linux uses twice as much, with its own records. By default it
 * grows to 4 MiB: 1,000 clients that did not read held 1,520 MiB of the kernel's memory. An export
 * over a round trip of 50 ms still gets some 2 MB a second.
 */
const SEND_BUFFER_BYTES = 64 * 1024;

/** A proxy or a benchmark on this machine may open many connections; strangers cannot. */
const LOOPBACK = ["127.0.0.0/8", "::1"];

/** The parts of HTTP besides announces and scrapes. */
export interface HttpParts {
  /** Statistics and exports. */
  pages: Pages;
  /** The page at /. */
  front: Front;
  /** Whether the tracker can serve. */
  ready: () => boolean;
  observation: {
    /** Called for each new connection at the limit of connections. */
    connectionsFull(): void;
    /** Called for each announce whose client the trusted proxy did not name. */
    proxyUnclear(head: RequestHead): void;
  };
  /** The sockets that outlive the process. */
  kept: SocketKeeper;
}

/** The open HTTP addresses. */
export interface HttpFront {
  /** WebSockets, for metrics; undefined if they are off. */
  browsers: Browsers | undefined;
  /** The server behind all addresses, for metrics. */
  server: Pick<HttpServer, "connections" | "counts">;
  /** Stops accepting, answers the requests that have begun, then resolves. */
  stop(): Promise<void>;
}

/** Statistics and exports. */
export function makePages({ config, store, threads }: Program): Pages {
  const { shared } = threads;
  return new Pages({
    store,
    counters: new Counters(shared.counters, 0),
    notes: shared.notes!,
    now,
    version: versionLine(),
    settings: config,
  });
}

/** The server for announces, scrapes and all other requests over HTTP, and for WebSockets. */
function makeServer(program: Program, parts: HttpParts) {
  const { pages, front, ready, observation } = parts;
  const { config, store, threads, connections, log } = program;
  const { shared } = threads;
  const access = new Access(shared.access);
  const limits = new Limits(0, shared.limits);
  threads.addPart({
    take(update) {
      if (update.access !== undefined) access.update(update.access);
      if (update.rules !== undefined) limits.rules.update(update.rules);
    },
  });
  const tracker = new Tracker(store, new ArrayBuffer(repliesSize(config.numwantMax)));
  const allowedHosts = new AllowedHosts(config.allowHosts);
  const unclearProxy = (head: RequestHead) => observation.proxyUnclear(head);
  const notes = new Notes(shared.notes!, 0);
  const outbox = shared.outbox && new Outbox(shared.outbox, 0, store.peerTicks);
  const browsers =
    config.websocket === "off"
      ? undefined
      : new Browsers(program, {
          ...{ access, limits, notes, hosts: allowedHosts, unclearProxy },
          tellDownload: (infoHashHalves) => outbox?.tellDownload(infoHashHalves),
        });
  if (browsers !== undefined) pages.origins = (most) => browsers.origins(most);
  const handler = createHttp({
    tracker,
    prefetch: new Prefetch(store, GATHERED_MAX),
    counters: new Counters(shared.counters, 0),
    intervals: new Intervals(shared.intervals),
    now,
    ready,
    access,
    limits,
    pages,
    front,
    requestSeconds: new Histogram(shared.histograms!, 0, "httpRequestSeconds"),
    notes,
    outbox,
    allowedHosts,
    ownNames: program.ownNames,
    unclearProxy,
    ...(browsers && { upgrade: (request) => browsers.upgrade(request) }),
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
      externalAddresses: config.externalAddresses,
    },
  });
  const server = new HttpServer(handler, {
    connectionsMax: connections.http,
    connectionsPerAddressMax: connectionsPerAddressMax(connections.http),
    exempt: new Networks([...LOOPBACK, ...config.trustedProxies]),
    full: () => observation.connectionsFull(),
    report: reportTo(log),
    answerPlain: (fd, error) => answerPlainHttp(program.libc, fd, error),
  });
  return { server, browsers };
}

/** Bun's listener has the descriptor of its socket, which its types lack. */
export type TcpListener = TCPSocketListener<Connection> & { fd?: number };

/** Listens for HTTP and HTTPS on all addresses. Throws a StartError if one cannot be bound. */
export function listenHttp(program: Program, parts: HttpParts): HttpFront {
  const { config, libc, threads } = program;
  const { server, browsers } = makeServer(program, parts);
  const sockets = config.httpListeners.flatMap((listener) => {
    const certificate = listener.tls === false ? undefined : threads.certificate;
    const listen = (inherited?: number) => {
      const socket = listenAt(listener, server, { certificate, libc, inherited });
      parts.kept.note("tcp", listener, socket.fd);
      return socket;
    };
    const { sockets } = parts.kept.take("tcp", listener);
    return sockets.length === 0 ? [listen()] : sockets.map((fd) => listen(fd));
  });
  threads.addPart({
    take({ certificate }) {
      if (certificate !== undefined) renewAll(sockets, certificate, threads.certificate);
    },
  });
  return {
    server,
    browsers,
    async stop() {
      for (const socket of sockets) socket.close();
      await Promise.race([server.stop(), Bun.sleep(DRAIN_MILLISECONDS)]);
      server.cut();
    },
  };
}

/** A socket that accepts connections. */
interface ListeningSocket {
  /** Its first descriptor; undefined where Bun does not tell it. */
  fd: number | undefined;
  /** Replaces the certificate of an HTTPS listener. Open connections keep the old one. */
  renew(certificate: Certificate): void;
  /** Stops accepting. */
  close(): void;
}

/** How to listen at an address. */
interface ListenOptions {
  /** For HTTPS. */
  certificate: Certificate | undefined;
  libc: Libc | undefined;
  /** The descriptor of an inherited socket of the address; undefined to bind one. */
  inherited: number | undefined;
}

/**
 * Listens for HTTP, or for HTTPS with a certificate. Bun cannot change the certificate of a
 * listener, so a new certificate needs a new listener, which is opened before the old one stops:
 *
 *   Linux     on the same socket, so that connections in its backlog are accepted
 *   others    on the same port; connections in the backlog of the old socket are reset
 */
function listenAt(
  listener: WebListener,
  server: HttpServer,
  { certificate, libc, inherited }: ListenOptions,
): ListeningSocket {
  // A client may close its side before it has read the answer.
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
    const place = inherited === undefined ? { reusePort: false } : { fd: inherited };
    let socket = listen(certificate, place);
    if (certificate !== undefined && libc === undefined) {
      socket.stop(true);
      socket = listen(certificate, { reusePort: true });
    }
    return {
      fd: socket.fd,
      renew(next) {
        if (certificate === undefined) return;
        const old = socket;
        const fd = old.fd === undefined ? undefined : libc?.duplicate(old.fd);
        socket = listen(next, fd === undefined ? { reusePort: true } : { fd });
        old.stop();
      },
      close: () => socket.stop(),
    };
  } catch (error) {
    throw listenError("http", listener, error);
  }
}
