/** The client of UDP trackers: its requests, and how it parses answers. */
import { expect, test } from "bun:test";

import { UdpClient } from "../../src/verbs/udp-client.ts";
import { fakeUdp, goodAnswer, type FakeAnswers } from "./fake-udp.ts";

const INFO_HASH = new Uint8Array(20).fill(0xaa);
const PEER = {
  infoHash: INFO_HASH,
  peerId: new Uint8Array(20).fill(0xbb),
  port: 6881,
  left: 5,
  event: "started",
} as const;

/** Runs `use` with a client of a tracker with these answers. */
async function against<T>(answers: FakeAnswers, use: (client: UdpClient) => Promise<T>) {
  const server = await fakeUdp(answers);
  const client = new UdpClient("127.0.0.1", server.port, 150);
  try {
    return { result: await use(client), requests: server.requests };
  } finally {
    client.close();
    server.close();
  }
}

test("connect, announce and scrape follow BEP 15, and answers are parsed", async () => {
  const { result, requests } = await against(goodAnswer, async (client) => {
    await client.connect();
    return [await client.announce(PEER), await client.scrape(INFO_HASH)] as const;
  });
  expect(result).toEqual([
    { interval: 1800, leechers: 0, seeders: 1, peerPorts: [258] },
    { seeders: 1, leechers: 1 },
  ]);
  const [connect, announce, scrape] = requests.map((request) => request.toString("hex"));
  expect(connect).toMatch(/^0000041727101980000000000*[0-9a-f]{8}$/);
  expect(announce).toMatch(
    new RegExp(
      `^(07){8}00000001[0-9a-f]{8}(aa){20}(bb){20}0{16}0{15}50{16}00000002` +
        `00000000[0-9a-f]{8}ffffffff1ae1$`,
    ),
  );
  expect(scrape).toMatch(/^(07){8}00000002[0-9a-f]{8}(aa){20}$/);
});

test("a request without an answer is sent once more", async () => {
  let lost = 0;
  const { requests } = await against(
    (action) => (lost++ === 0 ? undefined : goodAnswer(action)),
    (client) => client.connect(),
  );
  expect(requests).toHaveLength(2);
});

test.each<[string, FakeAnswers, string]>([
  ["silence", () => undefined, "no answer in 0.3 s"],
  ["a short reply", () => Buffer.alloc(4), "the reply has only 12 bytes"],
])("%s is an error in words", async (_, answers, words) => {
  expect(against(answers, (client) => client.connect())).rejects.toThrow(words);
  await against(answers, (client) => client.connect()).catch(() => {});
});

test("a list of peers that is cut short is an error", async () => {
  const cut: FakeAnswers = (action) =>
    action === 1 ? goodAnswer(1)!.subarray(0, 15) : goodAnswer(action);
  const use = async (client: UdpClient) => {
    await client.connect();
    return client.announce(PEER);
  };
  expect(against(cut, use)).rejects.toThrow("the list of peers has a wrong length");
  await against(cut, use).catch(() => {});
});

test("an answer without a body, as from opentracker for an info hash not on its list", async () => {
  const bare: FakeAnswers = (action) => (action === 1 ? Buffer.alloc(0) : goodAnswer(action));
  const use = async (client: UdpClient) => {
    await client.connect();
    return client.announce(PEER);
  };
  const words = "the reply has only 8 bytes: is the info hash not on its list?";
  const failure = await against(bare, use).catch((error: Error) => error.message);
  expect(failure).toBe(words);
});

test("the text of an error is one printable line, cut if long", async () => {
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data(from, request, port, address) {
        const text = Buffer.from(`\x1b]0;title\x07\nnext ${"x".repeat(5000)}`);
        const head = Buffer.concat([Buffer.from([0, 0, 0, 3]), request.subarray(12, 16)]);
        from.send(Buffer.concat([head, text]), port, address);
      },
    },
  });
  const client = new UdpClient("127.0.0.1", socket.port, 500);
  const message = await client.connect().catch((error: Error) => error.message);
  expect(message).toStartWith("refused: ?]0;title??next xxx");
  expect(String(message).length).toBeLessThan(250);
  client.close();
  socket.close();
});

test("a flood of datagrams that are not answers ends the client", async () => {
  let flooding = true;
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data(from, _request, port, address) {
        const flood = () => {
          if (!flooding) return;
          for (let i = 0; i < 64; i++) from.send(Buffer.alloc(1000), port, address);
          setImmediate(flood);
        };
        flood();
      },
    },
  });
  const client = new UdpClient("127.0.0.1", socket.port, 3000);
  expect(await client.connect().catch((error: Error) => error.message)).toBe(
    "it sends datagrams that are not replies",
  );
  expect(await client.scrape(INFO_HASH).catch((error: Error) => error.message)).toBe(
    "it sends datagrams that are not replies",
  );
  flooding = false;
  client.close();
  socket.close();
});
