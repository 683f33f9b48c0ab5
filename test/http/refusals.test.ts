import { expect, test } from "bun:test";
import {
  HEAD_MALFORMED,
  HEAD_TOO_LARGE,
  HEAD_VERSION,
  HEAD_WITHOUT_HOST,
} from "../../src/net/head.ts";
import { REFUSAL_BODY, REFUSAL_FAILURE, REFUSALS_HEAD } from "../../src/http/refusals.ts";

test("a refusal is a whole answer that ends the connection", () => {
  expect(REFUSALS_HEAD[HEAD_MALFORMED].toString()).toBe(
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 32\r\n" +
      "Connection: close\r\n\r\nthis is not an HTTP/1.1 request\n",
  );
});

test("a missing Host field has its own sentence", () => {
  const text = REFUSALS_HEAD[HEAD_WITHOUT_HOST].toString();
  expect(text).toStartWith("HTTP/1.1 400 Bad Request\r\n");
  expect(text).toEndWith("\r\n\r\nHTTP/1.1 requires a Host field\n");
});

test("each refusal has its status", () => {
  const all = [REFUSALS_HEAD[HEAD_TOO_LARGE], REFUSALS_HEAD[HEAD_VERSION]];
  const statuses = [...all, REFUSAL_BODY, REFUSAL_FAILURE].map((bytes) =>
    bytes.toString().slice(9, 12),
  );
  expect(statuses).toEqual(["431", "505", "413", "500"]);
});
