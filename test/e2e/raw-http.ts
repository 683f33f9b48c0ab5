/**
 * HTTP/1.1 by hand: bytes sent in pieces over one TCP connection, and the answers taken apart.
 *
 * `fetch` repairs what it sends and hides what it gets; the corpus needs neither. An exchange
 * ends at the first of: enough whole responses, the other side's end, the time limit. It never
 * throws for what the server does, only when there is no server.
 *
 * https://www.rfc-editor.org/rfc/rfc9112
 */

import { connect } from "node:net";

/** What to send, how, and when to stop listening. */
export interface TcpExchange {
  host: string;
  port: number;
  /** Written one after another, `delayMilliseconds` apart. */
  pieces: readonly Uint8Array[];
  delayMilliseconds?: number;
  /** End our side after the last piece and go on listening. */
  halfClose?: boolean;
  /** Stop listening after so many whole responses; the default is 1. */
  responses?: number;
  /** After that, listen so much longer for responses there should not be. */
  lingerMilliseconds?: number;
  timeoutMilliseconds?: number;
  /** The request is a HEAD: its response has a length and no body. */
  head?: boolean;
  /** The local address to send from. */
  source?: string;
}

/** What came back. */
export interface TcpAnswer {
  bytes: Uint8Array;
  /** The other side ended or reset the connection. */
  closed: boolean;
}

/** One HTTP response; header names in lower case, the body without its transfer coding. */
export interface HttpResponse {
  status: number;
  headers: Map<string, string>;
  body: Uint8Array;
}

const TIMEOUT_MILLISECONDS = 5000;

/** Sends the pieces and collects what comes back. Throws when the connection is refused. */
export async function exchangeTcp(exchange: TcpExchange): Promise<TcpAnswer> {
  const socket = connect({
    host: exchange.host,
    port: exchange.port,
    allowHalfOpen: true,
    ...(exchange.source === undefined ? {} : { localAddress: exchange.source }),
  });
  const over = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const received: Buffer[] = [];
  let closed = false;
  let timer = setTimeout(over.resolve, exchange.timeoutMilliseconds ?? TIMEOUT_MILLISECONDS);
  const end = (): void => {
    closed = true;
    over.resolve();
  };
  socket.on("connect", opened.resolve);
  socket.on("error", (error) => {
    opened.reject(error);
    end();
  });
  socket.on("end", end);
  socket.on("close", end);
  socket.on("data", (chunk: Buffer) => {
    received.push(chunk);
    const whole = readResponses(Buffer.concat(received), false, exchange.head).length;
    if (whole < (exchange.responses ?? 1)) return;
    clearTimeout(timer);
    timer = setTimeout(over.resolve, exchange.lingerMilliseconds ?? 0);
  });
  try {
    await opened.promise;
    socket.setNoDelay(true);
    for (const [index, piece] of exchange.pieces.entries()) {
      if (index > 0) await Bun.sleep(exchange.delayMilliseconds ?? 0);
      if (closed) break;
      socket.write(piece);
    }
    if (exchange.halfClose) socket.end();
    await over.promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  return { bytes: Buffer.concat(received), closed };
}

/**
 * The whole responses at the start of `bytes`, in order; an unfinished one is left out, unless
 * `atEnd` says that the connection ended and nothing else delimits it. Interim 1xx are left out.
 * With `head` no response has a body, whatever length it names.
 * Bytes that are no response end the list, as they end it for a client.
 */
export function readResponses(
  bytes: Uint8Array,
  atEnd: boolean,
  head: boolean = false,
): HttpResponse[] {
  const found: HttpResponse[] = [];
  const text = Buffer.from(bytes).toString("latin1");
  let at = 0;
  while (at < text.length) {
    const headEnd = text.indexOf("\r\n\r\n", at);
    if (headEnd < 0 || !text.startsWith("HTTP/1.", at)) break;
    const [statusLine, ...lines] = text.slice(at, headEnd).split("\r\n");
    const status = Number(statusLine!.split(" ")[1]);
    const headers = new Map(lines.map(readHeader));
    const start = headEnd + 4;
    const body = head ? { text: "", next: start } : readBody(text, start, status, headers, atEnd);
    if (body === undefined) break;
    if (status >= 200 || status === 101) {
      found.push({ status, headers, body: Buffer.from(body.text, "latin1") });
    }
    at = body.next;
  }
  return found;
}

interface BodyText {
  text: string;
  next: number;
}

function readHeader(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
}

function readBody(
  text: string,
  at: number,
  status: number,
  headers: Map<string, string>,
  atEnd: boolean,
): BodyText | undefined {
  if (status < 200 || status === 204 || status === 304) return { text: "", next: at };
  if (headers.get("transfer-encoding")?.toLowerCase() === "chunked") return readChunks(text, at);
  const length = headers.get("content-length");
  if (length === undefined && bareErrorEnds(status, headers)) return { text: "", next: at };
  if (length === undefined) return atEnd ? { text: text.slice(at), next: text.length } : undefined;
  const next = at + Number(length);
  return next <= text.length ? { text: text.slice(at, next), next } : undefined;
}

/** A refusal without a length that announces the end of the connection has no body to wait for. */
function bareErrorEnds(status: number, headers: Map<string, string>): boolean {
  return status >= 400 && headers.get("connection")?.toLowerCase() === "close";
}

function readChunks(text: string, start: number): BodyText | undefined {
  let body = "";
  let at = start;
  while (true) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const next = lineEnd + 2 + size + 2;
    if (!(next <= text.length)) return undefined;
    if (size === 0) return { text: body, next };
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = next;
  }
}
