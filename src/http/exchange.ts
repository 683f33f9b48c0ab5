/**
 * One request and the place of its answer: what the server and the handler hand to each other.
 *
 *   out   ... answers before │ room for a head │ body ...
 *                                              └ at
 *
 * Small answers are bodies written in place: the handler fills `out` from `at` on and says how many
 * bytes it wrote; the server puts `Content-Type: text/plain` and the length before them, or what
 * the handler has put into `form`. Whatever needs more (a long or slow body) is a Response.
 */
import type { Family } from "../constants.ts";
import type { PrefetchTexts } from "./gathered.ts";
import type { RequestHead } from "../net/head.ts";

/** The statuses that small answers may have, with the fields they require. */
export const SMALL_STATUSES: Readonly<Record<number, string>> = {
  200: "200 OK",
  403: "403 Forbidden",
  404: "404 Not Found",
  405: "405 Method Not Allowed\r\nAllow: GET, HEAD",
  429: "429 Too Many Requests",
  503: "503 Service Unavailable",
};

/** Filled by the server before each request, and reused for the next one. */
export interface Exchange {
  readonly head: RequestHead;
  /** The address the connection came from: 4 or 16 bytes. */
  address: Uint8Array;
  /** Which of the two, or 0 if it is unknown, because the client has hung up meanwhile. */
  family: Family | 0;
  readonly out: Uint8Array;
  at: number;
  /** A key of SMALL_STATUSES; 200 unless the handler says otherwise. */
  status: number;
  /** What is answered instead of a status and plain text; undefined unless the handler sets it. */
  form: AnswerForm | undefined;
}

/** A status and fields of an answer's own, made once. */
export interface AnswerForm {
  /** The status line and the fields as they are written, without the last CRLF. */
  readonly lines: string;
  /** For each CONNECTION_ number, all that stands before the digits of the length, or the body. */
  readonly beginnings: readonly Buffer[];
  /** False for a status that has neither body nor length. */
  readonly hasBody: boolean;
}

export interface HttpHandler {
  /** Bytes of the longest body it writes in place, the lines of its form included. */
  readonly bodyBytesMax: number;
  /** Returns the bytes of the body it wrote, or a Response. Must not throw or reject. */
  answer(exchange: Exchange): number | Response | Promise<Response>;
  /** Told of requests it is about to be asked (see gathered.ts); must change nothing. */
  readonly prefetch?: PrefetchTexts | undefined;
}

/** What becomes of the connection after an answer, as its head says it. */
export const CONNECTION_OPEN = 0;
/** HTTP/1.0, which closes unless the answer says that it does not. */
export const CONNECTION_KEPT = 1;
export const CONNECTION_CLOSE = 2;
/** The field that says so. */
export const CONNECTION_FIELDS = ["", "Connection: keep-alive\r\n", "Connection: close\r\n"];

/** No browser may take what it is given for something else, such as a page. Clients never do. */
export const NO_SNIFFING = "X-Content-Type-Options: nosniff\r\n";

const CRLF = 0x0d0a;
const ZERO = 48;

/** Digits the length of a body mostly has; with others the body is moved. */
const LENGTH_DIGITS = 3;
const LENGTH_DIGITS_MAX = 9;

/** `lines` are the status line behind `HTTP/1.1 `, and fields if there are any. */
export function answerForm(lines: string, hasBody = true): AnswerForm {
  return { lines, beginnings: beginningsOf(`${lines}\r\n${NO_SNIFFING}`, hasBody), hasBody };
}

/** `lines` end with CRLF. */
function beginningsOf(lines: string, hasBody = true): Buffer[] {
  const last = hasBody ? "Content-Length: " : "\r\n";
  return CONNECTION_FIELDS.map((field) => Buffer.from(`HTTP/1.1 ${lines}${field}${last}`));
}

/** All that stands before the digits of the length, by status, for each CONNECTION_ number. */
const BEGINNINGS = new Map(
  Object.entries(SMALL_STATUSES).map(([status, line]) => [
    Number(status),
    beginningsOf(`${line}\r\nContent-Type: text/plain\r\n${status === "200" ? "" : NO_SNIFFING}`),
  ]),
);
const BEGINNINGS_OK = BEGINNINGS.get(200)!;

/** Bytes a small answer has beyond its body at most. */
export const SMALL_HEAD_BYTES_MAX =
  Math.max(...[...BEGINNINGS.values()].flat().map((bytes) => bytes.length)) + LENGTH_DIGITS_MAX + 4;

/** Bytes to leave free for the head of an answer before its body. */
export function smallHeadRoom(connection: number): number {
  return BEGINNINGS_OK[connection].length + LENGTH_DIGITS + 4;
}

/**
 * Puts a head at `from` before the body of `size` bytes that stands `smallHeadRoom` behind it, and
 * moves the body if the head turns out to have another length. Returns where all of it ends.
 */
export function writeSmallHead(
  { out, status, form }: Pick<Exchange, "out" | "status" | "form">,
  from: number,
  size: number,
  connection: number,
): number {
  const usual = status === 200 ? BEGINNINGS_OK : BEGINNINGS.get(status)!;
  const beginning = (form?.beginnings ?? usual)[connection];
  if (form?.hasBody === false) {
    out.set(beginning, from);
    return from + beginning.length;
  }
  const bodyFrom = from + smallHeadRoom(connection);
  const digits = size < 10 ? 1 : size < 100 ? 2 : size < 1000 ? 3 : String(size).length;
  const digitsEnd = from + beginning.length + digits;
  const bodyTo = digitsEnd + 4;
  if (bodyTo !== bodyFrom) out.copyWithin(bodyTo, bodyFrom, bodyFrom + size);
  out.set(beginning, from);
  for (let at = digitsEnd - 1, rest = size, i = 0; i < digits; i++, at--) {
    out[at] = ZERO + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  out[digitsEnd] = out[digitsEnd + 2] = CRLF >> 8;
  out[digitsEnd + 1] = out[digitsEnd + 3] = CRLF & 0xff;
  return bodyTo + size;
}
