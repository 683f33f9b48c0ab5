/**
 * An HTTP worker: a thread that answers announces, scrapes and health checks, at a socket of its
 * own for each address. It reads and writes the same swarms as all other threads.
 *
 * It passes on what the event loop answers: the page, the statistics, exports, WebSockets (see
 * http/passing.ts and http/handing-over.ts). All else is as in the event loop: the same server, the
 * same routes.
 */
import { alignClock } from "../host/clock.ts";
import { compileAsUsual } from "../host/compiling.ts";
import { garbage } from "../host/garbage.ts";
import { type Libc, openLibc } from "../host/libc.ts";
import { clientHeaders } from "../gates/client.ts";
import { answerPlainHttp, type Certificate, renewAll } from "../http/certificate.ts";
import { ConnectionCounts } from "../http/connections.ts";
import type { HttpDeps } from "../http/parts.ts";
import { type Handed, handOver } from "../http/handing-over.ts";
import { passOn } from "../http/passing.ts";
import { createHttp } from "../http/routes.ts";
import { HttpServer } from "../http/server.ts";
import { Networks } from "../net/addresses.ts";
import { Store } from "../swarm/store.ts";
import { answerHttp, exemptNetworks } from "./answer-http.ts";
import type { HttpAnswer, HttpMessage, HttpTask, Noted } from "./http-messages.ts";
import { TURNS_COLUMN } from "./http-messages.ts";
import { DRAIN_MILLISECONDS, type ListeningSocket, listenTcp } from "./tcp-sockets.ts";

/** How often it shows that it lives, and tells what it noted. */
const TURN_MILLISECONDS = 200;
/** How often small amounts of garbage are collected. */
const SETTLE_MILLISECONDS = 30_000;

declare const self: {
  onmessage: (event: { data: HttpTask | HttpMessage }) => void;
  postMessage: (answer: HttpAnswer) => void;
};

let libc: Libc;
let task: HttpTask;
let server: HttpServer;
let sockets: ListeningSocket[] = [];
let certificate: Certificate | undefined;
let takeLists: ReturnType<typeof answerHttp>["take"];
let draining = false;
let noted: Noted = { full: false, unclear: new Map() };

self.onmessage = ({ data }) => {
  try {
    take(data);
  } catch (error) {
    self.postMessage({ refused: error instanceof Error ? error.message : String(error) });
  }
};

function take(data: HttpTask | HttpMessage): void {
  if (data === "listen") {
    listen();
    self.postMessage("listening");
    return;
  }
  if (data === "stop") return void stop().then(() => self.postMessage("stopped"));
  if ("passing" in data) {
    begin(data);
    self.postMessage("ready");
    return;
  }
  if ("certificate" in data) {
    renewAll(sockets, data.certificate, certificate);
    ({ certificate } = data);
  } else {
    takeLists(data);
  }
  self.postMessage("updated");
}

function begin(given: HttpTask): void {
  compileAsUsual();
  const opened = openLibc();
  if (opened === undefined) throw new Error("the C library that was there is gone");
  libc = opened;
  task = given;
  alignClock(task.nowSeconds);
  ({ certificate } = task);
  server = makeServer();
  setInterval(turn, TURN_MILLISECONDS);
  setInterval(() => garbage.settle(), SETTLE_MILLISECONDS);
}

/** Answers from now on: before, connections wait in the sockets. */
function listen(): void {
  sockets = task.places.flatMap(({ listener, sockets }) => {
    const own = listener.tls === false ? undefined : certificate;
    return sockets.map((fd) =>
      listenTcp(listener, server, { certificate: own, libc, inherited: fd }),
    );
  });
}

function makeServer(): HttpServer {
  const { config, limits, open } = task;
  const { deps, take } = answerHttp(
    task.shared,
    task.thread,
    new Store(task.shared.memory),
    config,
  );
  takeLists = take;
  const handler = createHttp({
    ...deps,
    ...elsewhere(),
    ready: () => !draining,
    unclearProxy(head) {
      const seen = clientHeaders(head, config.proxyHeader).join(" ");
      noted.unclear.set(seen, (noted.unclear.get(seen) ?? 0) + 1);
    },
  });
  return new HttpServer(handler, {
    connectionsMax: limits.connections,
    connectionsPerAddressMax: limits.perAddress,
    heldBytesMax: limits.heldBytes,
    exempt: exemptNetworks(config),
    open,
    counts: new ConnectionCounts(task.counts),
    full: () => void (noted.full = true),
    report(error) {
      const bug = error instanceof Error ? (error.stack ?? error.message) : String(error);
      self.postMessage({ bug });
    },
    answerPlain: (fd, error) => answerPlainHttp(libc, fd, error),
    addressOf: (fd, out) => libc.peerAddress(fd, out),
  });
}

/** What the event loop answers. */
function elsewhere(): Partial<HttpDeps> {
  const { passing, config, open } = task;
  const pass: NonNullable<HttpDeps["frontElsewhere"]> = (request) => passOn(passing, request);
  const post = (handed: Handed) => self.postMessage({ handed });
  const hand = (fd: number, bytes: Uint8Array) => handOver(fd, bytes, { libc, open, post });
  const scrapers = new Networks(config.fullScrapeNetworks);
  return {
    frontElsewhere: pass,
    pages: {
      path: "/stats",
      bytesMax: 0,
      answer: pass,
      mayFullScrape: ({ address, family }) => scrapers.containsBytes(address, 0, family),
      answerFullScrape: pass,
    },
    ...(config.websocket !== "off" && { upgrade: (request) => passOn(passing, request, hand) }),
  };
}

/** Shows that the event loop runs, and tells what it noted. */
function turn(): void {
  task.counts[TURNS_COLUMN] += 1;
  if (!noted.full && noted.unclear.size === 0) return;
  self.postMessage({ noted });
  noted = { full: false, unclear: new Map() };
}

/** Accepts no more; resolves when what had begun is answered, or has taken too long. */
async function stop(): Promise<void> {
  draining = true;
  for (const socket of sockets) socket.close();
  await Promise.race([server.stop(), Bun.sleep(DRAIN_MILLISECONDS)]);
  server.cut();
}
