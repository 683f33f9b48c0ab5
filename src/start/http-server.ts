/**
 * The server of the event loop for HTTP: announces, scrapes, pages, WebSockets. With HTTP workers
 * it answers what they pass on.
 */
import { versionLine } from "../version.ts";
import { answerPlainHttp } from "../http/certificate.ts";
import { connectionsPerAddressMax } from "../config/derived.ts";
import type { ConnectionCounts } from "../http/connections.ts";
import { createHttp } from "../http/routes.ts";
import { HttpServer } from "../http/server.ts";
import type { HttpServerOptions } from "../http/server-options.ts";
import { now } from "../host/clock.ts";
import type { RequestHead } from "../net/head.ts";
import { Counters } from "../counters/counters.ts";
import type { Front } from "../page/front.ts";
import { answerHttp, exemptNetworks } from "./answer-http.ts";
import { Browsers } from "./browsers.ts";
import { reportTo } from "./report-bugs.ts";
import { Pages } from "../opentracker/pages.ts";
import type { SocketKeeper } from "./kept-sockets.ts";
import type { Program } from "./program.ts";
import type { SharedPeers } from "./share-peers.ts";

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
    /** The same for announces that a worker got; `seen` are headers that may name a client. */
    proxyUnclearTo(seen: string, announces: number): void;
  };
  /** The sockets that outlive the process. */
  kept: SocketKeeper;
}

/** The open HTTP addresses. */
export interface HttpFront {
  /** WebSockets, for metrics; undefined if they are off. */
  browsers: Browsers | undefined;
  /** The server behind all addresses, for metrics. */
  server: {
    readonly connections: number;
    readonly counts: Readonly<Omit<ConnectionCounts, "accepted">>;
  };
  /** Answers from now on; in the event loop it does so before. */
  begin(): Promise<void>;
  /** Stops accepting, answers the requests that have begun, then resolves. */
  stop(): Promise<void>;
}

/** Statistics and exports. */
export function makePages(
  { config, store, threads }: Program,
  peers: Pick<SharedPeers, "figures"> | undefined,
): Pages {
  const { shared } = threads;
  return new Pages({
    store,
    counters: new Counters(shared.counters, 0),
    notes: shared.notes!,
    now,
    version: versionLine(),
    settings: config,
    heard: () => peers?.figures().deltas.received ?? 0,
  });
}

/**
 * The server for announces, scrapes and all other requests over HTTP, and for WebSockets; with
 * `passedOn` for those that workers pass on.
 */
export function makeServer(
  program: Program,
  parts: HttpParts,
  passing: Pick<HttpServerOptions, "passedOn" | "heldBytesMax"> = {},
) {
  const { pages, front, ready, observation } = parts;
  const { config, store, threads, connections, log } = program;
  const { deps, outbox, take } = answerHttp(threads.shared, 0, store, config);
  threads.addPart({ take });
  const { access, limits, notes, allowedHosts: hosts } = deps;
  const unclearProxy = (head: RequestHead) => observation.proxyUnclear(head);
  const browsers =
    config.websocket === "off"
      ? undefined
      : new Browsers(program, {
          ...{ access, limits, notes, hosts, unclearProxy },
          tellDownload: (infoHashHalves) => outbox?.tellDownload(infoHashHalves),
        });
  if (browsers !== undefined) pages.origins = (most) => browsers.origins(most);
  const handler = createHttp({
    ...deps,
    ready,
    pages,
    front,
    ownNames: program.ownNames,
    unclearProxy,
    passedOn: passing.passedOn === true,
    ...(browsers && { upgrade: (request) => browsers.upgrade(request) }),
  });
  const server = new HttpServer(handler, {
    connectionsMax: connections.http,
    connectionsPerAddressMax: connectionsPerAddressMax(connections.http),
    exempt: exemptNetworks(config),
    full: () => observation.connectionsFull(),
    report: reportTo(log),
    answerPlain: (fd, error) => answerPlainHttp(program.libc, fd, error),
    addressOf: program.libc && ((fd, out) => program.libc!.peerAddress(fd, out)),
    ...passing,
  });
  return { server, browsers };
}
