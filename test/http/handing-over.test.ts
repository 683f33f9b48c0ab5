import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { fstatSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "bun:test";
import { openLibc } from "../../src/host/libc.ts";
import { handOver, takeHanded } from "../../src/http/handing-over.ts";
import { passingPlace, passOn, takePassed } from "../../src/http/passing.ts";
import { HttpServer } from "../../src/http/server.ts";
import { writeAddress } from "../../src/net/addresses.ts";
import { until } from "../until.ts";
import { listen } from "./connected.ts";
import { type Echo, echoTakeover } from "./echo-tunnel.ts";
import { makeCertificate } from "./openssl.ts";

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** A worker that hands upgrades over, or passes their bytes on, and the server that gets both. */
function pair() {
  const libc = openLibc()!;
  const place = passingPlace();
  const tunnels: Echo[] = [];
  const clients: string[] = [];
  const loop = new HttpServer(
    {
      bodyBytesMax: 100,
      answer({ address, family }) {
        clients.push(writeAddress(address, 0, family || 4));
        return echoTakeover(tunnels);
      },
    },
    { connectionsMax: 1000, passedOn: true },
  );
  const places = new Int32Array(new SharedArrayBuffer(4));
  const take = takeHanded(loop.socket, { libc, open: places });
  let handed = 0;
  const post = (given: Parameters<typeof take>[0]) => {
    handed += 1;
    // As a message does, it comes later, with a copy of the bytes.
    setTimeout(() => take(structuredClone(given)), 1);
  };
  const socket = takePassed(place, loop.socket, 4);
  const listener = Bun.listen({ unix: place.name, allowHalfOpen: true, socket } as never);
  const hand = (fd: number, bytes: Uint8Array) => handOver(fd, bytes, { libc, open: places, post });
  const worker = listen((exchange) => passOn(place, exchange, hand), { open: places });
  open.push(() => {
    worker[Symbol.dispose]();
    listener.stop(true);
    loop.cut();
    void loop.stop();
  });
  return { libc, worker, loop, take, tunnels, clients, places, handed: () => handed };
}

/** A client that has asked for an upgrade, with `more` behind the request. */
function ask(socket: Socket, more = "") {
  let heard = "";
  socket.on("data", (bytes: Buffer) => (heard += bytes.toString("latin1")));
  open.push(() => socket.destroy());
  socket.write(`GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n${more}`);
  return () => heard;
}

const isLinux = process.platform === "linux";

test.if(isLinux)("a connection changes its thread, with all that it sent and sends", async () => {
  const { worker, loop, tunnels, clients, places, handed } = pair();
  const socket = connect(worker.port, "127.0.0.1");
  const heard = ask(socket, "first ");
  await until(() => heard().endsWith("\r\n\r\nfirst "));
  expect(heard()).toStartWith("HTTP/1.1 101 ");
  expect([handed(), worker.server.connections, loop.connections]).toEqual([1, 0, 1]);
  expect(clients).toEqual(["127.0.0.1"]);
  // Its place among all connections has gone with it.
  expect(places[0]).toBe(1);
  const answered = heard().length;
  // More than the buffers of the system hold.
  const piece = Buffer.alloc(1024 * 1024, 120);
  for (let i = 0; i < 8; i++) socket.write(piece);
  await until(() => heard().length === answered + 8 * piece.length);
  socket.destroy();
  await until(() => tunnels[0]!.wasClosed);
  expect([places[0], loop.connections]).toEqual([0, 0]);
});

test.if(isLinux)("what comes while it changes its thread is not lost", async () => {
  const { worker } = pair();
  const socket = connect(worker.port, "127.0.0.1");
  const heard = ask(socket);
  for (let i = 0; i < 20; i++) {
    socket.write(`${i},`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const all = Array.from({ length: 20 }, (_, i) => `${i},`).join("");
  await until(() => heard().endsWith(all));
});

test.if(isLinux)("a client that has gone meanwhile leaves no place behind", async () => {
  const { worker, loop, places, tunnels } = pair();
  for (let round = 0; round < 20; round++) {
    const socket = connect(worker.port, "127.0.0.1");
    ask(socket);
    await until(() => places[0]! > 0);
    if (round % 2 === 0) socket.resetAndDestroy();
    else socket.destroy();
    await until(() => places[0] === 0 && loop.connections === 0);
  }
  await until(() => tunnels.every(({ wasClosed }) => wasClosed));
});

test.if(isLinux)(
  "a descriptor that cannot be adopted is closed, and its place is free",
  async () => {
    const { take, places } = pair();
    const fd = openSync("package.json", "r");
    places[0] = 1;
    take({ fd, bytes: new Uint8Array(1) });
    await until(() => places[0] === 0);
    expect(() => fstatSync(fd)).toThrow();
  },
);

test.if(isLinux)("without a descriptor for it its bytes are passed on", async () => {
  const { libc, worker, loop, handed } = pair();
  const duplicate = libc.duplicate.bind(libc);
  libc.duplicate = () => duplicate(-1);
  const heard = ask(connect(worker.port, "127.0.0.1"), "first");
  await until(() => heard().endsWith("first"));
  expect([handed(), worker.server.connections, loop.connections]).toEqual([0, 1, 1]);
});

test.if(isLinux && makeCertificate.possible)("one with TLS stays, as its keys do", async () => {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-hand-"));
  open.push(() => rmSync(folder, { recursive: true }));
  const { cert, key } = makeCertificate(folder, "a");
  const { worker, loop, handed } = pair();
  const listener = Bun.listen({
    ...{ hostname: "127.0.0.1", port: 0, allowHalfOpen: true, socket: worker.server.socket },
    tls: { cert: Bun.file(cert), key: Bun.file(key) },
  });
  open.push(() => listener.stop(true));
  const socket = connectTls({ port: listener.port, rejectUnauthorized: false });
  const heard = ask(socket, "first");
  await until(() => heard().endsWith("first"));
  expect([handed(), worker.server.connections, loop.connections]).toEqual([0, 1, 1]);
});
