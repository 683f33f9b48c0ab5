/**
 * The way of an answer that is no small one: it is awaited, then sent; or it is the takeover of the
 * connection by another protocol.
 */
import type { Takeover } from "../net/tunnel.ts";
import type { Connection } from "./connection.ts";
import {
  RESPONSE_BROKEN,
  RESPONSE_ENDS_CONNECTION,
  type ResponseForm,
  type ResponseSink,
  sendResponse,
} from "./response.ts";

/** An answer that is awaited. */
export type LongAnswer = Response | Promise<Response | Takeover>;

/** What the server does meanwhile. */
export interface Responder extends ResponseSink {
  /** Reports a bug. */
  report: ((error: unknown) => void) | undefined;
}

/** Sends the answer; returns the takeover, if it is one. Never rejects. */
export async function respond(
  connection: Connection,
  answer: LongAnswer,
  form: ResponseForm,
  responder: Responder,
): Promise<Takeover | undefined> {
  let outcome: number = RESPONSE_BROKEN;
  try {
    const response = await answer;
    if (!(response instanceof Response)) return response;
    connection.deadline = Infinity;
    outcome = await sendResponse(response, responder, form);
  } catch (error) {
    responder.report?.(error);
  }
  if (outcome === RESPONSE_ENDS_CONNECTION) connection.close();
  if (outcome === RESPONSE_BROKEN && !connection.gone) connection.socket.terminate();
  return undefined;
}
