/**
 * The HTTP client: sends one request over its own connection and waits for the complete answer.
 *
 * It uses sockets, not `fetch` or `node:http`: `fetch` uses the proxy that the environment names,
 * follows redirects, and rewrites the raw bytes of a target; neither limits the size of an answer.
 * Here one deadline holds for connecting, TLS and the complete answer, so that a byte a second does
 * not prolong it; http-answer.ts limits the bytes. Redirects are not followed. All errors reject,
 * with a sentence.
 */
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { AnswerReader, type HttpAnswer } from "./http-answer.ts";
import { explainNetwork } from "./network-problems.ts";

/** The longest body by default: no answer of a tracker is longer. */
const BODY_BYTES_MAX = 1024 * 1024;

export interface HttpQuestion {
  /** The address to connect to; a wildcard address means loopback. */
  address: string;
  port: number;
  /** For HTTPS: the name in the certificate, or `any certificate`. */
  tls?: { name: string } | "any certificate" | undefined;
  method?: "GET" | "PUT" | "DELETE";
  /** The value of the Host field. */
  host: string;
  /** Path and query. */
  target: string;
  /** Further fields. */
  fields?: Readonly<Record<string, string>>;
  /** Milliseconds until the complete answer must have come. */
  timeout: number;
  bodyBytesMax?: number;
}

/** Sends the request, and resolves to the complete answer. */
export function askOverHttp(question: HttpQuestion): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const { timeout, tls } = question;
  const socket = connectTo(question);
  const reader = new AnswerReader(question.bodyBytesMax ?? BODY_BYTES_MAX);
  // A destroyed socket delivers no more bytes.
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

/** A connection to the address, with TLS if it is asked for. */
export function connectTo({
  address,
  port,
  tls,
}: Pick<HttpQuestion, "address" | "port" | "tls">): Socket {
  const to = { host: reachable(address), port };
  if (tls === undefined) return connect(to);
  if (tls === "any certificate") return connectTls({ ...to, rejectUnauthorized: false });
  // An address is not a server name. [RFC 6066 3]
  return connectTls(isIP(tls.name) > 0 ? to : { ...to, servername: tls.name });
}

function textOf({ method = "GET", target, host, fields = {} }: HttpQuestion): string {
  const all = { Host: host, ...fields, Connection: "close" };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** The address at which a listener can be reached from its own machine. */
export function reachable(host: string): string {
  return host === "::" || host === "0.0.0.0" ? "127.0.0.1" : host;
}
