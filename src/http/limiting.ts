/**
 * What limits announces, scrapes and all else over HTTP, and the bodies it answers with.
 *
 * A judgement is `undefined` (go on), a body to answer with, or SILENCE: the request is to be
 * dropped. Refusals are made when they are needed; everything that goes on allocates nothing.
 */
import type { Limits } from "../limits/limits.ts";
import { BURST_SECONDS, RATE_ADDRESS, RATE_OK } from "../limits/rate-limits.ts";
import { type HeaderSource, RULE_NONE } from "../limits/request-rules.ts";
import { COUNT } from "../counters/counters.ts";
import { answerBytes, answerDropped } from "./answer.ts";
import { failureBody } from "../net/bencode.ts";
import type { Client } from "./client.ts";
import type { Exchange } from "./exchange.ts";
import { VERDICT_OK } from "./verdict.ts";

/** Nothing is to be said: see `answerDropped`. */
export const SILENCE = new Uint8Array(0);

/** Who was over the limit may ask as much as ever after this time. [BEP 31: minutes] */
const RATE_BODY = failureBody(
  "too many requests from your address or network",
  String(Math.ceil(BURST_SECONDS / 60)),
);

/** Answers what a judgement says; returns the bytes of the body. */
export function answerLimited(exchange: Exchange, judgement: Uint8Array): number {
  return judgement === SILENCE ? answerDropped(exchange) : answerBytes(exchange, judgement);
}

/** What is known of who asks. */
type Asker = Pick<Client, "address" | "family">;

export class HttpLimits {
  readonly #limits: Limits;
  readonly #row: Float64Array;

  /** `row` is the thread's row of counters. */
  constructor(limits: Limits, row: Float64Array) {
    this.#limits = limits;
    this.#row = row;
  }

  /** Whether the client has asked too much, or else a rule speaks against what it asks. */
  judge(
    client: Asker,
    nowSeconds: number,
    port: number,
    peerId: Uint8Array | undefined,
    headers: HeaderSource,
  ): Uint8Array | undefined {
    const limited = this.judgeRate(client, nowSeconds);
    if (limited !== undefined || this.#limits.rules.empty) return limited;
    return this.judgeRules(client, port, peerId, headers);
  }

  /** Whether the client has asked too much. */
  judgeRate(client: Asker, nowSeconds: number): Uint8Array | undefined {
    const { rates } = this.#limits;
    const over = rates.judge(client.address, 0, client.family, nowSeconds);
    if (over === RATE_OK) return undefined;
    const row = this.#row;
    row[over === RATE_ADDRESS ? COUNT.httpOverRateAddress : COUNT.httpOverRateNetwork] += 1;
    if (!rates.enforced) return undefined;
    row[COUNT.httpRefusedRate] += 1;
    return RATE_BODY;
  }

  /** As `judgeRate`, of a client that is yet to be read; without an address nothing is limited. */
  judgeUnread(exchange: Exchange, client: Client, nowSeconds: number): Uint8Array | undefined {
    if (client.read(exchange) !== VERDICT_OK) return undefined;
    return this.judgeRate(client, nowSeconds);
  }

  /** Whether a rule speaks against it; a scrape has PORT_NONE and no peer id. */
  judgeRules(
    client: Asker,
    port: number,
    peerId: Uint8Array | undefined,
    headers: HeaderSource,
  ): Uint8Array | undefined {
    const { rules } = this.#limits;
    const verdict = rules.judgeHttp(client.address, client.family, port, peerId, headers);
    if (verdict === RULE_NONE) return undefined;
    const { action, message } = rules.rule(verdict);
    this.#row[action === "drop" ? COUNT.httpDroppedRule : COUNT.httpRefusedRule] += 1;
    return action === "drop" ? SILENCE : failureBody(message, "");
  }

  /**
   * Whether the announce is too early, by the core's ticks since the last one. One that is not, and
   * was judged to be over a rate limit, is counted: it will be answered.
   */
  judgeEarly(ticksSinceLast: number, event: number): Uint8Array | undefined {
    const limits = this.#limits;
    if (!limits.isEarly(ticksSinceLast, event)) {
      if (limits.rates.over) this.#row[COUNT.httpOverRateAnnounces] += 1;
      return undefined;
    }
    this.#row[COUNT.httpEarly] += 1;
    if (!limits.refusesEarly) return undefined;
    this.#row[COUNT.httpRefusedEarly] += 1;
    const minutes = limits.minutesLeft(ticksSinceLast);
    return failureBody("this announce is too early: wait for the interval", String(minutes));
  }
}
