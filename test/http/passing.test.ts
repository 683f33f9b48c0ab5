import { connect } from "node:net";
import { afterEach, expect, test } from "bun:test";
import { STRANGERS_MAX } from "../../src/constants.ts";
import type { HttpHandler } from "../../src/http/exchange.ts";
import { passingPlace, passOn, takePassed } from "../../src/http/passing.ts";
import { HttpServer } from "../../src/http/server.ts";
import { writeAddress } from "../../src/net/addresses.ts";
import type { Takeover } from "../../src/net/tunnel.ts";
import { until } from "../until.ts";
import { answerText, listen, targetOf } from "./connected.ts";
import { Echo, echoTakeover } from "./echo-tunnel.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** A worker that passes everything on, and the server that gets it. */
function pair(answer: HttpHandler["answer"], place = passingPlace()) {
  const server = new HttpServer(
    { bodyBytesMax: 20_000, answer },
    { connectionsMax: 1000, passedOn: true },
  );
  const socket = takePassed(place, server.socket, 4);
  const listener = Bun.listen({ unix: place.name, allowHalfOpen: true, socket } as never);
  const worker = listen((exchange) => passOn(place, exchange));
  open.push(() => {
    worker[Symbol.dispose]();
    listener.stop(true);
    server.cut();
    void server.stop();
  });
  return { worker, server, place };
}

const get = (target: string, more = "") => `GET ${target} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;

const isLinux = process.platform === "linux";

test.if(isLinux)("a request is answered elsewhere, for the address of its client", async () => {
  const { worker } = pair((exchange) => {
    const { address, family } = exchange;
    return answerText(exchange, `${targetOf(exchange)} ${writeAddress(address, 0, family || 4)}`);
  });
  const { statuses, bodies, closed, text } = await worker.ask([get("/a?b=%ff")]);
  expect([statuses, bodies, closed]).toEqual([[200], ["/a?b=%ff 127.0.0.1"], true]);
  expect(text).toContain("Connection: close");
  // Also if the client does not keep the connection, or has shut its side.
  const once = await worker.ask([get("/", "Connection: close\r\n")]);
  expect(once.bodies).toEqual(["/ 127.0.0.1"]);
  const ended = await worker.ask([get("/")], { halfClose: true });
  expect(ended.bodies).toEqual(["/ 127.0.0.1"]);
});

test.if(isLinux)("a body of a request is skipped, and what follows is not answered", async () => {
  const { worker } = pair((exchange) => answerText(exchange, targetOf(exchange)));
  const { bodies } = await worker.ask([get("/x", "Content-Length: 5\r\n"), "12345", get("/y")]);
  expect(bodies).toEqual(["/x"]);
});

test.if(isLinux)("a long answer waits for its client, and not in memory", async () => {
  const SIZE = 64 * 1024 * 1024;
  let made = 0;
  const { worker, server } = pair(() => {
    const body = new ReadableStream({
      pull(controller) {
        if (made >= SIZE) return controller.close();
        made += 64 * 1024;
        controller.enqueue(new Uint8Array(64 * 1024));
      },
    });
    return new Response(body);
  });
  const socket = connect(worker.port, "127.0.0.1");
  open.push(() => socket.destroy());
  socket.pause();
  socket.write(get("/export"));
  await until(() => made > 0);
  let before = -1;
  while (before !== made) {
    before = made;
    await Bun.sleep(200);
  }
  expect(made).toBeLessThan(SIZE / 2);
  let received = 0;
  socket.on("data", (bytes: Buffer) => (received += bytes.length));
  socket.resume();
  await until(() => received > SIZE);
  await until(() => server.connections === 0);
});

test.if(isLinux)("an upgrade is passed on, with all that follows in both directions", async () => {
  const tunnels: Echo[] = [];
  const takeover = echoTakeover(tunnels);
  // The first is loaded, so its answer is a promise.
  const answers: (Takeover | Promise<Takeover>)[] = [Promise.resolve(takeover), takeover];
  const { worker } = pair(() => answers.shift()!);
  for (let round = 0; round < 2; round++) {
    const socket = connect(worker.port, "127.0.0.1");
    open.push(() => socket.destroy());
    let heard = 0;
    socket.on("data", (bytes: Buffer) => (heard += bytes.length));
    socket.write(get("/"));
    await until(() => heard > 0);
    const answer = heard;
    // More than the buffers on the way hold: neither side may be lost when one is full.
    const piece = Buffer.alloc(1024 * 1024, 120);
    for (let i = 0; i < 8; i++) socket.write(piece);
    await until(() => heard === answer + 8 * piece.length);
    socket.destroy();
    await until(() => tunnels[round]!.wasClosed);
  }
});

test.if(isLinux)("without the event loop the answer is 503", async () => {
  const place = passingPlace();
  const worker = listen((exchange) => passOn(place, exchange));
  open.push(() => worker[Symbol.dispose]());
  expect((await worker.ask([get("/")])).statuses).toEqual([503]);
});

test.if(isLinux)("a process that does not know the key is closed", async () => {
  const { place, worker, server } = pair((exchange) => answerText(exchange, "ok"));
  const strangers: { closed: boolean }[] = [];
  const stranger = async (said: string) => {
    const state = { closed: false };
    strangers.push(state);
    const socket = { data() {}, close: () => void (state.closed = true), error() {} };
    const socketOf = await Bun.connect({ unix: place.name, socket } as never);
    open.push(() => (socketOf as { terminate(): void }).terminate());
    (socketOf as { write(text: string): void }).write(said);
  };
  await stranger(`${"x".repeat(49)}${get("/")}`);
  await until(() => strangers[0]!.closed);
  // Those that say nothing take no place from a worker: the oldest of them gives way.
  for (let i = 0; i < STRANGERS_MAX + 4 + 10; i++) await stranger("x");
  expect((await worker.ask([get("/")])).bodies).toEqual(["ok"]);
  await until(() => strangers.filter(({ closed }) => closed).length >= 10);
  expect(server.counts.accepted).toBe(1);
});

test.if(isLinux)("an answered page gives way to others, and a WebSocket does not", async () => {
  const upgraded: Takeover = {
    response: Buffer.from("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    refusal: Buffer.alloc(0),
    address: new Uint8Array([127, 0, 0, 1]),
    family: 4,
    begin: (line) => new Echo(line),
  };
  const place = passingPlace();
  const server = new HttpServer(
    {
      bodyBytesMax: 20_000,
      answer: (exchange) =>
        targetOf(exchange) === "/ws" ? upgraded : answerText(exchange, targetOf(exchange)),
    },
    { connectionsMax: 1000, passedOn: true },
  );
  const socket = takePassed(place, server.socket, 4);
  const listener = Bun.listen({ unix: place.name, allowHalfOpen: true, socket } as never);
  const worker = listen((exchange) => passOn(place, exchange), { connectionsMax: 4 });
  open.push(() => {
    worker[Symbol.dispose]();
    listener.stop(true);
    server.cut();
  });
  const client = async (target: string, localAddress = "127.0.0.2") => {
    const state = { heard: "", closed: false };
    const at = { port: worker.port, host: "127.0.0.1", localAddress };
    const client = connect({ ...at, allowHalfOpen: true });
    open.push(() => client.destroy());
    client.on("data", (bytes: Buffer) => (state.heard += bytes.toString("latin1")));
    client.on("error", () => {});
    client.on("close", () => (state.closed = true));
    client.write(get(target));
    await until(() => state.heard !== "" || state.closed);
    return state;
  };
  const browser = await client("/ws");
  // They linger, for their client does not close its side.
  for (let i = 0; i < 3; i++) await client("/page");
  expect((await client("/last", "127.0.0.3")).heard).toContain("/last");
  expect(browser.closed).toBe(false);
});
