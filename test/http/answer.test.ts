import { expect, test } from "bun:test";
import {
  ANSWER_BYTES_MAX,
  answerBytes,
  answerDropped,
  answerHealth,
  answerMethodNotAllowed,
  answerNotFound,
  answerTooMany,
  answerUnknownAddress,
  answerVerdict,
  answerWithoutIcon,
  redirectForm,
} from "../../src/http/answer.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import {
  VERDICT_ADDRESS_UNKNOWN,
  VERDICT_PORT,
  VERDICT_RATE,
  VERDICT_RULE,
  VERDICT_RULE_DROP,
  VERDICTS,
} from "../../src/gates/verdicts.ts";
import { exchangeOf, responseOf } from "./fixture.ts";

/** Status and body of an answer. */
function leave(answer: (exchange: Exchange) => number): [status: number, body: string] {
  const exchange = exchangeOf({ target: "/" })!;
  const size = answer(exchange);
  expect(size).toBeLessThanOrEqual(ANSWER_BYTES_MAX);
  const { out, at, status } = exchange;
  return [status, Buffer.from(out.subarray(at, at + size)).toString()];
}

test("bytes are answered with 200", () => {
  expect(leave((exchange) => answerBytes(exchange, Buffer.from("de")))).toEqual([200, "de"]);
});

test("a failure has status 200 and a failure reason, and can be sent again", () => {
  const text = "d14:failure reason37:port must be a number from 0 to 65535e";
  const gates = { sentence: () => "go away" };
  const tell = (verdict: number) => (exchange: Exchange) => answerVerdict(exchange, gates, verdict);
  const answer = tell(VERDICT_PORT);
  expect(leave(answer)).toEqual([200, text]);
  expect(leave(answer)).toEqual([200, text]);
  for (const verdict of VERDICTS.keys()) leave(tell(verdict));
  expect(leave(tell(VERDICT_RULE_DROP))).toEqual([403, ""]);
  expect(leave(tell(VERDICT_RULE))[1]).toBe("d14:failure reason7:go awaye");
  expect(leave(tell(VERDICT_RATE))[1]).toEndWith("8:intervali60e12:min intervali60e8:retry in1:1e");
});

test("the other answers have the status of their name", () => {
  expect(leave(answerNotFound)).toEqual([404, "not found\n"]);
  expect(leave(answerMethodNotAllowed)).toEqual([405, "method not allowed: use GET or HEAD\n"]);
  expect(leave((exchange) => answerHealth(exchange, false))).toEqual([503, "not ready\n"]);
  expect(leave((exchange) => answerHealth(exchange, true))).toEqual([200, "ok"]);
  expect(leave((exchange) => answerUnknownAddress(exchange, VERDICT_ADDRESS_UNKNOWN))).toEqual([
    403,
    "your address is unknown: try again\n",
  ]);
  expect(leave(answerDropped)).toEqual([403, ""]);
  expect(leave(answerTooMany)).toEqual([429, "too many requests from your address or network\n"]);
  expect(redirectForm("http://a/").lines).toBe("302 Found\r\nLocation: http://a/");
});

test("an icon is answered with 204, cached for a week", () => {
  const exchange = exchangeOf({ target: "/" })!;
  const { status, headers } = responseOf(exchange, answerWithoutIcon(exchange)) as Response;
  expect([status, headers.get("cache-control")]).toEqual([204, "max-age=604800"]);
});
