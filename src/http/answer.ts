/**
 * Answers: small bodies, written where the server wants them, and the status that goes with them.
 *
 * Whatever is said in bencode travels with status 200, since clients look into no other. A function
 * here returns the bytes of the body, as a handler does; all of it is made once and copied.
 */
import type { Gates } from "../gates/gates.ts";
import { isSilent, VERDICT_EARLY, VERDICT_RULE, VERDICTS } from "../gates/verdicts.ts";
import { failureBody } from "../net/bencode.ts";
import { type AnswerForm, answerForm, type Exchange } from "./exchange.ts";

/** What clients are told of each verdict, made once. */
const FAILURE_BODIES: readonly Uint8Array[] = VERDICTS.map(({ sentence, retryIn }) =>
  failureBody(sentence, retryIn),
);

const NOT_FOUND = Buffer.from("not found\n");
const METHOD_NOT_ALLOWED = Buffer.from("method not allowed: use GET or HEAD\n");
const HEALTHY = Buffer.from("ok");
const NOT_READY = Buffer.from("not ready\n");
const TOO_MANY = Buffer.from("too many requests from your address or network\n");
const WITHOUT_ICON = answerForm("204 No Content\r\nCache-Control: max-age=604800", false);
const UNKNOWN_ADDRESS = Buffer.from("your address is unknown: try again\n");

/** Longest body written here, in bytes; those given to `answerBytes` are the caller's business. */
export const ANSWER_BYTES_MAX = Math.max(
  ...[...FAILURE_BODIES, METHOD_NOT_ALLOWED, TOO_MANY, UNKNOWN_ADDRESS].map((body) => body.length),
);

/** `body`, with status 200 unless another is set. */
export function answerBytes(exchange: Exchange, body: Uint8Array): number {
  exchange.out.set(body, exchange.at);
  return body.length;
}

/** What tells a client of verdicts that depend on its request. */
type Teller = Pick<Gates, "sentence" | "retryIn">;

/** 200 and the failure reason of a verdict of these gates; 403 if the client is told nothing. */
export function answerVerdict(exchange: Exchange, gates: Teller, verdict: number): number {
  if (isSilent(verdict)) return answerDropped(exchange);
  if (verdict !== VERDICT_RULE && verdict !== VERDICT_EARLY) {
    return answerBytes(exchange, FAILURE_BODIES[verdict]);
  }
  return answerBytes(exchange, failureBody(gates.sentence(verdict), gates.retryIn(verdict)));
}

/** 403 without a word: a reverse proxy would take silence for a tracker that is down. */
export function answerDropped(exchange: Exchange): number {
  exchange.status = 403;
  return 0;
}

/** 404: nothing of ours is asked for. */
export function answerNotFound(exchange: Exchange): number {
  exchange.status = 404;
  return answerBytes(exchange, NOT_FOUND);
}

/** 405: the place is right, the method is neither GET nor HEAD. */
export function answerMethodNotAllowed(exchange: Exchange): number {
  exchange.status = 405;
  return answerBytes(exchange, METHOD_NOT_ALLOWED);
}

/** 200 "ok" or 503, for those who watch over the process. */
export function answerHealth(exchange: Exchange, good: boolean): number {
  exchange.status = good ? 200 : 503;
  return answerBytes(exchange, good ? HEALTHY : NOT_READY);
}

/** 403: who asks cannot be told, so neither whether they may. */
export function answerUnknownAddress(exchange: Exchange): number {
  exchange.status = 403;
  return answerBytes(exchange, UNKNOWN_ADDRESS);
}

/** 429: the client or its network asks too much. */
export function answerTooMany(exchange: Exchange): number {
  exchange.status = 429;
  return answerBytes(exchange, TOO_MANY);
}

/** 302: people are sent elsewhere. It has no body. */
export function redirectForm(url: string): AnswerForm {
  return answerForm(`302 Found\r\nLocation: ${url}`);
}

/** 204: there is no icon, and none need be asked for again this week. */
export function answerWithoutIcon(exchange: Exchange): number {
  exchange.form = WITHOUT_ICON;
  return 0;
}
