/**
 * Sends a Response: the head, and the body as it is made.
 *
 *   length stated or known   Content-Length, the bytes
 *   unknown, HTTP/1.1        Transfer-Encoding: chunked
 *   unknown, HTTP/1.0        the bytes, then the connection is closed
 *   HEAD, 204, 304           no body
 *
 * The next piece of a body is read when the client has taken the previous one, so a slow client
 * costs the memory of one piece. There is no `Date` field: it would double the size of a short
 * answer.
 *
 * https://www.rfc-editor.org/rfc/rfc9112#section-6
 */
import { CONNECTION_CLOSE, CONNECTION_FIELDS, NO_SNIFFING } from "./exchange.ts";

/** The part of a connection that an answer needs. */
export interface ResponseSink {
  /** Resolves when the bytes are sent: true; or false if the connection is gone. */
  send(bytes: Uint8Array): boolean | Promise<boolean>;
}

/** Properties of the request that decide the form of the answer. */
export interface ResponseForm {
  version11: boolean;
  /** True for HEAD. */
  withoutBody: boolean;
  /** One of the CONNECTION_ numbers. */
  connection: number;
}

/** Results. The connection stays as the head says. */
const RESPONSE_SENT = 0;
/** All is sent; the connection must close, which tells the client the end of the body. */
export const RESPONSE_ENDS_CONNECTION = 1;
/** The body is incomplete: the connection must be cut, so the client notices. */
export const RESPONSE_BROKEN = 2;

/** Fields that only the server writes; removed from Responses. */
const OWN_FIELDS = [
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "x-content-type-options",
];

const NOTHING = new Uint8Array(0);
const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const CHUNK_END = Buffer.from("\r\n");

/** Sends the Response; resolves with a RESPONSE_ number. Never rejects. */
export async function sendResponse(
  response: Response,
  sink: ResponseSink,
  form: ResponseForm,
): Promise<number> {
  const reader = response.body?.getReader();
  try {
    return await sendFrom(response, reader, sink, form);
  } catch {
    return RESPONSE_BROKEN;
  } finally {
    // Cancels a body that was not read to its end; no effect on a finished one.
    reader?.cancel().catch(() => {});
  }
}

/** The part of a stream's reader that is used. */
interface Reader {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
}

async function sendFrom(
  response: Response,
  reader: Reader | undefined,
  sink: ResponseSink,
  form: ResponseForm,
): Promise<number> {
  const stated = statedLength(response);
  if (form.withoutBody || response.status === 204 || response.status === 304) {
    await sink.send(headOf(response, form.connection, lengthField(stated)));
    return RESPONSE_SENT;
  }
  const first = reader === undefined ? undefined : (await reader.read()).value;
  const second = first === undefined ? undefined : reader!.read();
  const length = stated ?? (await knownLength(first, second));
  const chunked = length === undefined && form.version11;
  const ends = length === undefined && !form.version11;
  const field = chunked ? "Transfer-Encoding: chunked\r\n" : lengthField(length);
  const head = headOf(response, ends ? CONNECTION_CLOSE : form.connection, field);
  let sent = 0;
  let bytes: Uint8Array = Buffer.concat([head, frame(first ?? NOTHING, chunked)]);
  let piece: Uint8Array | undefined = first;
  for (let next = second; piece !== undefined; next = reader!.read()) {
    sent += piece.length;
    if (length !== undefined && sent > length) return RESPONSE_BROKEN;
    if (!(await sink.send(bytes))) return RESPONSE_BROKEN;
    piece = (await next!).value;
    if (piece !== undefined) bytes = frame(piece, chunked);
  }
  if (first === undefined) await sink.send(bytes);
  if (chunked) await sink.send(LAST_CHUNK);
  if (length !== undefined && sent !== length) return RESPONSE_BROKEN;
  return ends ? RESPONSE_ENDS_CONNECTION : RESPONSE_SENT;
}

function statedLength(response: Response): number | undefined {
  const stated = response.headers.get("content-length");
  return stated === null ? undefined : Number(stated);
}

/** The length of a body that ends with its first piece; undefined if that is not known yet. */
async function knownLength(
  first: Uint8Array | undefined,
  second: Promise<{ done: boolean }> | undefined,
): Promise<number | undefined> {
  if (first === undefined || second === undefined) return 0;
  // A body made of bytes is at its end after one microtask; a stream may not be.
  await Promise.resolve();
  if (Bun.peek.status(second) !== "fulfilled") return undefined;
  return (await second).done ? first.length : undefined;
}

function lengthField(length: number | undefined): string {
  return length === undefined ? "" : `Content-Length: ${length}\r\n`;
}

function headOf(response: Response, connection: number, lengthFieldText: string): Buffer {
  const { status, headers } = response;
  // Clients ignore the reason phrase, which may be empty. [RFC 9112 4]
  let text = `HTTP/1.1 ${status} ${status === 200 ? "OK" : ""}\r\n${NO_SNIFFING}`;
  for (const [name, value] of headers) {
    if (!OWN_FIELDS.includes(name)) text += `${name}: ${value}\r\n`;
    // The field is about this connection only, and must say so. [RFC 9110 7.8]
    if (name === "upgrade") text += "Connection: Upgrade\r\n";
  }
  return Buffer.from(`${text}${lengthFieldText}${CONNECTION_FIELDS[connection]}\r\n`, "latin1");
}

/** A piece of the body as sent. An empty piece is omitted: an empty chunk ends the body. */
function frame(piece: Uint8Array, chunked: boolean): Uint8Array {
  if (!chunked) return piece;
  if (piece.length === 0) return NOTHING;
  return Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, CHUNK_END]);
}
