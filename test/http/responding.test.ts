import { expect, test } from "bun:test";
import { Connection } from "../../src/http/connection.ts";
import { CONNECTION_OPEN } from "../../src/http/exchange.ts";
import { type LongAnswer, respond } from "../../src/http/responding.ts";
import type { Takeover } from "../../src/net/tunnel.ts";
import { fakeSocket } from "./fake-socket.ts";

async function ask(answer: LongAnswer, version11 = true) {
  let cut = false;
  const connection = new Connection(fakeSocket({ terminate: () => (cut = true) }));
  const sent: string[] = [];
  const bugs: unknown[] = [];
  const form = { version11, withoutBody: false, connection: CONNECTION_OPEN };
  const takeover = await respond(connection, answer, form, {
    send: (bytes) => sent.push(Buffer.from(bytes).toString()) > 0,
    report: (error) => bugs.push(error),
  });
  return { takeover, text: sent.join(""), bugs: bugs.map(String), cut, connection };
}

test("a Response is sent, and the connection stays open", async () => {
  const { takeover, text, cut, connection } = await ask(new Response("hello"));
  expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n.*\r\n\r\nhello$/s);
  expect([takeover, cut, connection.closing]).toEqual([undefined, false, false]);
});

test("a body without a length ends an HTTP/1.0 connection", async () => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from("a"));
      setTimeout(() => controller.close(), 5);
    },
  });
  expect((await ask(new Response(body), false)).connection.closing).toBe(true);
});

test("a takeover is returned, and nothing is sent", async () => {
  const takeover = { response: Buffer.from("101") } as unknown as Takeover;
  const got = await ask(Promise.resolve(takeover));
  expect([got.takeover, got.text, got.cut]).toEqual([takeover, "", false]);
});

test("an answer that rejects is reported, and the connection is cut", async () => {
  const { bugs, cut } = await ask(Promise.reject(new Error("a bug")));
  expect([bugs, cut]).toEqual([["Error: a bug"], true]);
});
