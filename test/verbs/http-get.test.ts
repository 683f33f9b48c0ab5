/** One GET: whole answers are read, and whatever else comes is an error in words. */
import { expect, test } from "bun:test";

import { getOverHttp, readAnswer } from "../../src/verbs/http-get.ts";

/** Answers every connection with these bytes and ends it; silence if there are none. */
function listen(answer: string) {
  let asked = "";
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket, bytes) {
        asked += bytes.toString();
        if (answer !== "") socket.end(answer);
      },
    },
  });
  const request = { address: "127.0.0.1", port: listener.port, host: "t.example", target: "/a?b" };
  const get = (timeout = 1000) => getOverHttp({ ...request, timeout });
  return { listener, get, asked: () => asked };
}

test("status and body of an answer are told", async () => {
  const { listener, get, asked } = listen("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const { status, body } = await get();
  expect([status, Buffer.from(body).toString()]).toEqual([200, "ok"]);
  expect(asked()).toBe("GET /a?b HTTP/1.1\r\nHost: t.example\r\nConnection: close\r\n\r\n");
  listener.stop(true);
});

test("silence, refusal and nonsense are errors", async () => {
  const silent = listen("");
  expect(silent.get(100)).rejects.toThrow("no answer in 0.1 s");
  await silent.get(100).catch(() => {});
  silent.listener.stop(true);
  expect(silent.get()).rejects.toThrow("nothing listens there: the connection is refused");
  const nonsense = listen("SSH-2.0-x\r\n\r\n");
  expect(nonsense.get()).rejects.toThrow("the answer is not HTTP");
  await nonsense.get().catch(() => {});
  nonsense.listener.stop(true);
});

test.each([
  ["HTTP/1.0 404 Not Found\r\n\r\ngone", [404, "gone"]],
  ["HTTP/1.1 200\r\n\r\n", [200, ""]],
  [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
    [200, "abc"],
  ],
  ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab\r\n", undefined],
  ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", undefined],
  ["HTTP/1.1 200 OK\r\n", undefined],
  ["", undefined],
])("%j", (text, expected) => {
  const answer = readAnswer(Buffer.from(text));
  const read = answer && [answer.status, Buffer.from(answer.body).toString()];
  expect(read as unknown).toEqual(expected);
});
