/**
 * The one client of HTTP: asks once, over a connection of its own, and waits for the whole answer.
 *
 * It stands on sockets, not on `fetch` or `node:http`: `fetch` goes by way of a proxy that the
 * environment names, follows redirects, and rewrites the raw bytes of a target; neither bounds what
 * a server sends. Here one deadline holds for connecting, TLS and the whole answer, so that a byte
 * a second does not prolong it; http-answer.ts bounds the bytes. A redirect is an answer like any
 * other. Whatever goes wrong rejects, with a sentence of ours.
 */
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { AnswerReader, type HttpAnswer } from "./http-answer.ts";
import { explainNetwork } from "./network-problems.ts";

/** Bytes of a body, unless the question says otherwise: no answer of a tracker is longer. */
const BODY_BYTES_MAX = 1024 * 1024;

export interface HttpQuestion {
  /** An address, where to connect to; one that means all of this machine is asked by loopback. */
  address: string;
  port: number;
  /** For HTTPS: the name in the certificate, or that any certificate will do. */
  tls?: { name: string } | "any certificate" | undefined;
  method?: "GET" | "PUT" | "DELETE";
  /** What the Host field says. */
  host: string;
  /** Path and query. */
  target: string;
  /** Further fields. */
  fields?: Readonly<Record<string, string>>;
  /** Milliseconds until the whole answer must be there. */
  timeout: number;
  bodyBytesMax?: number;
}

/** Asks, and waits for the whole answer. */
export function askOverHttp(question: HttpQuestion): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const { timeout, tls } = question;
  const socket = open(question);
  const reader = new AnswerReader(question.bodyBytesMax ?? BODY_BYTES_MAX);
  // A socket that is destroyed gives nothing more, however much waits in it.
  const settle = (outcome: HttpAnswer | string) => {
    clearTimeout(timer);
    socket.destroy();
    if (typeof outcome === "string") reject(new Error(outcome));
    else resolve(outcome);
  };
  const timer = setTimeout(() => settle(`no answer in ${timeout / 1000} s`), timeout);
  socket.on(tls === undefined ? "connect" : "secureConnect", () => socket.write(textOf(question)));
  socket.on("data", (bytes: Buffer) => {
    if (socket.destroyed) return;
    const outcome = reader.take(bytes);
    if (outcome !== undefined) settle(outcome);
  });
  socket.on("error", (error) => settle(explainNetwork(error)));
  socket.on("close", () => {
    const silence = Object.assign(new Error(), { code: "ECONNRESET" });
    settle(reader.end() ?? explainNetwork(silence));
  });
  return promise;
}

function open({ address, port, tls }: HttpQuestion): Socket {
  const to = { host: reachable(address), port };
  if (tls === undefined) return connect(to);
  if (tls === "any certificate") return connectTls({ ...to, rejectUnauthorized: false });
  // An address is not asked for by name. [RFC 6066 3]
  return connectTls(isIP(tls.name) > 0 ? to : { ...to, servername: tls.name });
}

function textOf({ method = "GET", target, host, fields = {} }: HttpQuestion): string {
  const all = { Host: host, ...fields, Connection: "close" };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** Where a listener can be reached from its own machine. */
export function reachable(host: string): string {
  return host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
}
