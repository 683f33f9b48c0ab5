/**
 * One request and the buffer for its answer, which server and handler share.
 *
 *   out   ... answers before │ room for a head │ body ...
 *                                              └ at
 *
 * For a small answer the handler writes the body to `out` at `at` and returns its size; the server
 * writes the head before it, with `Content-Type: text/plain` or the fields in `form`. Any other
 * answer (a long or slow body) is a Response.
 */
import type { Family } from "../constants.ts";
import type { PrefetchTexts } from "./gathered.ts";
import type { RequestHead } from "../net/head.ts";
import type { Takeover } from "../net/tunnel.ts";

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
  /** Its family; 0 if the client disconnected before the address was read. */
  family: Family | 0;
  readonly out: Uint8Array;
  at: number;
  /** A key of SMALL_STATUSES; 200 unless the handler says otherwise. */
  status: number;
  /** Status and fields other than plain text; undefined unless the handler sets it. */
  form: AnswerForm | undefined;
}

/** Status and fields of an answer, made once. */
export interface AnswerForm {
  /** The status line and the fields, without the last CRLF. */
  readonly lines: string;
  /** By CONNECTION_ number: the head up to the digits of the length, or up to the body. */
  readonly beginnings: readonly Buffer[];
  /** False for a status that has neither body nor length. */
  readonly hasBody: boolean;
}

export interface HttpHandler {
  /** Size limit of a body written in place, with the lines of its form. */
  readonly bodyBytesMax: number;
  /** Returns the size of the body it wrote, a Response, or a Takeover. Must not throw or reject. */
  answer(exchange: Exchange): number | Response | Takeover | Promise<Response | Takeover>;
  /** Called when the server answers in its place, with one of the answers of refusals.ts. */
  noteRefusal?(answer: Buffer): void;
  /** Gets the requests that are answered next (see gathered.ts); must change nothing. */
  readonly prefetch?: PrefetchTexts | undefined;
}

/** The connection after an answer, as announced in the head. Stays open (HTTP/1.1). */
export const CONNECTION_OPEN = 0;
/** Stays open (HTTP/1.0), which the head must say. */
export const CONNECTION_KEPT = 1;
export const CONNECTION_CLOSE = 2;
/** By CONNECTION_ number: the field in the head. */
export const CONNECTION_FIELDS = ["", "Connection: keep-alive\r\n", "Connection: close\r\n"];

/** Forbids browsers to guess another type, such as HTML. BitTorrent clients do not guess. */
export const NO_SNIFFING = "X-Content-Type-Options: nosniff\r\n";

const CRLF = 0x0d0a;
const ZERO = 48;

/** Usual digits of a length; for other lengths the body is moved. */
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

/** The head up to the digits of the length, by status and CONNECTION_ number. */
const BEGINNINGS = new Map(
  Object.entries(SMALL_STATUSES).map(([status, line]) => [
    Number(status),
    beginningsOf(`${line}\r\nContent-Type: text/plain\r\n${status === "200" ? "" : NO_SNIFFING}`),
  ]),
);
const BEGINNINGS_OK = BEGINNINGS.get(200)!;

/** Size limit of the head of a small answer. */
export const SMALL_HEAD_BYTES_MAX =
  Math.max(...[...BEGINNINGS.values()].flat().map((bytes) => bytes.length)) + LENGTH_DIGITS_MAX + 4;

/** Bytes to leave free before the body for the head. */
export function smallHeadRoom(connection: number): number {
  return BEGINNINGS_OK[connection].length + LENGTH_DIGITS + 4;
}

/**
 * Writes a head at `from` for the body of `size` bytes that begins `smallHeadRoom` bytes later, and
 * moves the body if the head has another length. Returns the end of the answer.
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
