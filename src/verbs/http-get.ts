/**
 * One GET over a connection of its own, to an address that is given and past any proxy the
 * environment names. The answer is read to its end, in bounds. Whatever goes wrong rejects, with a
 * sentence.
 */
import { connect, isIP } from "node:net";
import { connect as connectTls } from "node:tls";

import { explainNetwork } from "./network-problems.ts";

/** No answer of a tracker is longer. */
const ANSWER_BYTES_MAX = 1024 * 1024;

export interface GetRequest {
  /** Where to connect to. */
  address: string;
  port: number;
  /** The name in the certificate; undefined for plain HTTP. */
  tlsName?: string | undefined;
  /** What the Host header says. */
  host: string;
  /** Path and query. */
  target: string;
  /** Milliseconds until the answer must be there. */
  timeout: number;
}

export interface GetAnswer {
  status: number;
  body: Uint8Array;
}

/** Asks and waits for the whole answer. */
export function getOverHttp(request: GetRequest): Promise<GetAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<GetAnswer>();
  const { address, port, tlsName, host, target, timeout } = request;
  const to = { host: address, port };
  const socket = tlsName === undefined ? connect(to) : connectTls({ ...to, ...nameOf(tlsName) });
  const timer = setTimeout(() => reject(new Error(`no answer in ${timeout / 1000} s`)), timeout);
  const chunks: Buffer[] = [];
  let size = 0;
  socket.on(tlsName === undefined ? "connect" : "secureConnect", () => {
    socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  });
  socket.on("data", (bytes: Buffer) => {
    chunks.push(bytes);
    size += bytes.length;
    if (size > ANSWER_BYTES_MAX) reject(new Error("the answer has no end"));
  });
  socket.on("error", (error) => reject(new Error(explainNetwork(error))));
  socket.on("close", () => {
    const answer = readAnswer(Buffer.concat(chunks));
    if (answer !== undefined) resolve(answer);
    else if (size > 0) reject(new Error("the answer is not HTTP"));
    else reject(new Error(explainNetwork(Object.assign(new Error(), { code: "ECONNRESET" }))));
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** An address is not asked for by name. [RFC 6066 3] */
function nameOf(tlsName: string): { servername?: string } {
  return isIP(tlsName) > 0 ? {} : { servername: tlsName };
}

/** Status and body; undefined if the bytes are no answer, or only a part of one. */
export function readAnswer(bytes: Buffer): GetAnswer | undefined {
  const headTo = bytes.indexOf("\r\n\r\n");
  const head = bytes.toString("latin1", 0, Math.max(0, headTo));
  const status = /^HTTP\/1\.[01] (\d{3})(?: |\r|$)/.exec(head)?.[1];
  if (status === undefined) return undefined;
  const rest = bytes.subarray(headTo + 4);
  if (/\r\ntransfer-encoding:[^\r]*chunked/i.test(head)) {
    const body = joinChunks(rest);
    return body === undefined ? undefined : { status: Number(status), body };
  }
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined && rest.length < Number(length)) return undefined;
  const body = length === undefined ? rest : rest.subarray(0, Number(length));
  return { status: Number(status), body };
}

/** The body of an answer in chunks; undefined if one is cut short. [RFC 9112 7.1] */
function joinChunks(bytes: Buffer): Uint8Array | undefined {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf("\r\n", at);
    const size = end < 0 ? NaN : parseInt(bytes.toString("latin1", at, end), 16);
    if (size === 0) return Buffer.concat(chunks);
    if (!(end + 2 + size <= bytes.length)) return undefined;
    chunks.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
  return undefined;
}
