/**
 * Small answers: writes a body into the server's buffer and sets its status.
 *
 * Bencode always has status 200, because clients ignore the body of any other status. Like a
 * handler, each function here returns the size of the body. Bodies are made once and copied.
 */
import type { Gates } from "../gates/gates.ts";
import { isSilent, VERDICT_RULE, VERDICTS } from "../gates/verdicts.ts";
import { failureBody } from "../net/bencode.ts";
import { type AnswerForm, answerForm, type Exchange } from "./exchange.ts";

/** The body of each verdict, made once. */
const FAILURE_BODIES: readonly Uint8Array[] = VERDICTS.map(({ sentence, retryIn }) =>
  failureBody(sentence, retryIn),
);

const NOT_FOUND = Buffer.from("not found\n");
const METHOD_NOT_ALLOWED = Buffer.from("method not allowed: use GET or HEAD\n");
const HEALTHY = Buffer.from("ok");
const NOT_READY = Buffer.from("not ready\n");
const TOO_MANY = Buffer.from("too many requests from your address or network\n");
const WITHOUT_ICON = answerForm("204 No Content\r\nCache-Control: max-age=604800", false);

/** Longest body written here, in bytes, except those given to `answerBytes`. */
export const ANSWER_BYTES_MAX = Math.max(
  ...[...FAILURE_BODIES, METHOD_NOT_ALLOWED, TOO_MANY].map((body) => body.length),
);

/** `body`, with status 200 unless another is set. */
export function answerBytes(exchange: Exchange, body: Uint8Array): number {
  exchange.out.set(body, exchange.at);
  return body.length;
}

/** The source of sentences that depend on the request. */
type Sentences = Pick<Gates, "sentence">;

/** 200 with the failure reason of the verdict; an empty 403 for a verdict without a sentence. */
export function answerVerdict(exchange: Exchange, gates: Sentences, verdict: number): number {
  if (isSilent(verdict)) return answerDropped(exchange);
  if (verdict !== VERDICT_RULE) return answerBytes(exchange, FAILURE_BODIES[verdict]);
  return answerBytes(exchange, failureBody(gates.sentence(verdict), ""));
}

/** An empty 403: without a response a reverse proxy would report the tracker as down. */
export function answerDropped(exchange: Exchange): number {
  exchange.status = 403;
  return 0;
}

/** 404: no such path. */
export function answerNotFound(exchange: Exchange): number {
  exchange.status = 404;
  return answerBytes(exchange, NOT_FOUND);
}

/** 405: the path exists, the method is neither GET nor HEAD. */
export function answerMethodNotAllowed(exchange: Exchange): number {
  exchange.status = 405;
  return answerBytes(exchange, METHOD_NOT_ALLOWED);
}

/** 200 "ok" or 503, for health checks. */
export function answerHealth(exchange: Exchange, good: boolean): number {
  exchange.status = good ? 200 : 503;
  return answerBytes(exchange, good ? HEALTHY : NOT_READY);
}

/** 403: the client's address is unknown, for the reason of the verdict, so access is denied. */
export function answerUnknownAddress(exchange: Exchange, verdict: number): number {
  exchange.status = 403;
  return answerBytes(exchange, Buffer.from(`${VERDICTS[verdict].sentence}\n`));
}

/** 429: the client or its network is over the rate limit. */
export function answerTooMany(exchange: Exchange): number {
  exchange.status = 429;
  return answerBytes(exchange, TOO_MANY);
}

/** 302 to another page; without a body. */
export function redirectForm(url: string): AnswerForm {
  return answerForm(`302 Found\r\nLocation: ${url}`);
}

/** 204: there is no icon; browsers cache this for a week. */
export function answerWithoutIcon(exchange: Exchange): number {
  exchange.form = WITHOUT_ICON;
  return 0;
}
