import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClientSocket, OwnedSocket } from "../../src/http/connection.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { Networks } from "../../src/net/addresses.ts";
import { fakeSocket } from "./fake-socket.ts";
import { answerText, get, listen, targetOf } from "./connected.ts";
import { makeCertificate } from "./openssl.ts";
import { until } from "../until.ts";

const CLOSE = "Connection: close\r\n";

test("a request is answered and the connection stays open, unless it says close", async () => {
  using place = listen();
  const kept = await place.ask([get("/a")]);
  expect(kept.text).toBe(
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n/a",
  );
  expect(kept.closed).toBe(false);
  const closed = await place.ask([get("/a", CLOSE)]);
  expect(closed.text).toContain("\r\nConnection: close\r\n");
  expect(closed.closed).toBe(true);
});

test("HTTP/1.0 is closed after the answer, unless the client says keep-alive", async () => {
  using place = listen();
  expect((await place.ask([get("/a", "", "1.0")])).closed).toBe(true);
  const kept = await place.ask([get("/a", "Connection: keep-alive\r\n", "1.0")]);
  expect(kept.text).toContain("\r\nConnection: keep-alive\r\n");
  expect(kept.closed).toBe(false);
});

test("HEAD gets the head of the answer", async () => {
  using place = listen();
  const { text } = await place.ask(["HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n"], { head: true });
  expect(text).toBe("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n");
});

test("pipelined requests are answered in order, also behind a slow one", async () => {
  using place = listen((exchange) => {
    const target = targetOf(exchange);
    if (target === "/slow") return Bun.sleep(30).then(() => new Response("late"));
    return answerText(exchange, target);
  });
  const pieces = [
    get("/1") + get("/slow") + get("/2") + get("/slow") + get("/3", CLOSE) + get("/4"),
  ];
  const { bodies, closed } = await place.ask(pieces, { responses: 5 });
  expect(bodies).toEqual(["/1", "late", "/2", "late", "/3"]);
  expect(closed).toBe(true);
});

test("thousands of pipelined requests are answered to a slow reader", async () => {
  using place = listen((exchange) => answerText(exchange, "x".repeat(15_000)));
  const count = 3000;
  let bytes = 0;
  const done = Promise.withResolvers<void>();
  const requests = Buffer.from(get("/a").repeat(count - 1) + get("/a", CLOSE));
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: place.port,
    socket: {
      data(socket, data) {
        bytes += data.length;
        socket.pause();
        setTimeout(() => socket.resume(), 1);
      },
      close: () => done.resolve(),
    },
  });
  expect(client.write(requests)).toBe(requests.length);
  await done.promise;
  const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 15000\r\n\r\n"
    .length;
  expect(bytes).toBe(count * (15_000 + head) + "Connection: close\r\n".length);
}, 20_000);

test.each([
  ["small answers", (exchange: Exchange) => answerText(exchange, "a")],
  ["Responses", () => new Response("a page")],
])(
  "thousands of pipelined requests for %s do not delay other clients",
  async (_name, answer) => {
    const count = 10_000;
    const order: string[] = [];
    using place = listen((exchange) => {
      order.push(targetOf(exchange));
      return answer(exchange);
    });
    const many = connect({ host: "127.0.0.1", port: place.port }).resume();
    many.write(get("/many").repeat(count - 1) + get("/last", CLOSE));
    while (order.length === 0) await Bun.sleep(0);
    await place.ask([get("/one", CLOSE)]);
    expect(order.indexOf("/one")).toBeLessThan(count);
    await new Promise((resolve) => many.on("close", resolve));
    expect(order.at(-1)).toBe("/last");
    expect(order.length).toBe(count + 1);
  },
  20_000,
);

test("a client that half-closes gets its answer, and then the connection closes", async () => {
  using place = listen(() => Bun.sleep(20).then(() => new Response("late")));
  const { bodies, closed } = await place.ask([get("/a") + get("/b")], {
    halfClose: true,
    responses: 3,
  });
  expect(bodies).toEqual(["late", "late"]);
  expect(closed).toBe(true);
  expect(place.server.connections).toBe(0);
});

test("a client that half-closes within a request is disconnected", async () => {
  using place = listen();
  expect(await place.ask(["GET /a HT"], { halfClose: true })).toMatchObject({
    text: "",
    closed: true,
  });
});

describe("a malformed request", () => {
  test.each([
    ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00", 400],
    ["a blank in the target", "GET /a b HTTP/1.1\r\n", 400],
    ["HTTP/0.9", "GET /a\r\n", 400],
    ["HTTP/2", "GET / HTTP/2.0\r\n", 505],
    ["too long a head", `GET /${"a".repeat(16_384)} HTTP/1.1\r\n`, 431],
    ["a large body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 413],
  ])("%s is refused at once with its status", async (_name, bytes, status) => {
    using place = listen();
    const answer = await place.ask([bytes], { lingerMilliseconds: 2500 });
    expect(answer.statuses).toEqual([status]);
    expect(answer.text).toContain("\r\nConnection: close\r\n");
    expect(answer.closed).toBe(true);
    expect(place.server.counts.malformed).toBe(1);
  });

  test("does not affect the answers to requests before it", async () => {
    using place = listen();
    const { statuses } = await place.ask([get("/a") + "\0"], { responses: 2 });
    expect(statuses).toEqual([200, 400]);
  });

  test("is refused with an answer that the client gets even if it keeps sending", async () => {
    using place = listen();
    const { statuses } = await place.ask(["\0", ...Array(20).fill("x".repeat(30_000))], {
      delayMilliseconds: 2,
      lingerMilliseconds: 0,
    });
    expect(statuses).toEqual([400]);
  });
});

describe("a body", () => {
  test.each([
    ["with a length", "Content-Length: 5\r\n\r\n\r\n\r\nx"],
    ["in chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"],
  ])("%s is skipped, and the next request is answered", async (_name, rest) => {
    using place = listen();
    const post = `POST /a HTTP/1.1\r\nHost: a\r\n${rest}`;
    const whole = await place.ask([post + get("/b")], { responses: 2 });
    expect(whole.bodies).toEqual(["/a", "/b"]);
    const cut = await place.ask([...(post + get("/b"))], { responses: 2 });
    expect(cut.bodies).toEqual(["/a", "/b"]);
  });

  test("is requested by 100 Continue if the client waits for it", async () => {
    using place = listen();
    const fields = "Expect: 100-continue\r\nContent-Length: 3\r\n";
    const { text } = await place.ask([get("/a", fields), "abc"], { delayMilliseconds: 20 });
    expect(text).toStartWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
  });

  test("with malformed framing closes the connection, and nothing in it is a request", async () => {
    using place = listen();
    const post = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const { statuses } = await place.ask([`${post}x\r\n${get("/b")}`], { responses: 3 });
    expect(statuses).toEqual([200, 400]);
  });
});

test("a connection over the limit is closed at once, and later ones are accepted", async () => {
  using place = listen(undefined, { connectionsMax: 1 });
  const [first, second] = [place.ask([get("/a")]), place.ask([get("/b")])];
  const answers = await Promise.all([first, second]);
  expect(answers.map(({ text }) => text === "").toSorted()).toEqual([false, true]);
  expect(place.server.counts).toMatchObject({ accepted: 1, refused: 1 });
  await Bun.sleep(20);
  expect((await place.ask([get("/c")])).statuses).toEqual([200]);
});

test("one address may exceed its limit while slots are free", async () => {
  using place = listen(undefined, { connectionsMax: 4, connectionsPerAddressMax: 2 });
  const mine = () => place.ask([get("/a")], { source: "127.0.0.2" });
  const answers = await Promise.all([mine(), mine(), mine(), mine()]);
  expect(answers.map(({ statuses }) => statuses)).toEqual([[200], [200], [200], [200]]);
  expect(place.server.counts).toMatchObject({ accepted: 4, crowded: 0, refused: 0 });
});

test("400 announces at once from one address are all answered while slots are free", async () => {
  using place = listen(undefined, { connectionsMax: 960, connectionsPerAddressMax: 64 });
  const once = () => place.ask([get("/a", CLOSE)], { source: "127.0.0.2" });
  const answers = await Promise.all(Array.from({ length: 400 }, once));
  expect(answers.filter(({ statuses }) => statuses[0] === 200)).toHaveLength(400);
  expect(place.server.counts).toMatchObject({ accepted: 400, crowded: 0, refused: 0 });
});

test("without free slots an address at its limit replaces no other address", async () => {
  using place = listen(undefined, { connectionsMax: 3, connectionsPerAddressMax: 2 });
  const linger = { lingerMilliseconds: 300 };
  const mine = () => place.ask([get("/a")], { source: "127.0.0.2", ...linger });
  const held = Promise.all([mine(), mine(), mine()]);
  await Bun.sleep(100);
  expect((await mine()).text).toBe("");
  expect(place.server.counts).toMatchObject({ accepted: 3, crowded: 1, refused: 0 });
  expect((await place.ask([get("/b")], { source: "127.0.0.3", ...linger })).statuses).toEqual([
    200,
  ]);
  expect(place.server.counts).toMatchObject({ accepted: 4, crowded: 1, refused: 1 });
  expect((await held).map(({ statuses }) => statuses)).toEqual([[200], [200], [200]]);
});

test("a newcomer replaces a client that does not read, not one that reads", async () => {
  using place = listen((exchange) => answerText(exchange, "x".repeat(19_000)), {
    connectionsMax: 3,
    tickMilliseconds: 50,
  });
  const to = () => {
    const client = connect({ host: "127.0.0.1", port: place.port });
    client.on("error", () => {});
    client.write(get("/a").repeat(1000));
    return client;
  };
  const stalled = to().pause();
  const closed: string[] = [];
  stalled.on("close", () => closed.push("stalled"));
  // 320 KB in each tick.
  const reader = to();
  reader.on("close", () => closed.push("reader"));
  const reading = setInterval(() => reader.read(16_000), 2);
  await Bun.sleep(20);
  const idle = place.ask([get("/a")], { responses: 2, timeoutMilliseconds: 3000 });
  await Bun.sleep(400);
  expect(place.server.connections).toBe(3);
  expect((await place.ask([get("/b", CLOSE)])).statuses).toEqual([200]);
  stalled.resume();
  await Bun.sleep(50);
  expect(closed).toEqual(["stalled"]);
  clearInterval(reading);
  reader.destroy();
  await idle;
}, 10_000);

test("exempt networks have no limit per address", async () => {
  const exempt = new Networks(["127.0.0.0/8"]);
  using place = listen(undefined, { connectionsMax: 1, connectionsPerAddressMax: 1, exempt });
  await Promise.all([place.ask([get("/a")]), place.ask([get("/b")])]);
  // A connection from an address at its limit would be counted as crowded.
  expect(place.server.counts).toMatchObject({ accepted: 1, crowded: 0, refused: 1 });
});

test("each connection that arrives without a free slot is reported", async () => {
  let told = 0;
  using place = listen(undefined, { connectionsMax: 1, full: () => (told += 1) });
  await Promise.all([place.ask([get("/a")]), place.ask([get("/b")]), place.ask([get("/c")])]);
  expect(told).toBe(2);
});

test("a client that reads its answers is not closed because of clients that do not", async () => {
  using place = listen(() => new Response(inOnePiece(new Uint8Array(EMPTINESS_BYTES))));
  const to = (localAddress: string) => {
    const client = connect({ host: "127.0.0.1", port: place.port, localAddress });
    client.on("error", () => {});
    client.write(get("/a", CLOSE));
    return client;
  };
  const greedy = Array.from({ length: 5 }, () => to("127.0.0.2").pause());
  for (let wait = 0; wait < 300 && place.server.counts.starved < 3; wait++) await Bun.sleep(10);
  expect(place.server.counts.starved).toBeGreaterThanOrEqual(3);
  const { promise: over, resolve } = Promise.withResolvers<void>();
  let bytes = 0;
  const honest = to("127.0.0.1").on("close", () => resolve());
  honest.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await over;
  expect(bytes).toBeGreaterThan(EMPTINESS_BYTES);
  for (const client of greedy) client.destroy();
}, 20_000);

test("a connection over the limit replaces one that has waited for two ticks", async () => {
  using place = listen(undefined, { connectionsMax: 1, tickMilliseconds: 20 });
  const idle = place.ask([get("/a")], { responses: 2 });
  await Bun.sleep(100);
  expect((await place.ask([get("/b")])).statuses).toEqual([200]);
  expect(await idle).toMatchObject({ statuses: [200], closed: true });
  expect(place.server.counts).toMatchObject({ accepted: 2, refused: 1 });
});

test.if(makeCertificate.possible)(
  "over TLS a client without a handshake is counted and closed",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "buntracker-handshake-"));
    using place = listen(undefined, { tickMilliseconds: 10 });
    const { cert, key } = makeCertificate(directory, "tracker.example");
    const tls = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
    const options = { hostname: "127.0.0.1", port: 0, allowHalfOpen: true };
    using secure = Bun.listen({ ...options, tls, socket: place.server.socket });
    rmSync(directory, { recursive: true });
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const silent = { data() {}, close: () => resolve() };
    await Bun.connect({ hostname: "127.0.0.1", port: secure.port, socket: silent });
    await Bun.sleep(20);
    expect(place.server.connections).toBe(1);
    await closed;
    expect(place.server.counts).toMatchObject({ accepted: 1, expired: 1 });
  },
);

test.if(makeCertificate.possible)(
  "broken TLS records are counted, and not reported as a bug",
  async () => {
    const reports: unknown[] = [];
    const directory = mkdtempSync(join(tmpdir(), "buntracker-garbage-"));
    using place = listen(undefined, { report: (error) => reports.push(error) });
    const { cert, key } = makeCertificate(directory, "tracker.example");
    const tls = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
    const options = { hostname: "127.0.0.1", port: 0, allowHalfOpen: true };
    using secure = Bun.listen({ ...options, tls, socket: place.server.socket });
    rmSync(directory, { recursive: true });
    // A relay, because a TLS client sends no broken records.
    const inward = connect({ host: "127.0.0.1", port: secure.port });
    inward.on("error", () => {});
    const relay = createServer((client) => {
      client.on("error", () => {});
      client.pipe(inward).pipe(client);
    }).listen(0);
    const { port } = relay.address() as AddressInfo;
    const client = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
    client.on("error", () => {});
    client.write(get("/a"));
    await new Promise((resolve) => client.on("data", resolve));
    const closed = new Promise((resolve) => inward.on("close", resolve));
    inward.write("x".repeat(50));
    await closed;
    await Bun.sleep(20);
    expect(reports).toEqual([]);
    expect(place.server.counts.malformed).toBe(1);
    client.destroy();
    relay.close();
  },
);

test("a handler that throws is a bug: 500, close, and a report", async () => {
  const reports: unknown[] = [];
  const mistake = new Error("a mistake");
  using place = listen(
    () => {
      throw mistake;
    },
    { report: (error) => reports.push(error) },
  );
  const { statuses, closed } = await place.ask([get("/a") + get("/b")], {
    lingerMilliseconds: 2500,
  });
  expect([statuses, closed, reports]).toEqual([[500], true, [mistake]]);
});

test("a request has ten ticks, dripping or not; idle connections have thirty", async () => {
  using place = listen(undefined, { tickMilliseconds: 30 });
  // Counted by the event loop that counts the server's: a busy machine delays both.
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), 30);
  const waited = async (pieces: string[]) => {
    const how = { delayMilliseconds: 20, responses: 9, timeoutMilliseconds: 3000 };
    const { closed } = await place.ask(pieces, how);
    return closed ? Math.round(ticks / 10) * 10 : Infinity;
  };
  const drip = Array(50).fill("a");
  const held = await Promise.all([
    waited([]),
    waited(["GET /a HTTP/1.1\r\n"]),
    waited(["GET /", ...drip]),
    waited([`POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n`, ...drip]),
    waited([get("/a")]),
  ]);
  clearInterval(timer);
  expect(held).toEqual([10, 10, 10, 10, 30]);
  expect(place.server.counts.expired).toBe(4);
});

test("a client that reads nothing is dropped", async () => {
  using place = listen(() => answerEmptiness(), { tickMilliseconds: 10 });
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: place.port,
    socket: { data: (socket) => void socket.pause() },
  });
  client.write(get("/a"));
  await Bun.sleep(150);
  expect(place.server.connections).toBe(1);
  await Bun.sleep(400);
  expect(place.server.connections).toBe(0);
  expect(place.server.counts.expired).toBe(1);
  client.terminate();
});

test("stopping closes idle connections soon and others after their answers", async () => {
  const answer = Promise.withResolvers<Response>();
  using place = listen(() => answer.promise);
  const busy = place.ask([get("/a")], { lingerMilliseconds: 2000 });
  const idle = place.ask([], { lingerMilliseconds: 2000 });
  await until(() => place.server.connections === 2);
  const stopped = place.server.stop();
  await idle;
  expect(place.server.connections).toBe(1);
  answer.resolve(new Response("late"));
  await stopped;
  expect(await busy).toMatchObject({ bodies: ["late"], closed: true });
  expect(await idle).toMatchObject({ text: "", closed: true });
});

test("a request on its way when the server stops is answered, the first and later", async () => {
  using place = listen();
  const { server } = place;
  const texts = ["", ""];
  const [kept, fresh] = texts.map((_text, index) => {
    const socket = Object.assign(fakeSocket(), {
      write(bytes: Uint8Array, from = 0, size = bytes.length - from) {
        texts[index] += Buffer.from(bytes.subarray(from, from + size)).toString();
        return size;
      },
      end: () => void (texts[index] += " closed"),
    }) as ClientSocket as OwnedSocket;
    server.socket.open(socket);
    return socket;
  });
  server.socket.data(kept!, Buffer.from(get("/a")));
  await until(() => texts[0]!.endsWith("/a"));
  void server.stop();
  server.socket.data(kept!, Buffer.from(get("/b")));
  await until(() => texts[0]!.endsWith("/b closed"));
  await Bun.sleep(50);
  expect(texts[1]).toBe("");
  server.socket.data(fresh!, Buffer.from(get("/c")));
  await until(() => texts[1]!.endsWith("/c closed"));
});

/** Pieces for random streams of valid and malformed requests. */
const PIECE = fc.oneof(
  fc.constantFrom(get("/a"), get("/b", CLOSE), get("/c", "Content-Length: 3\r\n"), "abc"),
  fc.constantFrom(get("/d", "Transfer-Encoding: chunked\r\n"), "3\r\nabc\r\n0\r\n\r\n", "\r\n"),
  fc.constantFrom("GET /e HTTP/1.0\r\n\r\n", "HEAD / HTTP/1.1\r\n", "Host: a\r\n\r\n", "\0", "x"),
);

test("requests in any pieces get the same answers as in one piece", async () => {
  using place = listen();
  const whole = fc.array(PIECE, { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(whole, fc.integer({ min: 1, max: 40 }), async (pieces, size) => {
      const text = pieces.join("");
      const cut = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
      const how = { responses: 99, halfClose: true, timeoutMilliseconds: 3000 };
      const [once, often] = await Promise.all([place.ask([text], how), place.ask(cut, how)]);
      expect(often.text).toBe(once.text);
    }),
    { numRuns: 60 },
  );
}, 20_000);

/** A body that is written at once, so all of it waits. */
function inOnePiece(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}

/** More than any socket takes at once. */
const EMPTINESS_BYTES = 32 * 1024 * 1024;

function answerEmptiness(): Response {
  return new Response(new Uint8Array(EMPTINESS_BYTES));
}
