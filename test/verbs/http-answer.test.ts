/** Answers over HTTP: valid ones are parsed in any pieces, others are refused within bounds. */
import { describe, expect, test } from "bun:test";

import {
  ANSWER_HEAD_BYTES_MAX,
  AnswerReader,
  type HttpAnswer,
} from "../../src/verbs/http-answer.ts";

const BODY_BYTES_MAX = 1000;
const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

/** The result for an answer that comes in pieces of this size before the connection closes. */
function read(text: string, step = text.length): [number, string] | string | undefined {
  const reader = new AnswerReader(BODY_BYTES_MAX);
  const bytes = Buffer.from(text, "latin1");
  let outcome: HttpAnswer | string | undefined;
  for (let at = 0; at < bytes.length && outcome === undefined; at += step) {
    outcome = reader.take(bytes.subarray(at, at + step));
  }
  outcome ??= reader.end();
  if (outcome === undefined || typeof outcome === "string") return outcome;
  return [outcome.status, Buffer.from(outcome.body).toString("latin1")];
}

test.each<[string, [number, string] | string | undefined]>([
  [`${OK}Content-Length: 2\r\n\r\nok`, [200, "ok"]],
  [`${OK}content-LENGTH:2\r\n\r\nok and more`, [200, "ok"]],
  ["HTTP/1.0 404 Not Found\r\n\r\ngone", [404, "gone"]],
  ["HTTP/1.1 200\r\n\r\n", [200, ""]],
  ["HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", [302, ""]],
  ["HTTP/1.1 204 No Content\r\n\r\nmore", [204, ""]],
  [`${CHUNKED}2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n`, [200, "abc"]],
  [`${CHUNKED}2 \r\n\r\n\r\n0\r\n`, [200, "\r\n"]],
  [
    `${OK}Content-Length: ${BODY_BYTES_MAX}\r\n\r\n${"x".repeat(BODY_BYTES_MAX)}`,
    [200, "x".repeat(BODY_BYTES_MAX)],
  ],
  ["", undefined],
  ["SSH-2.0-OpenSSH\r\n", "the answer is not HTTP"],
  ["HTTP/1.1 100 Continue\r\n\r\n", "the answer is not HTTP"],
  ["HTTP/2 200\r\n\r\n", "the answer is not HTTP"],
  [OK, "the answer is not HTTP"],
  [`${OK} folded\r\n\r\n`, "the answer is not HTTP"],
  [`${OK}no colon\r\n\r\n`, "the answer is not HTTP"],
  [`${OK}content-length: 9\r\n\r\nshort`, "the answer is cut short"],
  [`${CHUNKED}9\r\nab\r\n`, "the answer is cut short"],
])("%j", (text, expected) => {
  for (const step of [text.length || 1, 1, 2, 7]) expect(read(text, step)).toEqual(expected);
});

describe("answers of hostile servers are refused:", () => {
  test.each<[string, string, string]>([
    ["a negative chunk", `${CHUNKED}-6\r\n\r\n`, "a chunk of the answer has no size"],
    ["a chunk without a size", `${CHUNKED}\r\n\r\n`, "a chunk of the answer has no size"],
    ["a size that is not a number", `${CHUNKED}0x10\r\n`, "a chunk of the answer has no size"],
    ["a size of nine digits", `${CHUNKED}100000000\r\n`, "a chunk of the answer has no size"],
    ["an endless size", `${CHUNKED}${"0".repeat(300)}`, "a chunk of the answer has no size"],
    ["endless extensions", `${CHUNKED}1;${"x".repeat(300)}`, "a chunk of the answer has no size"],
    ["a huge chunk", `${CHUNKED}ffffffff\r\nab`, "the answer is too long"],
    ["a chunk longer than told", `${CHUNKED}1\r\nabc\r\n`, "a chunk of the answer is longer"],
    ["endless chunks", CHUNKED + "1\r\nx\r\n".repeat(1e5), "the answer is too long"],
    ["a negative length", `${OK}Content-Length: -1\r\n\r\n`, "a length that is not a number"],
    ["two lengths", `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`, "the answer has two"],
    ["a length and chunks", `${OK}Content-Length: 1\r\n${CHUNKED.slice(17)}`, "length and chunks"],
    ["another coding", `${OK}Transfer-Encoding: gzip\r\n\r\n`, "an unknown transfer coding"],
    ["a huge length", `${OK}Content-Length: 999999999999999\r\n\r\n`, "the answer is too long"],
    ["an endless status line", `HTTP/1.1 200 ${"x".repeat(1e5)}`, "the answer is too long"],
    ["endless fields", OK + "a: b\r\n".repeat(1e5), "the answer is too long"],
    ["an endless body", `${OK}\r\n${"x".repeat(1e5)}`, "the answer is too long"],
  ])("%s", (_name, text, sentence) => {
    for (const step of [text.length, 1000, 1]) expect(read(text, step)).toContain(sentence);
  });
});

test("memory grows with the bytes that came, up to twice the longest answer", () => {
  const reader = new AnswerReader(1024 ** 2);
  reader.take(Buffer.from(`${OK}Content-Length: 1000000\r\n\r\n`));
  expect(reader.bufferBytes).toBe(4096);
  let outcome: unknown;
  for (let i = 0; i < 3000 && outcome === undefined; i++) outcome = reader.take(Buffer.alloc(997));
  expect(reader.bufferBytes).toBeLessThanOrEqual(2 * (1024 ** 2 + ANSWER_HEAD_BYTES_MAX));
});

test("fields are found by their lower-case names", () => {
  const answer = new AnswerReader(10).take(
    Buffer.from("HTTP/1.1 200 OK\r\nX-Proof:  a b \r\nContent-Length: 0\r\n\r\n"),
  ) as HttpAnswer;
  expect(answer.fields.get("x-proof")).toBe("a b");
});
