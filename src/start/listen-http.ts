/**
 * Listening for HTTP and HTTPS, and on the operator's own address.
 */
import { Access } from "../access/access.ts";
import type { AccessKeeper } from "../access/keeper.ts";
import { ADMIN_BODY_BYTES_MAX, createAdmin } from "../admin/admin.ts";
import { versionLine } from "../cli.ts";
import type { Origins } from "../config.ts";
import { repliesSize } from "../http/announce.ts";
import type { Certificate } from "../http/certificate.ts";
import { createHttp, HTTP_BODY_BYTES_MAX, type HttpHandler } from "../http/routes.ts";
import { now } from "../ops/clock.ts";
import { Counters } from "../ops/counters.ts";
import { Intervals } from "../ops/intervals.ts";
import { listenError } from "../ops/start-error.ts";
import type { WebListener } from "../settings.ts";
import { AllowedHosts } from "../stats/hosts.ts";
import { Notes } from "../stats/notes.ts";
import { Pages } from "../stats/pages.ts";
import { Tracker } from "../swarm/tracker.ts";
import type { Program, Running } from "./program.ts";

/** How long a drain may take before connections that do not end are cut, in milliseconds. */
const DRAIN_MILLISECONDS = 2000;

/** Seconds an HTTP connection may be idle. */
const HTTP_IDLE_SECONDS = 30;

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
export function listenHttp(
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
export function listenAdmin(
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
