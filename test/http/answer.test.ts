import { expect, test } from "bun:test";
import {
  answerBytes,
  answerFailure,
  answerHealth,
  answerMethodNotAllowed,
  answerNotFound,
  failureSize,
} from "../../src/http/answer.ts";
import { VERDICT_PORT } from "../../src/http/verdict.ts";

test("bytes are copied into their answer, so that their buffer can be used again", async () => {
  const buffer = new Uint8Array([100, 101, 102]);
  const answer = answerBytes(buffer, 2);
  buffer.fill(0);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("text/plain");
  expect(await answer.text()).toBe("de");
});

test("a failure is a good answer with a bad word in it, and can be given again", async () => {
  const text = "d14:failure reason37:port must be a number from 0 to 65535e";
  for (const answer of [answerFailure(VERDICT_PORT), answerFailure(VERDICT_PORT)]) {
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe(text);
  }
  expect(failureSize(VERDICT_PORT)).toBe(text.length);
});

test("the others have the status of their name", async () => {
  expect(answerNotFound().status).toBe(404);
  expect(answerMethodNotAllowed().status).toBe(405);
  expect(answerMethodNotAllowed().headers.get("allow")).toBe("GET, HEAD");
  expect(answerHealth(false).status).toBe(503);
  expect(answerHealth(true).status).toBe(200);
  expect(await answerHealth(true).text()).toBe("ok");
});
