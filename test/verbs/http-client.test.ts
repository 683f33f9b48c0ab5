/** The HTTP client: one request, one answer, in bounded bytes and time. */
import { describe, expect, test } from "bun:test";

import { askOverHttp } from "../../src/verbs/http-client.ts";
import { CHUNKED, hostileHttp, OK } from "./hostile-http.ts";

/** Asks a server with this answer; returns the answer or the error's sentence. */
async function ask(answer: string | ((send: (text: string) => number) => void), timeout = 1000) {
  using server = hostileHttp(answer);
  const question = { address: "0.0.0.0", port: server.port, host: "t.example", target: "/a?b" };
  const outcome = await askOverHttp({ ...question, timeout }).catch(
    (error: Error) => error.message,
  );
  const read =
    typeof outcome === "string" ? outcome : [outcome.status, Buffer.from(outcome.body).toString()];
  return { outcome: read, asked: server.asked };
}

test("the client does not wait for the connection to close", async () => {
  const { outcome, asked } = await ask(`${OK}Content-Length: 2\r\n\r\nok`);
  expect(outcome).toEqual([200, "ok"]);
  expect(asked).toEqual(["GET /a?b HTTP/1.1\r\nHost: t.example\r\nConnection: close\r\n\r\n"]);
});

test("the end of the connection may end an answer", async () => {
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (socket) => void socket.end(`${OK}\r\nall of it`) },
  });
  const question = { address: "127.0.0.1", port: server.port, host: "x", target: "/" };
  const { body } = await askOverHttp({ ...question, timeout: 1000 });
  expect(Buffer.from(body).toString()).toBe("all of it");
  server.stop(true);
});

test("a redirect is an answer and is not followed", async () => {
  using other = hostileHttp(`${OK}Content-Length: 0\r\n\r\n`);
  const to = `Location: http://127.0.0.1:${other.port}/\r\nContent-Length: 0\r\n\r\n`;
  expect((await ask(`HTTP/1.1 301 Moved\r\n${to}`)).outcome).toEqual([301, ""]);
  expect(other.asked).toEqual([]);
});

test("a proxy from the environment is not used", async () => {
  using proxy = hostileHttp(`${OK}Content-Length: 5\r\n\r\nproxy`);
  const before = process.env["HTTP_PROXY"];
  process.env["HTTP_PROXY"] = `http://127.0.0.1:${proxy.port}`;
  try {
    expect((await ask(`${OK}Content-Length: 2\r\n\r\nok`)).outcome).toEqual([200, "ok"]);
  } finally {
    if (before === undefined) delete process.env["HTTP_PROXY"];
    else process.env["HTTP_PROXY"] = before;
  }
});

test("a closed port is an error with a sentence", async () => {
  const server = hostileHttp("");
  const question = { address: "127.0.0.1", port: server.port, host: "x", target: "/" };
  server[Symbol.dispose]();
  expect(await askOverHttp({ ...question, timeout: 1000 }).catch(String)).toContain(
    "nothing listens there: the connection is refused",
  );
});

describe("the deadline ends", () => {
  test.each<[string, (send: (text: string) => number) => void]>([
    ["silence", () => {}],
    ["a body that is dripped for ever", (send) => send(`${OK}\r\n`)],
    ["fields that are dripped for ever", (send) => send(`${OK}x: `)],
    ["a chunk that is dripped for ever", (send) => send(`${CHUNKED}ffff\r\n`)],
  ])("%s", async (_name, begin) => {
    const drip = (send: (text: string) => number) => {
      begin(send);
      const timer = setInterval(() => send("x") > 0 || clearInterval(timer), 20);
    };
    const begun = performance.now();
    expect((await ask(_name === "silence" ? begin : drip, 300)).outcome).toBe("no answer in 0.3 s");
    expect(performance.now() - begun).toBeGreaterThan(250);
  });
});

test.each<[string, string]>([
  ["a body", `${OK}\r\n`],
  ["fields", `${OK}a: b\r\n`],
  ["chunks", `${CHUNKED}1000\r\n${"x".repeat(4096)}\r\n`],
])("%s sent as fast as it goes, for ever, is given up at its bound", async (_name, begin) => {
  const piece = begin.startsWith(CHUNKED) ? begin.slice(CHUNKED.length) : "a: b\r\n".repeat(10_000);
  const pour = (send: (text: string) => number) => {
    if (send(begin) < 0) return;
    const timer = setInterval(() => {
      while (send(piece) === piece.length);
      if (send("") < 0) clearInterval(timer);
    }, 1);
  };
  expect((await ask(pour, 5000)).outcome).toBe("the answer is too long");
});
