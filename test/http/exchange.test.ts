import { expect, test } from "bun:test";
import {
  type AnswerForm,
  answerForm,
  CONNECTION_CLOSE,
  CONNECTION_KEPT,
  CONNECTION_OPEN,
  NO_SNIFFING,
  SMALL_HEAD_BYTES_MAX,
  smallHeadRoom,
  writeSmallHead,
} from "../../src/http/exchange.ts";

/** A small answer whose body is `body`, written behind three bytes of another one. */
function write(body: string, status: number, connection: number, form?: AnswerForm): string {
  const out = new Uint8Array(new ArrayBuffer(5000)).fill(0x21);
  out.set(Buffer.from(body), 3 + smallHeadRoom(connection));
  const end = writeSmallHead({ out, status, form }, 3, body.length, connection);
  const formBytes = form?.lines.length ?? 0;
  expect(end - 3 - body.length).toBeLessThanOrEqual(SMALL_HEAD_BYTES_MAX + formBytes);
  const text = Buffer.from(out.subarray(0, end)).toString();
  expect(text).toStartWith("!!!");
  return text.slice(3);
}

const START = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";

test.each([0, 9, 10, 99, 100, 999, 1000, 4000])("a body of %p bytes follows its length", (size) => {
  const body = Array.from({ length: size }, (_, i) => String(i % 10)).join("");
  expect(write(body, 200, CONNECTION_OPEN)).toBe(`${START}Content-Length: ${size}\r\n\r\n${body}`);
});

test("the head says whether the connection stays open", () => {
  const body = "x".repeat(123);
  const rest = `Content-Length: 123\r\n\r\n${body}`;
  expect(write(body, 200, CONNECTION_CLOSE)).toBe(`${START}Connection: close\r\n${rest}`);
  expect(write(body, 200, CONNECTION_KEPT)).toBe(`${START}Connection: keep-alive\r\n${rest}`);
});

test("other statuses have heads of other lengths, and 405 lists the methods", () => {
  expect(write("no\n", 404, CONNECTION_OPEN)).toBe(
    "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n" +
      "Content-Length: 3\r\n\r\nno\n",
  );
  expect(write("no\n", 405, CONNECTION_CLOSE)).toStartWith(
    "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n",
  );
});

test("a form replaces status and type, and may have no body", () => {
  const page = answerForm("200 OK\r\nContent-Type: text/html");
  expect(write("<p>", 404, CONNECTION_CLOSE, page)).toBe(
    `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n${NO_SNIFFING}Connection: close\r\n` +
      "Content-Length: 3\r\n\r\n<p>",
  );
  const nothing = answerForm("204 No Content\r\nCache-Control: no-store", false);
  expect(write("", 200, CONNECTION_OPEN, nothing)).toBe(
    `HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n${NO_SNIFFING}\r\n`,
  );
});
