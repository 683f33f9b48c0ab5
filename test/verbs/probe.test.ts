/** The probe: true for a good answer, false for silence, refusal and other answers. */
import { expect, test } from "bun:test";

import { probeHttp, probeUdp } from "../../src/verbs/probe.ts";
import { fakeUdp, goodAnswer } from "./fake-udp.ts";

const HOST = "127.0.0.1";
const TIMEOUT = 300;

/** Answers one TCP connection with `answer`, or not at all, and returns its request. */
function listen(answer: string): Bun.TCPSocketListener & { asked?: string } {
  const listener: Bun.TCPSocketListener & { asked?: string } = Bun.listen({
    hostname: HOST,
    port: 0,
    socket: {
      data(socket, bytes) {
        listener.asked = bytes.toString();
        if (answer !== "") socket.write(answer);
      },
    },
  });
  return listener;
}

async function answerUdp(reply: (request: Buffer) => Buffer[]) {
  return await Bun.udpSocket({
    hostname: HOST,
    socket: {
      data(socket, request, port, address) {
        for (const datagram of reply(request)) socket.send(datagram, port, address);
      },
    },
  });
}

test("200 to GET /health is healthy", async () => {
  using server = listen("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
  expect(await probeHttp({ host: HOST, port: server.port }, TIMEOUT)).toBe(true);
  expect(server.asked).toStartWith("GET /health HTTP/1.1\r\n");
});

test("a wildcard address is asked over loopback", async () => {
  using server = listen("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  expect(await probeHttp({ host: "::", port: server.port }, TIMEOUT)).toBe(true);
  expect(await probeHttp({ host: "0.0.0.0", port: server.port }, TIMEOUT)).toBe(true);
});

test.each(["HTTP/1.1 503 Service Unavailable\r\n\r\n", "SSH-2.0-x 200 \r\n", "x".repeat(5000), ""])(
  "%j is not",
  async (answer) => {
    using server = listen(answer);
    expect(await probeHttp({ host: HOST, port: server.port }, TIMEOUT)).toBe(false);
  },
);

test("a closed port is not healthy", async () => {
  const server = listen("");
  const port = server.port;
  server.stop(true);
  expect(await probeHttp({ host: HOST, port }, TIMEOUT)).toBe(false);
  expect(await probeUdp({ host: HOST, port }, TIMEOUT)).toBe(false);
});

test("UDP that connects and answers an announce is healthy", async () => {
  const server = await fakeUdp();
  expect(await probeUdp({ host: "0.0.0.0", port: server.port }, TIMEOUT)).toBe(true);
  const [connect, announce] = server.requests.map((request) => request.toString("hex"));
  expect(connect.slice(0, 24)).toBe("000004172710198000000000");
  // The id it was given, the action, and at 80 that the peer has stopped.
  expect(announce.slice(0, 24)).toBe("070707070707070700000001");
  expect(announce.slice(160, 168)).toBe("00000003");
  server.close();
});

test("a refused announce is healthy, one without an answer is not", async () => {
  const silent = await fakeUdp((action) => (action === 0 ? goodAnswer(0) : undefined));
  expect(await probeUdp({ host: HOST, port: silent.port }, TIMEOUT)).toBe(false);
  silent.close();
  const refusing = await answerUdp((request) => {
    const connects = request.length === 16;
    const action = Buffer.from([0, 0, 0, connects ? 0 : 3]);
    return [Buffer.concat([action, request.subarray(12, 16), Buffer.from("not here")])];
  });
  expect(await probeUdp({ host: HOST, port: refusing.port }, TIMEOUT)).toBe(true);
  refusing.close();
});

test("another transaction, another action or a short reply is not", async () => {
  const server = await answerUdp((request) => {
    const transaction = request.subarray(12);
    const action = Buffer.from([0, 0, 0, 3]);
    return [
      Buffer.alloc(16, 0xee).fill(0, 0, 4),
      Buffer.concat([action, transaction, Buffer.alloc(8)]),
      Buffer.concat([Buffer.alloc(4), transaction]),
    ];
  });
  expect(await probeUdp({ host: HOST, port: server.port }, TIMEOUT)).toBe(false);
  server.close();
});
